"""Training by gradients written by hand gives what autograd gives, part by part."""

import copy
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import skorch.callbacks
import torch
from sklearn.datasets import load_digits, load_wine
from torch import nn

from skae import AutoencoderTransformer, VAETransformer, config_context
from skae._modules import VAEModule
from skae._modules._autoencoder import AutoencoderModule
from skae._random import Rng
from skae._training._dense import DenseStep, _layers, is_dense
from skae._training._flat import FlatParameters
from skae._training._gradients import AutogradGradients, DenseGradients
from skae._training._optimizers import optimizer_class
from skae.architectures import MLP, Architecture
from skae.architectures._mlp import ACTIVATIONS
from skae.likelihoods import Bernoulli, Calibrated, Gaussian, Laplace
from skae.likelihoods._location_scale import SMALLEST_SCALE

N_ROWS, N_FEATURES, N_COMPONENTS = 9, 7, 3
BOTH_KINDS = pytest.mark.parametrize("kind", [AutoencoderModule, VAEModule])


def make(kind=VAEModule, seed=0, *, network=None, likelihood=None, **objective):
    """Return a module in float64, in training mode, with random weights."""
    if kind is VAEModule:
        defaults = {"beta": 0.8, "free_bits": 0.0, "n_draws": 1, "elbo": "analytic"}
        objective = defaults | objective
    module = kind(
        n_features=N_FEATURES,
        n_components=N_COMPONENTS,
        architecture=network or MLP((5, 4), activation="tanh"),
        likelihood=likelihood or Gaussian(),
        rng=Rng(seed),
        **objective,
    )
    return module.double().train()


def stack(K, kind=VAEModule, **settings):
    """Return modules of one shape with weights and noise of their own."""
    return [make(kind, seed, **settings) for seed in range(K)]


def rows(*shape):
    generator = torch.Generator().manual_seed(0)
    U = torch.rand(*shape, N_ROWS, N_FEATURES, generator=generator)
    return U.double()


def assert_as_autograd(modules, U, target=None, rtol=1e-10, atol=1e-10):
    """Compare loss, terms and gradients of one step with each module's own.

    Returns the gradients by autograd of each module, by name.
    """
    originals = copy.deepcopy(modules)  # with the same noise to come
    flat = FlatParameters(*modules)
    step = DenseStep(flat, N_ROWS, corrupted=target is not None)
    with torch.no_grad():
        values = step.run(U, target)
    gradients = []
    for k, original in enumerate(originals):
        U_k = U if U.dim() == 2 else U[k]
        target_k = U_k if target is None else target if U.dim() == 2 else target[k]
        loss, terms = original.loss(original(U_k), target_k)
        loss.backward()
        expected = [loss.detach(), *(terms[name] for name in original.terms)]
        torch.testing.assert_close(
            values[:, k], torch.stack(expected), rtol=1e-12, atol=0.0
        )
        gradients.append({n: p.grad for n, p in original.named_parameters()})
        for name, parameter in modules[k].named_parameters():
            torch.testing.assert_close(
                parameter.grad, gradients[k][name], rtol=rtol, atol=atol,
                msg=lambda text, name=name, k=k: f"{name} of member {k}: {text}",
            )  # fmt: skip
    return gradients


# -- one step, part by part ------------------------------------------------------


@BOTH_KINDS
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_autograds_for_every_activation(kind, activation):
    network = MLP((5, 4), activation=activation)
    assert_as_autograd([make(kind, network=network)], 4 * rows() - 2)


@BOTH_KINDS
@pytest.mark.parametrize(
    "likelihood",
    [
        Gaussian(scale=1.0), Gaussian(scale=0.7), Gaussian(),
        Laplace(scale=0.7), Laplace(), Bernoulli(), Calibrated(),
    ],
    ids=str,
)  # fmt: skip
def test_gradients_are_autograds_for_every_likelihood(kind, likelihood):
    module = make(kind, likelihood=likelihood)
    for parameter in module.likelihood_parameters.values():
        nn.init.constant_(parameter, -0.4)  # at a scale of 1, powers of it agree
    assert_as_autograd([module], rows())


