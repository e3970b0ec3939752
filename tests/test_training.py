"""The course of a fit: epochs, early stopping, callbacks, continuation."""

import io
import pickle
from contextlib import redirect_stdout, suppress

import numpy as np
import pytest
import skorch.callbacks
import torch
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, VAETransformer
from skae._random import Rng
from skae._training import _batches, _progress
from skae._training._batches import NetworkRows, TensorBatches, as_tensor
from skae._training._threads import threads_for
from skae.architectures import MLP

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
X_WINE = load_wine().data
X_DIGITS = load_digits().data


def weights(estimator):
    return {k: v.numpy() for k, v in estimator.module_.state_dict().items()}


# -- batches ---------------------------------------------------------------------


class Identity:
    """Stands for a module whose network space is that of X."""

    dtype = torch.float32
    layout = None

    def to_network_space(self, X, exact):
        return X.to(torch.float32)


def batches_of(X, batch_size, rng=None, min_rows=1, rows=None):
    rows = NetworkRows(X, Identity(), torch.device("cpu"), rows)
    return TensorBatches(rows, batch_size, rng, min_rows)


@pytest.fixture(params=["kept", "gathered"])
def memory(request, monkeypatch):
    if request.param == "gathered":
        monkeypatch.setattr(_batches, "KEPT_BYTES", 0)
    return request.param


@pytest.mark.parametrize("n_rows", [1, 2, 31, 32, 33, 129])
@pytest.mark.parametrize("min_rows", [1, 2])
def test_batches_hold_every_row_once_in_balanced_sizes(n_rows, min_rows, memory):
    X = np.arange(3.0 * n_rows).reshape(n_rows, 3)
    batches = batches_of(X, 32, Rng(0), min_rows)
    for _ in range(2):
        parts = [batch for batch, _ in batches]
        sizes = [len(part) for part in parts]
        assert len(parts) == len(batches)
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= 32
        np.testing.assert_array_equal(torch.cat(parts)[:, 0].sort().values, X[:, 0])


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.int32])
def test_batches_are_rows_of_x_whether_kept_or_gathered(dtype, memory):
    X = np.arange(40).reshape(20, 2).astype(dtype)
    rows = np.array([3, 4, 9, 17], dtype=np.int32)
    batches = batches_of(X, 2, rows=rows)
    assert (batches.dataset.kept is None) == (memory == "gathered")
    np.testing.assert_array_equal(torch.cat([U for U, _ in batches]), X[rows])


def test_batches_come_in_a_new_order_each_epoch():
    batches = batches_of(np.arange(100.0)[:, None], 10, Rng(0))
    one, two = (torch.cat([batch for batch, _ in batches]) for _ in range(2))
    assert not torch.equal(one, two)


def test_no_batch_is_smaller_than_asked():
    assert sorted(len(b) for b, _ in batches_of(np.zeros((5, 1)), 2, None, 2)) == [2, 3]


def test_a_tensor_shares_the_memory_of_its_array():
    X = np.zeros((4, 2))
    assert as_tensor(X).data_ptr() == X.ctypes.data
    X.flags.writeable = False
    assert as_tensor(X).data_ptr() == X.ctypes.data
    assert not X.flags.writeable


@pytest.mark.parametrize(("n_operations", "inside"), [(1e6, 1), (1e12, 2)])
def test_small_steps_take_one_thread_and_give_the_others_back(n_operations, inside):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with suppress(KeyError), threads_for(n_operations):
            seen = torch.get_num_threads()
            raise KeyError
        assert seen == inside
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# -- history and early stopping ----------------------------------------------------


@BOTH
def test_history_tells_every_epoch_and_every_term(estimator):
    fitted = estimator(
        3, schedule="constant", max_epochs=4, early_stopping=True, random_state=0
    )
    history = fitted.fit(X_WINE).history_
    assert list(history["epoch"]) == [0, 1, 2, 3, 4]
    assert fitted.n_epochs_ == 4
    for prefix in ("train", "validation"):
        terms = [f"{prefix}_reconstruction"]
        if estimator is VAETransformer:
            terms.append(f"{prefix}_kl")
            assert set(history["beta"][1:]) == {1.0}
        total = history[terms].sum(axis=1, skipna=False)
        np.testing.assert_allclose(history[f"{prefix}_loss"], total, rtol=1e-5)
    assert (history["seconds"][1:] > 0).all()
    assert (history["lr"][1:] == fitted.lr).all()
    np.testing.assert_array_equal(fitted.loss_curve_, history["train_loss"][1:])
    np.testing.assert_array_equal(
        fitted.validation_curve_, history["validation_loss"][1:]
    )


