"""Choices about the arithmetic: switches, precision, threads."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine

from skae import (
    AutoencoderTransformer,
    VAETransformer,
    config_context,
    get_config,
    set_config,
)
from skae._sklearn import InvalidParameterError
from skae._training._dense import _onednn
from skae._training._threads import threads_for
from skae.architectures import MLP

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
X = load_wine().data
X_DIGITS = load_digits().data[:200]
SMALL = {
    "n_components": 3, "architecture": MLP((16,)), "early_stopping": True,
    "random_state": 0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(autouse=True)
def config():
    """Return the switches, and put them back after each test."""
    before = dict(get_config())
    yield dict(before)
    set_config(**before)


# -- switches ------------------------------------------------------------------------


def test_a_switch_keeps_its_value_until_it_is_set_again():
    set_config(engine="autograd")
    assert get_config()["engine"] == "autograd"
    set_config(onednn="off")
    assert get_config() == {"engine": "autograd", "onednn": "off"}
    set_config(engine="auto")
    assert get_config() == {"engine": "auto", "onednn": "off"}


def test_a_copy_of_the_switches_is_no_switch(config):
    get_config()["engine"] = "autograd"
    assert get_config() == config


@pytest.mark.parametrize("name", ["engine", "onednn"])
@pytest.mark.parametrize("value", ["fast", "", 1, True, ["auto"]], ids=str)
def test_a_wrong_value_is_refused_with_the_valid_ones(name, value, config):
    with pytest.raises(InvalidParameterError, match=rf"{name} must be .*'auto'"):
        set_config(**{name: value})
    with (
        pytest.raises(InvalidParameterError, match=name),
        config_context(**{name: value}),
    ):
        pytest.fail("the block was entered")
    assert get_config() == config


def test_one_wrong_value_changes_no_switch(config):
    with pytest.raises(InvalidParameterError, match="onednn"):
        set_config(engine="autograd", onednn="no")
    assert get_config() == config


def test_an_unknown_switch_is_refused(config):
    with pytest.raises(TypeError, match="speed"):
        set_config(speed="high")
    with pytest.raises(TypeError, match="speed"), config_context(speed="high"):
        pytest.fail("the block was entered")
    assert get_config() == config


def test_a_context_ends_with_its_block(config):
    with config_context(engine="autograd"):
        assert get_config()["engine"] == "autograd"
        with config_context(onednn="off"):
            assert get_config() == {"engine": "autograd", "onednn": "off"}
        set_config(onednn="on")
    assert get_config() == config


def test_a_context_ends_with_an_error_too(config):
    with pytest.raises(KeyError), config_context(engine="autograd", onednn="off"):
        raise KeyError
    assert get_config() == config


@pytest.mark.parametrize("engine", ["auto", "autograd"])
def test_the_environment_sets_the_switches_of_a_process(engine):
    code = "import skae; print(skae.get_config()['engine'])"
    environment = os.environ | {"SKAE_ENGINE": engine}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout == f"{engine}\n"


@pytest.mark.skipif(_onednn._operation() is None, reason="this torch has no oneDNN")
@BOTH
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_onednn_changes_large_layers_by_rounding_alone(estimator, dropout, monkeypatch):
    def spy(self):
        shapes.add(tuple(self.weight.shape[1:]))
        return forward(self)

    shapes, forward = set(), _onednn.OneDNNLinear.forward
    monkeypatch.setattr(_onednn.OneDNNLinear, "forward", spy)
    options = {
        "n_components": 60, "architecture": MLP((300,), dropout=dropout),
        "init": "random", "max_epochs": 2,
    }  # fmt: skip
    fitted = []
    for switch in ("on", "off"):
        with config_context(engine="auto", onednn=switch):
            fitted.append(estimator(**SMALL | options).fit(X_DIGITS))
        # first and last layers of encoder and decoder: outputs of two are added up
        wide = 300, 60 * (1 + (estimator is VAETransformer))
        expected = {(300, 64), wide[::-1], (300, 60), (64, 300)}
        assert shapes == (expected if switch == "on" else set())
        shapes.clear()
    np.testing.assert_allclose(*(f.loss_curve_ for f in fitted), rtol=1e-5)
    codes = [f.transform(X_DIGITS) for f in fitted]
    np.testing.assert_allclose(*codes, rtol=1e-3, atol=1e-3)


# -- precision -------------------------------------------------------------------------


@BOTH
def test_bfloat16_trains_nearly_as_well_as_float32(estimator):
    options = SMALL | {"max_epochs": 10, "init": "random", "lr": 0.01}
    full = estimator(**options).fit(X)
    half = estimator(**options, precision="bf16").fit(X)
    start, end, expected = (
        half.history_["validation_loss"].iloc[0],
        half.history_["validation_loss"].min(),
        full.history_["validation_loss"].min(),
    )
    assert end < start - 3
    assert end == pytest.approx(expected, rel=0.05)
    gaps = np.abs(half.loss_curve_ / full.loss_curve_ - 1)
    assert gaps.max() > 1e-5  # the same numbers would mean the same precision


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inference_after_bfloat16_has_the_precision_of_x(estimator, dtype):
    fitted = estimator(**SMALL, max_epochs=2, precision="bf16").fit(X)
    assert {p.dtype for p in fitted.module_.parameters()} == {torch.float32}
    Z = fitted.transform(X.astype(dtype))
    assert Z.dtype == dtype
    with torch.no_grad():
        module = fitted.module_.to(torch.float64)
        exact = module.transform(torch.from_numpy(X))
    # bfloat16 has 8 bits
    np.testing.assert_allclose(Z, exact, rtol=1e-4, atol=1e-4)


def test_bfloat16_is_that_of_the_networks_in_training():
    seen = []

    class Watched(MLP):
        def build_encoder(self, *args):
            network = super().build_encoder(*args)
            network.hidden[0].register_forward_hook(
                lambda module, args, output: seen.append((network.training, output))
            )
            return network

    options = SMALL | {"architecture": Watched((16,)), "max_epochs": 1}
    AutoencoderTransformer(**options, precision="bf16").fit(X).transform(X)
    dtypes = {
        training: {output.dtype for was, output in seen if was == training}
        for training in (True, False)
    }
    assert dtypes[True] == {torch.bfloat16}
    assert torch.bfloat16 not in dtypes[False]


@BOTH
@pytest.mark.parametrize("precision", ["float16", "bfloat16", None, 16])
def test_an_unknown_precision_is_refused(estimator, precision):
    unfitted = estimator(precision=precision)
    with pytest.raises(InvalidParameterError, match=r"'precision'.*'bf16'"):
        unfitted.fit(X)
    assert not unfitted.__sklearn_is_fitted__()


# -- threads -------------------------------------------------------------------------


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_threads_of_a_small_step_are_those_of_its_own_thread_alone(two_threads):
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for pool in (one, other):  # torch sets a thread up when it is first asked
            assert pool.submit(torch.get_num_threads).result() == 2
        block = threads_for(1e6)
        one.submit(block.__enter__).result()
        seen = [pool.submit(torch.get_num_threads).result() for pool in (one, other)]
        assert seen == [1, 2]
        assert torch.get_num_threads() == 2
        one.submit(block.__exit__, None, None, None).result()
        assert one.submit(torch.get_num_threads).result() == 2


@BOTH
def test_a_fit_in_a_worker_gives_all_threads_back(estimator, two_threads):
    def fit():
        estimator(**SMALL, max_epochs=1).fit(X).transform(X)
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(fit).result() == 2
    assert torch.get_num_threads() == 2
    assert fit() == 2
