"""NaN is a missing value: it costs nothing, tells nothing, and changes nothing else."""

import copy

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import stats
from scipy.special import expit
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer
from skae._modules import AutoencoderModule, VAEModule, column_statistics
from skae._random import Rng
from skae._training._dense import DenseStep
from skae._training._flat import FlatParameters
from skae.architectures import MLP
from skae.corruptions import GaussianNoise, Masking
from skae.likelihoods import Bernoulli, Calibrated, Gaussian, Laplace
from skae.penalties import Sparse

BOTH = pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
FAST = {"max_epochs": 3, "random_state": 0}
# Training that changes nothing: what is left is the start.
NO_TRAINING = {
    "optimizer": "sgd",
    "lr": 1e-30,
    "schedule": "constant",
    "max_epochs": 1,
    "early_stopping": False,
}

X = load_wine().data
HOLES = np.random.RandomState(0).uniform(size=X.shape) < 0.2
X_HOLES = np.where(HOLES, np.nan, X)


# -- the loss --------------------------------------------------------------------------


def make_module(kind=AutoencoderModule, likelihood=None, **objective):
    """Return a module in float64, in training mode, with random weights."""
    if kind is VAEModule:
        defaults = {"beta": 0.8, "free_bits": 0.0, "n_draws": 1, "elbo": "analytic"}
        objective = defaults | objective
    module = kind(
        n_features=7,
        n_components=3,
        architecture=MLP((5,), activation="tanh"),
        likelihood=likelihood or Gaussian(),
        rng=Rng(0),
        **objective,
    )
    with torch.no_grad():
        for parameter in module.likelihood_parameters.values():
            parameter.copy_(torch.linspace(-0.05, 0.03, parameter.numel()).squeeze())
    return module.double().train()


def rows_with_holes():
    """Return rows with something finite in their holes, and which entries are known."""
    generator = torch.Generator().manual_seed(0)
    U = torch.rand(9, 7, generator=generator).double()
    return U, (torch.rand(9, 7, generator=generator) > 0.3).double()


@pytest.mark.parametrize(
    ("likelihood", "log_prob"),
    [
        (Gaussian(0.5), lambda m, x: stats.norm(m, 0.5).logpdf(x)),
        (Laplace(0.5), lambda m, x: stats.laplace(m, 0.5).logpdf(x)),
        (Bernoulli(), lambda m, x: x * np.log(expit(m)) + (1 - x) * np.log(expit(-m))),
    ],
)
def test_log_likelihood_is_that_of_the_known_columns(likelihood, log_prob):
    module, (U, known) = make_module(likelihood=likelihood), rows_with_holes()
    params = torch.linspace(-1, 1, 63).view(9, 7).double()
    given = module.log_prob(params, U, known)
    for i in range(9):
        there = known[i] > 0
        expected = log_prob(params[i, there].numpy(), U[i, there].numpy()).sum()
        assert given[i].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "objective"),
    [
        (AutoencoderModule, {}),
        (VAEModule, {}),
        (VAEModule, {"n_draws": 3, "elbo": "monte_carlo"}),
    ],
    ids=["AE", "VAE", "draws"],
)
@pytest.mark.parametrize(
    "likelihood",
    [Gaussian(), Gaussian(0.5), Laplace(), Bernoulli(), Calibrated()],
    ids=str,
)
def test_gradients_by_hand_are_those_of_autograd(kind, objective, likelihood):
    module, (U, known) = make_module(kind, likelihood, **objective), rows_with_holes()
    original, encoded = copy.deepcopy(module), U + 0.1
    flat = FlatParameters(module)
    step = DenseStep(flat, len(U), corrupted=True, has_holes=True)
    with torch.no_grad():
        values = step.run(encoded, U, known)
    loss, terms = original.loss(original(encoded), U, known)
    loss.backward()
    expected = torch.stack([loss.detach(), *(terms[t] for t in original.terms)])
    torch.testing.assert_close(values[:, 0], expected, rtol=1e-12, atol=0)
    by_name = dict(original.named_parameters())
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(
            parameter.grad, by_name[name].grad, rtol=1e-10, atol=1e-10
        )


