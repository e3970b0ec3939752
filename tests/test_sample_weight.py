"""A row of weight 2 counts as two rows, and a row of weight 0 as none."""

import numpy as np
import pytest

from skae import AutoencoderTransformer, VAETransformer, _weights
from skae._modules import column_statistics
from skae._weights import canonical_rows, check_weights

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(40, 5) * [1, 2, 3, 10, 0.1] + [0, 1, 0, 50, 0]
X_HOLES = np.where(RANDOM.rand(40, 5) < 0.2, np.nan, X)
COUNTS = RANDOM.randint(0, 4, 40)
REPEATED = RANDOM.permutation(np.repeat(np.arange(40), COUNTS))
TRANSFORMERS = [AutoencoderTransformer, VAETransformer]


def problem(X, weights=None):
    """Return what training would see of a table."""
    rows, counts = canonical_rows(X, weights)
    return X[rows].astype(np.float64) + 0.0, counts


def assert_same(problem, other):
    for ours, theirs in zip(problem, other, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("X", [X, X_HOLES], ids=["full", "holes"])
def test_weights_and_repeated_rows_are_one_problem(X):
    assert_same(problem(X, COUNTS), problem(X[REPEATED]))
    assert problem(X, COUNTS)[1].sum() == COUNTS.sum()


def test_order_of_rows_and_weights_does_not_matter():
    X_twice, weights = np.vstack([X, X, X]), RANDOM.rand(120)
    order = RANDOM.permutation(120)
    assert_same(problem(X_twice, weights), problem(X_twice[order], weights[order]))


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float32])
def test_same_numbers_of_any_dtype_are_one_problem(dtype):
    numbers = RANDOM.randint(-3, 3, (60, 2))
    assert_same(problem(numbers.astype(dtype)), problem(numbers.astype(np.float64)))


def test_zeros_of_any_sign_and_all_nan_are_equal():
    other_nan = np.array([0xFFF8000000000001], dtype=np.uint64).view(np.float64)[0]
    numbers = np.array([[0.0, np.nan], [-0.0, other_nan], [-0.0, np.nan]])
    np.testing.assert_array_equal(canonical_rows(numbers)[1], [3])


def test_different_rows_of_one_hash_stay_apart(monkeypatch):
    monkeypatch.setattr(_weights, "row_hashes", lambda X: np.zeros(len(X), np.uint64))
    assert_same(problem(X_HOLES, COUNTS), problem(X_HOLES[REPEATED]))
    assert len(canonical_rows(X_HOLES)[0]) == 40


def test_hashes_of_small_integers_differ():
    numbers = np.stack(np.meshgrid(*[np.arange(100)] * 2), axis=-1).reshape(-1, 2)
    assert len(np.unique(_weights.row_hashes(numbers))) == len(numbers)


@pytest.mark.parametrize("X", [X, X_HOLES], ids=["full", "holes"])
def test_weighted_statistics_are_those_of_repeated_rows(X):
    rows = np.flatnonzero(COUNTS)
    weighted = vars(column_statistics(X, rows, COUNTS))
    for name, value in vars(column_statistics(X[REPEATED])).items():
        np.testing.assert_allclose(weighted[name], value, rtol=1e-12)


@pytest.mark.parametrize("Transformer", TRANSFORMERS)
def test_weighted_score_is_that_of_repeated_rows(Transformer):
    model = Transformer(n_components=2, max_epochs=1, random_state=0).fit(X)
    for rows in X, X_HOLES:
        weighted = model.score(rows, sample_weight=COUNTS)
        assert weighted == pytest.approx(model.score(rows[REPEATED]), rel=1e-5)
        assert weighted != pytest.approx(model.score(rows), rel=1e-3)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(40), "sample_weight is 0 for all 40 rows"),
        (np.full(40, -1.0), "[Nn]egative"),
        (np.full(40, np.nan), "NaN"),
        (np.ones(39), "sample_weight"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, X)
