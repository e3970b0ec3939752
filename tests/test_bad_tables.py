"""What the imputer and the outlier detector refuse, and what works all the same.

Both check rows before any work is done; what the transformers inside refuse besides is
in `test_bad_input.py`.
"""

import datetime
import re

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
    VAETransformer,
)
from skae._sklearn import InvalidParameterError
from skae.architectures import MLP

RANDOM = np.random.RandomState(0)
ARRAY = RANDOM.standard_normal((40, 4)) @ RANDOM.standard_normal((4, 4))
TABLE = pd.DataFrame(ARRAY, columns=["a", "b", "c", "d"])
LINEAR = AutoencoderTransformer(2, architecture=MLP(()), max_epochs=1)

IMPUTER = AutoencoderImputer(LINEAR, random_state=0)
DETECTOR = AutoencoderOutlierDetector(LINEAR, cv=2, random_state=0)
BOTH = pytest.mark.parametrize("estimator", [IMPUTER, DETECTOR], ids=["fill", "find"])


def with_cell(value):
    """Return the table with another value in row 3 of column "b"."""
    column = TABLE["b"].astype(object)
    column[3] = value
    if isinstance(value, float):
        column = column.astype(float)
    return TABLE.assign(b=column)


def use(estimator, X):
    """Return what a fitted estimator makes of rows."""
    if isinstance(estimator, AutoencoderImputer):
        return estimator.transform(X)
    return estimator.score_samples(X)


REFUSED = {
    "infinity": (with_cell(np.inf), ValueError, r"infinity[\s\S]*'b' has inf in row 3"),
    "minus infinity": (with_cell(-np.inf), ValueError, r"'b' has -inf in row 3"),
    "1e300": (with_cell(1e300), ValueError, r"beyond 1e\+150[\s\S]*'b' has 1e\+300"),
    "no rows": (TABLE[:0], ValueError, r"0 sample\(s\)"),
    "no columns": (ARRAY[:, :0], ValueError, r"0 feature\(s\)"),
    "one dimension": (ARRAY[0], ValueError, "Expected 2D array, got 1D array"),
    "three dimensions": (ARRAY.reshape(10, 4, 4), ValueError, "Found array with dim 3"),
    "None": (None, ValueError, "Expected 2D array"),
    "a number": (3.0, ValueError, "Expected 2D array, got scalar array"),
    "text": (with_cell("a"), ValueError, "could not convert string to float: 'a'"),
    "a dict": (with_cell({}), TypeError, "argument must be a string or a.* number"),
    "complex numbers": (ARRAY + 1j, ValueError, "Complex data not supported"),
    "sparse": (sparse.csr_array(ARRAY), TypeError, "Sparse data was passed"),
    "ragged": ([[1.0, 2.0], [3.0]], ValueError, "inhomogeneous"),
    "dates": (
        TABLE.assign(b=datetime.datetime(2020, 1, 1)),
        ValueError,
        r"column 'b' of X has dtype datetime64",
    ),
    "equal names": (
        TABLE.set_axis(["a", "b", "b", "d"], axis=1),
        ValueError,
        "[Dd]uplicate|unique",
    ),
    "names of several types": (
        TABLE.set_axis(["a", 1, "c", "d"], axis=1),
        TypeError,
        "Feature names are only supported if all input features have string names",
    ),
}


@BOTH
@pytest.mark.parametrize("case", REFUSED)
def test_bad_rows_are_refused_in_fit(estimator, case):
    X, error, match = REFUSED[case]
    estimator = clone(estimator)
    with pytest.raises(error, match=match):
        estimator.fit(X)
    assert set(vars(estimator)) == set(estimator.get_params(deep=False))


@pytest.fixture(scope="module")
def fitted():
    return {type(e): clone(e).fit(TABLE) for e in (IMPUTER, DETECTOR)}


@pytest.fixture(scope="module")
def fitted_without_names():
    return {type(e): clone(e).fit(ARRAY) for e in (IMPUTER, DETECTOR)}


@BOTH
@pytest.mark.parametrize("case", [c for c in REFUSED if c != "no columns"])
def test_bad_rows_are_refused_after_fit(estimator, case, fitted, fitted_without_names):
    X, error, match = REFUSED[case]
    models = fitted if isinstance(X, pd.DataFrame) else fitted_without_names
    with pytest.raises((error, ValueError), match=rf"{match}|feature names"):
        use(models[type(estimator)], X)


