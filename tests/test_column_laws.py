"""Laws of counts and categories, and of rows whose columns have laws of their own."""

import copy

import numpy as np
import pandas as pd
import pytest
import scipy.special
import scipy.stats
import torch
from sklearn.base import clone
from torch import nn

from skae import VAETransformer
from skae._modules import Layout, column_statistics
from skae._modules._autoencoder import AutoencoderModule
from skae._modules._vae import VAEModule
from skae._parameters import resolve_likelihood
from skae._random import Rng
from skae._training._dense import DenseStep, is_dense
from skae._training._flat import FlatParameters
from skae.architectures import MLP
from skae.likelihoods import (
    Bernoulli,
    Calibrated,
    Categorical,
    Gaussian,
    Laplace,
    NegativeBinomial,
    Ordinal,
    PerColumn,
    Poisson,
)
from skae.likelihoods._column_scales import ColumnScales
from skae.likelihoods._negative_binomial import PACE
from skae.likelihoods._table_law import Part, TableLaw

COUNTS = np.arange(400)
LOG_SHAPE = 0.8


def negative_binomial(params):
    shape = np.exp(LOG_SHAPE)
    return scipy.stats.nbinom(shape, shape / (shape + np.exp(params)))


def poisson(params):
    return scipy.stats.poisson(np.exp(params))


SHIFTS = torch.tensor([LOG_SHAPE / PACE], dtype=torch.float64)
COUNT_LAWS = pytest.mark.parametrize(
    ("law", "learned", "oracle"),
    [
        (Poisson(), {}, poisson),
        (NegativeBinomial(), {"shifts": SHIFTS}, negative_binomial),
    ],
    ids=["poisson", "negative binomial"],
)


def with_unit(law, unit):
    """Return the law of columns that are divided by their standard deviation."""
    X = np.array([[0.0], [2.0 * unit]])
    fitted = law.fitted_to(column_statistics(X))
    assert fitted.unit == unit
    return fitted


# -- counts ----------------------------------------------------------------------------


@COUNT_LAWS
@pytest.mark.parametrize("unit", [None, 5.0])
@pytest.mark.parametrize("params", [-3.0, 0.0, 2.5])
def test_log_prob_of_counts_equals_scipy(law, learned, oracle, unit, params):
    law = law if unit is None else with_unit(law, unit)
    X = torch.from_numpy(COUNTS / (unit or 1.0))[:, None]
    ours = law.log_prob(torch.full_like(X, params), X, **learned).squeeze()
    np.testing.assert_allclose(
        ours, oracle(params).logpmf(COUNTS), rtol=1e-10, atol=1e-10
    )
    assert ours.exp().sum().item() == pytest.approx(1.0, abs=1e-9)


@COUNT_LAWS
def test_samples_of_counts_have_the_moments_of_the_law(law, learned, oracle):
    law, exact = with_unit(law, 2.0), oracle(1.2)
    params = torch.full((100_000, 1), 1.2, dtype=torch.float64)
    counts = 2 * law.sample(params, Rng(0), **learned).numpy()
    assert (counts == np.round(counts)).all()
    assert counts.mean() == pytest.approx(exact.mean(), rel=0.02)
    assert counts.std() == pytest.approx(exact.std(), rel=0.02)
    assert 2 * law.mean(params)[0].item() == pytest.approx(exact.mean())


@COUNT_LAWS
def test_gradients_of_counts_are_finite_at_extreme_parameters(law, learned, oracle):
    learned = {name: value.float() for name, value in learned.items()}
    params = torch.tensor([[-1e4], [1e4]], requires_grad=True)
    law.log_prob(params, torch.tensor([[3.0], [3.0]]), **learned).sum().backward()
    assert torch.isfinite(params.grad).all()


@COUNT_LAWS
def test_the_surrogate_of_counts_has_slope_and_curvature_at_the_mean(
    law, learned, oracle
):
    law = with_unit(law, 4.0)
    surrogate = law.surrogate(np.array([1.5]))  # 6 counts
    params = torch.from_numpy(surrogate.bias).requires_grad_()
    zero = {name: torch.zeros_like(value) for name, value in learned.items()}
    for x in (0.5, 1.5, 4.0):
        X = torch.full((1,), x, dtype=torch.float64)
        log_prob = law.log_prob(params, X, **zero)
        (slope,) = torch.autograd.grad(log_prob, params)
        response = surrogate.gain * (x - 1.5) / surrogate.noise_variance
        assert slope.item() == pytest.approx(response.item())


# -- categories ------------------------------------------------------------------------


