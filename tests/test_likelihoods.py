"""One contract for every likelihood, with scipy as the oracle."""

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.base import clone

from skae import AutoencoderTransformer, VAETransformer
from skae._random import Rng
from skae.likelihoods import Bernoulli, Calibrated, Gaussian, Laplace, Ordinal
from skae.likelihoods._calibrated import PACE
from skae.likelihoods._ordinal import NARROWEST


def normal(scale):
    return lambda params: scipy.stats.norm(params, scale)


def laplace(scale):
    return lambda params: scipy.stats.laplace(params, scale)


def student(tail, scale):
    return lambda params: scipy.stats.t(1 / tail, params, scale)


def bernoulli(params):
    return scipy.stats.bernoulli(scipy.special.expit(params))


def ordinal(cuts):
    """Return the law of levels that end at the cut points, divided by the highest."""

    def law(params):
        shares = np.diff(scipy.special.expit(np.array(cuts) - params), prepend=0.0)
        levels = np.arange(len(cuts) + 1) / len(cuts)
        return scipy.stats.rv_discrete(values=(levels, [*shares, 1 - shares.sum()]))

    return law


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
    # cut points start at the logits of 1/4, 2/4, 3/4, log(3) apart
    "ordinal": (
        Ordinal(4),
        {"offsets": np.array([0.2, 0.0, np.log(2) / PACE])},
        ordinal([2 - np.log(3), 2, 2 + 2 * np.log(3)]),
        np.arange(4) / 3,
    ),
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
    if len(points) < 10:
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
    learned = {name: learned[name] for name in likelihood.mean_parameters}
    mean = likelihood.mean(params, **learned)[0].item()
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


# -- levels ----------------------------------------------------------------------------


def offsets_of(n_levels, seed=0):
    return torch.from_numpy(0.1 * np.random.RandomState(seed).randn(n_levels - 1))


@pytest.mark.parametrize("n_levels", [2, 3, 256])
def test_levels_have_mass_one_and_the_mean_that_they_say(n_levels):
    law, offsets = Ordinal(n_levels), offsets_of(n_levels)
    params = torch.tensor([-200.0, -30, -4, 0, 0.3, 7, 60, 200], dtype=torch.float64)
    levels = torch.arange(n_levels, dtype=torch.float64)[:, None] / (n_levels - 1)
    shares = law.log_prob(params.expand(n_levels, -1), levels, offsets).exp()
    np.testing.assert_allclose(shares.sum(dim=0), 1, rtol=1e-12)
    mean = (shares * levels).sum(dim=0)
    np.testing.assert_allclose(law.mean(params, offsets), mean, atol=1e-10)


def test_two_levels_are_a_bernoulli_law():
    params = torch.linspace(-40, 40, 81, dtype=torch.float64)
    for x in (0.0, 1.0):
        X = torch.full_like(params, x)
        ours = Ordinal(2).log_prob(params, X, torch.zeros(1).double())
        np.testing.assert_allclose(ours, Bernoulli().log_prob(params, X), atol=1e-8)
    means = np.array([0.1, 0.5, 0.9])
    ours, theirs = Ordinal(2).surrogate(means), Bernoulli().surrogate(means)
    np.testing.assert_allclose(ours.bias, theirs.bias, atol=1e-3)
    assert ours[1:] == theirs[1:]


def test_the_gradient_of_levels_is_that_of_differences():
    params = torch.linspace(-3, 3, 5, dtype=torch.float64).requires_grad_()
    offsets = offsets_of(5).requires_grad_()
    levels = torch.arange(5, dtype=torch.float64) / 4

    def log_prob(params, offsets):
        return Ordinal(5).log_prob(params, levels, offsets)

    assert torch.autograd.gradcheck(log_prob, (params, offsets))


def test_a_narrow_level_far_away_keeps_its_digits():
    offsets = torch.tensor([0.0, -1e3], dtype=torch.float64)  # as narrow as may be
    X, params = torch.tensor([0.5]), torch.tensor([60.0], dtype=torch.float64)
    start = np.log(0.5)  # the logit of a third
    expected = start - 60 + np.log(np.expm1(NARROWEST))
    ours = Ordinal(3).log_prob(params, X, offsets).item()
    assert ours == pytest.approx(expected, rel=1e-12)


def test_the_slope_of_the_start_is_that_of_the_law():
    law, zeros = Ordinal(6), torch.zeros(5, dtype=torch.float64)
    X = torch.arange(6, dtype=torch.float64) / 5
    params = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    law.log_prob(params, X, zeros).sum().backward()
    surrogate = law.surrogate(np.full(6, 0.5))
    np.testing.assert_allclose(surrogate.bias, 0, atol=1e-10)
    slopes = surrogate.gain * (X.numpy() - 0.5) / surrogate.noise_variance
    np.testing.assert_allclose(params.grad, slopes, atol=1e-12)


def levels_of_two_columns(n_rows=400):
    rng = np.random.RandomState(0)
    first = rng.randint(0, 5, n_rows)
    return np.column_stack([first, np.clip(first + rng.randint(-1, 2, n_rows), 0, 4)])


def test_scores_of_levels_are_log_probabilities_of_x():
    X = levels_of_two_columns()
    vae = VAETransformer(1, likelihood=Ordinal(5), max_epochs=20, random_state=0).fit(X)
    every_row = np.stack(np.meshgrid(range(5), range(5)), axis=-1).reshape(-1, 2)
    shares = np.exp(vae.log_likelihood(every_row, n_draws=2000))
    assert shares.sum() == pytest.approx(1, abs=0.02)
    shares = np.exp(vae.score_samples(every_row.astype(float)))
    assert 0.7 < shares.sum() < 1


def test_rows_of_levels_come_back_in_their_units():
    X = levels_of_two_columns()
    vae = VAETransformer(1, likelihood=Ordinal(5), max_epochs=50, random_state=0)
    ae = AutoencoderTransformer(1, loss=Ordinal(5), max_epochs=50, random_state=0)
    for estimator in (vae, ae):
        rows = estimator.fit(X).reconstruct(X.astype(float))
        assert rows.min() >= 0
        assert rows.max() <= 4
        assert np.abs(rows - X).mean() < 0.8 * np.abs(X - X.mean(axis=0)).mean()
    drawn = vae.sample(500, random_state=0)
    np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-6)
    assert set(np.unique(np.round(drawn))) == set(range(5))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2.5, r"Ordinal.* needs X of whole numbers, but column 1 has 2.5 in row 3"),
        (5, r"Ordinal.* needs X in \[0, 4\], but column 1 spans \[0, 5\]"),
        (-1, r"Ordinal.* needs X in \[0, 4\], but column 1 spans \[-1, 4\]"),
    ],
)
def test_rows_that_are_no_levels_are_refused(value, message):
    X = levels_of_two_columns().astype(float)
    X[3, 1] = value
    with pytest.raises(ValueError, match=message):
        VAETransformer(1, likelihood=Ordinal(5)).fit(X)
