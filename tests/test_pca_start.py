"""The start is PCA, or probabilistic PCA, and a linear network cannot leave it."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer
from skae._modules import Scaler, column_statistics, principal_axes
from skae._modules._pca import linear_vae
from skae.architectures import MLP

TABLES = {
    "wine": (load_wine, "standard"),
    "breast cancer": (load_breast_cancer, "standard"),
    "digits": (load_digits, "global"),
}
# Training that changes nothing: what is left is the start.
NO_TRAINING = {
    "optimizer": "sgd",
    "lr": 1e-30,
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
    # PCA.score divides by n - 1 where maximum likelihood divides by n: the two differ
    # by less than d / (4 n^2) nats at the rows that they were fitted to.
    assert vae.score(X) == pytest.approx(PCA(4).fit(U).score(U) + shift, abs=1e-3)


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
    vae = VAETransformer(5, beta=beta, architecture=linear, **NO_TRAINING).fit(X)
    module = vae.module_.double()
    module.requires_grad_(True)
    U = module.to_network_space(torch.from_numpy(X))
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
    scaler.load_state_dict({"center": torch.ones(3), "scale": torch.full((3,), 2.0)})
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