@BOTH
@pytest.mark.parametrize(
    ("X", "match"),
    [
        (TABLE.rename(columns={"b": "e"}), "feature names should match those"),
        (TABLE[["b", "a", "c", "d"]], "Feature names must be in the same order"),
        (TABLE[["a", "b", "c"]], "feature names should match those"),
        (ARRAY[:, :3], "X has 3 features, but .* is expecting 4 features"),
    ],
    ids=["renamed", "in another order", "missing", "fewer"],
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_other_columns_than_in_fit_are_refused(estimator, X, match, fitted):
    with pytest.raises(ValueError, match=match):
        use(fitted[type(estimator)], X)


@BOTH
def test_nothing_works_before_fit(estimator):
    with pytest.raises(NotFittedError):
        use(clone(estimator), ARRAY)


@BOTH
@pytest.mark.parametrize(
    "X",
    [
        with_cell(np.nan),
        with_cell(1e30),
        with_cell(None).astype("Float64"),
        TABLE * 1e-20,
        TABLE.assign(b=7.0),
        TABLE.assign(a=0.1, b=7.0, c=0.0, d=-1e20),
        TABLE[["b"]],
        ARRAY[:2],
        ARRAY.tolist(),
        ARRAY > 0,
        (ARRAY * 10).astype(np.int16),
        ARRAY.astype(np.float16),
        pd.DataFrame((ARRAY * 10).astype(int)).astype("Int64").to_numpy(float),
    ],
    ids=[
        "NaN", "1e30", "NA", "1e-20", "constant", "all constant", "one column",
        "two rows", "lists", "bools", "ints", "float16", "nullable ints",
    ],
)  # fmt: skip
def test_odd_rows_work(estimator, X):
    estimator = clone(estimator)
    if np.shape(X)[1] == 1:
        estimator.set_params(estimator__n_components=1)
    estimator.fit(X)
    result = np.asarray(use(estimator, X), dtype=float)
    assert np.isfinite(result).all()
    if isinstance(estimator, AutoencoderOutlierDetector):
        assert set(estimator.predict(X)) <= {-1, 1}
        assert np.isfinite(estimator.explain(X).to_numpy()).all()


@BOTH
def test_1e38_in_float32_after_fit_is_finite(estimator):
    estimator = clone(estimator).fit(ARRAY.astype(np.float32))
    X = ARRAY.astype(np.float32)
    X[3, 1] = 1e38
    result = use(estimator, X)
    assert np.isfinite(result).all()
    if isinstance(estimator, AutoencoderOutlierDetector):
        assert result.argmin() == 3


@BOTH
def test_y_is_ignored(estimator):
    y = ["not", "a", "target"]
    results = [use(clone(estimator).fit(TABLE, y=t), TABLE) for t in (None, y)]
    np.testing.assert_array_equal(*results)


@BOTH
def test_a_column_without_a_known_value(estimator):
    X = TABLE.assign(b=np.nan)
    if isinstance(estimator, AutoencoderImputer):
        assert clone(estimator).fit(X).transform(X).shape == (40, 3)
        kept = clone(estimator).set_params(keep_empty_features=True).fit(X)
        assert (kept.transform(X)[:, 1] == 0).all()
    else:
        with pytest.raises(ValueError, match=r"column 'b' of X has no known value"):
            clone(estimator).fit(X)


@BOTH
def test_holes_that_training_rows_did_not_have(estimator, fitted):
    X = TABLE.copy()
    X.iloc[::2, 1] = X.iloc[::3, 2] = np.nan
    assert np.isfinite(use(fitted[type(estimator)], X)).all()


def test_a_row_without_a_known_value_is_filled_but_not_scored(fitted):
    X = TABLE.copy()
    X.iloc[3] = np.nan
    filled = fitted[AutoencoderImputer].transform(X)
    np.testing.assert_allclose(filled[3], TABLE.mean(), rtol=1e-6)
    with pytest.raises(ValueError, match="row 3 of X has no known value"):
        fitted[AutoencoderOutlierDetector].score_samples(X)


# -- the detector's own parameters -----------------------------------------------------


@pytest.mark.parametrize("contamination", [0, 0.0, 0.9, -0.1, np.nan, "x", None, True])
def test_bad_contamination_is_refused(contamination):
    match = r"'contamination' parameter .* must be .*'auto'.*\(0.0, 0.5\]"
    with pytest.raises(InvalidParameterError, match=match):
        clone(DETECTOR).set_params(contamination=contamination).fit(ARRAY)


@pytest.mark.parametrize("contamination", ["auto", 0.1])
def test_rows_that_are_all_equal_are_usual(contamination):
    detector = clone(DETECTOR).set_params(contamination=contamination)
    X = np.tile(ARRAY[:1], (30, 1))
    assert (detector.fit_predict(X) == 1).all()
    assert (detector.predict(X + 1) == -1).all()


def test_of_tied_scores_none_are_below_the_threshold():
    X = np.repeat([[0.0, 0.0], [5.0, 5.0]], [90, 10], axis=0)
    detector = clone(DETECTOR).set_params(contamination=0.3, n_neighbors=[95])
    assert (detector.fit_predict(X) == -1).sum() == 10
    assert (detector.set_threshold(contamination=0.05).predict(X) == -1).sum() == 0


@pytest.mark.parametrize(
    ("features", "match"),
    [
        ([4], r"categorical_features has the position 4, but X has 4 features"),
        (["e"], r"categorical_features has 'e', but X has no such column"),
        ([True, False], r"categorical_features is a mask of 2 columns"),
    ],
)
def test_columns_with_categories_that_are_not_there_are_refused(features, match):
    detector = clone(DETECTOR).set_params(categorical_features=features)
    with pytest.raises(ValueError, match=match):
        detector.fit(TABLE)


@pytest.mark.parametrize("parameter", ["cv", "n_neighbors", "handle_unknown"])
def test_bad_parameters_leave_a_fitted_detector_as_it_was(parameter, fitted):
    detector = clone(DETECTOR).fit(ARRAY)
    scores = detector.score_samples(ARRAY)
    detector.set_params(**{parameter: "some"})
    with pytest.raises(InvalidParameterError, match=re.escape(parameter)):
        detector.fit(ARRAY[:20])
    np.testing.assert_array_equal(detector.score_samples(ARRAY), scores)


@pytest.mark.parametrize("estimator", [LINEAR, VAETransformer(2, max_epochs=1)])
def test_an_error_of_the_estimator_leaves_the_detector_as_it_was(estimator):
    detector = AutoencoderOutlierDetector(clone(estimator), cv=2, random_state=0)
    scores = detector.fit(ARRAY).score_samples(ARRAY)
    detector.estimator.set_params(lr=-1)
    with pytest.raises(InvalidParameterError, match="'lr' parameter"):
        detector.fit(ARRAY)
    detector.estimator.set_params(lr=1e-3)
    np.testing.assert_array_equal(detector.score_samples(ARRAY), scores)
