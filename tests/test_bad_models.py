"""What the imputer, the detector and the VAE that chooses refuse, as the others do.

`test_bad_input.py` has the two transformers in every detail; here each kind of bad
table goes to every door of the estimators that have one inside.
"""

import datetime

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VAETransformerCV,
)
from skae._sklearn import InvalidParameterError
from skae.architectures import MLP
from skae.model_selection import GridSearchCV

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(30, 2)) @ RANDOM.normal(size=(2, 4))
X += 0.3 * RANDOM.normal(size=X.shape)
NAMES = ["a", "b", "c", "d"]
FRAME = pd.DataFrame(X, columns=NAMES)

SMALL = {"architecture": MLP((4,)), "max_epochs": 1}
AE = AutoencoderTransformer(1, random_state=0, **SMALL)

MODELS = {
    "imputer": AutoencoderImputer(AE),
    "detector": AutoencoderOutlierDetector(AE, cv=2, random_state=0),
    "chosen VAE": VAETransformerCV((1, 2), betas=0.1, cv=2, random_state=0, **SMALL),
    "search": GridSearchCV(AE, {"n_components": [1, 2]}, cv=2),
}
DOORS = {
    "imputer": ["fit", "transform"],
    "detector": ["fit", "score_samples", "predict", "p_values", "explain"],
    "chosen VAE": ["fit", "transform", "score", "reconstruct"],
    "search": ["fit", "transform", "score"],
}


def with_cell(value, dtype=float):
    rows = X.astype(dtype)
    rows[3, 1] = value
    return rows


TABLES = {
    "infinity": (with_cell(np.inf), "contains infinity"),
    "minus infinity": (with_cell(-np.inf), "contains infinity"),
    "a square that overflows": (with_cell(1e300), "column 1"),
    "one dimension": (X[0], "Expected 2D array, got 1D array"),
    "three dimensions": (X.reshape(30, 2, 2), "(dim|dimensions)"),
    "no rows": (X[:0], r"(0 sample\(s\)|n_samples=0)"),
    "no columns": (X[:, :0], r"0 feature\(s\)"),
    "nothing": (None, "(scalar|NoneType)"),
    "a number": (3.0, "(scalar|0D|float)"),
    "text": (with_cell("x", object), "x"),
    "a dict in a cell": (with_cell({}, object), "(dict|number)"),
    "complex numbers": (X + 1j, "[Cc]omplex data not supported"),
    "sparse": (sparse.csr_array(X), "[Ss]parse"),
    "dates": (
        FRAME.assign(b=datetime.datetime(2020, 1, 1)), "(column 'b'|'b').*date"
    ),
    "lists of different lengths": ([[1.0, 2.0], [3.0]], "(inhomogeneous|length)"),
    "twice the same name": (
        pd.DataFrame(X, columns=["a", "b", "b", "d"]), "(duplicate|Duplicate|unique)"
    ),
    "names and numbers as names": (
        pd.DataFrame(X, columns=["a", 1, "c", "d"]), "only supported if all"
    ),
}  # fmt: skip

OTHERS = {
    "one column less": (X[:, :3], "3 features"),
    "one column more": (np.hstack([X, X[:, :1]]), "5 features"),
}
OTHER_FRAMES = {
    "another name": FRAME.rename(columns={"a": "z"}),
    "another order": FRAME[NAMES[::-1]],
    "a column less": FRAME[NAMES[:3]],
}

PLACES = [(name, door) for name, doors in DOORS.items() for door in doors]
INFERENCE = [(name, door) for name, door in PLACES if door != "fit"]


@pytest.fixture(scope="module")
def fitted():
    return {name: clone(model).fit(X) for name, model in MODELS.items()}


@pytest.fixture(scope="module")
def fitted_to_frames():
    return {name: clone(model).fit(FRAME) for name, model in MODELS.items()}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize(("name", "door"), PLACES)
def test_tables_that_are_none_are_refused_in_words(fitted, name, door, kind):
    table, message = TABLES[kind]
    model = clone(MODELS[name]) if door == "fit" else fitted[name]
    before = dict(vars(model))
    with pytest.raises((ValueError, TypeError), match=message):
        getattr(model, door)(table)
    if name != "search":  # scikit-learn's sets attributes as it goes
        assert vars(model).keys() == before.keys()


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize(("name", "door"), INFERENCE)
def test_tables_of_another_width_are_refused_with_both(fitted, name, door, kind):
    table, message = OTHERS[kind]
    with pytest.raises(ValueError, match=rf"X has {message}, but .* expecting 4"):
        getattr(fitted[name], door)(table)


@pytest.mark.parametrize("kind", OTHER_FRAMES)
@pytest.mark.parametrize(("name", "door"), INFERENCE)
def test_other_columns_are_refused_by_name(fitted_to_frames, name, door, kind):
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(fitted_to_frames[name], door)(OTHER_FRAMES[kind])


@pytest.mark.parametrize(("name", "door"), INFERENCE)
def test_models_that_are_not_fitted_say_so(name, door):
    with pytest.raises(NotFittedError):
        getattr(clone(MODELS[name]), door)(X)


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("imputer", "estimator", 3),
        ("imputer", "max_iter", 0),
        ("imputer", "tol", -1.0),
        ("imputer", "tol", np.nan),
        ("imputer", "n_members", 0),
        ("imputer", "n_members", True),
        ("imputer", "n_imputations", 0),
        ("imputer", "similar_rows", "yes"),
        ("imputer", "sample_posterior", "yes"),
        ("imputer", "add_indicator", 2),
        ("imputer", "handle_unknown", "mark"),
        ("imputer", "random_state", -1),
        ("detector", "estimator", "ae"),
        ("detector", "contamination", 0.0),
        ("detector", "contamination", 0.6),
        ("detector", "contamination", "some"),
        ("detector", "n_neighbors", -1),
        ("detector", "n_neighbors", [0]),
        ("detector", "n_neighbors", []),
        ("detector", "cv", 1),
        ("detector", "n_members", 0.5),
        ("detector", "handle_unknown", "mark"),
        ("detector", "random_state", "a"),
        ("chosen VAE", "betas", []),
        ("chosen VAE", "betas", -1.0),
        ("chosen VAE", "n_components", []),
        ("chosen VAE", "n_components", "all"),
        ("chosen VAE", "n_draws_of_score", 0),
        ("chosen VAE", "lr", 0.0),
        ("chosen VAE", "random_state", -1),
    ],
)
def test_parameters_are_refused_by_name_with_the_value(name, parameter, value):
    model = clone(MODELS[name]).set_params(**{parameter: value})
    with pytest.raises((InvalidParameterError, ValueError)) as caught:
        model.fit(X)
    said = str(caught.value)
    assert repr(parameter) in said or f"'{parameter.rstrip('s')}'" in said
    assert repr(value) in said
    assert not [key for key in vars(model) if key.endswith("_")]
