"""Where rows come from changes no result: memory, a file, or a DataLoader."""

import pickle
import random
from copy import deepcopy
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from torch.utils.data import DataLoader

from skae import AutoencoderTransformer, VAETransformer
from skae._training import _batches
from skae.architectures import MLP

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
X_WINE = load_wine().data
X_DIGITS = load_digits().data[:200]
SMALL = {
    "n_components": 3,
    "architecture": MLP((8,), dropout=0.2),
    "max_epochs": 3,
    "early_stopping": True,
    "random_state": 0,
}

# Worker processes are forked, and as many as the tests want.
with_workers = [
    pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]


def bits(estimator):
    return [t.numpy().tobytes() for t in estimator.module_.state_dict().values()]


def assert_same_history(one, two, **tolerance):
    columns = [c for c in one.history_ if c != "seconds"]
    pd.testing.assert_frame_equal(
        one.history_[columns], two.history_[columns], **tolerance
    )


def global_state():
    state = np.random.get_state()  # noqa: NPY002
    numpys = state[1].tobytes(), *state[2:]
    return numpys, random.getstate(), torch.get_rng_state().numpy().tobytes()


@pytest.fixture
def gathered(monkeypatch):
    """No rows are kept in network space."""
    monkeypatch.setattr(_batches, "KEPT_BYTES", 0)


# -- a DataLoader --------------------------------------------------------------------


@pytest.mark.parametrize(
    "loader",
    [
        DataLoader,
        pytest.param(partial(DataLoader, num_workers=2), marks=with_workers),
        pytest.param(
            partial(DataLoader, num_workers=1, prefetch_factor=4), marks=with_workers
        ),
    ],
    ids=["class", "two workers", "one worker"],
)
@BOTH
def test_a_data_loader_gives_the_bits_of_a_fit_without(estimator, loader):
    options = SMALL | {"max_epochs": 2}
    plain = estimator(**options).fit(X_WINE)
    before = global_state()
    loaded = estimator(**options, data_loader=loader).fit(X_WINE)
    assert global_state() == before
    assert bits(loaded) == bits(plain)
    assert_same_history(loaded, plain, check_exact=True)


def test_a_data_loader_gives_the_same_bits_where_no_row_is_kept(gathered):
    plain = VAETransformer(**SMALL).fit(X_WINE)
    loaded = VAETransformer(**SMALL, data_loader=DataLoader).fit(X_WINE)
    assert bits(loaded) == bits(plain)


def test_the_data_loader_asked_for_is_the_one_that_loads():
    class Counted(DataLoader):
        def __iter__(self):
            for batch in super().__iter__():
                sizes.append(len(batch))
                yield batch

    sizes = []
    AutoencoderTransformer(
        **SMALL | {"early_stopping": False, "max_epochs": 2},
        batch_size=100, data_loader=partial(Counted, timeout=0),
    ).fit(X_WINE)  # fmt: skip
    assert sizes == 2 * [89, 89]


def test_a_stream_takes_a_data_loader():
    options = SMALL | {"early_stopping": False}
    plain, loaded = (
        VAETransformer(**options, data_loader=loader) for loader in (None, DataLoader)
    )
    for part in np.array_split(X_WINE, 3):
        plain.partial_fit(part)
        loaded.partial_fit(part)
    # not to the bit on every processor: by autograd, where a batch begins in memory may
    # decide how a sum is rounded
    for name, tensor in plain.module_.state_dict().items():
        other = loaded.module_.state_dict()[name]
        torch.testing.assert_close(other, tensor, rtol=1e-4, atol=1e-5)


def test_a_worker_may_start_as_a_new_process():  # as on macOS and Windows
    options = SMALL | {"max_epochs": 1, "early_stopping": False}
    loader = partial(DataLoader, num_workers=1, multiprocessing_context="spawn")
    plain = AutoencoderTransformer(**options).fit(X_WINE)
    loaded = AutoencoderTransformer(**options, data_loader=loader).fit(X_WINE)
    assert bits(loaded) == bits(plain)


@BOTH
def test_a_module_can_be_pickled_by_itself(estimator):
    module = estimator(**SMALL).fit(X_WINE).module_
    X = torch.from_numpy(X_WINE).float()
    with torch.no_grad():
        copy = pickle.loads(pickle.dumps(module))
        assert torch.equal(copy.transform(X), module.transform(X))


def test_a_copy_of_a_module_takes_up_the_scaling_that_it_loads():
    one, two = (
        AutoencoderTransformer(**SMALL).fit(X).module_ for X in (X_WINE, 2 * X_WINE + 1)
    )
    loaded, X = deepcopy(one), torch.from_numpy(X_WINE).float()
    loaded.load_state_dict(two.state_dict())
    with torch.no_grad():
        assert torch.equal(loaded.transform(X), two.transform(X))


@BOTH
@pytest.mark.parametrize(
    "loader",
    [
        DataLoader([1, 2]), dict, partial(dict), lambda dataset: dataset,
        torch.utils.data.Dataset, "DataLoader", 2,
    ],
    ids=["instance", "class", "partial", "function", "dataset", "name", "number"],
)  # fmt: skip
def test_what_makes_no_data_loader_is_refused_before_training(estimator, loader):
    unfitted = estimator(**SMALL, data_loader=loader)
    with pytest.raises(TypeError, match="data_loader"):
        unfitted.fit(X_WINE)
    assert not unfitted.__sklearn_is_fitted__()


# -- rows of every kind ----------------------------------------------------------------


def as_memmap(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def as_read_only(X, tmp_path):
    X = X.copy()
    X.flags.writeable = False
    return X


KINDS = {
    "memmap": as_memmap,
    "read-only": as_read_only,
    "Fortran order": lambda X, tmp_path: np.asfortranarray(X),
    "every second row": lambda X, tmp_path: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda X, tmp_path: X[::-1, ::-1].copy()[::-1, ::-1],
}


@BOTH
@pytest.mark.parametrize("kind", KINDS)
def test_how_rows_lie_in_memory_changes_no_bit(estimator, kind, tmp_path):
    X = KINDS[kind](X_WINE, tmp_path)
    np.testing.assert_array_equal(X, X_WINE)
    plain, fitted = estimator(**SMALL).fit(X_WINE), estimator(**SMALL).fit(X)
    assert bits(fitted) == bits(plain)


@BOTH
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, np.int32])
def test_rows_that_are_gathered_give_the_bits_of_rows_that_are_kept(
    estimator, kind, dtype, tmp_path, monkeypatch
):
    X = KINDS[kind](X_DIGITS.astype(dtype), tmp_path)
    assert X.dtype == dtype
    kept = estimator(**SMALL).fit(X)
    monkeypatch.setattr(_batches, "KEPT_BYTES", 0)
    gathered = estimator(**SMALL).fit(X)
    assert bits(gathered) == bits(kept)
    assert_same_history(gathered, kept, rtol=1e-6)


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_whole_numbers_give_the_same_bits_in_every_dtype(estimator, dtype, init):
    plain = estimator(**SMALL, init=init).fit(X_DIGITS)
    fitted = estimator(**SMALL, init=init).fit(X_DIGITS.astype(dtype))
    assert bits(fitted) == bits(plain)


@BOTH
def test_rows_are_never_written_to(estimator, gathered):
    X = X_WINE.copy()
    estimator(**SMALL).fit(X).reconstruct(X)
    np.testing.assert_array_equal(X, X_WINE)
