"""All weights as one vector: the same steps as torch's, and nothing left behind."""

import io
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import skorch.callbacks
import torch
from sklearn.datasets import load_wine
from torch import nn

from skae import AutoencoderTransformer, VAETransformer
from skae._random import Rng
from skae._training import _optimizers
from skae._training._flat import FlatParameters
from skae._training._optimizer_names import OPTIMIZERS
from skae._training._optimizers import (
    FusedStep,
    optimizer_class,
    optimizer_options,
)
from skae.architectures import MLP, Architecture

X = load_wine().data
BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
SMALL = {
    "n_components": 3, "architecture": MLP((8,)), "max_epochs": 3, "random_state": 0
}  # fmt: skip


def make(seed=0, activation="tanh"):
    """Return a small network with random weights and a buffer."""
    network = MLP((5, 4), activation=activation).build_encoder(6, 3, Rng(seed))
    network.register_buffer("buffer", torch.full((2,), float(seed)))
    return network


def loss_of(network):
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    rows = rows.to(network.output.weight.dtype)
    return (network(rows) - rows[:, :3].square()).square().mean()


def arrays(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def memory_of(module):
    return {p.untyped_storage().data_ptr() for p in module.parameters()}


# -- one vector ------------------------------------------------------------------


def test_parameters_are_views_of_one_vector_until_they_are_released():
    networks = [make(0), make(1)]
    before = [arrays(network) for network in networks]
    flat = FlatParameters(*networks)
    n_weights = sum(p.numel() for p in networks[0].parameters())
    assert flat.vector.numel() == 2 * n_weights
    here = {flat.vector.untyped_storage().data_ptr()}
    assert memory_of(networks[0]) == memory_of(networks[1]) == here
    flat.release()
    for network, arrays_before in zip(networks, before, strict=True):
        assert not memory_of(network) & here
        for name, parameter in network.named_parameters():
            assert torch.equal(parameter, arrays_before[name])
            assert parameter.is_contiguous()
            assert parameter.untyped_storage().nbytes() == parameter.nbytes
            assert parameter.grad is None
            assert parameter.requires_grad


def test_what_changes_the_vector_changes_every_member_and_vice_versa():
    networks = [make(0), make(1)]
    flat = FlatParameters(*networks)
    weight = networks[1].hidden[2].weight
    assert weight.shape == (4, 5)
    before = weight.detach().clone()
    with torch.no_grad():
        flat.vector += 1
        assert torch.equal(weight, before + 1)
        weight.fill_(7)
    assert (flat.values["hidden.2.weight"][1] == 7).all()
    assert not (flat.values["hidden.2.weight"][0] == 7).any()
    assert (flat.vector == 7).sum() == 20


def test_gradients_by_autograd_land_in_the_vector():
    network, alone = make(), make()
    flat = FlatParameters(network)
    loss_of(network).backward()
    loss_of(alone).backward()
    expected = torch.cat([p.grad.flatten() for p in alone.parameters()])
    assert torch.equal(flat.gradient, expected)
    assert flat.vector.grad is flat.gradient


def test_a_copy_brings_back_weights_and_buffers():
    networks = [make(0), make(1)]
    flat = FlatParameters(*networks)
    before = [arrays(network) for network in networks]
    restore = flat.copy()
    for _ in range(2):
        with torch.no_grad():
            flat.vector.fill_(5)
            for network in networks:
                network.buffer.fill_(5)
        restore()
    for network, expected in zip(networks, before, strict=True):
        torch.testing.assert_close(arrays(network), expected, rtol=0, atol=0)
    assert memory_of(networks[0]) == {flat.vector.untyped_storage().data_ptr()}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_is_found(value):
    flat = FlatParameters(make(0), make(1))
    assert flat.are_finite()
    with torch.no_grad():
        flat.vector[-1] = value
    assert not flat.are_finite()


@BOTH
def test_a_fitted_module_owns_its_weights_and_no_more(estimator):
    module = estimator(**SMALL | {"early_stopping": True}).fit(X).module_
    for parameter in module.parameters():
        assert parameter.is_contiguous()
        assert parameter.untyped_storage().nbytes() == parameter.nbytes
        assert not parameter.is_inference()
        assert parameter.grad is None
    state = module.state_dict()
    n_bytes = sum(tensor.nbytes for tensor in state.values())
    file = io.BytesIO()
    torch.save(state, file)
    assert len(file.getvalue()) < n_bytes + 600 * len(state) + 2000  # its headers


def test_a_fit_keeps_no_gradients_and_no_second_copy_of_the_weights():
    net = AutoencoderTransformer(**SMALL).fit(X).net_
    assert net.flat_.vector.numel() == 0
    assert net.flat_.vector.grad is net.flat_.gradient is net.flat_.values is None
    assert net.gradients_ is None


class Bound(nn.Module):
    """A layer, one that shares its weights, one that does not learn, and the output."""

    def __init__(self, n_inputs, n_outputs, rng):
        super().__init__()
        layers = (n_inputs, 6), (6, 6), (6, 6), (6, 6), (6, n_outputs)
        layers = [nn.utils.skip_init(nn.Linear, *sizes) for sizes in layers]
        *self.hidden, self.output = self.layers = nn.ModuleList(layers)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -0.5, 0.5, generator=rng.generator())
        layers[2].weight = layers[1].weight
        layers[3].requires_grad_(False)

    def forward(self, X):
        for layer in self.hidden:
            X = torch.tanh(layer(X))
        return self.output(X)


