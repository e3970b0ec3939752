"""From an estimator's valid parameters and rows to a network that is ready to train.

In order: split the rows, plan the training, start the network.
"""

from copy import deepcopy
from functools import cache, partial

import numpy as np

from skae import _modules, _training
from skae._availability import demands_early_stopping
from skae._device import resolve_device
from skae._parameters import (
    image_shape_of,
    resolve_architecture,
    resolve_likelihood,
)
from skae._random import Rng
from skae._sklearn import Integral
from skae._validation import has_holes
from skae._weights import weighted_entries

# `n_components=None` takes the size at which PCA explains this share, up to a most.
AUTO_SHARE, AUTO_MOST = 0.95, 64

# `early_stopping="auto"` needs this many validation rows. Few rows judge an epoch
# badly, but without any a small table is overfitted for `max_epochs`.
FEWEST_VALIDATION_ROWS = 5

# `validation_fraction="auto"` holds out this share, within bounds: fewer rows judge
# badly, more judge no better.
AUTO_HELD_OUT, ENOUGH_HELD_OUT, MOST_HELD_OUT = 0.1, 64, 2000

# ... but no more than this share of a small table.
MOST_SHARE_HELD_OUT = 1 / 3

# `refit="auto"` does so for at most this many rows: more of them lose little when some
# are held out, and cost much.
MOST_REFIT_ROWS = 10_000

# `max_epochs="auto"` asks for this many steps, within bounds of epochs, and for no
# more than the most.
AUTO_STEPS, MOST_STEPS = 10_000, 25_000
AUTO_EPOCHS = (100, 600)

# `n_iter_no_change="auto"` is this share of `max_epochs`, and at least that many: with
# the noise of the first epochs the loss of a narrow table may well be above the start.
PATIENCE_SHARE, LEAST_PATIENCE = 1 / 3, 10

# Rows on which the start of a table is compared with the column means.
ROWS_OF_START = 1024

# `batch_size="auto"` makes this many batches of an epoch, within bounds.
AUTO_BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 16, 16, 256


def split_rows(estimator, X, *, streaming, seed, weights=None):
    """Return the `TrainingRows` of X: which to train on, which to validate on."""
    entries, weights = weighted_entries(X, weights)
    holes = has_holes(X)
    whole = _training.TrainingRows(X, entries, None, holes, weights)
    n_samples, demanded = whole.n_train, demands_early_stopping(estimator)
    n_valid = _n_held_out(estimator.validation_fraction, n_samples)
    if demanded and not 0 < n_valid < n_samples:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction!r} of "
            f"n_samples={n_samples} leaves {n_valid} validation samples and "
            f"{n_samples - n_valid} to train on, and early_stopping=True needs both; "
            "use early_stopping='auto', another validation_fraction, or more rows"
        )
    wanted = estimator.early_stopping == "auto" and n_valid >= FEWEST_VALIDATION_ROWS
    if streaming or not (demanded or wanted):
        return whole
    numbers = np.arange(n_samples, dtype=np.int32)  # half the memory of the usual int64
    order = np.random.RandomState(seed).permutation(numbers)
    train, valid = np.sort(order[n_valid:]), np.sort(order[:n_valid])
    if entries is None:
        return _training.TrainingRows(X, train, valid, holes)
    parts = [whole._replace(train=entries[part]) for part in (train, valid)]
    if weights is not None:
        parts = [
            part._replace(weights=weights[own])
            for part, own in zip(parts, (train, valid), strict=True)
        ]
    # a pass without training sees the same rows each time
    return parts[0]._replace(valid=parts[1].numbers(), whole=whole)


def _n_held_out(fraction, n_samples):
    """Return the number of rows to hold out of a table."""
    if fraction != "auto":
        return int(fraction * n_samples)
    wanted = np.clip(AUTO_HELD_OUT * n_samples, ENOUGH_HELD_OUT, MOST_HELD_OUT)
    return int(min(wanted, MOST_SHARE_HELD_OUT * n_samples))


def is_refit_due(estimator, rows):
    """Return whether to train on all rows after some were held out."""
    if rows.valid is None:
        return False
    if isinstance(estimator.refit, str):
        return rows.rejoined().n_train <= MOST_REFIT_ROWS
    return bool(estimator.refit)