@pytest.mark.parametrize("elbo", ["analytic", "monte_carlo"])
@pytest.mark.parametrize("beta", [1.0, 0.3])
@pytest.mark.parametrize("free_bits", [0.0, 0.3])
@pytest.mark.parametrize("n_draws", [1, 3])
def test_gradients_are_autograds_for_every_objective(elbo, beta, free_bits, n_draws):
    objective = {"elbo": elbo, "beta": beta, "free_bits": free_bits, "n_draws": n_draws}
    module = make(**objective)
    kl = module._kl(copy.deepcopy(module)(rows())).mean(dim=0)
    if free_bits:  # or the test shows one side of the bound
        assert kl.min() < free_bits < kl.max()
    assert_as_autograd([module], rows())


def test_the_share_of_beta_in_force_is_that_of_the_warmup():
    module = make(beta=2.0)
    for share in (0.0, 0.25, 1.0):
        module.set_warmup(share)
        assert_as_autograd([copy.deepcopy(module)], rows())


def test_a_step_follows_a_beta_that_changes_between_runs():
    module, other = make(beta=2.0), make(beta=2.0)
    step, U = DenseStep(FlatParameters(module), N_ROWS), rows()
    module.set_warmup(0.0)
    step.run(U)
    module.set_warmup(0.5)
    values = step.run(U).clone()
    other.set_warmup(0.5)
    other(U)  # uses up the noise of the first run
    loss, _ = other.loss(other(U), U)
    assert values[0, 0].item() == pytest.approx(loss.item(), rel=1e-12)


@BOTH_KINDS
@pytest.mark.parametrize("sizes", [(), (6,), (5, 4), (6, 5, 4)], ids=str)
def test_gradients_are_autograds_for_every_depth(kind, sizes):
    assert_as_autograd([make(kind, network=MLP(sizes, activation="tanh"))], rows())


@BOTH_KINDS
@pytest.mark.parametrize("activation", ["tanh", "gelu"])  # in place and out of place
def test_gradients_are_autograds_under_dropout(kind, activation):
    network = MLP((8, 6), activation=activation, dropout=0.3)
    (gradients,) = assert_as_autograd([make(kind, network=network)], rows())
    (whole,) = assert_as_autograd(
        [make(kind, network=MLP((8, 6), activation=activation))], rows()
    )
    name = "decoder.network.output.weight"
    assert not torch.allclose(gradients[name], whole[name])  # something was dropped


@BOTH_KINDS
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(), (3,)], ids=["shared rows", "rows of its own"])
def test_every_member_of_a_stack_has_the_gradients_of_a_module_alone(
    kind, dropout, shape
):
    network = MLP((5, 4), activation="gelu", dropout=dropout)
    gradients = assert_as_autograd(stack(3, kind, network=network), rows(*shape))
    name = "encoder.linear.weight"
    assert not torch.allclose(gradients[0][name], gradients[1][name])


@BOTH_KINDS
def test_a_stack_of_one_is_a_module(kind):
    assert_as_autograd(stack(1, kind), rows(1))


@pytest.mark.parametrize("n_draws", [1, 3])
def test_a_second_step_draws_noise_of_its_own(n_draws):
    module = make(n_draws=n_draws, network=MLP((5,), dropout=0.3))
    original, U = copy.deepcopy(module), rows()
    step = DenseStep(FlatParameters(module), N_ROWS)
    losses = [step.run(U)[0, 0].item() for _ in range(3)]
    expected = [original.loss(original(U), U)[0].item() for _ in range(3)]
    assert losses == pytest.approx(expected, rel=1e-12)
    assert len(set(losses)) == 3


@BOTH_KINDS
@pytest.mark.parametrize("shape", [(), (2,)], ids=["shared rows", "rows of its own"])
def test_a_corrupted_row_is_encoded_and_the_clean_one_is_the_target(kind, shape):
    clean = rows(*shape)
    noisy = clean * (clean > 0.5)
    assert_as_autograd(stack(2, kind), noisy, clean)


