"""A fit that was interrupted goes on, and comes out as if it never had been."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skae import AutoencoderTransformer, VAETransformer, config_context
from skae._training import _checkpoint
from skae.architectures import MLP, DenoisingMLP
from skae.penalties import Contractive, Sparse
from skae.persistence import ModelFileError

STRESS = Path(__file__).parent / "stress"

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(200, 2)) @ RANDOM.normal(size=(2, 5))
X += 0.3 * RANDOM.normal(size=X.shape)
HOLED = np.where(RANDOM.random(X.shape) < 0.1, np.nan, X)

AE, VAE = AutoencoderTransformer, VAETransformer
COMMON = {"batch_size": 32, "max_epochs": 6, "random_state": 0}
SMALL = COMMON | {"architecture": MLP((8,))}

MODELS = {
    "AE": (AE(2, **COMMON), X),
    "AE, holes, masks": (AE(2, corruption=lambda X, rng: X + 0.1, **SMALL), HOLED),
    "AE, penalties": (AE(2, penalty=Sparse("kl"), **SMALL), X),
    "AE, contractive": (AE(2, penalty=Contractive(), **SMALL), X),
    "AE, denoiser": (AE(architecture=DenoisingMLP((8,)), **COMMON), X),
    "VAE": (VAE(2, kl_warmup=0.4, **SMALL), X),
    "VAE, dropout, batch norm": (
        VAE(2, architecture=MLP((8,), dropout=0.2, normalization="batch"), **COMMON),
        X,
    ),
    "VAE, early stopping": (
        VAE(2, early_stopping=True, n_iter_no_change=2, refit=False, **SMALL),
        X,
    ),
    "VAE, bare sgd": (
        VAE(2, optimizer="sgd", schedule="constant", early_stopping=False, **SMALL),
        X,
    ),
    "VAE, importance weighted": (
        VAE(2, elbo="importance_weighted", n_draws=2, **SMALL), X
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Save after every epoch."""
    monkeypatch.setattr(_checkpoint, "LARGEST_SHARE", np.inf)


def fit_until(n_saved, model, X, path, monkeypatch):
    """Fit, and be interrupted when so many epochs have been saved; return whether."""
    on_epoch_end, saved = _checkpoint.Checkpoint.on_epoch_end, []

    def interrupted(self, net, **kwargs):
        on_epoch_end(self, net, **kwargs)
        saved.append(path.exists())
        if len(saved) == n_saved:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint.Checkpoint, "on_epoch_end", interrupted)
        try:
            model.fit(X, checkpoint=path)
        except KeyboardInterrupt:
            return True
    return False


def assert_same(model, expected, rows):
    """Raise unless two fits came out the same, to the bit."""
    weights = [m.module_.state_dict() for m in (model, expected)]
    for name, value in weights[1].items():
        np.testing.assert_array_equal(weights[0][name], value, err_msg=name)
    histories = [m.history_.drop(columns="seconds") for m in (model, expected)]
    np.testing.assert_array_equal(*histories)
    assert model.best_epoch_ == expected.best_epoch_
    np.testing.assert_array_equal(model.transform(rows), expected.transform(rows))
    if expected._kept_codes is not None:
        draws = [m.sample(3, random_state=0) for m in (model, expected)]
        np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize(
    ("name", "engine"),
    [*((name, "auto") for name in MODELS), ("VAE", "autograd"), ("AE", "autograd")],
)
def test_a_fit_goes_on_from_every_epoch_to_the_same_bits(
    name, engine, tmp_path, monkeypatch
):
    model, rows = MODELS[name]
    path, n_saved = tmp_path / "fit.checkpoint", 0
    with config_context(engine=engine):
        expected = clone(model).fit(rows)
        while True:
            n_saved += 1
            interrupted = clone(model)
            if not fit_until(n_saved, interrupted, rows, path, monkeypatch):
                break
            assert path.exists()
            assert not hasattr(interrupted, "net_")
            assert_same(clone(model).fit(rows, checkpoint=path), expected, rows)
            assert not list(tmp_path.iterdir())
    assert n_saved > 2
    assert_same(interrupted, expected, rows)  # which nobody has interrupted


def test_a_fit_without_a_seed_goes_on_with_the_one_it_had(tmp_path, monkeypatch):
    model, path = clone(MODELS["VAE"][0]).set_params(random_state=None), tmp_path / "c"
    assert fit_until(2, clone(model), X, path, monkeypatch)
    copy = path.read_bytes()
    first = clone(model).fit(X, checkpoint=path)
    path.write_bytes(copy)
    assert_same(clone(model).fit(X, checkpoint=path), first, X)


def test_a_fit_that_is_interrupted_twice_goes_on(tmp_path, monkeypatch):
    model, path = MODELS["VAE, dropout, batch norm"][0], tmp_path / "c"
    for n_saved in (2, 3, 1):
        assert fit_until(n_saved, clone(model), X, path, monkeypatch)
    assert_same(clone(model).fit(X, checkpoint=path), clone(model).fit(X), X)


def test_a_fit_that_diverges_says_so_with_a_file_too(tmp_path):
    model = AE(2, lr=3e3, optimizer="sgd", schedule="constant", **SMALL)
    for path in (None, tmp_path / "c"):
        with pytest.raises(FloatingPointError, match="and again"):
            clone(model).fit(X, checkpoint=path)