@pytest.mark.parametrize("likelihood", [Gaussian(), Calibrated(), Bernoulli()], ids=str)
def test_what_stands_in_a_hole_changes_no_gradient(likelihood):
    module, (U, known) = make_module(likelihood=likelihood), rows_with_holes()
    gradients = []
    for target in (U, torch.where(known > 0, U, 1 - U)):
        module.zero_grad()
        module.loss(module(U), target, known)[0].backward()
        gradients.append([p.grad.clone() for p in module.parameters()])
    for one, two in zip(*gradients, strict=True):
        assert torch.equal(one, two)


# -- the start and the scores ----------------------------------------------------------


def test_statistics_are_those_of_the_known_values():
    statistics = column_statistics(X_HOLES, rows := np.arange(100))
    expected = X_HOLES[rows]
    np.testing.assert_allclose(statistics.mean, np.nanmean(expected, 0), rtol=1e-12)
    np.testing.assert_allclose(statistics.std, np.nanstd(expected, 0), rtol=1e-12)
    np.testing.assert_array_equal(statistics.minimum, np.nanmin(expected, 0))
    np.testing.assert_array_equal(statistics.maximum, np.nanmax(expected, 0))
    np.testing.assert_array_equal(statistics.n_known, (~HOLES[rows]).sum(axis=0))


def test_autoencoder_starts_at_pca_of_rows_with_means_in_their_holes():
    ae = AutoencoderTransformer(3, scale="standard", **NO_TRAINING).fit(X_HOLES)
    scaler = StandardScaler().fit(X_HOLES)  # passes over NaN, too
    filled = np.nan_to_num(scaler.transform(X_HOLES))
    pca = PCA(3).fit(filled)
    expected = pca.inverse_transform(pca.transform(filled))
    given = scaler.transform(ae.reconstruct(X_HOLES))
    np.testing.assert_allclose(given, expected, atol=1e-5)
    errors = np.square(given - filled)[~HOLES].sum()
    spread = np.square(filled).sum()
    assert ae.score(X_HOLES) == pytest.approx(1 - errors / spread, abs=1e-9)


def test_scores_count_what_is_known_and_nothing_else():
    ae = AutoencoderTransformer(3, **FAST).fit(X_HOLES)
    errors = np.square(ae.reconstruct(X_HOLES) - X)
    parts = ae.reconstruction_error(X_HOLES, per_feature=True)
    np.testing.assert_array_equal(np.isnan(parts), HOLES)
    np.testing.assert_allclose(parts[~HOLES], errors[~HOLES])
    expected = np.where(HOLES, 0, errors).sum(axis=1)
    np.testing.assert_allclose(ae.reconstruction_error(X_HOLES), expected)
    np.testing.assert_allclose(ae.score_samples(X_HOLES), -expected)


@pytest.mark.parametrize("scale", ["standard", "global"])
def test_elbo_of_a_row_with_holes_is_that_of_a_model_of_the_known_columns(scale):
    vae = VAETransformer(
        3, architecture=MLP(()), likelihood="gaussian", scale=scale, **NO_TRAINING
    ).fit(X)
    module = copy.deepcopy(vae.module_).double()
    s2 = np.exp(2 * module.likelihood_parameters["log_scale"].item())
    W_e, b_e, W_d, b_d = (
        p.detach().numpy()
        for path in (module.encoder, module.decoder)
        for p in (path.linear.weight, path.linear.bias)
    )
    center, units = module.scaler.center.numpy(), module.scaler.scale.numpy()
    U, scores = (X - center) / units, vae.score_samples(X_HOLES)
    for i in range(20):
        on = ~HOLES[i]
        outputs = W_e[:, on] @ U[i, on] + b_e  # the center is 0, as if left out
        mean, var = outputs[:3], np.exp(outputs[3:])
        squares = np.square(U[i, on] - W_d[on] @ mean - b_d[on])
        squares += np.square(W_d[on]) @ var
        log_prob = -0.5 * (squares / s2 + np.log(2 * np.pi * s2)).sum()
        kl = 0.5 * (mean**2 + var - 1 - np.log(var)).sum()
        elbo = log_prob - kl - np.log(units[on]).sum()
        assert scores[i] == pytest.approx(elbo, abs=1e-5)
        cov = W_d[on] @ W_d[on].T + s2 * np.eye(on.sum())
        exact = stats.multivariate_normal(b_d[on], cov).logpdf(U[i, on])
        assert elbo <= exact - np.log(units[on]).sum()


def test_more_draws_come_closer_to_the_density_of_the_known_values():
    vae = VAETransformer(3, **FAST).fit(X_HOLES)
    bounds = [vae.log_likelihood(X_HOLES, n).mean() for n in (1, 10, 1000)]
    assert vae.score(X_HOLES) < bounds[2]
    assert bounds == sorted(bounds)