class BoundArchitecture(Architecture):
    """A network with tied weights and weights that do not learn."""

    _parameter_constraints = {}

    def build_encoder(self, n_features, n_outputs, rng):
        return Bound(n_features, n_outputs, rng)

    build_decoder = build_encoder


@pytest.mark.parametrize("optimizer", ["adamw", torch.optim.SGD])
def test_tied_weights_stay_tied_and_frozen_ones_stay_as_they_are(optimizer):
    def fit(lr):
        options = SMALL | {"architecture": BoundArchitecture(), "lr": lr}
        module = AutoencoderTransformer(
            init="random", early_stopping=False, optimizer=optimizer,
            weight_decay=0.1, **options,
        ).fit(X)  # fmt: skip
        return module.module_.encoder.network.layers

    start, layers = fit(1e-30), fit(0.01)
    assert layers[1].weight is layers[2].weight
    assert not torch.equal(layers[1].weight, start[1].weight)
    assert not torch.equal(layers[2].bias, layers[1].bias)
    assert torch.equal(layers[3].weight, start[3].weight)
    assert not layers[3].weight.requires_grad
    assert layers[3].weight.untyped_storage().nbytes() == layers[3].weight.nbytes


# -- names -------------------------------------------------------------------------


def take_steps(optimizer, network, n_steps=10):
    for _ in range(n_steps):
        optimizer.zero_grad(set_to_none=False)
        loss_of(network).backward()
        optimizer.step()


