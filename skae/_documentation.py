"""Where a notebook finds the page of an estimator."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata


@cache
def documentation_site():
    """Return the address of the site that the installed package names, or "".

    It is `Documentation` among the URLs of pyproject.toml: where that is absent, there
    is no site to lead to.
    """
    try:
        urls = metadata("skae").get_all("Project-URL", [])
    except PackageNotFoundError:  # run from a folder that was never installed
        return ""
    for url in urls:
        label, _, address = url.partition(",")
        if label.strip().lower() == "documentation":
            return address.strip().rstrip("/")
    return ""


class DocumentedMixin:
    """Lead from an estimator's HTML to its page in the reference.

    scikit-learn draws the link, and one for each parameter, if there is an address.
    """

    _doc_link_module = "skae"

    @property
    def _doc_link_template(self):
        site = documentation_site()
        return site and f"{site}/api/{{estimator_module}}.{{estimator_name}}.html"
