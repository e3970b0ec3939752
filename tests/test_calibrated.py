"""Student's t law of each column, beside networks that learn under the normal law."""

import pickle

import numpy as np
import pytest
import scipy.stats
import torch
from scipy.integrate import quad
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer, config_context
from skae._random import Rng
from skae.likelihoods import Calibrated, Gaussian
from skae.likelihoods._calibrated import (
    HEAVIEST_TAIL,
    PACE,
    SERIES_BELOW,
    SURPRISE,
    student_t_log_prob,
)
from skae.likelihoods._location_scale import SMALLEST_SCALE

X_WINE = load_wine().data
LAW = Calibrated()

TAILS = [1e-7, 1e-4, 1e-3, 0.02, 0.1, 0.3, 0.5]
DEVIATIONS = [0.0, 1e-3, 0.1, 1.0, 10.0, 1e3]

# What the approximation of the normaliser is allowed to be wrong by, in nats.
ATOL = 5e-6

# Training that changes nothing: what is left is the start.
NO_TRAINING = {
    "optimizer": "sgd",
    "lr": 1e-30,
    "schedule": "constant",
    "max_epochs": 1,
    "early_stopping": False,
}
# Training whose steps depend on the gradient by the networks alone.
PLAIN = {
    "schedule": "constant",
    "early_stopping": False,
    "max_epochs": 15,
    "random_state": 0,
}


def doubles(values):
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def column_laws(scales, tails, log_scale=0.0):
    """Return the learned parameters that make laws of these scales and tails."""
    tails = doubles(tails)
    return {
        "log_scale": doubles(log_scale),
        "log_ratios": (doubles(scales).log() - log_scale) / PACE,
        "bends": tails / (1 - tails / HEAVIEST_TAIL) / PACE,
    }


def scales_and_tails(log_scale, log_ratios, bends):
    """Return the scales and the tails that learned parameters make."""
    size = PACE * bends.abs()
    tails = size / (1 + size / HEAVIEST_TAIL)
    return (log_scale + PACE * log_ratios).exp().numpy(), tails.numpy()


def student_t(scale, tail):
    if tail == 0:
        return scipy.stats.norm(scale=scale)
    return scipy.stats.t(1 / tail, scale=scale)


def learned_by(estimator):
    """Return what a fitted estimator has learned of the laws, by name."""
    learned = estimator.module_.likelihood_parameters
    return {name: value.detach().double() for name, value in learned.items()}


def fit_columns(X, n_steps=150, watch=lambda learned: None, **start):
    """Learn the laws of the columns of X around 0; return scales and tails."""
    learned = column_laws(np.ones(X.shape[1]), np.zeros(X.shape[1]), **start)
    for name in ("log_ratios", "bends"):
        learned[name].zero_().requires_grad_(True)
    # steps by sign: the length of the gradient by a tail varies by many powers of ten
    optimizer = torch.optim.Rprop([learned["log_ratios"], learned["bends"]], lr=1e-3)
    for _ in range(n_steps):
        optimizer.zero_grad()
        (-LAW.log_prob(torch.zeros_like(X), X, **learned).sum()).backward()
        optimizer.step()
        watch(learned)
    return scales_and_tails(**{k: v.detach() for k, v in learned.items()})


# -- the density ---------------------------------------------------------------


@pytest.mark.parametrize("tail", TAILS)
def test_student_t_equals_scipy(tail):
    squares = doubles(DEVIATIONS).square()
    ours = student_t_log_prob(squares, doubles(tail)).numpy()
    exact = scipy.stats.t.logpdf(DEVIATIONS, 1 / tail)
    np.testing.assert_allclose(ours, exact, rtol=1e-10, atol=ATOL)


@pytest.mark.parametrize("tail", TAILS)
def test_student_t_in_float32_is_close_to_float64(tail):
    squares = doubles(DEVIATIONS).square()
    exact = student_t_log_prob(squares, doubles(tail))
    single = student_t_log_prob(squares.float(), torch.tensor(tail))
    torch.testing.assert_close(single.double(), exact, rtol=1e-6, atol=1e-6)