def named_optimizer(name, flat, lr=0.02, weight_decay=0.1):
    """Return what training makes of a name."""
    cls = optimizer_class(name)
    options = optimizer_options(name, cls, weight_decay)
    return cls([("weights", flat.vector)], lr=lr, **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_a_name_means_torchs_optimiser_of_that_name(name, weight_decay):
    network, alone = make().double(), make().double()
    flat = FlatParameters(network)
    take_steps(named_optimizer(name, flat, weight_decay=weight_decay), network)
    cls = getattr(torch.optim, OPTIMIZERS[name])
    theirs = cls(alone.parameters(), lr=0.02, weight_decay=weight_decay)
    take_steps(theirs, alone)
    for ours, expected in zip(network.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)
    start = FlatParameters(make().double()).vector
    assert (flat.vector - start).abs().max() > 1e-4


def test_every_name_is_of_an_optimiser_that_takes_weights_one_by_one():
    for name, cls in OPTIMIZERS.items():
        assert name == cls.lower()
        flat = FlatParameters(make())
        assert isinstance(named_optimizer(name, flat), getattr(torch.optim, cls))


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_fused_step_is_torchs_to_the_bit(name, dtype):
    network, alone = make().to(dtype), make().to(dtype)
    flat, flat_alone = FlatParameters(network), FlatParameters(alone)
    ours = named_optimizer(name, flat)
    assert isinstance(ours, FusedStep)
    cls = getattr(torch.optim, OPTIMIZERS[name])
    theirs = cls([flat_alone.vector], lr=0.02, weight_decay=0.1, fused=True)
    take_steps(ours, network)
    take_steps(theirs, alone)
    assert torch.equal(flat.vector, flat_alone.vector)
    for key, moment in theirs.state[flat_alone.vector].items():
        assert torch.equal(ours.state[flat.vector][key], moment), key


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("direction", ["to torch", "from torch"])
def test_a_fused_step_goes_on_from_torchs_state_and_torch_from_its(name, direction):
    def torchs(flat):
        cls = getattr(torch.optim, OPTIMIZERS[name])
        return cls([("weights", flat.vector)], lr=0.02, weight_decay=0.1, fused=True)

    def ours(flat):
        return named_optimizer(name, flat)

    first, second = (ours, torchs) if direction == "to torch" else (torchs, ours)
    network, alone = make(), make()
    flat, flat_alone = FlatParameters(network), FlatParameters(alone)
    before = first(flat)
    take_steps(before, network, 4)
    after = second(flat)
    after.load_state_dict(before.state_dict())
    take_steps(after, network, 4)
    take_steps(torchs(flat_alone), alone, 8)
    # not to the bit on every processor: torch computes the ends of a vector otherwise
    torch.testing.assert_close(flat.vector, flat_alone.vector, rtol=1e-6, atol=1e-7)


def test_a_fused_step_runs_its_closure_first():
    network = make()
    flat = FlatParameters(network)
    optimizer, before = named_optimizer("adam", flat), flat.vector.detach().clone()

    def closure():
        assert torch.equal(flat.vector, before)
        return loss_of(network).backward() or 3.0

    assert optimizer.step(closure) == 3.0
    assert not torch.equal(flat.vector, before)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_without_the_fused_operation_a_fit_is_the_same(name, monkeypatch):
    options = SMALL | {"optimizer": name, "early_stopping": True, "weight_decay": 0.1}
    fused = VAETransformer(**options).fit(X)
    # a torch that names the operation otherwise
    names = {k: v for k, v in vars(torch).items() if not k.startswith("_fused_")}
    monkeypatch.setattr(_optimizers, "torch", SimpleNamespace(**names))
    plain = VAETransformer(**options).fit(X)
    assert isinstance(fused.net_.optimizer_, FusedStep)
    assert not isinstance(plain.net_.optimizer_, FusedStep)
    columns = [c for c in fused.history_ if c != "seconds"]
    pd.testing.assert_frame_equal(
        fused.history_[columns], plain.history_[columns], rtol=1e-6, atol=1e-6
    )


def test_the_default_optimiser_is_one_operation():
    optimizer = AutoencoderTransformer(**SMALL).fit(X).net_.optimizer_
    assert isinstance(optimizer, torch.optim.AdamW)
    assert type(optimizer).step is FusedStep.step  # torch has wrapped it in nothing


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_what_an_optimiser_remembers_can_be_used_with_autograd_on(optimizer):
    ae = AutoencoderTransformer(**SMALL, optimizer=optimizer, early_stopping=False)
    (state,) = ae.partial_fit(X).net_.optimizer_.state.values() or [{}]
    for tensor in state.values():
        assert not (isinstance(tensor, torch.Tensor) and tensor.is_inference())


# -- classes and partials ------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer",
    [
        *OPTIMIZERS,
        torch.optim.LBFGS,
        torch.optim.Adafactor,
        torch.optim.Adam,
        partial(torch.optim.Adam, betas=(0.8, 0.99)),
        partial(torch.optim.LBFGS, max_iter=5, line_search_fn="strong_wolfe"),
        partial(torch.optim.SGD, momentum=0.9, nesterov=True),
    ],
    ids=str,
)
def test_every_optimiser_lowers_the_loss_of_an_autoencoder(optimizer):
    lr = 1.0 if optimizer == "adadelta" else 0.01
    ae = AutoencoderTransformer(
        init="random", optimizer=optimizer, lr=lr, batch_size=len(X),
        early_stopping=False, **SMALL | {"max_epochs": 5},
    ).fit(X)  # fmt: skip
    assert (np.diff(ae.loss_curve_) < 0).all()
    assert ae.loss_curve_[-1] < ae.loss_curve_[0] - 0.02