def test_without_held_out_rows_there_is_no_validation_curve():
    ae = AutoencoderTransformer(3, max_epochs=2, early_stopping=False).fit(X_WINE)
    assert ae.validation_curve_ is None
    assert list(ae.history_["epoch"]) == [1, 2]
    assert ae.best_epoch_ == 2


def test_the_training_loss_is_the_loss_of_the_rows():
    still = {
        "optimizer": "sgd", "lr": 1e-30, "schedule": "constant", "max_epochs": 1,
        "early_stopping": False,
    }  # fmt: skip
    ae = AutoencoderTransformer(3, **still).fit(X_WINE)
    errors = ae.reconstruction_error(X_WINE, per_feature=True) / X_WINE.var(axis=0)
    nats = 0.5 * errors.sum(axis=1).mean() + 0.5 * 13 * np.log(2 * np.pi)
    assert ae.loss_curve_[0] == pytest.approx(nats, rel=1e-5)


@BOTH
def test_training_stops_when_held_out_rows_stop_improving(estimator):
    rs = np.random.RandomState(0)
    noise = rs.normal(size=(120, 10))  # there is nothing to learn but the noise
    fitted = estimator(
        3, max_epochs=300, lr=0.01, early_stopping=True, n_iter_no_change=5,
        random_state=0,
    ).fit(noise)  # fmt: skip
    assert fitted.n_epochs_ < 100
    losses = fitted.history_["validation_loss"].to_numpy()
    assert fitted.best_epoch_ == losses.argmin()
    assert fitted.n_epochs_ - fitted.best_epoch_ >= 5


@BOTH
def test_the_best_weights_come_back(estimator):
    seen = {}

    class Recorder(skorch.callbacks.Callback):
        def on_train_begin(self, net, **kwargs):
            seen[0] = net.module_.decoder.linear.weight.detach().clone()

        def on_epoch_end(self, net, **kwargs):
            weight = net.module_.decoder.linear.weight.detach().clone()
            seen[net.history[-1, "epoch"]] = weight

    fitted = estimator(
        3, max_epochs=60, lr=0.02, early_stopping=True, refit=False, random_state=0,
        callbacks=[Recorder()],
    ).fit(X_WINE)  # fmt: skip
    assert fitted.best_epoch_ < fitted.n_epochs_  # or the test shows nothing
    best = fitted.module_.decoder.linear.weight
    assert torch.equal(best, seen[fitted.best_epoch_])
    assert not torch.equal(best, seen[fitted.n_epochs_])