# -- training --------------------------------------------------------------------------


def test_linear_autoencoder_finds_the_plane_that_means_in_holes_hide():
    rs = np.random.RandomState(0)
    plane = rs.normal(size=(2, 10))
    clean = rs.normal(size=(400, 2)) @ plane + 0.1 * rs.normal(size=(400, 10))
    seen = np.where(rs.uniform(size=clean.shape) < 0.3, np.nan, clean)
    linear = AutoencoderTransformer(
        2, architecture=MLP(()), scale="global", max_epochs=200, random_state=0
    ).fit(seen)
    learned = linear.module_.decoder.linear.weight.detach().numpy().astype(float)
    filled = np.where(np.isnan(seen), np.nanmean(seen, axis=0), seen)

    def distance(axes):
        """Return the share of the plane that is not in the span of the axes."""
        basis = np.linalg.qr(axes)[0]
        left = plane.T - basis @ (basis.T @ plane.T)
        return np.square(left).sum() / np.square(plane).sum()

    assert distance(learned) < distance(PCA(2).fit(filled).components_.T) / 5
    assert distance(learned) < 1e-3  # and that of iterative PCA is 2e-5
    assert distance(iterative_pca(seen, 2).T) < 1e-4


def iterative_pca(X, n_components, n_rounds=100):
    """Return the axes of PCA that fills holes by itself, round by round."""
    holes = np.isnan(X)
    filled = np.where(holes, np.nanmean(X, axis=0), X)
    for _ in range(n_rounds):
        pca = PCA(n_components).fit(filled)
        restored = pca.inverse_transform(pca.transform(filled))
        filled = np.where(holes, restored, X)
    return pca.components_


@BOTH
def test_two_fits_agree_and_other_rows_do_not_matter(cls):
    one, two = cls(3, **FAST).fit(X_HOLES), cls(3, **FAST).fit(X_HOLES)
    np.testing.assert_array_equal(one.transform(X_HOLES), two.transform(X_HOLES))
    assert np.isfinite(one.transform(X_HOLES)).all()
    np.testing.assert_allclose(
        one.score_samples(X_HOLES)[::-7], one.score_samples(X_HOLES[::-7])
    )
    mixed = np.vstack([X, X_HOLES])
    np.testing.assert_allclose(one.transform(mixed)[: len(X)], one.transform(X))


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {"scale": "global", "schedule": "constant"},
        {"scale": None, "init": "random"},
        {"architecture": MLP((8,), normalization="batch")},
        {"data_loader": torch.utils.data.DataLoader},
    ],
    ids=["constant", "no scale", "batch norm", "loader"],
)
def test_every_way_of_training_takes_holes(cls, options):
    U = X_HOLES / 100 if options.get("scale", 1) is None else X_HOLES
    model = cls(3, **FAST, **options).fit(U)
    assert np.isfinite(model.validation_curve_).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert np.isfinite(model.reconstruct(U)).all()


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(3, corruption=[GaussianNoise(0.1), Masking(0.1)]),
        AutoencoderTransformer(3, penalty=Sparse("kl")),
        AutoencoderTransformer(3, loss="binary_cross_entropy"),
        AutoencoderTransformer(3, loss=Bernoulli(binarize=True)),
        VAETransformer(3, likelihood="bernoulli"),
        VAETransformer(3, elbo="importance_weighted", n_draws=3),
        AutoencoderTransformer(3, image_shape=(1, 8, 8)),
    ],
    ids=["denoising", "sparse", "cross-entropy", "binary", "Bernoulli", "IWAE", "conv"],
)
def test_every_model_takes_holes(model):
    pixels = load_digits().data[:200] / 16
    pixels[np.random.RandomState(0).uniform(size=pixels.shape) < 0.2] = np.nan
    model.set_params(**FAST).fit(pixels)
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert np.isfinite(model.score(pixels))
    assert np.isfinite(model.reconstruct(pixels)).all()


def test_hole_of_a_law_without_scaling_is_the_mean_for_the_encoder():
    pixels = np.clip(X / X.max(axis=0), 0, 1)
    seen = np.where(HOLES, np.nan, pixels)
    filled = np.where(HOLES, np.nanmean(seen, axis=0), pixels)
    ae = AutoencoderTransformer(3, loss="binary_cross_entropy", **NO_TRAINING).fit(seen)
    np.testing.assert_allclose(ae.transform(seen), ae.transform(filled), atol=1e-6)


