"""The importance-weighted bound, and its doubly reparameterised gradient."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from torch.distributions import Normal

from skae import VAETransformer
from skae._modules import VAEModule
from skae._modules._divergences import doubly_reparameterise, importance_weighted_bound
from skae._random import Rng
from skae._training._dense import is_dense
from skae._training._flat import FlatParameters
from skae._training._gradients import AutogradGradients
from skae.architectures import MLP
from skae.likelihoods import Bernoulli, Gaussian

X_WINE = load_wine().data
WEIGHTED = {"elbo": "importance_weighted"}
NO_TRAINING = {
    "optimizer": "sgd", "lr": 1e-30, "schedule": "constant", "max_epochs": 1
}  # fmt: skip
BOTH_LIKELIHOODS = pytest.mark.parametrize(
    "likelihood", [Gaussian(), Bernoulli()], ids=str
)


def make_module(likelihood=None, hidden=(5,), dtype=torch.float64, **options):
    """Return a VAE of 6 features and 2 components with random weights, training."""
    settings = {"beta": 1.0, "free_bits": 0.0, "n_draws": 1, **WEIGHTED}
    module = VAEModule(
        n_features=6,
        n_components=2,
        architecture=MLP(hidden, activation="tanh"),
        likelihood=likelihood or Gaussian(),
        rng=Rng(0),
        **settings | options,
    )
    return module.to(dtype).train()


def make_rows(n_rows=10, seed=1):
    rows = np.random.RandomState(seed).normal(size=(n_rows, 6))
    return torch.sigmoid(torch.from_numpy(rows))


def plain_loss(module, output, U):
    """Return minus the bound, differentiated as it stands: the score is in it."""
    likelihood = module.log_prob(output.params, U.repeat(module.n_draws, 1)).exp()
    posterior = Normal(output.mean, (0.5 * output.log_var).exp())
    densities = (Normal(0.0, 1.0), posterior)
    prior, q = (law.log_prob(output.Z).sum(dim=1).exp() for law in densities)
    weights = likelihood ** (1 / module.beta) * prior / q
    mean_weights = weights.reshape(module.n_draws, -1).mean(dim=0)  # (n_rows,)
    return -module.beta * mean_weights.log().mean()


def doubly_reparameterised_loss(module, output, U):
    return module.loss(output, U)[0]


def draw_gradients(module, loss, U, n_repeats):
    """Return the gradient by every encoder weight at draws of its own, as rows."""
    parameters, rng, rows = list(module.encoder.parameters()), Rng(7), []
    for _ in range(n_repeats):
        value = loss(module, module(U, rng), U)
        gradient = torch.autograd.grad(value, parameters)
        rows.append(torch.cat([part.flatten() for part in gradient]))
    return torch.stack(rows)


# -- the bound -----------------------------------------------------------------


def test_the_bound_is_the_logarithm_of_the_mean_weight():
    weights = torch.tensor([[1.0, 2.0], [3.0, 10.0]], dtype=torch.float64)
    bound = importance_weighted_bound(weights.log())
    torch.testing.assert_close(bound.exp(), torch.tensor([2.0, 6.0]).double())


def test_the_bound_of_weights_beyond_any_float_is_finite():
    log_weights = torch.tensor([[-2000.0, 2000.0], [-2000.0, 0.0]])
    bound = importance_weighted_bound(log_weights)
    assert bound.tolist() == pytest.approx([-2000.0, 2000.0 - np.log(2)])


@BOTH_LIKELIHOODS
@pytest.mark.parametrize("beta", [1.0, 0.3])
def test_the_loss_is_minus_the_textbook_bound_at_the_same_draws(likelihood, beta):
    module, U = make_module(likelihood, n_draws=5, beta=beta), make_rows()
    output = module(U, Rng(3))
    loss, _ = module.loss(output, U)
    torch.testing.assert_close(loss, plain_loss(module, output, U))


def test_one_draw_has_the_loss_of_the_monte_carlo_elbo():
    module, U = make_module(beta=0.7), make_rows()
    other = make_module(beta=0.7, elbo="monte_carlo")
    torch.testing.assert_close(
        module.loss(module(U, Rng(3)), U), other.loss(other(U, Rng(3)), U)
    )


def test_every_draw_is_weighed_among_those_of_its_own_row():
    module, U = make_module(n_draws=4), make_rows()
    output = module(U, Rng(3))
    losses = []
    for i, row in enumerate(U):  # draws of a row are as many rows apart as there are
        parts = type(output)(*(tensor[i :: len(U)] for tensor in output))
        losses.append(module.loss(parts, row[None])[0])
    torch.testing.assert_close(module.loss(output, U)[0], torch.stack(losses).mean())


def test_the_terms_bound_the_loss_from_above_and_are_it_for_one_draw():
    U = make_rows()
    gaps = []
    for n_draws in (1, 8):
        module = make_module(beta=0.7, n_draws=n_draws)
        loss, terms = module.loss(module(U, Rng(3)), U)
        gaps.append((terms["reconstruction"] + 0.7 * terms["kl"] - loss).item())
    assert gaps[0] == pytest.approx(0.0, abs=1e-12)
    assert gaps[1] > 0.01


def test_beta_warms_up_in_training_alone():
    U = make_rows()

    def loss_of(module):
        return module.loss(module(U, Rng(3)), U)[0]

    module = make_module(beta=2.0, n_draws=4)
    module.set_warmup(0.0)
    output = module(U, Rng(3))
    best = module.log_prob(output.params, U.repeat(4, 1)).reshape(4, -1).amax(dim=0)
    assert module.loss(output, U)[0].item() == pytest.approx(-best.mean().item())
    module.set_warmup(0.25)
    half = make_module(beta=0.5, n_draws=4)
    torch.testing.assert_close(loss_of(module), loss_of(half))
    full = make_module(beta=2.0, n_draws=4)
    torch.testing.assert_close(loss_of(module.eval()), loss_of(full))


def test_the_bound_rises_with_the_number_of_draws_to_the_exact_log_density():
    module, U = make_module(hidden=()), make_rows()
    W, b = (p.detach() for p in module.decoder.linear.parameters())
    covariance = W @ W.T + torch.eye(6).double()  # the scale is 1
    exact = torch.distributions.MultivariateNormal(b, covariance).log_prob(U).mean()
    gaps, errors = [], []
    for n_draws in (1, 2, 8, 64, 1024):
        module.n_draws = n_draws
        with torch.no_grad():
            gap = [
                (exact + module.loss(module(U, Rng(seed)), U)[0]).item()
                for seed in range(200)
            ]
        gaps.append(np.mean(gap))
        errors.append(np.std(gap) / np.sqrt(len(gap)))
    assert np.all(-np.diff(gaps[:4]) > 4 * np.hypot(errors[1:4], errors[:3]))
    assert gaps[0] > 0.1  # the random encoder is far from the posterior
    assert abs(gaps[-1]) < 0.01
    assert errors[-1] < 0.002


@pytest.mark.parametrize("n_draws", [1, 8])
def test_the_bound_at_the_pca_start_is_the_score_of_pca(n_draws):
    vae = VAETransformer(4, n_draws=n_draws, **WEIGHTED, **NO_TRAINING)
    vae.set_params(scale="standard", early_stopping=False).fit(X_WINE)
    expected = PCA(4).fit(U := StandardScaler().fit_transform(X_WINE)).score(U)
    assert -vae.loss_curve_[0] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("n_draws", [1, 2, 16])
@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
def test_the_bound_is_highest_at_the_exact_posterior(n_draws, beta):
    def bound(shift, factor):
        output = module(U, Rng(3))
        std = (0.5 * output.log_var).exp()
        noise = (output.Z - output.mean) / std
        mean, log_var = output.mean + shift * std, output.log_var + 2 * np.log(factor)
        Z = mean + factor * std * noise
        moved = type(output)(Z, mean, log_var, module.decoder(Z))
        return -module.loss(moved, U)[0].item()

    vae = VAETransformer(2, beta=beta, architecture=MLP(()), **WEIGHTED, **NO_TRAINING)
    module = vae.set_params(n_draws=n_draws).fit(X_WINE).module_.double()
    U = module.to_network_space(torch.from_numpy(np.tile(X_WINE, (20, 1))))
    with torch.no_grad():
        best, *others = (bound(*q) for q in [(0, 1), (0.4, 1), (0, 0.7), (0, 1.4)])
    assert best - max(others) > 0.002 * beta


# -- its gradient --------------------------------------------------------------


def test_the_hook_scales_the_gradient_of_each_draw():
    Z = torch.ones(4, 1, requires_grad=True)  # 2 draws of 2 rows
    log_weights = torch.log(torch.tensor([[1.0, 2.0], [3.0, 2.0]]))
    doubly_reparameterise(Z, log_weights)
    Z.sum().backward()
    torch.testing.assert_close(Z.grad, torch.tensor([[0.25], [0.5], [0.75], [0.5]]))


@BOTH_LIKELIHOODS
@pytest.mark.parametrize("beta", [1.0, 0.5, 2.0])
def test_the_gradient_of_the_encoder_has_the_mean_of_the_plain_one(likelihood, beta):
    module, U = make_module(likelihood, n_draws=3, beta=beta), make_rows(4)
    many = U.repeat(500, 1)
    plain, ours = (
        draw_gradients(module, loss, many, n_repeats=100)
        for loss in (plain_loss, doubly_reparameterised_loss)
    )
    difference = plain - ours  # at the same draws
    error = difference.std(dim=0) / np.sqrt(len(difference))
    assert (difference.mean(dim=0).abs() < 4.5 * error).all()
    # the errors are small beside the gradient, or the test shows nothing
    assert error.norm() < 0.02 * plain.mean(dim=0).norm()


def test_the_gradient_of_the_decoder_is_the_plain_one():
    module, U = make_module(n_draws=3, beta=0.5), make_rows()
    parameters = [
        *module.decoder.parameters(), *module.likelihood_parameters.parameters()
    ]  # fmt: skip
    plain, ours = (
        torch.autograd.grad(loss(module, module(U, Rng(3)), U), parameters)
        for loss in (plain_loss, doubly_reparameterised_loss)
    )
    torch.testing.assert_close(ours, plain)


def test_one_draw_has_the_gradient_along_the_path_alone():
    module, U = make_module(), make_rows()
    parameters = list(module.encoder.parameters())
    output = module(U, Rng(3))
    held = output._replace(mean=output.mean.detach(), log_var=output.log_var.detach())
    torch.testing.assert_close(
        torch.autograd.grad(module.loss(module(U, Rng(3)), U)[0], parameters),
        torch.autograd.grad(plain_loss(module, held, U), parameters),
    )


@pytest.mark.parametrize("beta", [1.0, 0.5, 2.0])
def test_the_gradient_of_the_encoder_is_zero_where_the_posterior_is_exact(beta):
    vae = VAETransformer(4, beta=beta, n_draws=8, **WEIGHTED, **NO_TRAINING)
    module = vae.fit(X_WINE).module_.double().train().requires_grad_(True)
    U = module.to_network_space(torch.from_numpy(X_WINE))
    plain, ours = (
        draw_gradients(module, loss, U, n_repeats=5).abs().max().item()
        for loss in (plain_loss, doubly_reparameterised_loss)
    )
    assert plain > 1e-3
    assert ours < 1e-5 * plain  # the start is in float32


def train_the_encoder(module, U):
    """Bring the posterior close to the exact one, as it is in most of training."""
    optimizer, rng = torch.optim.Adam(module.encoder.parameters(), lr=1e-2), Rng(1)
    for _ in range(300):
        optimizer.zero_grad()
        module.loss(module(U, rng), U)[0].backward()
        optimizer.step()


def test_the_gradient_of_the_encoder_has_less_noise_than_the_plain_one():
    module, U = make_module(n_draws=16), make_rows()

    def ratio():
        plain, ours = (
            draw_gradients(module, loss, U, n_repeats=300).var(dim=0).sum().item()
            for loss in (plain_loss, doubly_reparameterised_loss)
        )
        return ours / plain

    assert ratio() < 0.8
    train_the_encoder(module, U)
    assert ratio() < 0.01


def test_more_draws_raise_the_signal_of_the_encoder_over_its_noise():
    module, U = make_module(n_draws=16), make_rows(4)
    train_the_encoder(module, U)
    plain, ours = [], []
    for n_draws in (4, 64):
        module.n_draws = n_draws
        gradients = draw_gradients(module, doubly_reparameterised_loss, U, 1000)
        signal = gradients.mean(dim=0).norm()
        ours.append(signal / gradients.std(dim=0).norm())
        noise = draw_gradients(module, plain_loss, U, 300).std(dim=0).norm()
        plain.append(signal / noise)
    assert ours[1] > 1.5 * ours[0]
    assert plain[1] < 0.5 * plain[0]


def test_the_gradient_in_bfloat16_is_that_of_float32():
    gradients = []
    for precision in ("float32", "bf16"):
        module = make_module(n_draws=8, dtype=torch.float32)
        flat = FlatParameters(module)
        step = AutogradGradients(flat, torch.device("cpu"), precision)
        U = make_rows(256).float()
        step.run(U, U)
        gradients.append(module.encoder.linear.weight.grad.flatten())
    exact, rounded = gradients
    assert (exact - rounded).norm() < 0.05 * exact.norm()


def test_the_gradients_by_hand_leave_it_to_autograd():
    assert not is_dense(make_module())
    assert is_dense(make_module(elbo="monte_carlo"))


# -- the estimator -------------------------------------------------------------


def make_vae(**options):
    settings = {"max_epochs": 5, "n_draws": 4, "random_state": 0, **WEIGHTED}
    return VAETransformer(3, **settings | options)


def test_two_fits_and_a_clone_agree_to_the_bit():
    vae = make_vae().fit(X_WINE)
    for twin in (make_vae(), clone(vae)):
        np.testing.assert_array_equal(
            twin.fit(X_WINE).transform(X_WINE), vae.transform(X_WINE)
        )
        np.testing.assert_array_equal(twin.loss_curve_, vae.loss_curve_)


def test_a_pickle_scores_and_goes_on_training_the_same():
    vae = make_vae(warm_start=True).fit(X_WINE)
    copy = pickle.loads(pickle.dumps(vae))
    np.testing.assert_array_equal(copy.score_samples(X_WINE), vae.score_samples(X_WINE))
    assert copy.module_.settings()["elbo"] == "importance_weighted"
    np.testing.assert_array_equal(
        copy.fit(X_WINE).transform(X_WINE), vae.fit(X_WINE).transform(X_WINE)
    )


def test_a_warm_start_goes_on_with_the_bound_and_the_draws_of_now():
    vae = make_vae(elbo="analytic", n_draws=1, warm_start=True).fit(X_WINE)
    vae.set_params(n_draws=16, **WEIGHTED).fit(X_WINE)
    assert vae.module_.settings()["n_draws"] == 16
    last = vae.history_.iloc[-1]
    gap = last["train_reconstruction"] + last["train_kl"] - last["train_loss"]
    assert gap > 1e-3  # the ELBO has none


def test_held_out_rows_meet_the_bound_at_the_full_beta():
    vae = make_vae(beta=2.0, kl_warmup=1.0, max_epochs=3, validation_fraction=0.2)
    history = vae.fit(X_WINE).history_
    terms = history["validation_reconstruction"] + 2.0 * history["validation_kl"]
    gap = terms - history["validation_loss"]
    assert (gap[history["epoch"] > 0] > 0).all()
    assert history["beta"].iloc[1] < 2.0


def test_training_raises_the_log_likelihood_of_held_out_rows():
    X = load_digits().data
    train, test = X[:600], X[600:]
    start, vae = (
        make_vae(n_draws=8, max_epochs=n).set_params(**options).fit(train)
        for n, options in ((1, NO_TRAINING), (15, {"lr": 3e-3}))
    )
    rise = vae.log_likelihood(test).mean() - start.log_likelihood(test).mean()
    assert rise > 1.0  # nats


@pytest.mark.parametrize("door", ["fit", "partial_fit"])
def test_free_bits_are_refused_before_any_work(door):
    vae = make_vae(free_bits=0.1, early_stopping=False)
    with pytest.raises(ValueError, match=r"free_bits=0\.1 must be 0 .*set free_bits=0"):
        getattr(vae, door)("no rows at all")


def test_a_collapse_is_not_to_be_cured_by_free_bits():
    noise = np.random.RandomState(0).normal(size=(200, 4))
    with pytest.warns(UserWarning, match="collapsed") as record:
        make_vae(beta=50.0).fit(noise)
    assert not any("free_bits" in str(warning.message) for warning in record)
