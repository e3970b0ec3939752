"""A row of weight 2 counts as two rows, and a row of weight 0 as none."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer, _weights
from skae._modules import column_statistics
from skae._weights import (
    canonical_rows,
    check_weights,
    systematic,
    weighted_entries,
)
from skae.architectures import MLP, RestoringMLP
from skae.corruptions import GaussianNoise, Masking
from skae.penalties import Contractive, Sparse

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


# -- a list of rows that stands for weights --------------------------------------------


def shares(X, rows, weights):
    """Return the share that every distinct row has in a list with weights."""
    weights = np.ones(len(rows)) if weights is None else weights
    _, where = np.unique(X[rows], axis=0, return_inverse=True)
    return np.bincount(where.ravel(), weights) / weights.sum()


def test_rows_that_all_differ_and_count_once_stay_as_they_are():
    assert weighted_entries(X) == (None, None)
    assert weighted_entries(X, np.ones(40)) == (None, None)


def test_repeated_rows_are_listed_as_often_whatever_their_order():
    rows, parts = weighted_entries(X[REPEATED])
    present = COUNTS > 0
    others, other_parts = weighted_entries(X[present], COUNTS[present].astype(float))
    assert parts is other_parts is None
    np.testing.assert_array_equal(X[REPEATED][rows], X[present][others])


@pytest.mark.parametrize(
    "weights",
    [
        RANDOM.randint(1, 6, 40) * 1.0,
        RANDOM.randint(1, 6, 40) * 1e6,
        RANDOM.rand(40) + 0.01,
        np.full(40, 0.3),
        np.where(np.arange(40) == 7, 1e6, 1.0),
        10.0 ** RANDOM.uniform(-6, 6, 40),
    ],
    ids=["whole", "large", "any", "equal", "one heavy", "wide"],
)
def test_list_of_rows_has_the_shares_of_the_weights(weights):
    rows, parts = weighted_entries(X, weights)
    order = np.argsort(X[:, 0])  # as np.unique sorts rows
    np.testing.assert_allclose(
        shares(X, rows, parts), weights[order] / weights.sum(), rtol=1e-9
    )
    if parts is None:
        assert len(rows) == weights.sum()
    else:
        assert len(rows) <= 2 * 40
        assert parts.max() <= 1 + 1e-9  # of the mean over rows


def test_constant_factor_of_weights_that_are_not_whole_makes_no_difference():
    weights = RANDOM.rand(40) + 0.01
    rows, parts = weighted_entries(X, weights)
    for factor in 0.125, 1 / 3, 7.0:
        other_rows, other_parts = weighted_entries(X, factor * weights)
        np.testing.assert_array_equal(rows, other_rows)
        np.testing.assert_allclose(parts, other_parts)


def test_systematic_draws_have_the_shares_of_the_weights_over_all_offsets():
    weights = RANDOM.rand(30) + 0.01
    counts = np.zeros(30)
    for offset in (np.arange(1000) + 0.5) / 1000:
        drawn = np.bincount(systematic(weights, 50, offset), minlength=30)
        assert (np.abs(drawn - 50 * weights / weights.sum()) < 1).all()
        counts += drawn / 1000
    np.testing.assert_allclose(counts, 50 * weights / weights.sum(), atol=2e-3)


# -- training --------------------------------------------------------------------------

FRAME = pd.DataFrame(X_HOLES, columns=list("abcde")).assign(
    kind=pd.Categorical(RANDOM.choice(["red", "green", "blue"], 40))
)
SMALL = {"architecture": MLP((8,)), "max_epochs": 3, "random_state": 0}


def weights_of(model):
    return torch.cat([p.flatten() for p in model.module_.state_dict().values()])


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(2, **SMALL),
        AutoencoderTransformer(2, **SMALL, early_stopping=False),
        AutoencoderTransformer(2, **SMALL, init="random"),
        AutoencoderTransformer(2, **SMALL, corruption=GaussianNoise(0.2)),
        AutoencoderTransformer(2, **SMALL, penalty=Sparse("kl")),
        AutoencoderTransformer(2, **SMALL, penalty=Contractive()),
        AutoencoderTransformer(
            **SMALL | {"architecture": RestoringMLP((8,))}, corruption=Masking("random")
        ),
        VAETransformer(2, **SMALL),
        VAETransformer(2, **SMALL, early_stopping=False),
        VAETransformer(2, **SMALL, likelihood="gaussian", kl_warmup=0.5),
        VAETransformer(2, **SMALL, elbo="importance_weighted", n_draws=3),
        VAETransformer(0.9, **SMALL, scale="global"),
    ],
)
@pytest.mark.parametrize("table", ["full", "holes", "categories"])
def test_weights_train_the_network_that_repeated_rows_train(model, table):
    whole = {"full": X, "holes": X_HOLES, "categories": FRAME}[table]
    repeated = whole.iloc[REPEATED] if table == "categories" else whole[REPEATED]
    weighted = clone(model).fit(whole, sample_weight=COUNTS)
    assert torch.equal(weights_of(weighted), weights_of(clone(model).fit(repeated)))
    assert not torch.equal(weights_of(weighted), weights_of(clone(model).fit(whole)))


@pytest.mark.parametrize("Transformer", TRANSFORMERS)
def test_stream_with_weights_is_one_of_repeated_rows(Transformer):
    weighted, repeated = (Transformer(2, **SMALL) for _ in range(2))
    for part in (slice(0, 20), slice(20, 40)):
        rows = np.repeat(np.arange(40)[part], COUNTS[part])
        weighted.partial_fit(X[part], sample_weight=COUNTS[part])
        repeated.partial_fit(X[rows])
    np.testing.assert_array_equal(weighted.transform(X), repeated.transform(X))


@pytest.mark.parametrize("Transformer", TRANSFORMERS)
def test_rows_of_weight_zero_are_not_even_checked(Transformer):
    odd = X.copy()
    odd[3] = np.nan  # a row without a known value is refused else
    odd[4] = 1e300
    weights = np.ones(40)
    weights[3:5] = 0
    given = Transformer(2, **SMALL).fit(odd, sample_weight=weights)
    without = Transformer(2, **SMALL).fit(np.delete(X, [3, 4], axis=0))
    np.testing.assert_array_equal(given.transform(X), without.transform(X))


@pytest.mark.parametrize("Transformer", TRANSFORMERS)
def test_start_of_weighted_rows_is_their_pca(Transformer):
    weights = RANDOM.rand(40) + 0.05
    model = Transformer(
        2, architecture=MLP(()), lr=1e-30, max_epochs=1, early_stopping=False,
        scale=None, random_state=0,
    ).fit(X, sample_weight=weights)  # fmt: skip
    covariance = np.cov(X.T, aweights=weights)
    _, vectors = np.linalg.eigh(covariance)
    axes = model.module_.decoder.linear.weight.detach().numpy()
    axes /= np.linalg.norm(axes, axis=0)
    # the list that stands for the weights rounds them
    np.testing.assert_allclose(
        np.abs(axes.T @ vectors[:, ::-1][:, :2]), np.eye(2), atol=0.03
    )


@pytest.mark.parametrize("Transformer", TRANSFORMERS)
def test_network_goes_by_the_rows_with_large_weights(Transformer):
    rng = np.random.RandomState(1)
    Z = rng.randn(400, 1)
    lines = np.hstack([Z, Z * np.repeat([1, -1], 200)[:, None]])
    lines += 0.05 * rng.randn(400, 2)
    weights = np.repeat([1.0, 30.5], 200)
    for w, first_is_better in ((weights, False), (weights[::-1], True)):
        model = Transformer(1, **SMALL | {"max_epochs": 20, "architecture": MLP(())})
        errors = model.fit(lines, sample_weight=w).reconstruction_error(lines)
        assert (errors[:200].mean() < errors[200:].mean()) == first_is_better


def test_codes_that_are_kept_are_those_of_rows_with_weights():
    far = np.vstack([X, X + 1000])
    weights = np.repeat([1.0, 0.01], 40)
    model = AutoencoderTransformer(2, **SMALL).fit(far, sample_weight=weights)
    new = model.sample(400, random_state=0)
    assert (new[:, 0] > 500).mean() < 0.1


def test_weights_are_routed_as_metadata():
    with sklearn.config_context(enable_metadata_routing=True):
        model = AutoencoderTransformer(2, **SMALL)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = Pipeline([("scale", scaler), ("ae", model)])
        search = GridSearchCV(pipeline, {"ae__n_components": [1, 2]}, cv=2)
        search.fit(X, sample_weight=COUNTS + 1)
        scaled = StandardScaler().fit_transform(X)
        alone = clone(model).fit(scaled, sample_weight=COUNTS + 1)
    best = search.best_estimator_["ae"]
    if best.n_components_ == 2:
        np.testing.assert_array_equal(best.transform(scaled), alone.transform(scaled))
    plain = clone(model).fit(scaled)
    assert not np.array_equal(alone.transform(scaled), plain.transform(scaled))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(40), "sample_weight is zero for all 40 rows"),
        (np.full(40, -1.0), "[Nn]egative"),
        (np.full(40, np.nan), "NaN"),
        (np.ones(39), "sample_weight"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        check_weights(weights, X)