@pytest.mark.parametrize("n_draws", [1, 3])
def test_the_output_that_is_kept_is_that_of_the_forward_pass(n_draws):
    module = make(n_draws=n_draws)
    original, U = copy.deepcopy(module), rows()
    step = DenseStep(FlatParameters(module), N_ROWS)
    step.run(U, keep_output=True)
    torch.testing.assert_close(step.output(), original(U), rtol=1e-12, atol=1e-14)


# -- at the bounds ---------------------------------------------------------------


@pytest.mark.parametrize("n_draws", [1, 3])
@pytest.mark.parametrize("free_bits", [0.0, 0.2])
def test_a_clamped_log_variance_has_no_slope(n_draws, free_bits):
    module = make(n_draws=n_draws, free_bits=free_bits, network=MLP((5,)))
    raw = torch.tensor([-31.0, 0.5, 31.0])
    with torch.no_grad():
        module.encoder.linear.bias[N_COMPONENTS:] = raw
        module.encoder.linear.weight.mul_(0.01)
        module.encoder.network.output.weight.mul_(0.01)
    (gradients,) = assert_as_autograd([module], rows(), atol=0.0, rtol=1e-8)
    slopes = gradients["encoder.linear.bias"][N_COMPONENTS:]
    assert (slopes == 0).tolist() == [True, False, True]


@BOTH_KINDS
@pytest.mark.parametrize("likelihood", [Gaussian(), Laplace()], ids=str)
@pytest.mark.parametrize(("log_ratio", "has_slope"), [(-1, False), (0, True)])
def test_a_learned_scale_has_no_slope_below_its_floor(
    kind, likelihood, log_ratio, has_slope
):
    module = make(kind, likelihood=likelihood)
    floor = np.log(SMALLEST_SCALE)
    nn.init.constant_(module.likelihood_parameters["log_scale"], floor + log_ratio)
    # the gradients are as large as the precision, 1e6
    (gradients,) = assert_as_autograd([module], rows(), atol=1e-6)
    assert (gradients["likelihood_parameters.log_scale"] != 0) == has_slope


# -- members of a stack that differ ------------------------------------------------


@pytest.mark.parametrize("elbo", ["analytic", "monte_carlo"])
def test_members_of_other_betas_and_free_bits_get_what_they_get_alone(elbo):
    objectives = [(0.5, 0.1), (1.0, 0.3), (4.0, 0.7)]
    modules = [
        make(seed=seed, beta=beta, free_bits=free_bits, elbo=elbo)
        for seed, (beta, free_bits) in enumerate(objectives)
    ]
    gradients = assert_as_autograd(modules, rows())
    assert not torch.allclose(*(g["encoder.linear.bias"] for g in gradients[:2]))


def test_a_member_without_free_bits_keeps_estimates_below_zero():
    modules = [make(free_bits=f, elbo="monte_carlo") for f in (0.0, 0.3)]
    for module in modules:  # near the prior, where estimates have both signs
        with torch.no_grad():
            for parameter in module.encoder.parameters():
                parameter.mul_(0.2)
    kl = modules[0]._kl(copy.deepcopy(modules[0])(rows())).mean(dim=0)
    assert kl.min() < 0
    assert_as_autograd(modules, rows())


def test_members_of_other_betas_alone_need_no_free_bits():
    modules = [make(seed=seed, beta=beta) for seed, beta in enumerate((0.5, 1.0, 4.0))]
    assert_as_autograd(modules, rows())


