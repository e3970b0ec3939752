"""Closed forms of the terms of the ELBO, and bounds where the density is known."""

import numpy as np
import pytest
import scipy.stats
import torch
from torch.distributions import Normal, kl_divergence

from skae._modules import VAEModule, balanced_normal
from skae._modules._divergences import (
    kl_to_standard_normal,
    log_normal,
    log_standard_normal,
    reparameterise,
    sampled_kl,
)
from skae._random import Rng
from skae.architectures import MLP
from skae.likelihoods import Bernoulli, Calibrated, Gaussian


def make_module(likelihood=None, hidden=(16,), seed=0, **options):
    """Return a VAE of 6 features and 2 components with random weights, float64."""
    settings = {"beta": 1.0, "free_bits": 0.0, "n_draws": 1, "elbo": "analytic"}
    module = VAEModule(
        n_features=6,
        n_components=2,
        architecture=MLP(hidden, activation="tanh"),
        likelihood=likelihood or Gaussian(),
        rng=Rng(seed),
        **settings | options,
    )
    return module.double()


def make_rows(n_rows=40, seed=1):
    return torch.from_numpy(np.random.RandomState(seed).normal(size=(n_rows, 6)))


def test_a_row_far_out_does_not_cost_as_much_as_an_extrapolated_variance():
    module = make_module()
    U = make_rows()
    with torch.no_grad():
        module.encoder.linear.weight.zero_()
        module.encoder.network.output.weight.zero_()
        module.encoder.linear.weight[2:] = 1.0  # log-variances
        U[0] = 1e3
    std = module.encode_distribution(U)[1]
    kl = module.mean_and_kl(U)[1]  # the means are 0
    variance = np.exp(2.0)
    torch.testing.assert_close(std[0].square(), torch.full((2,), variance).double())
    assert kl[0].max() <= 0.5 * (variance - 1 - 2) + 1e-12


def test_kl_of_a_shifted_normal_is_half_a_nat():
    one, zero = torch.ones(1), torch.zeros(1)
    assert kl_to_standard_normal(one, zero).item() == 0.5


def test_kl_of_the_prior_to_itself_is_zero():
    assert kl_to_standard_normal(torch.zeros(3), torch.zeros(3)).sum().item() == 0.0


def test_kl_equals_torch_distributions():
    mean = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    log_var = 2 * mean.roll(1, 0)
    exact = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_to_standard_normal(mean, log_var), exact)


def test_normal_densities_equal_scipy():
    Z = np.linspace(-4, 4, 9)
    ours = log_normal(torch.from_numpy(Z), torch.tensor(0.5), torch.tensor(np.log(4.0)))
    np.testing.assert_allclose(ours, scipy.stats.norm(0.5, 2.0).logpdf(Z))
    standard = log_standard_normal(torch.from_numpy(Z))
    np.testing.assert_allclose(standard, scipy.stats.norm.logpdf(Z))


def test_sampled_kl_has_the_mean_of_the_closed_form():
    mean = torch.tensor([0.3, -1.0], dtype=torch.float64).expand(100_000, 2)
    log_var = torch.tensor([-1.0, 0.5], dtype=torch.float64).expand(100_000, 2)
    Z = reparameterise(mean, log_var, Rng(0).normal_like(mean))
    draws = sampled_kl(Z, mean, log_var)
    error = draws.std(dim=0) / np.sqrt(len(draws))
    exact = kl_to_standard_normal(mean[0], log_var[0])
    assert ((draws.mean(dim=0) - exact).abs() < 4 * error).all()


@pytest.mark.parametrize("likelihood", [Gaussian(), Calibrated(), Bernoulli()], ids=str)
def test_analytic_and_monte_carlo_elbo_agree_within_their_error(likelihood):
    X = torch.sigmoid(make_rows())
    losses = {"analytic": [], "monte_carlo": []}
    for elbo, values in losses.items():
        module = make_module(likelihood, elbo=elbo, n_draws=50)
        for parameter in module.likelihood_parameters.values():
            torch.nn.init.constant_(parameter, 0.1)  # at the start all laws are normal
        with torch.no_grad():
            values.extend(
                module.loss(module(X, Rng(seed)), X)[0].item() for seed in range(200)
            )
    means = {k: np.mean(v) for k, v in losses.items()}
    errors = [np.std(v) / np.sqrt(len(v)) for v in losses.values()]
    assert abs(means["analytic"] - means["monte_carlo"]) < 4 * np.hypot(*errors)
    # The estimates must differ draw by draw, or the test compares a thing to itself.
    assert losses["analytic"][0] != losses["monte_carlo"][0]


def test_the_loss_is_the_textbook_elbo_at_the_same_draws():
    module, X = make_module(elbo="monte_carlo", beta=1.0), make_rows()
    output = module(X, Rng(3))
    posterior = Normal(output.mean, (0.5 * output.log_var).exp())
    scale = module.likelihood_parameters["log_scale"].exp()
    log_weights = (
        Normal(output.params, scale).log_prob(X).sum(dim=1)
        + Normal(0.0, 1.0).log_prob(output.Z).sum(dim=1)
        - posterior.log_prob(output.Z).sum(dim=1)
    )
    torch.testing.assert_close(module.loss(output, X)[0], -log_weights.mean())