def test_the_validation_loss_of_the_best_epoch_is_that_of_the_weights_kept():
    class Rows(skorch.callbacks.Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            rows.append(X.valid)

    rows = []
    ae = AutoencoderTransformer(
        3, max_epochs=10, early_stopping=True, refit=False, random_state=0,
        callbacks=[Rows()],
    ).fit(X_WINE)  # fmt: skip
    held_out = X_WINE[rows[0]]
    scale = ae.module_.scaler.scale.numpy()
    errors = ae.reconstruction_error(held_out, per_feature=True) / scale**2
    nats = 0.5 * errors.sum(axis=1).mean() + 0.5 * 13 * np.log(2 * np.pi)
    assert nats == pytest.approx(ae.history_["validation_loss"].min(), rel=1e-5)


def test_held_out_rows_are_never_trained_on():
    class Rows(skorch.callbacks.Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            rows.append(X)
            scaled.append(net.module_.to_network_space(torch.from_numpy(X.X)).numpy())

        def on_batch_begin(self, net, batch=None, training=None, **kwargs):
            (trained if training else validated).append(batch[0].numpy().copy())

    rows, scaled, trained, validated = [], [], [], []
    AutoencoderTransformer(
        2, max_epochs=1, early_stopping=True, refit=False, random_state=0,
        callbacks=[Rows()],
    ).fit(X_WINE)  # fmt: skip
    train, valid = rows[0].train, rows[0].valid
    assert set(train) | set(valid) == set(range(len(X_WINE)))
    assert len(train) + len(valid) == len(X_WINE)
    assert list(valid) != list(range(len(valid)))  # drawn, not the first rows
    for pass_over, expected in ((trained, train), (validated, valid)):
        seen, wanted = np.vstack(pass_over), scaled[0][expected]
        np.testing.assert_array_equal(
            seen[np.lexsort(seen.T)], wanted[np.lexsort(wanted.T)]
        )


@pytest.mark.parametrize("demand", [True, np.True_])
def test_true_of_numpy_is_true_too(demand):
    ae = AutoencoderTransformer(2, max_epochs=1, early_stopping=demand, random_state=0)
    assert ae.fit(X_WINE[:40]).validation_curve_ is not None
    assert not hasattr(ae, "partial_fit")


@pytest.mark.parametrize(("n_rows", "held_out"), [(14, False), (15, True)])
def test_early_stopping_auto_needs_five_held_out_rows(n_rows, held_out):
    ae = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X_DIGITS[:n_rows])
    assert (ae.validation_curve_ is not None) == held_out


@pytest.mark.parametrize(
    ("fraction", "n_rows", "n_held_out"),
    [
        ("auto", 60, 20),  # a third
        ("auto", 300, 64),  # enough to judge by
        ("auto", 1700, 170),  # a tenth
        (0.25, 300, 75),
    ],
)
def test_the_share_of_held_out_rows_suits_the_table(fraction, n_rows, n_held_out):
    class Rows(skorch.callbacks.Callback):
        def on_train_begin(self, net, X=None, **kwargs):
            held_out.append(0 if X.valid is None else len(X.valid))

    held_out = []
    AutoencoderTransformer(
        2, architecture=MLP(()), max_epochs=1, validation_fraction=fraction,
        refit=True, random_state=0, callbacks=[Rows()],
    ).fit(X_DIGITS[:n_rows])  # fmt: skip
    assert held_out == [n_held_out, 0]  # the refit holds none out


# -- the weight of the KL term -----------------------------------------------------


def test_kl_warmup_is_a_share_of_the_steps_taken():
    vae = VAETransformer(
        3, beta=2.0, kl_warmup=0.5, max_epochs=10, batch_size=len(X_WINE),
        early_stopping=False, random_state=0,
    ).fit(X_WINE)  # fmt: skip
    # one step an epoch: steps 0 to 4 of 10 are the warm-up, at 0, 1/5, ... of beta
    expected = [0.0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.0, 2.0, 2.0, 2.0]
    np.testing.assert_allclose(vae.history_["beta"], expected, atol=1e-12)


def test_early_stopping_waits_for_the_warmup():
    rs = np.random.RandomState(0)
    noise = rs.normal(size=(120, 6))
    options = {
        "max_epochs": 60, "lr": 0.01, "early_stopping": True, "n_iter_no_change": 3,
        "random_state": 0,
    }  # fmt: skip
    impatient = VAETransformer(2, **options).fit(noise)
    assert impatient.n_epochs_ < 30
    patient = VAETransformer(2, kl_warmup=0.5, **options).fit(noise)
    assert patient.n_epochs_ >= 30 + 2


def test_validation_is_at_the_full_beta_during_the_warmup():
    vae = VAETransformer(
        3, beta=2.0, kl_warmup=1.0, max_epochs=3, early_stopping=True, random_state=0
    ).fit(X_WINE)
    history = vae.history_
    total = history["validation_reconstruction"] + 2.0 * history["validation_kl"]
    np.testing.assert_allclose(history["validation_loss"], total, rtol=1e-5)


# -- going on ----------------------------------------------------------------------


@BOTH
def test_warm_start_goes_on_where_the_last_fit_ended(estimator):
    options = {"schedule": "constant", "early_stopping": False, "random_state": 0}
    halves = estimator(3, max_epochs=3, warm_start=True, **options)
    halves.fit(X_WINE).fit(X_WINE)
    whole = estimator(3, max_epochs=6, **options).fit(X_WINE)
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(array, weights(halves)[name], err_msg=name)
    np.testing.assert_array_equal(halves.loss_curve_, whole.loss_curve_)
    assert list(halves.history_["epoch"]) == list(whole.history_["epoch"])


def test_warm_start_takes_up_a_changed_objective_and_step():
    vae = VAETransformer(
        3, max_epochs=2, lr=1e-3, schedule="constant", warm_start=True,
        early_stopping=False, random_state=0,
    ).fit(X_WINE)  # fmt: skip
    vae.set_params(beta=4.0, lr=1e-4).fit(X_WINE)
    assert list(vae.history_["beta"]) == [1.0, 1.0, 4.0, 4.0]
    np.testing.assert_allclose(vae.history_["lr"], [1e-3, 1e-3, 1e-4, 1e-4])


@pytest.mark.parametrize(
    "change", [{"n_components": 2}, {"architecture": MLP((5,))}], ids=str
)
@BOTH
def test_warm_start_refuses_another_network(estimator, change):
    fitted = estimator(3, max_epochs=1, warm_start=True, random_state=0).fit(X_WINE)
    (name,) = change
    with pytest.raises(ValueError, match=rf"{name}=.*would go on.*warm_start=False"):
        fitted.set_params(**change).fit(X_WINE)
    assert fitted.n_epochs_ == 1


def test_warm_start_with_another_optimiser_starts_its_state_anew():
    ae = AutoencoderTransformer(3, max_epochs=1, warm_start=True, random_state=0)
    ae.fit(X_WINE).set_params(optimizer="sgd").fit(X_WINE)
    assert isinstance(ae.net_.optimizer_, torch.optim.SGD)
    assert ae.n_epochs_ == 2


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", torch.optim.Adam])
def test_warm_start_after_frozen_weights_and_a_pickle_trains_all(optimizer):
    frozen = AutoencoderTransformer(
        2, max_epochs=3, early_stopping=False, warm_start=True, random_state=0,
        optimizer=optimizer, callbacks=[skorch.callbacks.Freezer("encoder*")],
    ).fit(X_WINE)  # fmt: skip
    thawed = pickle.loads(pickle.dumps(frozen)).set_params(callbacks=None)
    before = weights(thawed)["encoder.linear.weight"].copy()
    thawed.fit(X_WINE)
    assert thawed.n_epochs_ == 6
    assert not np.array_equal(weights(thawed)["encoder.linear.weight"], before)


@BOTH
def test_without_warm_start_a_second_fit_forgets_the_first(estimator):
    twice = estimator(3, max_epochs=2, random_state=0)
    twice.fit(X_WINE[:, :5]).fit(X_WINE)
    once = estimator(3, max_epochs=2, random_state=0).fit(X_WINE)
    np.testing.assert_array_equal(twice.transform(X_WINE), once.transform(X_WINE))
    assert twice.n_epochs_ == 2


@BOTH
def test_partial_fit_is_one_epoch_that_goes_on(estimator):
    options = {"schedule": "constant", "early_stopping": False, "random_state": 0}
    stream = estimator(3, **options)
    for _ in range(3):
        stream.partial_fit(X_WINE)
    whole = estimator(3, max_epochs=3, **options).fit(X_WINE)
    np.testing.assert_array_equal(stream.transform(X_WINE), whole.transform(X_WINE))
    assert stream.n_epochs_ == 3


def test_partial_fit_keeps_the_scaling_of_its_first_rows():
    stream = AutoencoderTransformer(3, random_state=0).partial_fit(X_WINE)
    center = stream.module_.scaler.center.clone()
    stream.partial_fit(X_WINE * 3)
    assert torch.equal(stream.module_.scaler.center, center)


def test_a_fitted_module_does_not_change_when_training_goes_on():
    stream = AutoencoderTransformer(3, random_state=0).partial_fit(X_WINE)
    module = stream.module_
    before = {k: v.clone() for k, v in module.state_dict().items()}
    stream.partial_fit(X_WINE)
    assert stream.module_ is not module
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])


