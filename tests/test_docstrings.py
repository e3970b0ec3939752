"""Public names are documented the numpydoc way."""

import importlib
import inspect

import pytest
from numpydoc.validate import validate
from sklearn.datasets import load_iris

import skae

MODULES = [
    "skae",
    "skae.architectures",
    "skae.compression",
    "skae.corruptions",
    "skae.datasets",
    "skae.inspection",
    "skae.likelihoods",
    "skae.metrics",
    "skae.model_selection",
    "skae.penalties",
    "skae.persistence",
]

# Rules that the project does not follow, each with the reason.
IGNORED = {
    "GL01": "the summary stands on the line of the quotes",
    "GL02": "short docstrings close on their own line",
    "GL03": "as the formatter leaves it",
    "GL08": "checked by ruff",
    "EX01": "an example a class; methods are shown in the class",
    "ES01": "a summary line is often enough",
    "SA01": "classes say what to see; methods need not",
    "SS06": "a summary may need a second line",
    "RT02": "scikit-learn names its return values",
    "RT03": "a name and a shape often say it all",
    "PR08": "a description may start with a name in lower case",
    "PR09": "a description may end with a formula",
}
# Inherited from scikit-learn, documented there.
INHERITED = {
    "fit_transform", "get_feature_names_out", "get_metadata_routing", "get_params",
    "set_callbacks", "set_output", "set_params", "feature_names_in_",
}  # fmt: skip


def public_names():
    for module in MODULES:
        for name in importlib.import_module(module).__all__:
            thing = getattr(importlib.import_module(module), name)
            if not callable(thing):
                continue
            yield f"{module}.{name}"
            if not inspect.isclass(thing):
                continue
            for attribute, value in inspect.getmembers(thing):
                public = not attribute.startswith("_") and attribute not in INHERITED
                if public and inspect.isfunction(value):
                    yield f"{module}.{name}.{attribute}"


@pytest.mark.parametrize("name", sorted(public_names()))
def test_public_names_follow_numpydoc(name):
    report = validate(name)
    sections = "Parameters" in report["docstring"] or "Returns" in report["docstring"]
    # The parts' methods are a contract stated in full on the base class.
    override = name.count(".") == 3 and not sections
    ignored = {*IGNORED, "PR01", "RT01"} if override else set(IGNORED)
    errors = [error for error in report["errors"] if error[0] not in ignored]
    assert errors == []


@pytest.mark.parametrize("name", ["AutoencoderTransformer", "VAETransformer"])
def test_attributes_of_a_fitted_estimator_are_documented(name):
    fitted = getattr(skae, name)(2, max_epochs=1).fit(load_iris(as_frame=True).data)
    public = {
        attribute
        for attribute in dir(fitted)
        if attribute.endswith("_") and not attribute.startswith("_")
    }
    text = type(fitted).__doc__.split("Attributes\n")[1]
    assert {a for a in public if a not in text} == set()