def train_alone(module, U, n_steps, lr):
    """Return the losses of training by autograd and `torch.optim.Adam`."""
    optimizer, losses = torch.optim.Adam(module.parameters(), lr=lr), []
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss, _ = module.loss(module(U), U)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@BOTH_KINDS
def test_a_stack_in_training_is_its_members_in_training_each_alone(kind):
    network = MLP((5, 4), activation="silu", dropout=0.1)
    modules = stack(3, kind, network=network, likelihood=Laplace())
    if kind is VAEModule:
        for module, beta in zip(modules, (0.5, 1.0, 4.0), strict=True):
            module.beta = beta
    U, lr, n_steps = rows(3), 0.01, 30
    alone = [
        train_alone(copy.deepcopy(m), U[k], n_steps, lr) for k, m in enumerate(modules)
    ]
    flat = FlatParameters(*modules)
    step = DenseStep(flat, N_ROWS)
    optimizer = optimizer_class("adam")([flat.vector], lr=lr)
    together = []
    for _ in range(n_steps):
        together.append(step.run(U)[0].tolist())
        optimizer.step()
    np.testing.assert_allclose(np.transpose(together), alone, rtol=1e-6)
    assert (np.array(alone)[:, -1] < np.array(alone)[:, 0]).all()


# -- without what torch does not document ------------------------------------------


def rules_of_a_bare_torch(monkeypatch):
    """Return the rules that a torch without operations in `torch.ops` would give."""
    with monkeypatch.context() as patch:
        patch.setattr(torch, "ops", SimpleNamespace(aten=SimpleNamespace()))
        return _layers._rules()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("missing", ["derivatives", "outputs"])
def test_gradients_are_the_same_without_private_operations(
    activation, missing, monkeypatch
):
    def gradient():
        module = make(network=MLP((5, 4), activation=activation))
        flat = FlatParameters(module)
        DenseStep(flat, N_ROWS).run(4 * rows() - 2)
        return flat.gradient

    with torch.inference_mode():  # as in training
        expected = gradient()
    bare = rules_of_a_bare_torch(monkeypatch)
    assert {rule.backward for rule in bare.values()} == {None}
    if missing == "outputs":
        bare = {
            kind: rule._replace(backward=_layers.RULES[kind].backward)
            for kind, rule in bare.items()
        }
    monkeypatch.setattr(_layers, "RULES", bare)
    with torch.inference_mode():
        found = gradient()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


# -- what the engine knows ---------------------------------------------------------


class Edited(Architecture):
    """An MLP whose network a function changes."""

    _parameter_constraints = {}

    def __init__(self, edit, activation="tanh"):
        self.edit, self.activation = edit, activation

    def build_encoder(self, n_features, n_outputs, rng):
        return self._edited("build_encoder", n_features, n_outputs, rng)

    def build_decoder(self, n_components, n_outputs, rng):
        return self._edited("build_decoder", n_components, n_outputs, rng)

    def _edited(self, method, *args):
        network = getattr(MLP((5, 4), activation=self.activation), method)(*args)
        with torch.random.fork_rng():  # layers of torch draw from the global generator
            torch.manual_seed(0)
            self.edit(network)
        return network


def with_bias(network):
    output = network.output
    network.output = nn.Linear(output.in_features, output.out_features)


def with_layer(position, layer):
    def edit(network):
        network.hidden[position] = layer()

    return edit


def with_other_linear(network):
    layer = network.hidden[2]
    network.hidden[2] = OtherLinear(layer.in_features, layer.out_features)


class OtherLinear(nn.Linear):
    """Computes something else."""

    def forward(self, X):
        return super().forward(X).abs()


class OtherGaussian(Gaussian):
    """Computes something else."""

    def log_prob(self, params, X, log_scale=None):
        return 2 * super().log_prob(params, X, log_scale)


class OtherModule(AutoencoderModule):
    """Computes something else."""

    def loss(self, output, U):
        loss, terms = super().loss(output, U)
        return 2 * loss, terms


OTHER_LAYERS = {
    "slope of LeakyReLU": with_layer(1, lambda: nn.LeakyReLU(0.2)),
    "approximate GELU": with_layer(3, lambda: nn.GELU("tanh")),
    "alpha of ELU": with_layer(3, lambda: nn.ELU(2.0)),
    "beta of Softplus": with_layer(1, lambda: nn.Softplus(beta=2.0)),
    "unknown activation": with_layer(1, nn.Mish),
    "dropout of torch": with_layer(3, nn.Dropout),
    "subclass of Linear": with_other_linear,
    "bias in the output": with_bias,
}