def test_log_prob_of_categories_is_that_of_softmax():
    logits = np.random.RandomState(0).randn(5, 6)
    categories = np.array([[0, 1], [2, 2], [1, 0], [0, 0], [2, 1]])
    X = np.eye(3)[categories].reshape(5, 6)
    ours = Categorical(3).log_prob(torch.from_numpy(logits), torch.from_numpy(X))
    expected = scipy.special.log_softmax(logits.reshape(5, 2, 3), axis=2)
    expected = np.take_along_axis(expected, categories[..., None], axis=2)
    np.testing.assert_allclose(ours.sum(dim=1), expected.sum(axis=(1, 2)))


def test_samples_of_categories_have_their_probabilities():
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0, 0.0, -3.0]]).expand(50_000, -1)
    law = Categorical(3)
    drawn = law.sample(logits, Rng(0))
    assert (drawn.view(-1, 2, 3).sum(dim=2) == 1).all()
    torch.testing.assert_close(
        drawn.mean(dim=0), law.mean(logits)[0], atol=0.01, rtol=0.0
    )


def test_the_surrogate_of_categories_bounds_the_likelihood_from_below():
    noise = np.random.RandomState(0)
    for K in (3, 7):
        means = noise.dirichlet(np.ones(K))
        law, surrogate = Categorical(K), Categorical(K).surrogate(means)
        bias = torch.from_numpy(surrogate.bias)
        for k in range(K):
            X = torch.from_numpy(np.eye(K)[k])
            at_bias = law.log_prob(bias, X).sum().item()
            response = surrogate.gain * (np.eye(K)[k] - law.mean(bias).numpy())
            for _ in range(30):
                shift = 4 * noise.randn(K)
                exact = law.log_prob(bias + torch.from_numpy(shift), X).sum().item()
                squares = np.square(shift - response) - np.square(response)
                bound = at_bias - squares.sum() / (2 * surrogate.noise_variance)
                assert bound <= exact + 1e-12


# -- several laws ----------------------------------------------------------------------


def table_law(*laws):
    """Return the law of columns of numbers, with the given laws, and two of three."""
    parts = [Part(law, (j,), 1, None) for j, law in enumerate(laws)]
    n = len(laws)
    return TableLaw([*parts, Part(Categorical(3), (n, n + 1), 3, (0, 1, 2))])


EVERY_LAW = [
    Calibrated(),
    ColumnScales(Gaussian()),
    ColumnScales(Laplace()),
    Gaussian(scale=0.5),
    Bernoulli(),
    Poisson(),
    NegativeBinomial(),
    Ordinal(4),
]


def test_the_laws_of_columns_add_up():
    law = table_law(Gaussian(scale=1.0), Poisson())
    generator = torch.Generator().manual_seed(0)
    params = torch.randn(4, 8, dtype=torch.float64, generator=generator)
    X = torch.zeros(4, 8, dtype=torch.float64)
    X[:, 0], X[:, 1], X[:, 2], X[:, 6] = 0.3, 2.0, 1.0, 1.0
    logits = params.numpy()
    expected = (
        scipy.stats.norm(logits[:, 0], 1).logpdf(0.3)
        + scipy.stats.poisson(np.exp(logits[:, 1])).logpmf(2)
        + scipy.special.log_softmax(logits[:, 2:5], axis=1)[:, 0]
        + scipy.special.log_softmax(logits[:, 5:8], axis=1)[:, 1]
    )
    np.testing.assert_allclose(law.log_prob(params, X).sum(dim=1), expected)


def module_of(law, kind, **objective):
    module = kind(
        n_features=law.n_entries,
        n_components=3,
        architecture=MLP((5,), activation="tanh"),
        likelihood=law,
        rng=Rng(0),
        **objective,
    )
    for parameter in module.likelihood_parameters.values():
        nn.init.constant_(parameter, -0.1)
    return module.double().train()


@pytest.mark.parametrize("has_holes", [False, True])
@pytest.mark.parametrize("variational", [False, True])
def test_gradients_by_hand_are_those_of_autograd(variational, has_holes):
    laws = [law for law in EVERY_LAW if not isinstance(law, NegativeBinomial | Ordinal)]
    law = table_law(*laws)
    kind, objective = AutoencoderModule, {}
    if variational:
        kind = VAEModule
        objective = {"beta": 0.8, "free_bits": 0.0, "n_draws": 1, "elbo": "analytic"}
    module = module_of(law, kind, **objective)
    generator = torch.Generator().manual_seed(0)
    X = torch.rand(9, law.n_columns, dtype=torch.float64, generator=generator)
    X[:, len(laws) - 1 :] = (3 * X[:, len(laws) - 1 :]).floor()  # counts, categories
    if has_holes:
        X[torch.rand(X.shape, generator=generator) < 0.3] = torch.nan
    U, known = module.open_rows(X)
    original = copy.deepcopy(module)
    assert is_dense(module)
    step = DenseStep(FlatParameters(module), 9, has_holes=has_holes)
    with torch.no_grad():
        values = step.run(U, known=known)
    loss, terms = original.loss(original(U), U, known)
    loss.backward()
    expected = [loss.detach(), *(terms[name] for name in original.terms)]
    torch.testing.assert_close(values[:, 0], torch.stack(expected))
    gradients = {n: p.grad for n, p in original.named_parameters()}
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(
            parameter.grad, gradients[name], rtol=1e-10, atol=1e-10,
            msg=lambda text, name=name: f"{name}: {text}",
        )  # fmt: skip


