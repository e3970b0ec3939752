"""One contract for every likelihood, with scipy as the oracle."""

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.base import clone

from skae._random import Rng
from skae.likelihoods import Bernoulli, Calibrated, Gaussian, Laplace
from skae.likelihoods._calibrated import PACE


def normal(scale):
    return lambda params: scipy.stats.norm(params, scale)


def laplace(scale):
    return lambda params: scipy.stats.laplace(params, scale)


def student(tail, scale):
    return lambda params: scipy.stats.t(1 / tail, params, scale)


def bernoulli(params):
    return scipy.stats.bernoulli(scipy.special.expit(params))


# A tenth is the tail of size / (1 + size / HEAVIEST_TAIL) for the size 0.125.
BEND_OF_A_TENTH = 0.125 / PACE

# likelihood, learned parameters, the same law in scipy, points of its support
LAWS = {
    "gaussian, learned": (
        Gaussian(),
        {"log_scale": np.log(0.7)},
        normal(0.7),
        np.linspace(-12, 12, 40_001),
    ),
    "gaussian, fixed": (Gaussian(2.5), {}, normal(2.5), np.linspace(-40, 40, 40_001)),
    "laplace, learned": (
        Laplace(),
        {"log_scale": np.log(0.3)},
        laplace(0.3),
        np.linspace(-20, 20, 40_001),
    ),
    "laplace, fixed": (Laplace(1.0), {}, laplace(1.0), np.linspace(-40, 40, 40_001)),
    "calibrated": (
        Calibrated(),
        {"log_scale": np.log(0.7), "log_ratios": 0.0, "bends": BEND_OF_A_TENTH},
        student(0.1, 0.7),
        np.linspace(-150, 150, 40_001),
    ),
    "bernoulli": (Bernoulli(), {}, bernoulli, np.array([0.0, 1.0])),
}


@pytest.fixture(params=LAWS, ids=str)
def law(request):
    likelihood, learned, oracle, points = LAWS[request.param]
    learned = {k: torch.tensor(v, dtype=torch.float64) for k, v in learned.items()}
    return likelihood, learned, oracle, points


def log_probability(oracle, X):
    return oracle.logpmf(X) if hasattr(oracle, "logpmf") else oracle.logpdf(X)


@pytest.mark.parametrize("params", [-3.0, 0.0, 0.4])
def test_log_prob_equals_scipy(law, params):
    likelihood, learned, oracle, points = law
    X = torch.from_numpy(points)
    ours = likelihood.log_prob(torch.full_like(X, params), X, **learned)
    # the normaliser of Student's t is approximated
    atol = 5e-6 if isinstance(likelihood, Calibrated) else 1e-10
    np.testing.assert_allclose(
        ours.numpy(), log_probability(oracle(params), points), rtol=1e-10, atol=atol
    )


@pytest.mark.parametrize("params", [-3.0, 0.0, 0.4])
def test_the_law_has_mass_one(law, params):
    likelihood, learned, _, points = law
    X = torch.from_numpy(points)
    density = likelihood.log_prob(torch.full_like(X, params), X, **learned).exp()
    if len(points) == 2:
        mass = density.sum().item()
    else:
        mass = scipy.integrate.simpson(density.numpy(), points)
    assert mass == pytest.approx(1.0, abs=2e-6)


def test_samples_have_the_moments_of_the_law(law):
    likelihood, learned, oracle, _ = law
    params = torch.full((200_000,), 0.4, dtype=torch.float64)
    sample = likelihood.sample(params, Rng(0), **learned).numpy()
    exact = oracle(0.4)
    error = exact.std() / np.sqrt(len(sample))
    assert abs(sample.mean() - exact.mean()) < 4 * error
    assert sample.std() == pytest.approx(exact.std(), rel=0.02)
    mean = likelihood.mean(params)[0].item()
    assert mean == pytest.approx(exact.mean(), abs=1e-12)


def test_gradients_are_finite_at_extreme_parameters(law):
    likelihood, learned, _, points = law
    for value in (-1e4, 1e4):
        params = torch.full((2,), value, dtype=torch.float32, requires_grad=True)
        X = torch.tensor([points[0], points[-1]], dtype=torch.float32)
        likelihood.log_prob(params, X, **learned).sum().backward()
        assert torch.isfinite(params.grad).all()


def test_a_clone_has_the_parameters_of_the_original(law):
    likelihood = law[0]
    assert clone(likelihood).get_params() == likelihood.get_params()


def test_learned_scale_starts_at_its_maximum_likelihood_value():
    residuals = np.random.RandomState(0).normal(scale=0.3, size=100_000)
    log_scale = Gaussian().initial_parameters(np.mean(residuals**2))["log_scale"]
    assert np.exp(log_scale) == pytest.approx(np.sqrt(np.mean(residuals**2)))
    log_scale = Laplace().initial_parameters(np.mean(residuals**2))["log_scale"]
    assert np.exp(log_scale) == pytest.approx(np.mean(np.abs(residuals)), rel=0.01)


def test_learned_scale_has_a_floor():
    # Without it, rows that a network reconstructs exactly have infinite likelihood.
    zeros = torch.zeros(1)
    at_floor = Gaussian().log_prob(zeros, zeros, log_scale=torch.tensor(-100.0))
    assert at_floor.item() == pytest.approx(scipy.stats.norm(0, 1e-3).logpdf(0))


@pytest.mark.parametrize("means", [[0.1, 0.5, 0.9], [0.0, 1.0, 0.3]])
def test_bernoulli_surrogate_bounds_the_likelihood_from_below(means):
    means = np.array(means)
    surrogate = Bernoulli().surrogate(means)
    p = torch.sigmoid(torch.from_numpy(surrogate.bias)).numpy()
    for x in (0.0, 1.0):
        X = torch.full((3,), x, dtype=torch.float64)
        for shift in np.linspace(-5, 5, 21):
            params = torch.from_numpy(surrogate.bias + shift)
            exact = Bernoulli().log_prob(params, X).numpy()
            at_bias = Bernoulli().log_prob(params - shift, X).numpy()
            response = surrogate.gain * (x - p)
            bound = at_bias - (
                (shift - response) ** 2 - response**2
            ) / (2 * surrogate.noise_variance)  # fmt: skip
            assert (bound <= exact + 1e-12).all()