@pytest.mark.parametrize(
    "optimizer", [torch.optim.Adafactor, partial(torch.optim.RMSprop, momentum=0.5)]
)
def test_an_optimiser_of_torch_lowers_the_loss_of_a_vae(optimizer):
    vae = VAETransformer(
        init="random", optimizer=optimizer, lr=0.01, early_stopping=False,
        **SMALL | {"max_epochs": 10},
    ).fit(X)  # fmt: skip
    assert vae.loss_curve_[-1] < vae.loss_curve_[0] - 1


def test_a_partial_reaches_the_optimiser():
    optimizer = partial(torch.optim.Adam, betas=(0.8, 0.99))
    ae = AutoencoderTransformer(
        **SMALL, optimizer=optimizer, lr=0.02, schedule="constant"
    ).fit(X)
    (group,) = ae.net_.optimizer_.param_groups
    assert group["betas"] == (0.8, 0.99)
    assert group["lr"] == 0.02


def test_a_class_of_torch_gets_the_parameters_one_by_one():
    ae = AutoencoderTransformer(**SMALL, optimizer=torch.optim.Adafactor).fit(X)
    (group,) = ae.net_.optimizer_.param_groups
    assert len(group["params"]) == len(list(ae.module_.parameters()))


@pytest.mark.parametrize("name", ["adam", "sgd", "adagrad", "rmsprop"])
def test_a_name_and_its_class_give_the_same_fit(name):
    options = SMALL | {"early_stopping": True, "lr": 0.01}
    cls = getattr(torch.optim, OPTIMIZERS[name])
    one = AutoencoderTransformer(**options, optimizer=name).fit(X)
    two = AutoencoderTransformer(**options, optimizer=cls).fit(X)
    np.testing.assert_allclose(one.loss_curve_, two.loss_curve_, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.Adam])
@pytest.mark.parametrize(
    ("policy", "options", "expected"),
    [
        ("StepLR", {"step_size": 1, "gamma": 0.5}, [1e-2, 5e-3, 2.5e-3]),
        (
            "CosineAnnealingLR", {"T_max": 3},
            0.5e-2 * (1 + np.cos(np.pi * np.arange(3) / 3)),
        ),
    ],
)  # fmt: skip
def test_a_schedule_of_torch_sets_the_step_size(optimizer, policy, options, expected):
    scheduler = skorch.callbacks.LRScheduler(policy, **options)
    ae = AutoencoderTransformer(
        **SMALL, optimizer=optimizer, lr=1e-2, schedule="constant",
        callbacks=[scheduler], early_stopping=False,
    ).fit(X)  # fmt: skip
    np.testing.assert_allclose(ae.history_["lr"], expected, rtol=1e-6)


def test_a_step_size_that_falls_to_zero_stops_the_weights():
    class Weights(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(net.flat_.vector.detach().clone())

    seen = []
    scheduler = skorch.callbacks.LRScheduler("LambdaLR", lr_lambda=lambda e: e < 1)
    AutoencoderTransformer(
        **SMALL, schedule="constant", callbacks=[scheduler, Weights()],
        early_stopping=False,
    ).fit(X)  # fmt: skip
    assert not torch.equal(seen[0], 0 * seen[0])
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2])


# -- the import that is not needed ---------------------------------------------------

SCRIPT = """
import sys
import numpy as np
from skae import AutoencoderTransformer, VAETransformer

X = np.random.RandomState(0).normal(size=(120, 4))
VAETransformer(2, max_epochs=1, early_stopping=True).fit(X).transform(X)
print("the default", "torch._dynamo" in sys.modules, sep=": ")
for optimizer in ("sgd", "rmsprop"):
    AutoencoderTransformer(2, max_epochs=1, optimizer=optimizer).fit(X)
    print(optimizer, "torch._dynamo" in sys.modules, sep=": ")
"""


@pytest.fixture(scope="module")
def imports():
    """Return whether torch's compiler is there after fits in a new process."""
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    return dict(line.split(": ") for line in run.stdout.splitlines())


@pytest.mark.parametrize("optimizer", ["the default", "sgd", "rmsprop"])
def test_a_fit_does_not_import_torchs_compiler(optimizer, imports):
    assert imports[optimizer] == "False"