# -- callbacks ---------------------------------------------------------------------


class Counter(skorch.callbacks.Callback):
    """Counts calls in `calls`, shared by copies of the callback."""

    calls: dict = {}

    def on_epoch_end(self, net, **kwargs):
        self.calls["epochs"] = self.calls.get("epochs", 0) + 1


class BatchCounter(Counter):
    def on_batch_end(self, net, batch=None, training=None, loss=None, **kwargs):
        if training:
            self.calls["batches"] = self.calls.get("batches", 0) + 1
            assert torch.isfinite(loss)


@BOTH
def test_a_callback_that_listens_to_batches_changes_no_result(estimator):
    options = {"max_epochs": 3, "early_stopping": False, "random_state": 0}
    Counter.calls.clear()
    quiet = estimator(3, **options).fit(X_WINE)
    listened = estimator(3, callbacks=[BatchCounter()], **options).fit(X_WINE)
    assert Counter.calls == {"epochs": 3, "batches": 3 * 12}
    np.testing.assert_array_equal(quiet.transform(X_WINE), listened.transform(X_WINE))
    np.testing.assert_array_equal(quiet.loss_curve_, listened.loss_curve_)


def test_skorch_callbacks_work_on_copies():
    stopper = skorch.callbacks.EarlyStopping(monitor="train_loss", patience=2)
    scheduler = (
        "steps",
        skorch.callbacks.LRScheduler("StepLR", step_size=1, gamma=0.5),
    )
    ae = AutoencoderTransformer(
        3, max_epochs=4, lr=1e-3, schedule="constant", early_stopping=False,
        callbacks=[stopper, scheduler], random_state=0,
    ).fit(X_WINE)  # fmt: skip
    np.testing.assert_allclose(
        ae.history_["lr"], [1e-3, 5e-4, 2.5e-4, 1.25e-4], rtol=1e-6
    )
    assert stopper.misses_ == 0
    assert not hasattr(scheduler[1], "lr_scheduler_")


