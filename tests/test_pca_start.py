"""The start is PCA, or probabilistic PCA, and a linear network cannot leave it."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skae import AutoencoderTransformer, VAETransformer
from skae._modules import Scaler, _table, column_statistics, principal_axes
from skae._modules._linear_vae import linear_vae
from skae.architectures import MLP
from skae.likelihoods import Gaussian

TABLES = {
    "wine": (load_wine, "standard"),
    "breast cancer": (load_breast_cancer, "standard"),
    "digits": (load_digits, "global"),
}
# Training that changes nothing: what is left is the start.
NO_TRAINING = {
    "optimizer": "sgd",
    "lr": 1e-30,
    "schedule": "constant",
    "max_epochs": 1,
    "early_stopping": False,
}


def table(name):
    load, scale = TABLES[name]
    return load().data, scale


def pca_of(scale, n_components):
    pca = PCA(n_components)
    return make_pipeline(StandardScaler(), pca) if scale == "standard" else pca


@pytest.mark.parametrize("name", TABLES)
def test_autoencoder_starts_at_the_reconstruction_of_pca(name):
    X, scale = table(name)
    ae = AutoencoderTransformer(4, scale=scale, **NO_TRAINING).fit(X)
    pca = pca_of(scale, 4).fit(X)
    expected = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(ae.reconstruct(X), expected, atol=1e-4 * X.max())
    assert ae.score(X) == pytest.approx(
        pca[-1].explained_variance_ratio_.sum()
        if scale == "standard"
        else pca.explained_variance_ratio_.sum(),
        abs=1e-6,
    )


@pytest.mark.parametrize("name", TABLES)
def test_vae_starts_at_the_log_likelihood_of_pca(name):
    X, scale = table(name)
    vae = VAETransformer(4, scale=scale, **NO_TRAINING).fit(X)
    if scale == "standard":
        scaler = StandardScaler().fit(X)
        U = scaler.transform(X)
        shift = -np.log(np.where(scaler.var_ > 0, scaler.scale_, 1.0)).sum()
    else:
        U, shift = X, 0.0
    pca = PCA(4, svd_solver="full").fit(U)
    for some in (slice(None), slice(0, 20), slice(5, 6)):
        expected = pca.score(U[some]) + shift
        assert vae.score(X[some]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", TABLES)
def test_the_bound_is_tight_at_the_start(name):
    X, scale = table(name)
    vae = VAETransformer(4, scale=scale, **NO_TRAINING).fit(X)
    elbo, log_likelihood = vae.score_samples(X), vae.log_likelihood(X, n_draws=64)
    np.testing.assert_allclose(elbo, log_likelihood, atol=1e-3)


@pytest.mark.parametrize("beta", [0.25, 1.0, 2.0, 4.0])
def test_the_start_is_stationary_for_a_linear_beta_vae(beta):
    X, _ = table("wine")
    linear = MLP(())
    start = NO_TRAINING | {"architecture": linear, "likelihood": "gaussian"}
    vae = VAETransformer(5, beta=beta, **start).fit(X)
    module = vae.module_.double()
    module.requires_grad_(True)
    # rows whose variances divided by n are those of X divided by n - 1
    U = module.to_network_space(torch.from_numpy(X)) * np.sqrt(len(X) / (len(X) - 1))
    module.n_draws = 1
    mean, log_var = module.posterior(U)
    # the expectation over z in closed form, for a linear decoder
    W, scale = module.decoder.linear.weight, module.likelihood_parameters["log_scale"]
    residual = (U - module.decoder(mean)).square().sum(dim=1)
    spread = (log_var.exp() * W.square().sum(dim=0)).sum(dim=1)
    d = X.shape[1]
    expected = -0.5 * (residual + spread) * (-2 * scale).exp() - d * scale
    kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(dim=1)
    (beta * kl - expected).mean().backward()
    for name, parameter in module.named_parameters():
        if name.startswith("encoder.linear.weight"):
            continue  # log-variances may well depend on X; checked by their bias
        assert parameter.grad.abs().max() < 2e-5, name


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_components_switch_off_as_beta_grows():
    X, _ = table("wine")
    active = [
        VAETransformer(8, beta=beta, **NO_TRAINING).fit(X).n_active_components_
        for beta in (1.0, 2.0, 4.0, 8.0)
    ]
    assert active[0] == 8
    assert np.all(np.diff(active) <= 0)
    assert active[-1] < 8


def test_as_many_components_as_features_lose_nothing():
    X, _ = table("wine")
    vae = VAETransformer(13, scale="standard", **NO_TRAINING).fit(X)
    assert vae.n_active_components_ == 13
    scaler = StandardScaler().fit(X)
    U = scaler.transform(X)
    exact = PCA(13).fit(U).score(U) - np.log(scaler.scale_).sum()
    assert vae.score(X) == pytest.approx(exact, abs=1e-3)


def test_linear_vae_with_beta_one_is_probabilistic_pca():
    eigenvalues = np.array([5.0, 3.0])
    start = linear_vae(eigenvalues, 5.0 + 3.0 + 0.8, 6)
    assert start.noise_variance == pytest.approx(0.2)
    np.testing.assert_allclose(start.loadings, np.sqrt(eigenvalues - 0.2))
    np.testing.assert_allclose(start.posterior_variances, 0.2 / eigenvalues)


def test_linear_autoencoder_spans_the_subspace_of_pca():
    X, _ = table("wine")
    U = StandardScaler().fit_transform(X)
    ae = AutoencoderTransformer(
        3,
        architecture=MLP(()),
        init="random",
        lr=0.01,
        schedule="constant",
        max_epochs=400,
        batch_size=len(X),
        early_stopping=False,
        random_state=0,
    ).fit(X)
    decoder = ae.module_.decoder.linear.weight.detach().numpy().astype(float)
    learned, _ = np.linalg.qr(decoder)
    axes = PCA(3).fit(U).components_.T
    cosines = np.linalg.svd(learned.T @ axes, compute_uv=False)
    assert cosines.min() > 0.999


def test_bernoulli_start_is_better_than_the_column_means():
    X = (load_digits().data > 7).astype(float)
    p = np.clip(X.mean(axis=0), 1e-3, 1 - 1e-3)
    means_only = (X * np.log(p) + (1 - X) * np.log1p(-p)).sum(axis=1).mean()
    vae = VAETransformer(8, likelihood="bernoulli", **NO_TRAINING).fit(X)
    assert vae.score(X) > means_only + 1.0
    ae = AutoencoderTransformer(8, loss="binary_cross_entropy", **NO_TRAINING).fit(X)
    assert -ae.loss_curve_[0] > means_only + 1.0


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_training_never_ends_worse_than_the_start_on_held_out_rows(estimator):
    X, _ = table("digits")
    fitted = estimator(4, max_epochs=3, lr=1.0, random_state=0).fit(X)
    losses = fitted.history_["validation_loss"]
    assert fitted.best_epoch_ == losses.to_numpy().argmin()
    assert losses.min() <= losses[0]


# -- the axes ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(200, 10), (30, 1100), (5, 1100)])
def test_axes_agree_with_pca_on_tall_and_wide_rows(shape):
    X = np.random.RandomState(0).normal(size=shape) * np.linspace(3, 1, shape[1])
    axes = principal_axes(X, None, Scaler(shape[1]))
    pca = PCA(3, svd_solver="full").fit(X)
    factor = (len(X) - 1) / len(X)
    np.testing.assert_allclose(
        axes.eigenvalues[:3], pca.explained_variance_ * factor, rtol=1e-8
    )
    cosines = np.abs(np.sum(axes.components[:3] * pca.components_, axis=1))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-8)
    assert axes.total_variance == pytest.approx(X.var(axis=0).sum())


def test_axes_do_not_depend_on_the_sign_convention_of_the_solver():
    X = np.random.RandomState(0).normal(size=(50, 4))
    axes = principal_axes(X, None, Scaler(4)).components
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    assert (largest > 0).all()


# A shape for each way to the axes, when few of them are needed.
SHAPES = {
    "covariance": (600, 40),
    "wide covariance": (700, 520),
    "inner products": (40, 600),
    "wide inner products": (520, 700),
    "block Krylov": (1200, 1100),
}
EVERY_WAY = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def rows_with_spectrum(shape, eigenvalues, seed=0):
    """Return centred rows whose covariance, divided by n, has these eigenvalues."""
    rs = np.random.RandomState(seed)
    n_rows, n_features = shape
    scores = rs.normal(size=(n_rows, len(eigenvalues)))
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0]  # still centred
    axes = np.linalg.qr(rs.normal(size=(n_features, len(eigenvalues))))[0]
    return (scores * np.sqrt(n_rows * np.asarray(eigenvalues))) @ axes.T


def log_likelihood(kept, left, eigenvalues, noise, n_discarded):
    """Return that of probabilistic PCA for these mean squares, but for a constant."""
    terms = np.log(eigenvalues) + kept / eigenvalues
    return -0.5 * (terms.sum() + n_discarded * np.log(noise) + left / noise)


def lost_nats(X, axes):
    """Return how far probabilistic PCA on the axes is below its maximum, in nats."""
    U = X - X.mean(axis=0)
    n_axes, n_discarded = len(axes.components), X.shape[1] - len(axes.components)
    exact = np.square(np.linalg.svd(U, compute_uv=False)) / len(U)
    left = exact[n_axes:].sum()
    best = log_likelihood(
        exact[:n_axes], left, exact[:n_axes], left / n_discarded, n_discarded
    )
    Z = U @ axes.components.T
    found = log_likelihood(
        np.square(Z).mean(axis=0),
        np.square(U - Z @ axes.components).sum() / len(U),
        axes.eigenvalues,
        (axes.total_variance - axes.eigenvalues.sum()) / n_discarded,
        n_discarded,
    )
    return best - found


def largest_sine(components, others):
    """Return the sine of the largest angle between two subspaces."""
    outside = components - components @ others.T @ others
    return np.linalg.norm(outside, ord=2)


@EVERY_WAY
def test_every_way_to_the_axes_agrees_with_the_svd(shape):
    X = rows_with_spectrum(shape, 0.7 ** np.arange(30)) + 2.0
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=8)
    exact = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][:8]
    np.testing.assert_allclose(axes.mean, X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(axes.eigenvalues, 0.7 ** np.arange(8), rtol=1e-5)
    np.testing.assert_allclose(axes.total_variance, X.var(axis=0).sum(), rtol=1e-6)
    np.testing.assert_allclose(
        axes.components @ axes.components.T, np.eye(8), atol=1e-12
    )
    assert largest_sine(axes.components, exact) < 1e-4
    np.testing.assert_allclose(np.abs(np.sum(axes.components * exact, axis=1)), 1.0)


@EVERY_WAY
@pytest.mark.parametrize("n_axes", [2, 9])
def test_axes_of_noise_alone_lose_less_than_a_thousandth_of_a_nat(shape, n_axes):
    X = np.random.RandomState(0).normal(size=shape)
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=n_axes)
    assert lost_nats(X, axes) == pytest.approx(0.0, abs=1e-3)


@EVERY_WAY
@pytest.mark.parametrize("n_axes", [6, 9])
def test_axes_of_a_spectrum_too_steep_for_float32_lose_nothing(shape, n_axes):
    # to 1e-11 and back: the noise is far below the resolution of float32
    X = rows_with_spectrum(shape, 10.0 ** -np.arange(12))
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=n_axes)
    assert lost_nats(X, axes) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("n_equal", [35, 40, 80])
def test_equal_eigenvalues_are_all_found(n_equal):
    # more of them than a block has columns
    tail = np.linspace(0.2, 0.01, 1100 - n_equal)
    X = rows_with_spectrum((1200, 1100), np.concatenate([np.ones(n_equal), tail]))
    axes = principal_axes(X, None, Scaler(1100), n_axes=40)
    assert lost_nats(X, axes) == pytest.approx(0.0, abs=1e-3)


def test_vae_of_wide_rows_starts_at_the_log_likelihood_of_pca():
    X = rows_with_spectrum((1200, 1100), 1 / (1 + np.arange(1000.0)))
    vae = VAETransformer(8, scale="global", **NO_TRAINING).fit(X)
    exact = PCA(8, svd_solver="full").fit(X).score(X)
    assert vae.score(X) == pytest.approx(exact, abs=1e-3)


@EVERY_WAY
def test_axes_do_not_depend_on_the_order_of_rows(shape):
    X = rows_with_spectrum(shape, 0.7 ** np.arange(30))
    order = np.random.RandomState(1).permutation(len(X))
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=5)
    permuted = principal_axes(X, order, Scaler(shape[1]), n_axes=5)
    np.testing.assert_allclose(permuted.eigenvalues, axes.eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(permuted.components, axes.components, atol=1e-4)


@EVERY_WAY
def test_axes_of_given_rows_are_those_of_a_table_of_them(shape):
    X = np.vstack([rows_with_spectrum(shape, 0.7 ** np.arange(30)), np.ones(shape)])
    rows = np.arange(shape[0])
    given = principal_axes(X, rows, Scaler(shape[1]), n_axes=5)
    table = principal_axes(X[rows], None, Scaler(shape[1]), n_axes=5)
    np.testing.assert_array_equal(given.components, table.components)
    np.testing.assert_array_equal(given.eigenvalues, table.eigenvalues)


@EVERY_WAY
def test_axes_depend_on_the_seed_by_rounding_alone(shape):
    X = rows_with_spectrum(shape, 0.7 ** np.arange(30))
    first, again, other = (
        principal_axes(X, None, Scaler(shape[1]), n_axes=5, seed=seed)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.components, again.components)
    np.testing.assert_allclose(first.components, other.components, atol=1e-4)


@EVERY_WAY
def test_axes_do_not_depend_on_what_is_kept_in_memory(shape, monkeypatch):
    X = rows_with_spectrum(shape, 0.7 ** np.arange(30))
    kept = principal_axes(X, None, Scaler(shape[1]), n_axes=5)
    monkeypatch.setattr(_table, "KEPT_CELLS", 2**12)
    streamed = principal_axes(X, None, Scaler(shape[1]), n_axes=5)
    np.testing.assert_allclose(streamed.eigenvalues, kept.eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(streamed.components, kept.components, atol=1e-4)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.uint8, bool])
def test_axes_of_any_type_of_number_are_those_of_float64(shape, dtype):
    X = np.random.RandomState(0).randint(0, 200, size=shape)
    X = X > 100 if dtype is bool else X.astype(dtype)
    axes = principal_axes(X, None, Scaler(shape[1]))
    exact = principal_axes(X.astype(np.float64), None, Scaler(shape[1]))
    np.testing.assert_array_equal(axes.components, exact.components)
    np.testing.assert_array_equal(axes.eigenvalues, exact.eigenvalues)


@pytest.mark.parametrize("shape", [(60, 20), (20, 60)])
def test_axes_do_not_depend_on_the_layout_of_the_table(shape):
    X = np.random.RandomState(0).normal(size=shape)
    axes = principal_axes(X, None, Scaler(shape[1]))
    reverse = X[::-1, ::-1].copy()[::-1, ::-1]
    for other in (np.asfortranarray(X), reverse):
        same = principal_axes(other, None, Scaler(shape[1]))
        np.testing.assert_allclose(same.eigenvalues, axes.eigenvalues)
        np.testing.assert_allclose(same.components, axes.components, atol=1e-9)


@pytest.mark.parametrize("scaling", ["standard", "global", None])
@pytest.mark.parametrize("shape", [(1, 3), (1, 3000), (2, 7), (30, 1), (1200, 1100)])
def test_rows_that_do_not_vary_have_no_axes(shape, scaling):
    X = np.full(shape, 0.1)
    scaler = Scaler(shape[1]).fit(column_statistics(X), scaling)
    axes = principal_axes(X, None, scaler, n_axes=5)
    assert len(axes.eigenvalues) == len(axes.components) == 0
    assert axes.total_variance == 0.0
    assert axes.n_components_for(0.9) == 1
    assert not np.any(axes.padded(5)[1])
    np.testing.assert_allclose(axes.mean, 0.1 if scaling is None else 0.0)


@EVERY_WAY
@pytest.mark.parametrize("rank", [1, 4])
def test_axes_end_at_the_rank_of_the_rows(shape, rank):
    X = rows_with_spectrum(shape, np.arange(rank, 0, -1)) + 3.0
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=9)
    np.testing.assert_allclose(axes.eigenvalues, np.arange(rank, 0, -1))
    np.testing.assert_allclose(
        axes.components @ axes.components.T, np.eye(rank), atol=1e-12
    )
    U = X - axes.mean
    np.testing.assert_allclose(U @ axes.components.T @ axes.components, U, atol=1e-9)
    padded, _ = axes.padded(9)
    np.testing.assert_array_equal(padded[rank:], 0.0)


@pytest.mark.parametrize("n_copies", [2, 40])
def test_copies_of_few_whole_columns_have_the_axes_of_these(n_copies):
    # products of zeros and ones are exact: not even rounding is left of a block
    few = np.random.RandomState(0).randint(0, 2, size=(1200, 2)).astype(float)
    X = np.zeros((1200, 1100))
    X[:, 500 : 500 + 2 * n_copies] = np.tile(few, n_copies)
    axes = principal_axes(X, None, Scaler(1100), n_axes=9)
    exact = n_copies * np.linalg.eigvalsh(np.cov(few.T, ddof=0))[::-1]
    np.testing.assert_allclose(axes.eigenvalues, exact)
    np.testing.assert_allclose(
        axes.components @ axes.components.T, np.eye(2), atol=1e-12
    )


@pytest.mark.parametrize("shape", [(5, 40), (5, 2000), (300, 301)])
def test_centred_rows_have_one_axis_fewer_than_rows(shape):
    X = np.random.RandomState(0).normal(size=shape)
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=shape[1] + 3)
    assert len(axes.eigenvalues) == len(X) - 1
    assert axes.eigenvalues.sum() == pytest.approx(axes.total_variance)


def test_axes_of_repeated_columns_do_not_depend_on_threads():
    X = np.tile(np.random.RandomState(0).normal(size=(400, 30)), 10)
    axes = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            axes.append(principal_axes(X, None, Scaler(300)))
    assert len(axes[0].eigenvalues) == len(axes[1].eigenvalues) == 30
    np.testing.assert_allclose(axes[0].components, axes[1].components, atol=1e-9)


@EVERY_WAY
def test_columns_that_do_not_vary_weigh_nothing(shape):
    X = np.random.RandomState(0).normal(size=shape)
    X[:, ::3] = 1 / 3
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=5)
    np.testing.assert_array_equal(axes.components[:, ::3], 0.0)
    np.testing.assert_allclose(
        axes.components @ axes.components.T, np.eye(5), atol=1e-10
    )


@EVERY_WAY
@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_axes_scale_with_the_unit_of_the_rows(shape, unit):
    X = rows_with_spectrum(shape, 0.7 ** np.arange(30))
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=5)
    scaled = principal_axes(unit * X, None, Scaler(shape[1]), n_axes=5)
    np.testing.assert_allclose(
        scaled.eigenvalues, unit**2 * axes.eigenvalues, rtol=1e-5
    )
    np.testing.assert_allclose(scaled.components, axes.components, atol=1e-4)


@EVERY_WAY
def test_the_scaler_undoes_any_units_of_the_columns(shape):
    X = rows_with_spectrum(shape, 0.7 ** np.arange(30))
    X /= X.std(axis=0)
    units = 10.0 ** np.random.RandomState(1).uniform(-12, 12, size=shape[1])
    scaler = Scaler(shape[1]).fit(column_statistics(units * X), "standard")
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=5)
    scaled = principal_axes(units * X, None, scaler, n_axes=5)
    np.testing.assert_allclose(scaled.eigenvalues, axes.eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(scaled.components, axes.components, atol=1e-4)


@EVERY_WAY
def test_axes_of_raw_columns_in_very_unlike_units_are_finite(shape):
    X = np.random.RandomState(0).normal(size=shape)
    X *= 10.0 ** np.linspace(-12, 12, shape[1])
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=9)
    assert all(np.isfinite(part).all() for part in axes)
    n_axes = len(axes.eigenvalues)
    np.testing.assert_allclose(
        axes.components @ axes.components.T, np.eye(n_axes), atol=1e-10
    )
    assert axes.total_variance == pytest.approx(X.var(axis=0).sum(), rel=1e-6)


@EVERY_WAY
def test_a_mean_far_from_zero_costs_no_digits(shape):
    X = rows_with_spectrum(shape, 0.7 ** np.arange(30))
    X = np.round(X * 2**20) / 2**20  # so that adding the mean is exact
    axes = principal_axes(X, None, Scaler(shape[1]), n_axes=5)
    moved = principal_axes(X + 2.0**20, None, Scaler(shape[1]), n_axes=5)
    np.testing.assert_allclose(moved.eigenvalues, axes.eigenvalues, rtol=1e-5)
    np.testing.assert_allclose(moved.components, axes.components, atol=1e-4)


def test_the_first_of_equally_large_entries_is_positive():
    rs = np.random.RandomState(0)
    for _ in range(20):
        X = StandardScaler().fit_transform(rs.normal(size=(50, 2)))
        # axes of two standardised columns are at 45 degrees
        axes = principal_axes(X, None, Scaler(2)).components
        np.testing.assert_allclose(np.abs(axes), np.sqrt(0.5))
        assert (axes[:, 0] > 0).all()


@pytest.mark.parametrize("share", [0.5, 0.95])
@pytest.mark.parametrize("shape", [(500, 300), (300, 500)])
def test_n_components_of_wide_rows_counts_the_variance_like_pca(shape, share):
    X = rows_with_spectrum(shape, 0.97 ** np.arange(200))
    axes = principal_axes(X, None, Scaler(shape[1]))
    exact = PCA(share, svd_solver="full").fit(X).n_components_
    assert axes.n_components_for(share) == exact


@pytest.mark.parametrize("beta", [0.25, 1.0, 4.0])
@pytest.mark.parametrize("n_components", [3, 4, 9, 30])
def test_linear_vae_of_rows_on_a_plane_is_finite(n_components, beta):
    X = rows_with_spectrum((40, 20), [3.0, 2.0, 1.0])
    axes = principal_axes(X, None, Scaler(20), n_axes=n_components)
    eigenvalues, _ = axes.padded(n_components)
    start = linear_vae(eigenvalues, axes.total_variance, 20, beta=beta)
    assert all(np.isfinite(part).all() for part in start)
    assert start.noise_variance > 0
    assert np.count_nonzero(start.loadings) == 3
    np.testing.assert_array_equal(start.posterior_variances[3:], 1.0)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_as_many_components_as_the_rank_reconstruct_the_rows(estimator):
    X = rows_with_spectrum((40, 200), [3.0, 2.0, 1.0])
    fitted = estimator(6, scale="global", **NO_TRAINING).fit(X)
    np.testing.assert_allclose(fitted.reconstruct(X), X, atol=1e-3 * X.std())
    assert np.isfinite(fitted.score(X))


# -- rows beside the plane of all axes -----------------------------------------


def left_out_variance(X):
    """Return the mean squared distance of a row from the plane, row by row."""
    squares = []
    for i in range(len(X)):
        others = np.delete(X, i, axis=0)
        center = others.mean(axis=0)
        _, sizes, axes = np.linalg.svd(others - center, full_matrices=False)
        axes = axes[sizes > 1e-9 * sizes[0]]
        outside = X[i] - center
        outside = outside - axes.T @ (axes @ outside)
        squares.append(np.square(outside).sum())
    return np.mean(squares)


def rows_with_copies():
    X = np.random.RandomState(0).normal(size=(12, 30))
    X[9:] = X[2], X[5], X[5]
    return X


WIDE_TABLES = {
    "wide": np.random.RandomState(0).normal(size=(20, 50)) * np.linspace(3, 0.1, 50),
    "square": np.random.RandomState(0).normal(size=(30, 30)),
    "two rows": np.random.RandomState(0).normal(size=(2, 7)),
    "copies of rows": rows_with_copies(),
    "copies of columns": np.tile(np.random.RandomState(0).normal(size=(9, 12)), 3),
    "constant columns": np.random.RandomState(0).normal(size=(9, 20)) * ([1.0, 0] * 10),
    "far from zero": 1e4 + np.random.RandomState(0).normal(size=(20, 50)),
    "tiny": 1e-20 * np.random.RandomState(0).normal(size=(20, 50)),
}


@pytest.mark.parametrize("name", WIDE_TABLES)
def test_the_variance_of_left_out_rows_is_that_of_leaving_them_out(name):
    X = WIDE_TABLES[name]
    axes = principal_axes(X, None, Scaler(X.shape[1]))
    expected = left_out_variance(X)
    assert expected > 0
    assert axes.left_out_variance == pytest.approx(expected, rel=1e-6)
    rank = len(axes.eigenvalues)
    assert axes.left_out_by(rank) == axes.left_out_by(rank + 5) > 0
    assert axes.left_out_by(rank - 1) == 0


@pytest.mark.parametrize("n_copies", [1, 2])
def test_rows_on_a_plane_that_the_others_span_leave_nothing_out(n_copies):
    few = rows_with_spectrum((10, 40), [3.0, 2.0, 1.0])
    X = np.vstack([few] * n_copies)
    assert left_out_variance(X) == pytest.approx(0, abs=1e-20)
    assert principal_axes(X, None, Scaler(40)).left_out_variance == 0


@pytest.mark.parametrize("shape", [(31, 30), (300, 30)])
def test_more_rows_than_columns_and_axes_that_lack_some_leave_nothing_out(shape):
    X = np.random.RandomState(0).normal(size=shape)
    assert principal_axes(X, None, Scaler(30)).left_out_variance == 0
    axes = principal_axes(X.T, None, Scaler(len(X)), n_axes=28)
    assert axes.left_out_variance == axes.left_out_by(28) == 0


@pytest.mark.parametrize("n_rows", [10, 50, 99, 100])
@pytest.mark.parametrize("n_components", [99, 150])
@pytest.mark.filterwarnings("ignore:n_components:UserWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_all_axes_of_few_rows_have_the_noise_of_other_rows(n_rows, n_components):
    # all of it is noise of variance 1; without other rows it would seem to be none
    X = np.random.RandomState(0).normal(size=(n_rows + 500, 100))
    start = NO_TRAINING | {"scale": None}
    vae = VAETransformer(n_components, **start).fit(X[:n_rows])
    noise = np.exp(2 * vae.module_.likelihood_parameters["log_scale"].item())
    assert 0.5 < noise < 1.5
    exact = -0.5 * (100 * np.log(2 * np.pi) + np.square(X[n_rows:]).sum(axis=1).mean())
    assert exact - 30 < vae.score(X[n_rows:]) < exact


@pytest.mark.parametrize("scale", ["standard", "global"])
@pytest.mark.parametrize("n_components", [5, 38])
def test_fewer_axes_than_the_rank_of_few_rows_score_like_pca(n_components, scale):
    X = np.random.RandomState(0).normal(size=(40, 60)) * np.linspace(3, 0.3, 60)
    start = NO_TRAINING | {"scale": scale}
    vae = VAETransformer(n_components, **start).fit(X)
    scales = vae.module_.scaler.scale.numpy()
    others = X[:5] + np.random.RandomState(1).normal(size=(5, 60))
    pca = PCA(n_components, svd_solver="full").fit(X / scales)
    for rows in (X, others):
        exact = pca.score(rows / scales) - np.log(scales).sum()
        assert vae.score(rows) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("n_components", [39, 60])
def test_an_autoencoder_of_all_axes_has_the_scale_of_other_rows(n_components):
    X = np.random.RandomState(0).normal(size=(540, 60)) * np.linspace(3, 0.3, 60)
    start = NO_TRAINING | {"scale": "global", "loss": Gaussian()}
    ae = AutoencoderTransformer(n_components, **start).fit(X[:40])
    variance = np.exp(2 * ae.module_.likelihood_parameters["log_scale"].item())
    scale = ae.module_.scaler.scale.numpy()
    error = np.square((X[40:] - ae.reconstruct(X[40:])) / scale).mean()
    assert variance == pytest.approx(error, rel=0.3)


def test_n_components_counts_the_variance_like_pca():
    X = load_digits().data
    for share in (0.5, 0.9, 0.99):
        ae = AutoencoderTransformer(share, scale="global", **NO_TRAINING).fit(X)
        assert ae.n_components_ == PCA(share).fit(X).n_components_
    ae = AutoencoderTransformer(None, scale="global", **NO_TRAINING).fit(X)
    assert ae.n_components_ == PCA(0.95).fit(X).n_components_


def test_n_components_none_is_at_most_64():
    X = np.random.RandomState(0).normal(size=(300, 100))
    assert AutoencoderTransformer(**NO_TRAINING).fit(X).n_components_ == 64


# -- scaling -------------------------------------------------------------------


def test_column_statistics_equal_numpy():
    X = np.random.RandomState(0).normal(3, 2, size=(500, 4))
    statistics = column_statistics(X, np.arange(100))
    np.testing.assert_allclose(statistics.mean, X[:100].mean(axis=0))
    np.testing.assert_allclose(statistics.std, X[:100].std(axis=0))
    np.testing.assert_array_equal(statistics.minimum, X[:100].min(axis=0))
    np.testing.assert_array_equal(statistics.maximum, X[:100].max(axis=0))


@pytest.mark.parametrize("factor", [1e-200, 1e-20, 1.0, 1e30, 1e140])
def test_deviations_survive_tiny_and_huge_units(factor):
    X = np.random.RandomState(0).normal(size=(100, 3)) * factor
    np.testing.assert_allclose(
        column_statistics(X).std / factor, (X / factor).std(axis=0), rtol=1e-12
    )


def test_rounding_noise_is_no_variation():
    X = np.full((100, 2), 0.1)
    X[::2, 0] += 2e-17  # below the spacing of doubles at 0.1
    np.testing.assert_array_equal(column_statistics(X).std, 0.0)


@pytest.mark.parametrize("scaling", ["standard", "global", None])
def test_scaling_is_undone(scaling):
    X = np.random.RandomState(0).normal(1e6, [1e-3, 1.0, 1e3], size=(50, 3))
    scaler = Scaler(3).fit(column_statistics(X), scaling)
    U = scaler(torch.from_numpy(X), torch.float64)
    np.testing.assert_allclose(scaler.inverse(U).numpy(), X, rtol=1e-15)
    jacobian = np.linalg.slogdet(np.diag(1 / scaler.scale.numpy()))[1]
    assert scaler.log_jacobian().item() == pytest.approx(jacobian)
    if scaling == "standard":
        np.testing.assert_allclose(U.numpy().std(axis=0), 1.0)
    elif scaling == "global":
        assert np.mean(U.numpy().var(axis=0)) == pytest.approx(1.0)


@pytest.mark.parametrize("unit", [1.0, 1e-20, 1e20])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_rows_in_float32_are_scaled_to_the_last_digits(shift, unit):
    rs = np.random.RandomState(0)
    X = ((shift + rs.normal(size=(50, 3))) * unit).astype(np.float32)
    scaler = Scaler(3).fit(column_statistics(X), "standard")
    X = torch.from_numpy(X)
    exact = scaler(X.double(), torch.float64)
    torch.testing.assert_close(
        scaler(X, torch.float32).double(), exact, rtol=4e-7, atol=0
    )
    assert scaler.float32_will_do == (unit == 1.0)


def test_columns_that_need_no_scaling_are_left_where_they_are():
    X = torch.rand(4, 3)
    scaler = Scaler(3)
    assert scaler(X, torch.float32).data_ptr() == X.data_ptr()
    state = {"center": torch.ones(3), "scale": torch.full((3,), 2.0)}
    scaler.load_state_dict(state | {"fill": torch.zeros(3)})
    torch.testing.assert_close(scaler(X, torch.float32), (X - 1) / 2)


@pytest.mark.parametrize("n_components", [3, 64])
def test_leading_axes_of_a_wide_table_are_those_of_all_its_axes(n_components):
    rs = np.random.RandomState(0)
    X = rs.normal(size=(400, 300)) * np.linspace(3, 0.1, 300)
    some = principal_axes(X, None, Scaler(300), n_axes=n_components)
    every = principal_axes(X, None, Scaler(300))
    assert len(some.eigenvalues) == n_components
    assert some.total_variance == pytest.approx(every.total_variance)
    np.testing.assert_allclose(some.eigenvalues, every.eigenvalues[:n_components])
    np.testing.assert_allclose(
        some.components, every.components[:n_components], atol=1e-7
    )