def plan_training(estimator, rows, *, streaming):
    """Return the `TrainingPlan`: one pass when streaming, else `max_epochs`."""
    n_rows, batch_size = rows.n_train, estimator.batch_size
    fewest = resolve_architecture(estimator).min_batch_rows
    if batch_size == "auto":
        batch_size = int(np.clip(n_rows // AUTO_BATCHES, SMALLEST_BATCH, LARGEST_BATCH))
    if batch_size < fewest:
        raise ValueError(
            f"batch_size={batch_size} is too small for normalization='batch', which "
            f"needs at least {fewest} rows in a batch; use a larger batch_size or "
            "normalization='layer'"
        )
    if n_rows < fewest:
        raise ValueError(
            f"n_samples={n_rows} is too few for normalization='batch', which needs at "
            f"least {fewest} rows to train on; use normalization='layer'"
        )
    max_epochs, patience = 1, None
    if not streaming:
        max_epochs = _n_epochs(estimator.max_epochs, -(-n_rows // batch_size))
    if rows.valid is not None:
        patience = _patience(estimator.n_iter_no_change, max_epochs)
    return _training.TrainingPlan(
        optimizer=estimator.optimizer,
        lr=estimator.lr,
        weight_decay=estimator.weight_decay,
        schedule="constant" if streaming else estimator.schedule,
        max_epochs=max_epochs,
        n_epochs=None,
        batch_size=batch_size,
        patience=patience,
        tol=estimator.tol,
        warmup=0.0 if streaming else _warmup(estimator),
        device=str(resolve_device(estimator.device)),
        precision=estimator.precision,
        data_loader=estimator.data_loader,
        verbose=int(estimator.verbose),
    )


def _warmup(estimator):
    """Return the share of the steps over which training phases something in."""
    penalty = getattr(estimator, "penalty", None)
    if penalty is not None:
        return penalty.warmup
    return getattr(estimator, "kl_warmup", 0.0)


def _n_epochs(max_epochs, n_batches):
    """Return the most passes, of so many batches each."""
    if max_epochs != "auto":
        return max_epochs
    wanted = np.clip(AUTO_STEPS // n_batches, *AUTO_EPOCHS)
    return int(max(1, min(wanted, MOST_STEPS // n_batches)))


def _patience(n_iter_no_change, max_epochs):
    """Return how many epochs without improvement to wait for one."""
    if n_iter_no_change != "auto":
        return n_iter_no_change
    return max(LEAST_PATIENCE, round(PATIENCE_SHARE * max_epochs))


class Memo(dict):
    """What fits to the same data have in common, found by the first of them."""

    def recall(self, key, make):
        """Return what was made for a key, or make it."""
        if key not in self:
            self[key] = make()
        return self[key]

    def recall_rows(self, estimator, seed, split):
        """Return the `TrainingRows` that `split()` makes, the same for the same."""
        names = ("early_stopping", "validation_fraction")
        choices = tuple(getattr(estimator, name) for name in names)
        return self.recall(("rows", seed, choices), split)


def start_module(estimator, rows, n_components, *, seed, columns=None, memo=None):
    """Return a new module: scaled to the training rows, and at its start.

    `n_components` is the estimator's, or a width that has been found already.
    """
    if columns is not None:
        return start_table_module(estimator, rows, n_components, columns, seed=seed)
    memo = Memo() if memo is None else memo
    # the memo has the rows, so their numbers stay where they are
    which = None if rows.train is None else id(rows.train)
    law, shape = resolve_likelihood(estimator), estimator.image_shape
    scaling = ("scaler", which, estimator.scale, repr(law), repr(shape))
    scaler = deepcopy(memo.recall(scaling, partial(fit_scaler, estimator, rows)))
    axes = None
    architecture, n_features = resolve_architecture(estimator), rows.X.shape[1]
    if not architecture.has_bottleneck:
        n_components = n_features
    elif estimator.init == "pca" or not isinstance(n_components, Integral):
        n_axes = _n_axes(estimator.n_components)
        find = partial(find_axes, estimator, rows, scaler, seed=seed)
        axes = memo.recall(("axes", scaling, n_axes, seed), find)
    module = estimator._make_module(
        n_features=n_features,
        n_components=resolve_n_components(n_components, axes),
        architecture=architecture,
        likelihood=law,
        image_shape=image_shape_of(estimator),
        rng=Rng(seed),
    )
    module.set_scaler(scaler)
    if not architecture.has_bottleneck:
        # it is the rows themselves, whatever `init`
        module.start_at_rows(rows)
    elif estimator.init == "pca":
        module.start_at_pca(axes)
    return module


def start_table_module(estimator, rows, n_components, columns, *, seed):
    """Return a new module for columns that have laws of their own, at its start."""
    law = resolve_likelihood(estimator, columns)
    view = _modules.ExpandedRows(rows.X, _modules.Layout(law))
    numbers = rows.numbers()
    statistics = _modules.column_statistics(view, numbers)
    law = law.fitted_to(statistics)
    scaler = fit_table_scaler(estimator, law, statistics)
    architecture, start = resolve_architecture(estimator), None
    if not architecture.has_bottleneck:
        n_components = law.n_entries
    elif estimator.init == "pca" or not isinstance(n_components, Integral):
        n_components, start = _modules.mixed_start(
            view,
            numbers,
            scaler,
            law,
            variances=np.square(statistics.std / scaler.scale.numpy()),
            n_axes=_n_axes(n_components),
            resolve_width=partial(resolve_n_components, n_components),
            seed=seed,
        )
    module = estimator._make_module(
        n_features=law.n_entries,
        n_components=int(n_components),
        architecture=architecture,
        likelihood=law,
        image_shape=None,
        rng=Rng(seed),
    )
    module.set_scaler(scaler)
    if not architecture.has_bottleneck:
        module.start_at_rows(rows)
    elif estimator.init == "pca":
        module.start_at_mixed(start)
        few = slice(ROWS_OF_START)
        some = rows.X[few] if numbers is None else rows.X[numbers[few]]
        module.shrink_start(*module.open_rows(_training.as_tensor(some)))
    return module


def fit_table_scaler(estimator, law, statistics):
    """Return the scaler of entries: what the estimator says, where laws take it."""
    parts = []
    for part, entries in zip(law.parts, law.slices, strict=True):
        own = statistics.take(entries)
        scaler = _modules.Scaler(part.n_entries)
        if part.law.scalable:
            # numbers beside categories are not of one kind
            scale = "standard" if estimator.scale == "auto" else estimator.scale
            scaler.fit(own, scale)
        else:
            scaler.fit(own, None).divide_by(part.law.unit)
        parts.append((entries, scaler))
    return _modules.Scaler(law.n_entries).put_together(parts)


def fit_scaler(estimator, rows):
    """Return the scaler of the training rows."""
    statistics = cache(partial(_modules.column_statistics, rows.X, rows.numbers()))
    likelihood = resolve_likelihood(estimator)
    scaling = resolve_scaling(estimator, likelihood, statistics)
    scaler = _modules.Scaler(rows.X.shape[1]).fit(statistics(), scaling)
    return scaler.divide_by(likelihood.unit) if scaling is None else scaler


def find_axes(estimator, rows, scaler, *, seed):
    """Return the principal axes of the training rows that the estimator may need."""
    n_axes = _n_axes(estimator.n_components)
    return _modules.principal_axes(
        rows.X, rows.numbers(), scaler, n_axes=n_axes, seed=seed
    )


def _n_axes(n_components):
    """Return how many axes are needed at most, or None for any number of them."""
    if n_components is None:
        return AUTO_MOST
    # a share of the variance may need any number of them
    return n_components if isinstance(n_components, Integral) else None


def resume_module(estimator, columns=None):
    """Return a copy of the fitted module, and of its optimiser's state.

    Copies, because a fitted module never changes: other threads may use it, and an
    error must leave it as it was. The state is None if the optimiser is another now.
    """
    net = estimator.net_
    _check_same_network(estimator, net.module_, columns)
    module = deepcopy(net.module_)
    module.set_objective(**estimator._objective())
    if net.plan.optimizer != estimator.optimizer:
        return module, None
    return module, deepcopy(net.optimizer_.state_dict())


def _check_same_network(estimator, module, columns):
    """Raise ValueError if the parameters now ask for another network."""
    likelihood = estimator._likelihood_parameter
    pairs = {
        "architecture": (resolve_architecture(estimator), module.architecture),
        likelihood: (resolve_likelihood(estimator, columns), module.likelihood),
    }
    if isinstance(estimator.n_components, Integral):
        pairs["n_components"] = (int(estimator.n_components), module.n_components)
    penalties = getattr(estimator, "penalty", None), getattr(module, "penalty", None)
    if penalties.count(None) == 1:
        pairs["penalty"] = penalties
    if hasattr(estimator, "ordered"):
        pairs["ordered"] = bool(estimator.ordered), module.has_prefixes
    for name, (now, before) in pairs.items():
        if repr(now) != repr(before):
            raise ValueError(
                f"{name}={now!r}, but training would go on from a network with "
                f"{name}={before!r}; set it back, or use warm_start=False and fit for "
                "a new network"
            )


def resolve_scaling(estimator, likelihood, statistics):
    """Return "standard", "global" or None for the `scale` of the estimator."""
    scale = estimator.scale
    if not likelihood.scalable:
        if scale in ("standard", "global"):
            parameter = estimator._likelihood_parameter
            raise ValueError(
                f"scale={scale!r} would move X out of {list(likelihood.support)}, "
                f"which {parameter}={getattr(estimator, parameter)!r} needs; use "
                "scale='auto' or None"
            )
        return None
    if scale != "auto":
        return scale
    if estimator.image_shape is not None:
        return "global"
    return _modules.choose_scaling(statistics())


def resolve_n_components(n_components, axes):
    """Return the width of the code that `n_components` asks for."""
    if n_components is None:
        return min(axes.n_components_for(AUTO_SHARE), AUTO_MOST)
    if not isinstance(n_components, Integral):
        return axes.n_components_for(n_components)
    return int(n_components)