@BOTH_KINDS
def test_every_activation_likelihood_and_dropout_of_the_package_is_known(kind):
    for activation in ACTIVATIONS:
        assert is_dense(make(kind, network=MLP(activation=activation, dropout=0.1)))
    for likelihood in (Gaussian(), Laplace(), Bernoulli()):
        assert is_dense(make(kind, likelihood=likelihood))
    assert is_dense(make(kind, network=MLP(())))


@BOTH_KINDS
@pytest.mark.parametrize("normalization", ["batch", "layer"])
def test_normalisation_is_left_to_autograd(kind, normalization):
    assert not is_dense(make(kind, network=MLP((5,), normalization=normalization)))


@pytest.mark.parametrize("edit", OTHER_LAYERS.values(), ids=OTHER_LAYERS)
def test_other_layers_are_left_to_autograd(edit):
    assert not is_dense(make(AutoencoderModule, network=Edited(edit)))


def test_subclasses_are_left_to_autograd():
    assert not is_dense(make(likelihood=OtherGaussian()))
    assert not is_dense(make(OtherModule))


class ResidualBlock(nn.Module):
    def __init__(self, n_inputs, n_outputs, rng):
        super().__init__()
        self.hidden, self.output = (
            nn.utils.skip_init(nn.Linear, n_inputs, n) for n in (n_inputs, n_outputs)
        )
        for weight in self.parameters():
            nn.init.uniform_(weight, -0.3, 0.3, generator=rng.generator())

    def forward(self, X):
        return self.output(X + torch.sin(self.hidden(X)))


class Residual(Architecture):
    """A network that is no MLP."""

    _parameter_constraints = {}

    def build_encoder(self, n_features, n_outputs, rng):
        return ResidualBlock(n_features, n_outputs, rng)

    build_decoder = build_encoder


# -- whole fits --------------------------------------------------------------------

X_WINE = load_wine().data
X_DIGITS = load_digits().data[:300] / 16
SMALL = {"n_components": 3, "max_epochs": 5, "device": "cpu", "random_state": 0}


@pytest.fixture(autouse=True)
def engine():
    """Let fits take the engine, whatever the environment says."""
    with config_context(engine="auto"):
        yield


@pytest.fixture
def runs(monkeypatch):
    """Return a list that names the way to the gradients of every batch."""
    record = []

    def spied(cls):
        run = cls.run

        def spy(self, *args, **kwargs):
            record.append(cls)
            return run(self, *args, **kwargs)

        return spy

    for cls in (DenseGradients, AutogradGradients):
        monkeypatch.setattr(cls, "run", spied(cls))
    return record


def weights(estimator):
    return {k: v.numpy() for k, v in estimator.module_.state_dict().items()}


def assert_same_training(one, two):
    """Compare histories in nats per row, and weights."""
    columns = [c for c in one.history_ if c not in ("epoch", "seconds")]
    pd.testing.assert_frame_equal(
        one.history_[columns], two.history_[columns], rtol=1e-5, atol=1e-6
    )
    for name, array in weights(one).items():
        # Adam moves a weight by as much where its gradient is hardly more than rounding
        np.testing.assert_allclose(
            weights(two)[name], array, rtol=1e-4, atol=1e-4, err_msg=name
        )


def small(estimator):
    """Return parameters of a small fit, without a law that is ill-conditioned."""
    return SMALL | ({"likelihood": "gaussian"} if estimator is VAETransformer else {})


def fit_both_ways(fit, runs):
    """Return what `fit` returns by hand and by autograd, and see that it was so."""
    by_hand = fit()
    assert set(runs) == {DenseGradients}
    runs.clear()
    with config_context(engine="autograd"):
        by_autograd = fit()
    assert set(runs) == {AutogradGradients}
    return by_hand, by_autograd