def test_tables_and_weights_go_on(tmp_path, monkeypatch):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X[:, :3], columns=["a", "b", "c"])
    table["d"] = pandas.Categorical(np.where(X[:, 3] > 0, "x", "y"))
    weights = RANDOM.integers(0, 3, len(table))
    model, path = VAE(2, **SMALL), tmp_path / "c"
    expected = clone(model).fit(table, sample_weight=weights)

    calls = []
    write = _checkpoint.Checkpoint.on_epoch_end

    def interrupted(self, net, **kwargs):
        write(self, net, **kwargs)
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_checkpoint.Checkpoint, "on_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            clone(model).fit(table, sample_weight=weights, checkpoint=path)
    with pytest.raises(ValueError, match="is of a fit with other X"):
        clone(model).fit(table, checkpoint=path)
    again = clone(model).fit(table, sample_weight=weights, checkpoint=path)
    assert_same(again, expected, table)


def test_a_pipeline_passes_the_file_on(tmp_path, monkeypatch):
    pipeline, path = make_pipeline(StandardScaler(), VAE(2, **SMALL)), tmp_path / "c"
    pipeline.fit(X, vaetransformer__checkpoint=path)
    assert pipeline[-1].n_epochs_ > 0
    assert not path.exists()


# -- another fit -----------------------------------------------------------------------


@pytest.fixture
def written(tmp_path, monkeypatch):
    path = tmp_path / "fit.checkpoint"
    assert fit_until(2, VAE(2, **SMALL), X, path, monkeypatch)
    return path


@pytest.mark.parametrize(
    ("model", "rows", "what"),
    [
        (VAE(2, **SMALL), X + 1e-9, "X"),
        (VAE(2, **SMALL), X[:-1], "X"),
        (VAE(2, beta=2.0, **SMALL), X, "parameters"),
        (VAE(2, **SMALL | {"max_epochs": 7}), X, "parameters"),
        (VAE(2, **SMALL | {"architecture": MLP((9,))}), X, "parameters"),
        (VAE(3, **SMALL), X[:50], "X and parameters"),
        (AE(2, **SMALL), X, "parameters"),
    ],
)
def test_the_file_of_another_fit_is_refused_and_kept(written, model, rows, what):
    before = written.read_bytes()
    with pytest.raises(
        ValueError, match=rf"fit\.checkpoint' is of a fit with other {what}"
    ):
        model.fit(rows, checkpoint=written)
    assert written.read_bytes() == before
    assert not hasattr(model, "net_")


def test_what_changes_no_bit_may_change(written):
    expected = VAE(2, **SMALL).fit(X)
    again = VAE(2, verbose=0, **SMALL | {"random_state": 3}).fit(X, checkpoint=written)
    assert_same(again, expected, X)


def test_another_engine_is_refused(written):
    with (
        config_context(engine="autograd"),
        pytest.raises(ValueError, match="of a fit with other engine"),
    ):
        VAE(2, **SMALL).fit(X, checkpoint=written)


def test_a_damaged_file_is_refused_and_a_model_is_no_checkpoint(written, tmp_path):
    model = VAE(2, **SMALL)
    data = bytearray(written.read_bytes())
    data[-5] ^= 1
    written.write_bytes(data)
    with pytest.raises(ModelFileError, match="does not have its own checksum"):
        model.fit(X, checkpoint=written)
    VAE(2, **SMALL).fit(X).save(tmp_path / "model.skae")
    with pytest.raises(ModelFileError, match="it is no checkpoint of a fit"):
        model.fit(X, checkpoint=tmp_path / "model.skae")


def test_another_version_of_torch_is_told(written, monkeypatch):
    monkeypatch.setattr("skae._journal.version", lambda name: "9.9")
    with pytest.warns(UserWarning, match=r"was written with torch 2.*this is 9\.9"):
        VAE(2, **SMALL).fit(X, checkpoint=written)


@pytest.mark.parametrize(
    ("model", "checkpoint", "error", "message"),
    [
        (AE(2), 3, TypeError, "checkpoint must be a path"),
        (AE(2), "", IsADirectoryError, "checkpoint is a folder"),
        (AE(2), "none/fit", FileNotFoundError, "the folder of checkpoint is not ther"),
        (AE(2, warm_start=True), "fit", ValueError, "with warm_start=True"),
        (AE(2, callbacks=[Callback()]), "fit", ValueError, "with callbacks="),
    ],
)
def test_a_file_that_cannot_be_is_told_before_anything_is_done(
    model, checkpoint, error, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        model.fit(X, checkpoint=checkpoint)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_ends_the_fit_and_leaves_the_last_file(written, monkeypatch):
    before = written.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skae._storage._file.os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        VAE(2, **SMALL).fit(X, checkpoint=written)
    assert written.read_bytes() == before


def test_saving_takes_a_small_share_of_the_time(tmp_path, monkeypatch):
    """A save that took long is not made again soon."""
    monkeypatch.setattr(_checkpoint, "LARGEST_SHARE", 0.02)
    clock = iter(np.arange(0.0, 1e6, 1.0))
    monkeypatch.setattr(_checkpoint.time, "perf_counter", lambda: next(clock))
    saved = []
    checkpoint = _checkpoint.Checkpoint(saved.append, None)

    class Net:
        retry_is_due_ = False

    monkeypatch.setattr(_checkpoint, "training_state", lambda net: "state")
    checkpoint.on_train_begin(Net())
    for _ in range(200):  # an epoch takes a second, as a save does
        checkpoint.on_epoch_end(Net())
    assert len(saved) == 4


def test_killed_and_interrupted_fits(monkeypatch):
    """The short form of tests/stress/kill_fits.py."""
    monkeypatch.syspath_prepend(STRESS)
    counts = import_module("kill_fits").run(n_kills=2, n_interrupts=2, seed=1)
    for (n_same, n_fits, _), (n_good, n_hit) in counts.values():
        assert n_same == n_fits >= 1
        assert n_good == n_hit == 2