def test_a_tail_of_zero_is_the_normal_law():
    squares = doubles(DEVIATIONS).square()
    ours = student_t_log_prob(squares, doubles(0.0))
    torch.testing.assert_close(
        ours, torch.distributions.Normal(0.0, 1.0).log_prob(squares.sqrt()),
        rtol=1e-14, atol=0.0,
    )  # fmt: skip


@pytest.mark.parametrize("tail", TAILS)
def test_the_series_meets_the_logarithm(tail):
    tails = doubles([tail, tail]).requires_grad_(True)
    squares = SERIES_BELOW / tail * doubles([1 - 1e-12, 1 + 1e-12])
    ours = student_t_log_prob(squares, tails)
    (slopes,) = torch.autograd.grad(ours.sum(), tails)
    torch.testing.assert_close(*ours.detach(), rtol=1e-11, atol=0.0)
    torch.testing.assert_close(*slopes, rtol=1e-7, atol=0.0)


@pytest.mark.parametrize("tail", [0.0, *TAILS[1:-1], 0.45])
def test_the_density_has_mass_one(tail):
    def density(x):
        X = doubles([x])
        return LAW.log_prob(torch.zeros_like(X), X, **learned).exp().item()

    learned = column_laws([0.3], [tail], log_scale=-0.7)
    half = quad(density, 0, 3)[0] + quad(density, 3, np.inf)[0]
    assert 2 * half == pytest.approx(1.0, abs=2 * ATOL)


def test_every_column_has_a_law_of_its_own():
    scales, tails = [0.2, 1.0, 3.0], [0.0, 0.1, 0.4]
    X = doubles(np.random.RandomState(0).normal(size=(2, 20, 3)))
    params = 0.5 * X.roll(1, 1)
    ours = LAW.log_prob(params, X, **column_laws(scales, tails, log_scale=-0.4))
    for j, law in enumerate(map(student_t, scales, tails)):
        exact = law.logpdf((X - params)[..., j])
        np.testing.assert_allclose(ours[..., j], exact, rtol=1e-10, atol=ATOL)


@pytest.mark.parametrize("noise_variance", [1.0, 0.3, 0.0])
def test_the_start_is_the_normal_law_with_one_scale(noise_variance):
    start = LAW.initial_parameters(noise_variance)
    log_scale = Gaussian().initial_parameters(noise_variance)["log_scale"]
    assert start == {"log_scale": log_scale, "log_ratios": 0.0, "bends": 0.0}
    learned = {name: doubles(value) for name, value in start.items()}
    X = doubles([DEVIATIONS, DEVIATIONS])
    params = torch.tensor([[0.3], [-2.0]], dtype=torch.float64)
    torch.testing.assert_close(
        LAW.log_prob(params, X, **learned),
        Gaussian().log_prob(params, X, log_scale=learned["log_scale"]),
        rtol=1e-12, atol=1e-12,
    )  # fmt: skip


def test_scales_have_the_floor_of_the_normal_law():
    learned = column_laws([1e-9, 1.0], [0.0, 0.0], log_scale=-30.0)
    zeros = torch.zeros(2, dtype=torch.float64)
    ours = LAW.log_prob(zeros, zeros, **learned).numpy()
    exact = scipy.stats.norm(scale=[SMALLEST_SCALE, 1.0]).logpdf(0)
    np.testing.assert_allclose(ours, exact, rtol=1e-12)


# -- its gradient --------------------------------------------------------------


def rows_and_params():
    rs = np.random.RandomState(0)
    X, params = doubles(3 * rs.normal(size=(2, 30, 6)))
    return X, params.requires_grad_(True)


def uneven_laws():
    """Return learned parameters of 6 columns, on both sides of no tail."""
    learned = column_laws(
        [2.0, 0.7, 1.0, 1.5, 0.05, 2.0], [0.0, 1e-4, 0.02, 0.1, 0.3, 0.45], -0.4
    )
    learned["bends"] *= doubles([1, 1, -1, 1, -1, 1])
    return {name: value.requires_grad_(True) for name, value in learned.items()}


