"""What a notebook shows of an estimator: a picture that leads to its page."""

import re
from email.message import Message
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from inspect import isabstract

import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from test_docs import public_api

from skae import VAETransformer, _documentation
from skae.model_selection import GridSearchCV

SITE = "https://skae.example/stable"


@pytest.fixture
def installed(monkeypatch):
    """Give a function that says what URLs the installed package has."""

    def say(*urls):
        about = Message()
        for url in urls:
            about["Project-URL"] = url
        monkeypatch.setattr(_documentation, "metadata", lambda name: about)
        _documentation.documentation_site.cache_clear()

    yield say
    _documentation.documentation_site.cache_clear()


def estimators():
    """Return the public classes with an HTML picture, by public name."""
    return {
        f"{module}.{name}": cls
        for module in public_api.public_modules()
        for name in public_api.public_names(module)
        if isinstance(cls := getattr(import_module(module), name), type)
        and issubclass(cls, BaseEstimator)
        and not isabstract(cls)
    }


def test_every_estimator_leads_to_its_page_of_the_reference(installed, tmp_path):
    installed("Source, https://skae.example/code", f"Documentation, {SITE}/")
    public_api.write_reference(tmp_path)
    listed = set(re.findall(r"^   (\w+)$", (tmp_path / "index.rst").read_text(), re.M))
    found = estimators()
    assert len(found) > 30
    for name, cls in found.items():
        assert name.rpartition(".")[2] in listed
        assert cls.__new__(cls)._get_doc_link() == f"{SITE}/api/{name}.html"


def test_the_picture_has_links_to_steps_and_parameters(installed):
    installed(f"documentation, {SITE}")
    pipeline = make_pipeline(VAETransformer(), LogisticRegression())
    html = GridSearchCV(pipeline, {"vaetransformer__beta": [1.0]})._repr_html_()
    for name in ("VAETransformer", "model_selection.GridSearchCV"):
        assert f'href="{SITE}/api/skae.{name}.html"' in html
    assert f"{SITE}/api/skae.VAETransformer.html#:~:text=beta" in html
    assert "scikit-learn.org" in html  # of the classifier


@pytest.mark.parametrize("urls", [(), ("Source, https://skae.example/code",)])
def test_without_a_site_there_is_no_link(installed, urls):
    installed(*urls)
    html = VAETransformer()._repr_html_()
    assert "VAETransformer" in html
    assert not re.search(r'href="[^"]', html)


def test_a_package_that_is_not_installed_has_no_site(monkeypatch, installed):
    installed()

    def metadata(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(_documentation, "metadata", metadata)
    assert _documentation.documentation_site() == ""


def test_a_class_of_the_users_own_leads_nowhere(installed):
    installed(f"Documentation, {SITE}")

    class Own(VAETransformer):
        pass

    assert Own()._get_doc_link() == ""