@pytest.mark.parametrize(
    ("estimator", "options"),
    [
        (AutoencoderTransformer, {}),
        (AutoencoderTransformer, {"loss": "absolute_error"}),
        (AutoencoderTransformer, {"loss": Gaussian(), "init": "random"}),
        (AutoencoderTransformer, {"architecture": MLP((8,), dropout=0.2)}),
        (AutoencoderTransformer, {"architecture": MLP(())}),
        (AutoencoderTransformer, {"early_stopping": False, "optimizer": "sgd"}),
        (AutoencoderTransformer, {"init": "random", "weight_decay": 0.1}),
        (VAETransformer, {}),
        (VAETransformer, {"likelihood": "laplace"}),
        (VAETransformer, {"likelihood": Gaussian(scale=0.7), "beta": 3.0}),
        (VAETransformer, {"architecture": MLP((8,), dropout=0.2)}),
        (VAETransformer, {"kl_warmup": 0.5, "early_stopping": False}),
        (VAETransformer, {"free_bits": 0.3}),
        (VAETransformer, {"elbo": "monte_carlo", "n_draws": 2}),
        (VAETransformer, {"init": "random", "optimizer": "rmsprop"}),
    ],
    ids=str,
)
def test_a_fit_is_the_same_by_hand_and_by_autograd(estimator, options, runs):
    options = {"architecture": MLP((16, 8))} | small(estimator) | options
    assert_same_training(*fit_both_ways(lambda: estimator(**options).fit(X_WINE), runs))


def test_a_calibrated_fit_is_the_same_but_for_the_tails(runs):
    options = {"architecture": MLP((16, 8))} | SMALL
    one, two = fit_both_ways(lambda: VAETransformer(**options).fit(X_WINE), runs)
    # a tail near zero turns round at zero, where its gradient is rounding
    columns = ["train_loss", "validation_loss", "validation_kl"]
    np.testing.assert_allclose(one.history_[columns], two.history_[columns], rtol=2e-4)
    np.testing.assert_allclose(one.transform(X_WINE), two.transform(X_WINE), atol=5e-3)


@pytest.mark.parametrize(
    ("estimator", "options"),
    [
        (AutoencoderTransformer, {"loss": "binary_cross_entropy"}),
        (VAETransformer, {"likelihood": "bernoulli"}),
    ],
)
def test_a_fit_of_pixels_is_the_same_by_hand_and_by_autograd(estimator, options, runs):
    options = {"architecture": MLP((16,))} | SMALL | options
    assert_same_training(
        *fit_both_ways(lambda: estimator(**options).fit(X_DIGITS), runs)
    )


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_going_on_is_the_same_by_hand_and_by_autograd(estimator, runs):
    options = small(estimator) | {"early_stopping": False, "max_epochs": 2}

    def stream():
        fitted = estimator(**options)
        for _ in range(3):
            fitted.partial_fit(X_WINE)
        return fitted

    def twice():
        return estimator(warm_start=True, **options).fit(X_WINE).fit(X_WINE)

    assert_same_training(*fit_both_ways(stream, runs))
    runs.clear()
    assert_same_training(*fit_both_ways(twice, runs))


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
def test_early_stopping_stops_by_hand_where_it_stops_by_autograd(estimator, runs):
    noise = np.random.RandomState(0).normal(size=(120, 10))
    options = SMALL | {"max_epochs": 100, "lr": 0.01, "n_iter_no_change": 3}
    one, two = fit_both_ways(
        lambda: estimator(**options, early_stopping=True).fit(noise), runs
    )
    assert one.n_epochs_ == two.n_epochs_ < 100
    assert one.best_epoch_ == two.best_epoch_
    np.testing.assert_allclose(one.transform(noise), two.transform(noise), atol=1e-2)


