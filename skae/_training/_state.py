"""A trained net as plain arrays and parameters, and back; and its history."""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from skae._modules import build_module, check_module_state, export_module
from skae._training._net import AutoencoderNet
from skae._training._plan import TrainingPlan
from skae._training._tree import as_arrays, as_tensors

# skorch's names of what a history holds, and ours.
PREFIXES = {"train_": "train_", "valid_": "validation_"}
COLUMNS = {"epoch": "epoch", "beta": "beta", "lr": "lr", "dur": "seconds"}


# Types of the numbers and texts of a `TrainingPlan`.
NUMBER, OPTIONAL = int | float, int | None
PLAN_TYPES = {
    "lr": NUMBER, "weight_decay": NUMBER, "schedule": str, "max_epochs": int,
    "n_epochs": OPTIONAL, "batch_size": int, "patience": OPTIONAL, "tol": NUMBER,
    "warmup": NUMBER, "device": str, "precision": str, "verbose": int,
}  # fmt: skip


class TrainingRecord(NamedTuple):
    """What happened in training."""

    history: dict  # float64 columns by name, see `tidy_history`
    best_epoch: int


def export_net(net):
    """Return all that `restore_net` needs, without an object of torch or skorch."""
    return {
        "plan": asdict(net.plan),
        "module": export_module(net.module_),
        "optimizer": as_arrays(net.optimizer_.state_dict()),
    }


def restore_net(state, device):
    """Return the net that `export_net` described, on the given device."""
    plan = TrainingPlan(**state["plan"] | {"device": device})
    net = AutoencoderNet(build_module(state["module"]), plan).initialize()
    net.optimizer_.load_state_dict(as_tensors(state["optimizer"]))
    return net.settle()


def check_net_state(state):
    """Raise an error unless a state from a file is one that `export_net` returns."""
    plan = TrainingPlan(**state["plan"])
    for name, kinds in PLAN_TYPES.items():
        value = getattr(plan, name)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise ValueError(f"{name}={value!r} is no part of a plan of training")
    check_module_state(state["module"])
    n_weights = sum(
        array.size
        for name, array in state["module"]["arrays"].items()
        if not name.startswith("scaler.")
    )
    for moments in state["optimizer"]["state"].values():
        for name, value in moments.items():
            if np.size(value) > n_weights or not np.isfinite(value).all():
                raise ValueError(f"{name} of the optimiser is not of this network")


def check_history(history, n_epochs):
    """Raise ValueError unless a history is a table that ends with that epoch."""
    lengths = {column.shape for column in history.values()}
    is_table = len(lengths) == 1 and len(*lengths) == 1 and n_epochs > 0
    if not (is_table and all(c.dtype == np.float64 for c in history.values())):
        raise ValueError("its history is no table")
    if history["epoch"][-1] != n_epochs or not np.isfinite(history["epoch"]).all():
        raise ValueError("its history has another number of epochs")


def tidy_history(net, previous=None):
    """Return what happened at every epoch, as a dict of float64 columns.

    Parameters
    ----------
    net : AutoencoderNet
        A trained net.
    previous : dict or None, default=None
        The history that this training continues.
    """
    records = [{"epoch": 0, **net.start_}] if net.start_ and previous is None else []
    records += rows_of(net.history)
    offset = 0 if previous is None else previous["epoch"][-1]
    terms = [f"{prefix}{term}" for prefix in PREFIXES for term in _terms(net)]
    names = ["epoch", *terms, *net.module_.schedule(), "lr", "dur"]
    columns = {
        _tidy_name(name): np.array([row.get(name, np.nan) for row in records], float)
        for name in names
    }
    columns["epoch"] += offset
    if previous is None:
        return columns
    return {k: np.concatenate([previous[k], column]) for k, column in columns.items()}


def rows_of(history):
    """Return what a skorch history has of epochs, without the batches."""
    return [{k: v for k, v in row.items() if k != "batches"} for row in history]


def record_of(previous, net):
    """Return the `TrainingRecord` of a trained net.

    Parameters
    ----------
    previous : TrainingRecord or None
        The record that its training continues.
    net : AutoencoderNet
        The net.
    """
    history = tidy_history(net, None if previous is None else previous.history)
    return TrainingRecord(history, best_epoch(net, history))


def best_epoch(net, history):
    """Return the epoch of `tidy_history` whose weights the trained net has.

    The one of lowest validation loss, or the last one where nothing was held out.
    """
    last, n_epochs = int(history["epoch"][-1]), len(net.history)
    if not net.start_:
        return last
    losses = [net.start_["valid_loss"], *net.history[:, "valid_loss"]]
    return last - n_epochs + int(np.nanargmin(losses))


def _terms(net):
    return ("loss", *net.module_.terms)


def _tidy_name(name):
    for prefix, ours in PREFIXES.items():
        if name.startswith(prefix):
            return ours + name.removeprefix(prefix)
    return COLUMNS[name]