def test_networks_and_common_scale_learn_under_the_normal_law():
    X, params = rows_and_params()
    learned = uneven_laws()
    inputs = (params, learned["log_scale"])
    ours = torch.autograd.grad(LAW.log_prob(params, X, **learned).sum(), inputs)
    normal = Gaussian().log_prob(params, X, log_scale=learned["log_scale"])
    for one, two in zip(ours, torch.autograd.grad(normal.sum(), inputs), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-14, atol=0.0)


def test_the_value_with_a_gradient_is_that_without():
    X, params = rows_and_params()
    learned = uneven_laws()
    with_gradient = LAW.log_prob(params, X, **learned)
    assert with_gradient.requires_grad
    with torch.no_grad():
        assert torch.equal(LAW.log_prob(params, X, **learned), with_gradient)


@pytest.mark.parametrize("name", ["log_ratios", "bends"])
def test_the_laws_of_columns_learn_by_their_own_likelihood_and_the_prior(name):
    def objective(shift):
        """Return that of each column, with a parameter shifted."""
        shifted = {k: v.detach() for k, v in learned.items()}
        shifted[name] = shifted[name] + shift
        with torch.no_grad():
            own = LAW.log_prob(params, X, **shifted).sum(dim=0)
            surprise = LAW.log_prob(zeros, zeros + 1, **shifted)
        return own + len(X) * SURPRISE * surprise

    X, params = rows_and_params()
    learned, zeros = uneven_laws(), torch.zeros(6, dtype=torch.float64)
    total = LAW.log_prob(params, X, **learned).sum()
    (ours,) = torch.autograd.grad(total, learned[name])
    step = 1e-6
    central = (objective(step) - objective(-step)) / (2 * step)
    if name == "bends":  # the tail of the first column turns round at 0
        ahead = 2 * objective(step) - 1.5 * objective(0.0) - 0.5 * objective(2 * step)
        central[0] = ahead[0] / step
    torch.testing.assert_close(ours, central, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bend", [0.0, -0.0])
def test_the_gradient_at_no_bend_is_that_of_a_small_one(bend):
    def slope_at(bend):
        bends = doubles([bend]).requires_grad_(True)
        zero = torch.zeros(1, dtype=torch.float64)
        total = LAW.log_prob(zero, X, zero[0], zero, bends).sum()
        return torch.autograd.grad(total, bends)[0].item()

    X = doubles(np.random.RandomState(0).standard_t(3, size=(50, 1)))
    assert slope_at(bend) == pytest.approx(slope_at(1e-10), rel=1e-5)
    assert slope_at(bend) == pytest.approx(-slope_at(-1e-10), rel=1e-5)
    assert slope_at(bend) > 0  # the rows ask for a tail


@pytest.mark.parametrize("tail", [0.0, 1e-3, 0.1, 0.45])
@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_gradients_are_finite_in_float32_at_extreme_deviations(tail, value):
    learned = column_laws([0.01, 1.0], [tail, tail])
    learned = {k: v.float().requires_grad_(True) for k, v in learned.items()}
    params = torch.full((2,), value, requires_grad=True)
    log_prob = LAW.log_prob(params, torch.zeros(2), **learned)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    for tensor in (params, *learned.values()):
        assert torch.isfinite(tensor.grad).all()


def test_scale_and_tail_of_each_column_are_found():
    rs = np.random.RandomState(0)
    X = np.column_stack([0.3 * rs.standard_t(3, size=20_000), rs.normal(size=20_000)])
    scales, tails = fit_columns(doubles(X), log_scale=-0.5)
    np.testing.assert_allclose(scales, [0.3, 1.0], rtol=0.03)
    np.testing.assert_allclose(tails, [1 / 3, 0.0], atol=0.02)


@pytest.mark.parametrize("log_scale", [0.0, -3.0, np.log(SMALLEST_SCALE), -8.0])
def test_a_column_of_zeros_does_not_make_a_deviation_of_one_unheard_of(log_scale):
    def watch(learned):
        with torch.no_grad():
            cost = -LAW.log_prob(X[0], X[0] + 1, **learned)
        costs.append(cost.item())

    costs, X = [], torch.zeros(50, 1, dtype=torch.float64)
    fit_columns(X, watch=watch, log_scale=log_scale)
    # a normal law at the smallest scale would ask for half a million nats
    assert max(costs[5:]) < 1000
    assert costs[-1] < 50


# -- samples -------------------------------------------------------------------


def test_samples_follow_the_law_of_their_column():
    scales, tails = [0.3, 1.0, 2.0], [0.0, 0.1, 0.4]
    params = doubles([[-2.0, 0.0, 5.0]]).expand(20_000, 3)
    learned = column_laws(scales, tails, log_scale=-0.4)
    noise = (LAW.sample(params, Rng(0), **learned) - params).numpy()
    for column, law in zip(noise.T, map(student_t, scales, tails), strict=True):
        assert scipy.stats.kstest(column, law.cdf).pvalue > 0.01
    correlations = scipy.stats.spearmanr(np.abs(noise)).statistic
    np.testing.assert_allclose(correlations, np.eye(3), atol=0.03)


def test_the_same_state_of_the_stream_gives_the_same_samples():
    learned = column_laws([0.3, 1.0], [0.0, 0.4])
    params = torch.zeros(50, 2, dtype=torch.float64)
    rng = Rng(0)
    one = LAW.sample(params, rng, **learned)
    assert torch.equal(LAW.sample(params, Rng(0), **learned), one)
    assert not torch.equal(LAW.sample(params, rng, **learned), one)
    assert not params.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_without_a_tail_is_not_stretched(dtype):
    stretch = Rng(0).t_stretch_like(torch.tensor([0.0, 1e-9, 0.4], dtype=dtype))
    assert stretch.dtype == dtype
    assert stretch[:2].tolist() == [1.0, 1.0]
    assert stretch[2] != 1.0


# -- in the estimators ---------------------------------------------------------


def encoder_and_decoder(estimator):
    state = estimator.module_.state_dict()
    return {k: v.numpy() for k, v in state.items() if not k.startswith("likelihood")}


def held_out_of_breast_cancer():
    return train_test_split(load_breast_cancer().data, random_state=0)


def test_it_is_the_default_of_the_vae():
    assert VAETransformer().likelihood == "calibrated"
    by_name = VAETransformer(3, **PLAIN).fit(X_WINE)
    assert set(learned_by(by_name)) == {"log_scale", "log_ratios", "bends"}
    by_object = VAETransformer(3, likelihood=Calibrated(), **PLAIN).fit(X_WINE)
    assert by_object.score(X_WINE) == by_name.score(X_WINE)


def test_the_elbo_at_the_start_is_the_score_of_pca():
    scaler = StandardScaler().fit(X_WINE)
    U = scaler.transform(X_WINE)
    exact = PCA(3).fit(U).score(U) - np.log(scaler.scale_).sum()
    for likelihood in ("calibrated", "gaussian"):
        vae = VAETransformer(
            3, likelihood=likelihood, scale="standard", **NO_TRAINING
        ).fit(X_WINE)
        assert vae.score(X_WINE) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("engine", ["auto", "autograd"])
@pytest.mark.parametrize(
    ("estimator", "parameter"),
    [(VAETransformer, "likelihood"), (AutoencoderTransformer, "loss")],
)
def test_networks_are_those_of_the_normal_law(estimator, parameter, engine):
    with config_context(engine=engine):
        ours, normal = (
            estimator(3, **{parameter: law}, **PLAIN).fit(X_WINE)
            for law in (Calibrated(), Gaussian())
        )
    expected = encoder_and_decoder(normal)
    for name, array in encoder_and_decoder(ours).items():
        np.testing.assert_allclose(
            array, expected[name], rtol=1e-4, atol=1e-5, err_msg=name
        )
    for method in ("transform", "reconstruct"):
        np.testing.assert_allclose(
            getattr(ours, method)(X_WINE), getattr(normal, method)(X_WINE), rtol=1e-4,
            atol=1e-4,
        )  # fmt: skip
    assert learned_by(ours)["log_scale"].item() == pytest.approx(
        learned_by(normal)["log_scale"].item(), rel=1e-5
    )
    assert learned_by(ours)["log_ratios"].abs().min() > 0


def test_rows_held_out_are_more_likely_than_under_one_normal_law():
    X, others = held_out_of_breast_cancer()
    ours, normal = (
        VAETransformer(3, likelihood=likelihood, **PLAIN).fit(X)
        for likelihood in ("calibrated", "gaussian")
    )
    assert ours.score(others) > normal.score(others) + 2
    far = others[:1].copy()
    far[0, 0] += 50 * X[:, 0].std()
    assert normal.score(far) < -3000
    assert ours.score(far) > -1000


def test_samples_reach_as_far_as_the_rows_of_a_column_with_a_tail():
    rs = np.random.RandomState(0)
    told = rs.normal(size=(3000, 1)) + 0.1 * rs.normal(size=(3000, 3))
    X = np.hstack([told, rs.standard_t(4, size=(3000, 2))])
    reach = {}
    for likelihood in ("calibrated", "gaussian"):
        vae = VAETransformer(1, likelihood=likelihood, lr=0.01, **PLAIN).fit(X)
        draws = np.abs(vae.sample(20_000, random_state=0))
        reach[likelihood] = np.quantile(draws, 0.999, axis=0)
    normal, heavy = scipy.stats.norm.isf(0.0005), scipy.stats.t(4).isf(0.0005)
    expected = [normal, normal, normal, heavy, heavy]
    np.testing.assert_allclose(reach["calibrated"], expected, rtol=0.2)
    assert (reach["gaussian"][3:] < 0.6 * heavy).all()


@pytest.mark.parametrize("likelihood", ["calibrated", Calibrated()], ids=str)
def test_a_pickle_keeps_the_laws_and_the_score(likelihood):
    vae = VAETransformer(3, likelihood=likelihood, **PLAIN).fit(X_WINE)
    copy = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(copy.score_samples(X_WINE), vae.score_samples(X_WINE))
    for name, value in learned_by(vae).items():
        assert torch.equal(learned_by(copy)[name], value)


def test_a_likelihood_object_has_no_parameters_and_is_cloned():
    assert LAW.get_params() == {}
    assert repr(clone(LAW)) == "Calibrated()"
    vae = clone(VAETransformer(likelihood=Calibrated()))
    assert isinstance(vae.likelihood, Calibrated)
    with pytest.raises(ValueError, match="Invalid parameter 'scale'"):
        vae.set_params(likelihood__scale=1.0)


def test_a_search_over_likelihoods_takes_the_laws_of_columns():
    grid = {"likelihood": ["gaussian", "calibrated"]}
    cv = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(
        VAETransformer(3, **PLAIN), grid, cv=cv, error_score="raise"
    ).fit(load_breast_cancer().data)
    assert search.best_params_ == {"likelihood": "calibrated"}


def test_rows_in_float32_score_like_rows_in_float64():
    X, others = held_out_of_breast_cancer()
    double = VAETransformer(3, **PLAIN).fit(X)
    single = VAETransformer(3, **PLAIN).fit(X.astype(np.float32))
    expected = double.score(others)
    assert double.score(others.astype(np.float32)) == pytest.approx(expected, abs=0.01)
    assert single.score(others.astype(np.float32)) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_more_training_goes_on_with_the_laws(method):
    vae = VAETransformer(3, warm_start=True, **PLAIN)
    train = getattr(vae, method)
    before = learned_by(train(X_WINE))
    assert before["log_ratios"].abs().min() > 0
    vae.set_params(lr=1e-12)
    for name, value in learned_by(train(X_WINE)).items():
        torch.testing.assert_close(value, before[name], rtol=0.0, atol=1e-6)
    vae.set_params(lr=1e-3)
    score = vae.score(X_WINE)
    assert train(X_WINE).score(X_WINE) > score
    assert not torch.equal(learned_by(vae)["bends"], before["bends"])


@pytest.mark.parametrize("engine", ["auto", "autograd"])
def test_columns_that_start_at_the_smallest_scale_learn_theirs(engine):
    # rows in a plane: the start leaves nothing
    rs = np.random.RandomState(0)
    X = rs.normal(size=(200, 2)) @ rs.normal(size=(2, 6))
    with config_context(engine=engine):
        vae = VAETransformer(2, **PLAIN | {"max_epochs": 1}).fit(X)
    assert learned_by(vae)["log_ratios"].abs().min() > 0