def test_a_callback_sees_the_same_output_by_hand_and_by_autograd(runs):
    class Outputs(skorch.callbacks.Callback):
        def on_batch_end(self, net, training=None, y_pred=None, **kwargs):
            if training:
                seen.append([t.clone() for t in y_pred])

    def fit():
        options = SMALL | {"max_epochs": 1, "callbacks": [Outputs()]}
        return VAETransformer(n_draws=2, **options).fit(X_WINE)

    seen = []
    fit_both_ways(fit, runs)
    half = len(seen) // 2
    assert len(seen) == 2 * half > 2
    torch.testing.assert_close(seen[:half], seen[half:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize(
    "network", [Residual(), *(Edited(edit) for edit in OTHER_LAYERS.values())],
    ids=["residual", *OTHER_LAYERS],
)  # fmt: skip
def test_a_network_that_is_not_known_trains_by_autograd(estimator, network, runs):
    options = SMALL | {"init": "random", "lr": 0.01}
    fitted = estimator(architecture=network, **options).fit(X_WINE)
    assert set(runs) == {AutogradGradients}
    assert fitted.loss_curve_[-1] < fitted.loss_curve_[0] - 0.1
    assert np.isfinite(fitted.reconstruct(X_WINE)).all()


def freeze(network):
    network.hidden[0].weight.requires_grad_(False)


def share(network):
    width = network.output.in_features
    layer = nn.Linear(width, width)
    network.hidden.extend([layer, nn.Tanh(), layer, nn.Tanh()])


def tie(network):
    width = network.output.in_features
    layers = [nn.Linear(width, width) for _ in range(2)]
    layers[1].weight = layers[0].weight
    network.hidden.extend([layers[0], nn.Tanh(), layers[1], nn.Tanh()])


def drop_bias(network):
    network.hidden[0].bias = None


def stack_activations(network):
    network.hidden.append(nn.Sigmoid())


def hook(network):
    network.hidden.register_forward_hook(lambda module, args, output: 2 * output)


def hook_gradient(network):
    network.hidden[0].weight.register_hook(lambda gradient: 0 * gradient)


def hook_before_backward(network):
    def double(module, gradients):
        return tuple(2 * gradient for gradient in gradients)

    network.output.register_full_backward_pre_hook(double)


def hook_after_gradient(network):
    def halve(parameter):
        parameter.grad.mul_(0.5)

    network.hidden[0].weight.register_post_accumulate_grad_hook(halve)


def empty(network):
    network.output = nn.Linear(
        network.hidden[0].in_features, network.output.out_features, bias=False
    )
    network.hidden = nn.Sequential()


@pytest.mark.parametrize(
    "edit",
    [
        freeze, share, drop_bias, stack_activations, hook, empty,
        tie, hook_gradient, hook_before_backward, hook_after_gradient,
    ],
)  # fmt: skip
def test_an_edited_mlp_trains_as_by_autograd(edit):
    def fit(engine):
        options = SMALL | {"init": "random", "architecture": Edited(edit)}
        with config_context(engine=engine):
            return AutoencoderTransformer(**options).fit(X_WINE)

    assert_same_training(fit("auto"), fit("autograd"))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.AdamW])
@pytest.mark.parametrize("at", [1, 3])
def test_a_callback_freezes_weights_by_hand_as_by_autograd(optimizer, at):
    class Weights(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append({n: p.numpy().copy() for n, p in parameters(net)})

    def parameters(net):
        return [(n, p.detach()) for n, p in net.module_.named_parameters()]

    def fit(engine):
        callbacks = [skorch.callbacks.Freezer("encoder.*", at=at), Weights()]
        with config_context(engine=engine):
            return VAETransformer(
                **small(VAETransformer), init="random", weight_decay=0.1,
                optimizer=optimizer, callbacks=callbacks, early_stopping=False,
            ).fit(X_WINE)  # fmt: skip

    seen = []
    assert_same_training(fit("auto"), fit("autograd"))
    for epoch in range(1, 5):
        for name, before in seen[epoch - 1].items():
            stays = name.startswith("encoder") and epoch + 1 >= at
            assert np.array_equal(seen[epoch][name], before) == stays, (epoch, name)
