"""All that training needs to go on after any epoch as if nothing had happened."""

import time

from skorch.callbacks import Callback

from skae._training._state import rows_of
from skae._training._tree import as_arrays, as_tensors

# Saving takes at most this share of the time.
LARGEST_SHARE = 0.02

# What a course of training keeps, and what early stopping does.
COURSE = (
    "n_taken", "n_taken_before", "peaks", "n_averaged", "average", "last", "usual"
)  # fmt: skip
PATIENCE = "n_waited", "mark", "best"


class Checkpoint(Callback):
    """Save the state of training after epochs, and begin with one that was saved.

    It comes last: other callbacks are part of the state.

    Parameters
    ----------
    save : callable
        `save(state)` keeps a state: plain values and arrays.
    state : dict or None
        What an earlier training has saved.
    """

    def __init__(self, save, state):
        self.save, self.state = save, state
        self.saved_at, self.seconds = None, 0.0

    def on_train_begin(self, net, **kwargs):
        """Go back to what was saved, if anything was."""
        if self.state is not None:
            resume_training(net, self.state)
        self.state = None
        self.saved_at = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        """Save, unless that was not long ago, or the epoch is to be taken back."""
        now = time.perf_counter()
        is_early = now - self.saved_at < self.seconds / LARGEST_SHARE
        if net.retry_is_due_ or is_early:
            return
        self.save(training_state(net))
        self.saved_at = time.perf_counter()
        self.seconds = self.saved_at - now


def training_state(net):
    """Return the state of a net between two epochs, without an object of torch."""
    module, course = net.module_, net.course_
    state = {
        "weights": _weights(module),
        "rng": module.rng.get_state(),
        "optimizer": as_arrays(net.optimizer_.state_dict()),
        "course": {name: as_arrays(getattr(course, name, None)) for name in COURSE},
        "warmup": net.warmup_.n_taken,
        "start": net.start_,
        "history": rows_of(net.history),
        "failure": _callback(net, "finite_guard").failure_,
        "best": None,
    }
    best = _callback(net, "best_weights")
    if best is not None:
        now = net.flat_.copy()
        best.restore_best_()
        state["best"] = {
            "weights": _weights(module),
            **{name: getattr(best.patience_, name) for name in PATIENCE},
        }
        now()
    return state


def resume_training(net, state):
    """Make a net that is about to train what it was when its state was saved."""
    module, course = net.module_, net.course_
    best = _callback(net, "best_weights")
    if best is not None:
        _set_weights(module, state["best"]["weights"])
        best.restore_best_ = net.flat_.copy()
        for name in PATIENCE:
            setattr(best.patience_, name, state["best"][name])
    _set_weights(module, state["weights"])
    module.rng.set_state(state["rng"])
    net.optimizer_.load_state_dict(as_tensors(state["optimizer"]))
    for name, value in state["course"].items():
        if hasattr(course, name):
            setattr(course, name, as_tensors(value))
    net.warmup_.n_taken, net.start_ = state["warmup"], state["start"]
    for row in state["history"]:
        net.history.new_epoch()
        net.history[-1].update(row)
    guard = _callback(net, "finite_guard")
    guard.failure_, guard.restore_ = state["failure"], net.flat_.copy()


def _callback(net, name):
    return dict(net.callbacks_).get(name)


def _weights(module):
    return as_arrays(dict(module.state_dict()))


def _set_weights(module, arrays):
    # in place: the weights are views of one vector
    module.load_state_dict(as_tensors(arrays))