def test_laws_without_gradients_by_hand_are_left_to_autograd():
    assert not is_dense(module_of(table_law(NegativeBinomial()), AutoencoderModule))


def test_a_missing_entry_costs_nothing_a_category_as_a_whole():
    law = table_law(Gaussian(scale=1.0))
    module = module_of(law, AutoencoderModule)
    generator = torch.Generator().manual_seed(0)
    params = torch.randn(1, 7, dtype=torch.float64, generator=generator)
    whole = torch.tensor([[0.4, 1.0, 2.0]], dtype=torch.float64)
    holed = torch.tensor([[0.4, torch.nan, 2.0]], dtype=torch.float64)
    log_prob = module.log_prob(params, *module.open_rows(holed))
    of_number = scipy.stats.norm(params[0, 0].item(), 1).logpdf(0.4)
    of_second = params[0, 4:].log_softmax(dim=0)[2]
    assert log_prob.item() == pytest.approx(of_number + of_second.item())
    all_known = module.log_prob(params, *module.open_rows(whole)).item()
    of_first = params[0, 1:4].log_softmax(dim=0)[1].item()
    assert all_known == pytest.approx(log_prob.item() + of_first)


def test_expanded_rows_collapse_to_what_they_were():
    law = TableLaw(
        [
            Part(Gaussian(), (2,), 1, None),
            Part(Bernoulli(), (0, 3), 1, (1,)),
            Part(Categorical(4), (1,), 4, (0, 1, 2, 3)),
        ]
    )
    layout = Layout(law)
    X = torch.tensor([[1.0, 3.0, -0.7, 0.0], [0.0, 0.0, 5.5, 1.0]])
    entries = layout.expand(X)
    expected = [[-0.7, 1, 0, 0, 0, 0, 1], [5.5, 0, 1, 1, 0, 0, 0]]
    torch.testing.assert_close(entries, torch.tensor(expected))
    assert torch.equal(layout.collapse(entries), X)
    holed = layout.expand(torch.tensor([[torch.nan, torch.nan, 1.0, 0.0]]))
    expected = [[1.0, torch.nan, 0.0, *[torch.nan] * 4]]
    torch.testing.assert_close(holed, torch.tensor(expected), equal_nan=True)
    # two categories are off by as much as one of more would be
    errors = layout.sum_columns(torch.tensor([[0.25, 0.5, 0.0, 0.1, 0.2, 0.3, 0.0]]))
    torch.testing.assert_close(errors, torch.tensor([[1.0, 0.6, 0.25, 0.0]]))


def test_per_column_is_cloned_with_its_laws():
    laws = PerColumn({"a": Poisson(), 3: "laplace"}, rest=Gaussian(scale=2.0))
    copied = clone(laws)
    assert copied is not laws
    assert repr(copied) == repr(laws)
    assert copied.get_params()["rest__scale"] == 2.0


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace"])
def test_every_column_of_a_table_has_a_scale_of_its_own(likelihood):
    rng = np.random.RandomState(0)
    z = rng.randn(600)
    noise = rng.standard_normal((600, 3)) * [0.05, 0.4, 1.0]
    table = pd.DataFrame(z[:, None] + noise, columns=["exact", "rough", "loose"])
    table["sign"] = pd.Categorical(np.where(z > 0, "plus", "minus"))
    vae = VAETransformer(1, likelihood=likelihood, max_epochs=30, random_state=0)
    numbers, categories = resolve_likelihood(vae.fit(table), vae._columns).parts
    assert isinstance(numbers.law, ColumnScales)
    assert isinstance(categories.law, Bernoulli)
    scales = vae.module_.likelihood_parameters["part0_log_scales"].detach().exp()
    per_deviation = {"gaussian": 1.0, "laplace": np.sqrt(0.5)}[likelihood]
    deviations = (scales * vae.module_.scaler.scale[:3] / per_deviation).numpy()
    assert 2 * deviations[0] < deviations[2]
    assert deviations[1] < deviations[2]
    np.testing.assert_allclose(deviations[2], noise[:, 2].std(), rtol=0.2)


def test_a_scale_that_is_given_is_that_of_all_columns():
    table = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [3.0, 5.0, 4.0], "c": list("xyx")})
    table["c"] = table["c"].astype("category")
    vae = VAETransformer(1, likelihood=Gaussian(scale=0.5), max_epochs=1).fit(table)
    law = resolve_likelihood(vae, vae._columns).parts[0].law
    assert isinstance(law, Gaussian)
    assert law.scale == 0.5
