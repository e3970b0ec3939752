"""CUDA: what a CPU can show of it, and what needs a GPU."""

import copy
from contextlib import contextmanager, nullcontext, suppress

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine

from skae import AutoencoderTransformer, VAETransformer
from skae._modules import AutoencoderModule, VAEModule
from skae._random import Rng
from skae._training import _cuda
from skae._training._dense import DenseStep
from skae._training._flat import FlatParameters
from skae._training._gradients import CapturedGradients, DenseGradients
from skae._training._net import AutoencoderNet
from skae.architectures import MLP
from skae.likelihoods import Calibrated, Gaussian

needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device, and there is none"
)
BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
OBJECTIVE = {"beta": 2.0, "free_bits": 0.1, "n_draws": 2, "elbo": "analytic"}


# -- captured steps ------------------------------------------------------------------


class RecordedGraph:
    """Stands for a CUDA graph: keeps the steps that it captures, to run them again."""

    def __init__(self):
        self.steps = []

    def register_generator_state(self, generator):
        self.generator = generator

    def replay(self):
        for step in self.steps:
            compute(step)


compute = DenseStep.compute


@pytest.fixture
def graphs(monkeypatch):
    """Replace CUDA's graphs; return those that are being captured or were."""
    made, capturing = [], []

    @contextmanager
    def capture(graph):
        capturing.append(graph)
        made.append(graph)
        yield
        capturing.pop()

    def compute_or_record(step, *, keep_output=False):
        if capturing:
            capturing[-1].steps.append(step)
        else:
            compute(step, keep_output=keep_output)

    class Stream:
        def __init__(self, device):
            self.device = device

        def wait_stream(self, other):
            assert other.device == self.device

    monkeypatch.setattr(DenseStep, "compute", compute_or_record)
    monkeypatch.setattr(_cuda.torch.cuda, "CUDAGraph", RecordedGraph)
    monkeypatch.setattr(_cuda.torch.cuda, "graph", capture)
    monkeypatch.setattr(_cuda.torch.cuda, "Stream", Stream)
    monkeypatch.setattr(_cuda.torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(_cuda.torch.cuda, "stream", lambda stream: nullcontext())
    return made


@pytest.mark.parametrize("kind", [AutoencoderModule, VAEModule])
@pytest.mark.parametrize("likelihood", [Gaussian(), Calibrated()], ids=str)
def test_captured_steps_give_the_gradients_and_the_noise_of_steps_one_by_one(
    kind, likelihood, graphs
):
    module = kind(
        n_features=7, n_components=3, architecture=MLP((5,), dropout=0.2),
        likelihood=likelihood, rng=Rng(0), **(OBJECTIVE if kind is VAEModule else {}),
    ).train()  # fmt: skip
    one_by_one = DenseGradients(FlatParameters(copy.deepcopy(module)))
    captured = CapturedGradients(DenseGradients(FlatParameters(module)))
    rs = np.random.RandomState(0)
    for i, n_rows in enumerate((6, 5, 6, 6, 5)):
        U = torch.from_numpy(rs.normal(size=(n_rows, 7)).astype(np.float32))
        for gradients in (captured.gradients, one_by_one):
            gradients.flat.modules[0].set_warmup(i / 5)
        terms, expected = captured.run(U, U).clone(), one_by_one.run(U, U)
        assert torch.equal(terms, expected)
        assert torch.equal(captured.gradients.flat.gradient, one_by_one.flat.gradient)
    assert [len(graph.steps) for graph in graphs] == [1, 1]  # one for each size


def test_a_step_that_somebody_watches_is_not_captured(graphs):
    module = AutoencoderModule(
        n_features=4, n_components=2, architecture=MLP((5,)), likelihood=Gaussian(),
        rng=Rng(0),
    )  # fmt: skip
    captured = CapturedGradients(DenseGradients(FlatParameters(module)))
    U = torch.ones(3, 4)
    captured.run(U, U, keep_output=True)
    torch.testing.assert_close(captured.output().params, module(U).params)
    assert graphs == []


# -- TensorFloat-32 ------------------------------------------------------------------


def test_tensorfloat_is_off_on_cuda_alone_and_comes_back():
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    try:
        for allowed in (True, False):
            matmul.allow_tf32 = allowed
            with _cuda.exact_float32(torch.device("cpu")):
                assert matmul.allow_tf32 == allowed
            with suppress(KeyError), _cuda.exact_float32(torch.device("cuda")):
                assert not matmul.allow_tf32
                assert not torch.backends.cudnn.allow_tf32
                raise KeyError
            assert matmul.allow_tf32 == allowed
    finally:
        matmul.allow_tf32 = before


# -- with a GPU ----------------------------------------------------------------------


@needs_gpu
@BOTH
def test_a_fit_on_cuda_is_that_on_the_cpu_to_rounding(estimator):
    X = load_wine().data
    options = {"max_epochs": 5, "random_state": 0, "architecture": MLP((16,))}
    cpu = estimator(3, device="cpu", **options).fit(X)
    cuda = estimator(3, device="cuda", **options).fit(X)
    if estimator is AutoencoderTransformer:  # the noise is that of another generator
        np.testing.assert_allclose(cuda.loss_curve_, cpu.loss_curve_, rtol=1e-3)
    assert abs(cuda.score(X) - cpu.score(X)) < 0.05 * abs(cpu.score(X))


@needs_gpu
@BOTH
def test_a_fit_on_cuda_repeats_to_the_bit(estimator):
    X = load_wine().data
    options = {"max_epochs": 3, "random_state": 0, "device": "cuda"}
    one, two = (estimator(3, **options).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.transform(X), two.transform(X))


@needs_gpu
@BOTH
def test_no_epoch_on_cuda_waits_for_the_device(estimator, monkeypatch):
    run_steps = AutoencoderNet._run_steps

    def strict(self, iterator, sums):
        if len(self.history) > 1:  # the first makes the steps
            torch.cuda.set_sync_debug_mode("error")
        try:
            run_steps(self, iterator, sums)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(AutoencoderNet, "_run_steps", strict)
    estimator(3, max_epochs=3, device="cuda", random_state=0).fit(load_digits().data)


@needs_gpu
def test_bfloat16_on_cuda_trains_nearly_as_well():
    X = load_digits().data
    options = {"max_epochs": 10, "random_state": 0, "device": "cuda"}
    full = AutoencoderTransformer(8, **options).fit(X)
    half = AutoencoderTransformer(8, precision="bf16", **options).fit(X)
    assert abs(half.score(X) - full.score(X)) < 0.05