def test_gradients_can_be_clipped_by_a_skorch_callback():
    clip = skorch.callbacks.GradientNormClipping(1e-12)
    options = {
        "max_epochs": 1, "optimizer": "sgd", "early_stopping": False, "random_state": 0
    }  # fmt: skip
    clipped = AutoencoderTransformer(3, callbacks=[clip], **options).fit(X_WINE)
    free = AutoencoderTransformer(3, **options).fit(X_WINE)
    start = AutoencoderTransformer(3, **options | {"lr": 1e-30}).fit(X_WINE)
    moved = [
        np.abs(e.transform(X_WINE) - start.transform(X_WINE)).max()
        for e in (clipped, free)
    ]
    assert moved[0] < 1e-6 < moved[1]


class Recorder:
    """A scikit-learn callback that records epochs and stops after some."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.scores = []
        self.tasks = []

    def setup(self, estimator, context):
        self.max_subtasks = context.max_subtasks

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.tasks.append(("end", context.task_name, context.task_id))
        if context.task_name == "epoch":
            self.scores.append(fitted_estimator.score(X))
            return len(self.scores) == self.stop_after
        return None


@BOTH
def test_scikit_learn_callbacks_see_every_epoch(estimator):
    recorder = Recorder()
    fitted = estimator(3, max_epochs=3, early_stopping=False, random_state=0)
    fitted.set_callbacks(recorder).fit(X_WINE)
    assert recorder.max_subtasks == 3
    epochs = [(kind, "epoch", i) for i in range(3) for kind in ("begin", "end")]
    assert recorder.tasks == [
        ("begin", "fit", 0),
        *epochs,
        ("end", "fit", 0),
        "teardown",
    ]
    # each epoch's estimator is that epoch's, not the last one's
    assert len(set(recorder.scores)) == 3
    assert recorder.scores[-1] == pytest.approx(fitted.score(X_WINE))


@BOTH
def test_a_scikit_learn_callback_that_says_stop_stops(estimator):
    recorder = Recorder(stop_after=2)
    fitted = estimator(3, max_epochs=50, refit=False, random_state=0)
    fitted.set_callbacks(recorder)
    assert fitted.fit(X_WINE).n_epochs_ == 2


def progress_of(fit):
    """Return what the progress bars of a fit print."""
    out = io.StringIO()
    with redirect_stdout(out):
        fit()
    return out.getvalue()


def test_progress_bars_show_epochs_alone_in_a_pipeline_and_in_a_search():
    y = load_wine().target
    vae = VAETransformer(3, max_epochs=2, random_state=0)
    alone = progress_of(lambda: vae.set_callbacks(ProgressBar()).fit(X_WINE))
    assert "VAETransformer - fit" in alone
    assert "100%" in alone
    vae.set_callbacks()

    pipeline = make_pipeline(vae, LogisticRegression(max_iter=5000))
    bars = ProgressBar(max_propagation_depth=None)
    pipeline.set_callbacks(bars)
    inside = progress_of(lambda: pipeline.fit(X_WINE, y))
    assert "Pipeline - fit" in inside
    assert "VAETransformer - fit" in inside

    pipeline.set_callbacks()
    search = GridSearchCV(pipeline, {"vaetransformer__beta": [1.0, 2.0]}, cv=2)
    search.set_callbacks(bars)
    around = progress_of(lambda: search.fit(X_WINE, y))
    assert "GridSearchCV - fit" in around
    assert "VAETransformer - fit" in around


# -- knobs -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer", ["adam", "sgd", "rmsprop", torch.optim.Adamax, torch.optim.LBFGS]
)
def test_any_optimiser_of_torch_lowers_the_loss(optimizer):
    ae = AutoencoderTransformer(
        3, init="random", optimizer=optimizer, lr=0.01, schedule="constant",
        max_epochs=5, architecture=MLP((8,)), batch_size=len(X_WINE), random_state=0,
    ).fit(X_WINE)  # fmt: skip
    assert ae.loss_curve_[-1] < ae.loss_curve_[0]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_weight_decay_is_the_one_that_was_asked_for(optimizer, weight_decay):
    # torch's AdamW decays by 0.01 unless told otherwise
    ae = AutoencoderTransformer(
        2, optimizer=optimizer, weight_decay=weight_decay, max_epochs=1
    ).fit(X_WINE)
    (group,) = ae.net_.optimizer_.param_groups
    assert group["weight_decay"] == weight_decay


def test_verbose_2_prints_a_line_an_epoch(capsys):
    AutoencoderTransformer(2, max_epochs=3, refit=False, verbose=2).fit(X_WINE)
    printed = capsys.readouterr().out
    assert "train_loss" in printed
    assert len(printed.strip().splitlines()) == 2 + 3
    AutoencoderTransformer(2, max_epochs=3).fit(X_WINE)
    assert capsys.readouterr().out == ""


def test_verbose_1_leaves_one_line_with_the_last_losses(capsys):
    ae = AutoencoderTransformer(2, max_epochs=3, refit=False, verbose=1).fit(X_WINE)
    (line,) = capsys.readouterr().out.splitlines()
    train, valid = ae.loss_curve_[-1], ae.validation_curve_[-1]
    assert line.startswith(f"epoch 3/3  loss {train:.4g}  validation {valid:.4g}  ")
    assert line.endswith(" s")


def test_a_terminal_sees_the_line_grow(capsys, monkeypatch):
    monkeypatch.setattr(_progress, "INTERVAL", 0.0)
    monkeypatch.setattr(_progress, "can_overwrite", lambda stream: True)
    AutoencoderTransformer(
        2, max_epochs=3, early_stopping=False, refit=False, verbose=1
    ).fit(X_WINE)
    (text,) = capsys.readouterr().out.split("\n")[:1]
    first, *states, last = text.split("\r")
    assert first == ""
    assert [state.split()[1] for state in states] == ["1/3", "2/3", "3/3"]
    assert states[2].rstrip().endswith("at most 0 s left")
    assert "validation" not in text
    # nothing of a longer state stays behind a shorter one
    assert len(last) >= len(states[-1].rstrip())


def test_dropout_acts_in_training_alone():
    network = MLP((64,), dropout=0.5).build_encoder(13, 3, Rng(0))
    X = torch.from_numpy(X_WINE).float()
    assert not torch.equal(network(X), network(X))
    network.eval()
    assert torch.equal(network(X), network(X))


def test_dropout_keeps_the_mean():
    dropout = MLP((4,), dropout=0.3).build_encoder(2, 2, Rng(0)).hidden[-1]
    ones = torch.ones(100_000, 1)
    dropped = dropout(ones)
    assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_the_decoder_mirrors_the_encoder():
    ae = AutoencoderTransformer(2, architecture=MLP((9, 5)), max_epochs=1).fit(X_WINE)
    widths = {
        name: [tuple(p.shape) for p in part.network.parameters() if p.dim() == 2]
        for name, part in (("en", ae.module_.encoder), ("de", ae.module_.decoder))
    }
    assert widths["en"] == [(9, 13), (5, 9), (2, 5)]
    assert widths["de"] == [(5, 2), (9, 5), (13, 9)]