def test_rows_without_holes_can_have_them_later():
    ae = AutoencoderTransformer(3, **FAST).fit(X)
    filled = np.where(HOLES, X.mean(axis=0), X)
    np.testing.assert_allclose(ae.transform(X_HOLES), ae.transform(filled), atol=1e-9)


def test_holes_that_a_function_makes_are_filled_for_the_encoder():
    def poke(rows, rng):
        rows[rng.uniform(size=rows.shape) < 0.5] = np.nan
        return rows

    models = [
        AutoencoderTransformer(3, corruption=corruption, **FAST).fit(X)
        for corruption in (poke, Masking(0.5, fill="center"))
    ]
    U = torch.from_numpy(StandardScaler().fit_transform(X)).float()
    spoilt = [m.module_.corrupt(U, Rng(0)).numpy() for m in models]
    for rows in spoilt:
        hidden = ~np.isclose(rows, U.numpy(), atol=1e-5)
        assert 0.45 < hidden.mean() < 0.55
        np.testing.assert_allclose(rows[hidden], 0, atol=1e-6)


@BOTH
def test_column_that_only_held_out_rows_know_does_no_harm(cls):
    model = cls(2, early_stopping=True, validation_fraction=0.3, **FAST)
    seed = np.random.RandomState(model.random_state).randint(np.iinfo(np.int32).max)
    order = np.random.RandomState(seed).permutation(len(X))
    held_out = order[: int(0.3 * len(X))]
    seen = X.copy()
    seen[:, 2] = np.nan
    seen[held_out, 2] = 1e6 + X[held_out, 2]
    model.fit(seen)
    assert np.isfinite(model.validation_curve_).all()
    assert np.abs(model.validation_curve_).max() < 1e3


@BOTH
@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame(X_HOLES.round()).astype("Int64"),
        pd.DataFrame(X_HOLES.round()).astype("Float64"),
        pd.DataFrame(X_HOLES.round()).astype(object).where(~HOLES, None),
        pd.DataFrame(X_HOLES.round()).astype(object).where(~HOLES, pd.NA),
        pl.DataFrame(X_HOLES.round()).fill_nan(None),
        np.asfortranarray(X_HOLES.round()),
    ],
    ids=["Int64", "Float64", "None", "NA", "polars null", "columns"],
)
def test_missing_values_of_any_kind_are_the_same(cls, rows):
    expected = cls(2, **FAST).fit(X_HOLES.round()).transform(X_HOLES.round())
    model = cls(2, **FAST).fit(rows)
    np.testing.assert_allclose(model.transform(rows), expected, atol=1e-12)


# -- bad input -------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("door", ["fit", "partial_fit", "transform", "score_samples"])
def test_row_without_a_known_value_is_refused(cls, door):
    rows = X_HOLES.copy()
    rows[7] = np.nan
    model = cls(2, **FAST).fit(X)
    with pytest.raises(ValueError, match=r"row 7 of X has no known value.* drop"):
        getattr(model, door)(rows)


@BOTH
@pytest.mark.parametrize("door", ["fit", "partial_fit"])
def test_column_without_a_known_value_is_refused_where_it_is_learned(cls, door):
    rows = pd.DataFrame(X_HOLES, columns=load_wine().feature_names)
    rows["ash"] = np.nan
    with pytest.raises(ValueError, match="column 'ash' of X has no known value"):
        getattr(cls(2, **FAST), door)(rows)
    model = cls(2, **FAST).partial_fit(X_HOLES)  # what is known stays known
    assert np.isfinite(model.transform(rows.to_numpy())).all()
    model.partial_fit(rows.to_numpy())


@BOTH
def test_infinity_beside_nan_is_refused(cls):
    rows = X_HOLES.copy()
    rows[3, 1], rows[3, 0] = np.inf, np.nan
    with pytest.raises(ValueError, match=r"infinity[\s\S]*column 1 has inf in row 3"):
        cls(2).fit(rows)


def test_value_outside_the_support_is_found_beside_nan():
    rows = X_HOLES / np.nanmax(X_HOLES, axis=0)
    rows[3, 1], rows[3, 0] = 1.5, np.nan
    with pytest.raises(ValueError, match=r"needs X in \[0, 1\], but column 1 spans"):
        VAETransformer(2, likelihood="bernoulli").fit(rows)
