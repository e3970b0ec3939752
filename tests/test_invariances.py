"""What must not change when units, batches, rows or their order change."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

from skae import AutoencoderTransformer, VAETransformer
from skae.architectures import MLP

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])

# Training that changes nothing: what is left is the start.
NO_TRAINING = {
    "optimizer": "sgd",
    "lr": 1e-30,
    "schedule": "constant",
    "max_epochs": 1,
    "early_stopping": False,
}


@BOTH
@pytest.mark.parametrize("scale", ["standard", "global"])
def test_a_change_of_units_changes_codes_by_nothing(estimator, scale):
    X = load_wine().data
    options = {"scale": scale, "max_epochs": 5, "random_state": 0}
    # a power of two rescales without rounding, so even the last bit must agree
    one = estimator(3, **options).fit(X)
    two = estimator(3, **options).fit(X * 1024)
    np.testing.assert_array_equal(one.transform(X), two.transform(X * 1024))
    np.testing.assert_array_equal(one.loss_curve_, two.loss_curve_)
    np.testing.assert_array_equal(one.reconstruct(X) * 1024, two.reconstruct(X * 1024))


@BOTH
def test_a_decimal_change_of_units_changes_nothing_but_rounding(estimator):
    X = load_wine().data
    options = {"max_epochs": 5, "random_state": 0}
    one, two = estimator(3, **options).fit(X), estimator(3, **options).fit(X * 1000)
    np.testing.assert_allclose(
        one.transform(X), two.transform(X * 1000), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("factor", [1000.0, 1024.0])
@pytest.mark.parametrize("scale", ["standard", "global"])
def test_elbo_shifts_by_exactly_the_log_jacobian(factor, scale):
    X = load_wine().data
    options = {"scale": scale, "max_epochs": 5, "random_state": 0}
    one = VAETransformer(3, **options).fit(X)
    two = VAETransformer(3, **options).fit(X * factor)
    shift = X.shape[1] * np.log(factor)
    tolerance = 1e-9 if factor == 1024 else 1e-3
    assert two.score(X * factor) == pytest.approx(one.score(X) - shift, abs=tolerance)


def test_units_of_single_columns_do_not_matter_with_standard_scaling():
    X = load_wine().data
    units = 2.0 ** np.arange(-6, 7)
    options = {"scale": "standard", "max_epochs": 5, "random_state": 0}
    one = VAETransformer(3, **options).fit(X)
    two = VAETransformer(3, **options).fit(X * units)
    np.testing.assert_array_equal(one.transform(X), two.transform(X * units))
    assert two.score(X * units) == pytest.approx(one.score(X) - np.log(units).sum())


def test_autoencoder_score_has_no_unit():
    X = load_wine().data
    units = 2.0 ** np.arange(-6, 7)
    options = {"scale": "standard", "max_epochs": 5, "random_state": 0}
    one = AutoencoderTransformer(3, **options).fit(X)
    two = AutoencoderTransformer(3, **options).fit(X * units)
    assert one.score(X) == pytest.approx(two.score(X * units), abs=1e-12)


def full_batch(n_rows):
    """Return options under which training has no noise but rounding."""
    return {
        "batch_size": n_rows,
        "optimizer": "sgd",
        "lr": 1e-2,
        "schedule": "constant",
        "max_epochs": 30,
        "early_stopping": False,
        "random_state": 0,
    }


def test_duplicating_every_row_and_the_batch_keeps_the_fit():
    X = load_wine().data
    once = AutoencoderTransformer(3, **full_batch(len(X))).fit(X)
    twice = AutoencoderTransformer(3, **full_batch(2 * len(X))).fit(np.vstack([X, X]))
    np.testing.assert_allclose(once.loss_curve_, twice.loss_curve_, rtol=1e-5)
    np.testing.assert_allclose(once.transform(X), twice.transform(X), atol=1e-3)
    assert once.loss_curve_[-1] < once.loss_curve_[0]  # it did train


def test_the_order_of_rows_does_not_matter_in_one_batch():
    X = load_wine().data
    order = np.random.RandomState(0).permutation(len(X))
    one = AutoencoderTransformer(3, **full_batch(len(X))).fit(X)
    two = AutoencoderTransformer(3, **full_batch(len(X))).fit(X[order])
    np.testing.assert_allclose(one.transform(X), two.transform(X), atol=1e-3)


def test_duplicating_every_row_keeps_the_elbo_of_the_start():
    X = load_wine().data
    once = VAETransformer(3, **NO_TRAINING).fit(X)
    twice = VAETransformer(3, **NO_TRAINING).fit(np.vstack([X, X]))
    # but for variances divided by n - 1, which the rows themselves do not notice
    assert once.score(X) == pytest.approx(twice.score(X), abs=1e-3)


def test_splitting_an_epoch_into_batches_keeps_the_loss_per_row():
    X = load_wine().data
    losses = [
        AutoencoderTransformer(3, batch_size=size, **NO_TRAINING).fit(X).loss_curve_[0]
        for size in (7, 50, len(X))
    ]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)


def test_beta_changes_the_weights():
    X = load_wine().data
    codes = [
        VAETransformer(3, beta=beta, max_epochs=5, init="random", random_state=0)
        .fit(X)
        .transform(X)
        for beta in (1.0, 2.0)
    ]
    assert np.abs(codes[0] - codes[1]).max() > 0.01


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_active_components_fall_as_beta_grows():
    X = load_digits().data
    active, kl = [], []
    for beta in (1.0, 8.0, 32.0):
        vae = VAETransformer(
            16, beta=beta, max_epochs=15, architecture=MLP((32,)), random_state=0
        ).fit(X)
        active.append(vae.n_active_components_)
        kl.append(vae.kl_per_component_.sum())
    assert active[0] > active[1] > active[2] == 0
    assert kl[0] > kl[1] > kl[2]


def test_score_is_the_elbo_at_beta_one_whatever_beta_was():
    X = load_wine().data
    vae = VAETransformer(3, beta=4.0, max_epochs=5, random_state=0).fit(X)
    before = vae.score(X)
    vae.module_.beta = 1e6
    assert vae.score(X) == before
    mean, std = vae.encode_distribution(X)
    kl = 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).sum(axis=1).mean()
    assert kl == pytest.approx(vae.kl_per_component_.sum())


# -- same X, same answer -------------------------------------------------------

METHODS = {
    AutoencoderTransformer: [
        "transform",
        "reconstruct",
        "reconstruction_error",
        "score_samples",
    ],
    VAETransformer: [
        "transform",
        "reconstruct",
        "reconstruction_error",
        "score_samples",
        "log_likelihood",
    ],
}
CASES = [(e, m) for e, methods in METHODS.items() for m in methods]


@pytest.fixture(scope="module")
def fitted():
    X = load_digits().data
    noisy = MLP((32,), dropout=0.3, normalization="batch")
    return X, {
        e: e(4, max_epochs=10, architecture=noisy, random_state=0).fit(X)
        for e in METHODS
    }


@pytest.mark.parametrize(("estimator", "method"), CASES)
def test_two_calls_agree_to_the_bit(fitted, estimator, method):
    X, estimators = fitted
    call = getattr(estimators[estimator], method)
    np.testing.assert_array_equal(call(X), call(X))


@pytest.mark.parametrize(("estimator", "method"), CASES)
def test_the_answer_for_a_row_does_not_depend_on_its_company(fitted, estimator, method):
    X, estimators = fitted
    call = getattr(estimators[estimator], method)
    order = np.random.RandomState(0).permutation(len(X))
    whole = call(X)
    np.testing.assert_allclose(call(X[order]), whole[order], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(call(X[5:6]), whole[5:6], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("estimator", METHODS)
def test_codes_decode_the_same_alone_and_together(fitted, estimator):
    X, estimators = fitted
    Z = estimators[estimator].transform(X)
    decode = estimators[estimator].inverse_transform
    alone = np.vstack([decode(z[None]) for z in Z[:20]])
    np.testing.assert_allclose(decode(Z)[:20], alone, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        decode(Z), estimators[estimator].reconstruct(X), atol=1e-10
    )


@pytest.mark.parametrize(("estimator", "method"), CASES)
def test_float32_stays_float32_and_agrees(fitted, estimator, method):
    X, estimators = fitted
    call = getattr(estimators[estimator], method)
    single = call(X.astype(np.float32))
    if method not in ("reconstruction_error", "score_samples") or (
        estimator is VAETransformer and method == "score_samples"
    ):
        assert single.dtype == np.float32
    np.testing.assert_allclose(single, call(X), rtol=1e-3, atol=1e-2)