def test_beta_weighs_the_kl_term_alone():
    X = make_rows()
    losses = {}
    for beta in (0.0, 1.0, 8.0):
        module = make_module(beta=beta)
        loss, terms = module.loss(module(X, Rng(3)), X)
        losses[beta] = loss.item()
    kl = terms["kl"].item()
    assert losses[0.0] == pytest.approx(terms["reconstruction"].item())
    assert losses[1.0] == pytest.approx(losses[0.0] + kl)
    assert losses[8.0] == pytest.approx(losses[0.0] + 8 * kl)


def test_free_bits_charge_each_component_at_least_that_much():
    X = make_rows()
    free = make_module(free_bits=100.0)
    loss, terms = free.loss(free(X, Rng(3)), X)
    assert loss.item() == pytest.approx(terms["reconstruction"].item() + 2 * 100.0)
    generous = make_module(free_bits=1e-6)
    paid = generous.loss(generous(X, Rng(3)), X)[0].item()
    module = make_module()
    assert paid == pytest.approx(module.loss(module(X, Rng(3)), X)[0].item())


def test_doubling_the_batch_with_the_same_rows_keeps_loss_and_gradient():
    X = make_rows()

    class Doubled(Rng):
        def normal_like(self, tensor):
            half = super().normal_like(tensor[: len(tensor) // 2])
            return torch.cat([half, half])

    gradients = []
    for rows, rng in ((X, Rng(3)), (torch.cat([X, X]), Doubled(3))):
        module = make_module()
        loss, _ = module.loss(module(rows, rng), rows)
        loss.backward()
        gradients.append([loss.detach(), *(p.grad for p in module.parameters())])
    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)


def test_the_reconstruction_gradient_reaches_the_encoder_through_the_draw():
    module, X = make_module(), make_rows()
    output = module(X, Rng(3))
    (-module.log_prob(output.params, X).mean()).backward()
    mean_rows, log_var_rows = module.encoder.linear.weight.grad.chunk(2)
    assert mean_rows.abs().min() > 0
    assert log_var_rows.abs().min() > 0


def test_the_gradient_through_the_draw_is_that_of_the_expectation():
    # E (z - 1)^2 = (mean - 1)^2 + var for z ~ N(mean, var)
    mean = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    log_var = torch.tensor(-0.5, dtype=torch.float64, requires_grad=True)
    noise = balanced_normal(64, 1, Rng(0))[:, 0]
    Z = reparameterise(mean, log_var, noise)
    (Z - 1).square().mean().backward()
    assert mean.grad.item() == pytest.approx(2 * (0.3 - 1))
    assert log_var.grad.item() == pytest.approx(np.exp(-0.5))


# -- bounds in a linear-Gaussian model, whose density is known -----------------


def linear_gaussian(seed=0):
    """Return a linear VAE and the exact log-density of rows under it."""
    module = make_module(hidden=(), seed=seed)
    rs = np.random.RandomState(seed)
    W = rs.normal(size=(6, 2))
    module.decoder.start_at(W, rs.normal(size=6))
    b = module.decoder.linear.bias.detach().numpy()
    marginal = scipy.stats.multivariate_normal(b, W @ W.T + np.eye(6))  # scale is 1
    return module, marginal.logpdf


def test_elbo_is_below_the_exact_log_density():
    module, log_density = linear_gaussian()
    X = make_rows()
    with torch.no_grad():
        elbo = module.elbo(X, balanced_normal(64, 2, Rng(0))).numpy()
    gap = log_density(X.numpy()) - elbo
    assert gap.min() > 0
    assert gap.mean() > 0.1  # the random encoder is far from the posterior


def test_more_draws_close_the_gap_to_the_log_density():
    module, log_density = linear_gaussian()
    X = make_rows()
    exact = log_density(X.numpy()).mean()
    with torch.no_grad():
        estimates = [
            np.mean([module.log_likelihood(X, n, seed).mean() for seed in range(20)])
            for n in (1, 10, 100, 1000)
        ]
        final = module.log_likelihood(X, 50_000, 0).mean().item()
    assert np.all(np.diff(estimates) > 0)
    assert estimates[-1] < exact + 0.02
    assert final == pytest.approx(exact, abs=0.02)


def test_elbo_of_a_linear_decoder_is_exact_whatever_the_draws():
    module, _ = linear_gaussian()
    X = make_rows()
    with torch.no_grad():
        one, two = (module.elbo(X, balanced_normal(64, 2, Rng(s))) for s in (0, 1))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-10)


def test_log_likelihood_does_not_depend_on_the_other_rows():
    module, X = make_module(), make_rows()
    with torch.no_grad():
        together = module.log_likelihood(X, 130, 0)
        alone = torch.cat([module.log_likelihood(x[None], 130, 0) for x in X])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_components", [2, 50])
def test_balanced_draws_have_the_moments_of_the_prior(n_components):
    draws = balanced_normal(64, n_components, Rng(0))
    torch.testing.assert_close(
        draws.mean(dim=0), torch.zeros(n_components, dtype=torch.float64)
    )
    second = draws.T @ draws / 64
    if n_components <= 32:
        torch.testing.assert_close(second, torch.eye(n_components).double())
    torch.testing.assert_close(second.diag(), torch.ones(n_components).double())
