"""From an estimator's parameters and X to a network that is ready to train.

In order: check the parameters, check X against the likelihood, split the rows, plan
the training, start the network.
"""

from copy import deepcopy
from functools import cache, partial
from inspect import isclass
from warnings import warn

import numpy as np
from sklearn.base import BaseEstimator, clone

from skae import _modules, _training
from skae._availability import demands_early_stopping
from skae._device import resolve_device
from skae._random import Rng
from skae._sklearn import Integral, InvalidParameterError, validate_parameters
from skae._validation import has_holes, name_column
from skae.architectures import MLP, Conv
from skae.corruptions._chain import as_corruption

# What the names of architectures stand for.
ARCHITECTURES = {"mlp": MLP(), "conv": Conv()}

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

# `batch_size="auto"` makes this many batches of an epoch, within bounds.
AUTO_BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 16, 16, 256

# Rows are looked through in blocks of this size.
ROWS_PER_CHECK = 4096


def resolve_architecture(estimator):
    """Return the `Architecture` that the estimator's parameter stands for.

    One for images that does not know their shape is told the estimator's.
    """
    architecture, shape = estimator.architecture, _image_shape(estimator)
    if architecture == "auto":
        is_image = shape is not None and min(shape[1:]) > 1
        architecture = "conv" if is_image else "mlp"
    architecture = clone(
        ARCHITECTURES[architecture] if isinstance(architecture, str) else architecture
    )
    if architecture.get_params(deep=False).get("image_shape", ()) is None:
        architecture.set_params(image_shape=shape)
    return architecture


def resolve_likelihood(estimator):
    """Return the `Likelihood` that the estimator's loss or likelihood stands for."""
    value = getattr(estimator, estimator._likelihood_parameter)
    return clone(estimator._likelihoods.get(value, value))


def check_parameters(estimator):
    """Raise for the first invalid parameter, before anything is done."""
    validate_parameters(estimator)
    check_image_shape(estimator)
    architecture = resolve_architecture(estimator)
    parts = (
        architecture,
        getattr(estimator, estimator._likelihood_parameter),
        getattr(estimator, "penalty", None),
    )
    for part in parts:
        if isinstance(part, BaseEstimator):
            validate_parameters(part)
    _check_optimizer(estimator.optimizer)
    _check_data_loader(estimator.data_loader)
    _check_free_bits(estimator)
    _check_corruption(estimator)
    _check_bottleneck(estimator, architecture)
    resolve_device(estimator.device)


def _check_optimizer(optimizer):
    kind = optimizer.func if isinstance(optimizer, partial) else optimizer
    if isinstance(kind, str):
        return  # checked with the other parameters
    import torch

    if not (isclass(kind) and issubclass(kind, torch.optim.Optimizer)):
        raise TypeError(
            f"optimizer must be a name among {sorted(_training.OPTIMIZERS)}, a "
            "subclass of torch.optim.Optimizer, or a functools.partial of one, got "
            f"{optimizer!r}"
        )


def _check_data_loader(data_loader):
    """Raise TypeError unless it is None, or makes a `DataLoader`."""
    if data_loader is None:
        return
    from torch.utils.data import DataLoader

    kind = data_loader.func if isinstance(data_loader, partial) else data_loader
    if not (isclass(kind) and issubclass(kind, DataLoader)):
        raise TypeError(
            "data_loader must be None, torch.utils.data.DataLoader, or a "
            f"functools.partial of it, got {data_loader!r}; the loader itself is made "
            "in fit, over X"
        )
    ours = {"batch_size", "shuffle", "sampler", "batch_sampler", "drop_last"}
    taken = ours.intersection(getattr(data_loader, "keywords", {}))
    if taken:
        raise ValueError(
            f"data_loader={data_loader!r} sets {sorted(taken)}, but which rows make a "
            "batch is up to the estimator; leave them out and use its batch_size"
        )


def check_image_shape(estimator):
    """Raise unless `image_shape` is None, or three positive ints."""
    shape = estimator.image_shape
    if shape is None:
        return
    ints = [s for s in shape if isinstance(s, Integral) and not isinstance(s, bool)]
    if not (len(shape) == len(ints) == 3 and min(ints) > 0):
        raise InvalidParameterError(
            f"The 'image_shape' parameter of {type(estimator).__name__} must be three "
            f"positive ints (channels, height, width) or None. Got {shape!r} instead."
        )


def _check_corruption(estimator):
    """Raise for a corruption that is none, or that images here cannot have."""
    corruption = as_corruption(getattr(estimator, "corruption", None))
    if corruption is not None:
        validate_parameters(corruption)
        corruption.check_image(estimator.image_shape)


def _check_bottleneck(estimator, architecture):
    """Raise ValueError for parameters of a code where there is none."""
    if architecture.has_bottleneck:
        return
    way_out = "use an architecture with a bottleneck, such as 'conv'"
    if estimator._needs_bottleneck:
        raise ValueError(
            f"architecture={architecture!r} has no bottleneck, and so no code to be a "
            f"random variable, as {type(estimator).__name__} has it; use "
            "AutoencoderTransformer, or " + way_out.removeprefix("use ")
        )
    for name in ("n_components", "penalty"):
        value = getattr(estimator, name)
        if value is not None:
            raise ValueError(
                f"{name}={value!r} is about a code, but architecture={architecture!r} "
                f"has no bottleneck; leave {name} at None, or {way_out}"
            )


def _check_free_bits(estimator):
    """Raise ValueError for free bits of a bound without a KL term to charge."""
    weighted = getattr(estimator, "elbo", None) == "importance_weighted"
    if weighted and estimator.free_bits:
        raise ValueError(
            f"free_bits={estimator.free_bits!r} must be 0 for "
            "elbo='importance_weighted', a bound without a KL term to charge for; set "
            "free_bits=0.0, or use elbo='analytic' or 'monte_carlo'"
        )


def check_support(estimator, X, names):
    """Raise ValueError if X lies outside the likelihood's support."""
    likelihood = resolve_likelihood(estimator)
    if likelihood.whole:
        _check_whole(estimator, X, names)
    lowest, highest = likelihood.support
    # fmin and fmax pass over missing values, but are slower
    least, most = (np.fmin, np.fmax) if has_holes(X) else (np.minimum, np.maximum)
    below = lowest > -np.inf and least.reduce(X, axis=None) < lowest
    above = highest < np.inf and most.reduce(X, axis=None) > highest
    if not (below or above):
        return
    columns = _modules.column_statistics(X)
    j = np.flatnonzero((columns.minimum < lowest) | (columns.maximum > highest))[0]
    parameter = estimator._likelihood_parameter
    raise ValueError(
        f"{parameter}={getattr(estimator, parameter)!r} needs X in "
        f"[{lowest:g}, {highest:g}], but {name_column(j, names)} spans "
        f"[{columns.minimum[j]:.6g}, {columns.maximum[j]:.6g}]; scale X with "
        "sklearn.preprocessing.MinMaxScaler(clip=True), or leave "
        f"{parameter} at its default, which takes any number"
    )


def _check_whole(estimator, X, names):
    """Raise ValueError if X has other than whole numbers."""
    if X.dtype.kind != "f":
        return
    for start in range(0, len(X), ROWS_PER_CHECK):
        rows = X[start : start + ROWS_PER_CHECK]
        wrong = (rows != np.floor(rows)) & ~np.isnan(rows)  # NaN is missing
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            parameter = estimator._likelihood_parameter
            raise ValueError(
                f"{parameter}={getattr(estimator, parameter)!r} needs X of whole "
                f"numbers, but {name_column(j, names)} has {rows[i, j]} in row "
                f"{start + i}; use np.round(X), or leave {parameter} at its default, "
                "which takes any number"
            )


def split_rows(estimator, X, *, streaming, seed):
    """Return the `TrainingRows` of X: which to train on, which to validate on."""
    n_samples, demanded = len(X), demands_early_stopping(estimator)
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
        return _training.TrainingRows(X, None, None, has_holes(X))
    numbers = np.arange(n_samples, dtype=np.int32)  # half the memory of the usual int64
    order = np.random.RandomState(seed).permutation(numbers)
    train, valid = np.sort(order[n_valid:]), np.sort(order[:n_valid])
    return _training.TrainingRows(X, train, valid, has_holes(X))


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
        return len(rows.X) <= MOST_REFIT_ROWS
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


def start_module(estimator, rows, n_components, *, seed):
    """Return a new module: scaled to the training rows, and at its start.

    `n_components` is the estimator's, or a width that has been found already.
    """
    scaler, axes = fit_scaler(estimator, rows), None
    architecture, n_features = resolve_architecture(estimator), rows.X.shape[1]
    if not architecture.has_bottleneck:
        n_components = n_features
    elif estimator.init == "pca" or not isinstance(n_components, Integral):
        axes = find_axes(estimator, rows, scaler, seed=seed)
    module = estimator._make_module(
        n_features=n_features,
        n_components=resolve_n_components(n_components, axes),
        architecture=architecture,
        likelihood=resolve_likelihood(estimator),
        image_shape=_image_shape(estimator),
        rng=Rng(seed),
    )
    module.set_scaler(scaler)
    if not architecture.has_bottleneck:
        # it is the rows themselves, whatever `init`
        module.start_at_rows()
    elif estimator.init == "pca":
        module.start_at_pca(axes)
    return module


def _image_shape(estimator):
    """Return `image_shape` as a tuple of ints, or None."""
    shape = estimator.image_shape
    return None if shape is None else tuple(int(size) for size in shape)


def fit_scaler(estimator, rows):
    """Return the scaler of the training rows."""
    statistics = cache(partial(_modules.column_statistics, rows.X, rows.train))
    likelihood = resolve_likelihood(estimator)
    scaling = resolve_scaling(estimator, likelihood, statistics)
    scaler = _modules.Scaler(rows.X.shape[1]).fit(statistics(), scaling)
    return scaler.divide_by(likelihood.unit) if scaling is None else scaler


def find_axes(estimator, rows, scaler, *, seed):
    """Return the principal axes of the training rows that the estimator may need."""
    n_axes = estimator.n_components
    if n_axes is None:
        n_axes = AUTO_MOST
    elif not isinstance(n_axes, Integral):
        n_axes = None  # a share of the variance may need any number of them
    return _modules.principal_axes(rows.X, rows.train, scaler, n_axes=n_axes, seed=seed)


def resume_module(estimator):
    """Return a copy of the fitted module, and of its optimiser's state.

    Copies, because a fitted module never changes: other threads may use it, and an
    error must leave it as it was. The state is None if the optimiser is another now.
    """
    net = estimator.net_
    _check_same_network(estimator, net.module_)
    module = deepcopy(net.module_)
    module.set_objective(**estimator._objective())
    if net.plan.optimizer != estimator.optimizer:
        return module, None
    return module, deepcopy(net.optimizer_.state_dict())


def _check_same_network(estimator, module):
    """Raise ValueError if the parameters now ask for another network."""
    likelihood = estimator._likelihood_parameter
    pairs = {
        "architecture": (resolve_architecture(estimator), module.architecture),
        likelihood: (resolve_likelihood(estimator), module.likelihood),
    }
    if isinstance(estimator.n_components, Integral):
        pairs["n_components"] = (int(estimator.n_components), module.n_components)
    penalties = getattr(estimator, "penalty", None), getattr(module, "penalty", None)
    if penalties.count(None) == 1:
        pairs["penalty"] = penalties
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


def warn_of_copying(estimator, n_features):
    """Warn of a network that can copy its input, unless something keeps it from it."""
    n_components, ways = estimator.n_components, "dropout"
    if hasattr(estimator, "penalty"):
        if estimator.penalty is not None or estimator.corruption is not None:
            return
        ways = "dropout, a penalty or a corruption"
    architecture = resolve_architecture(estimator)
    if not architecture.has_bottleneck:
        warn(
            f"architecture={architecture!r} without a bottleneck and corruption=None: "
            "the network can copy its input and learn nothing; pass the corruption "
            "that it is to undo, of skae.corruptions",
            UserWarning,
            stacklevel=6,  # the line that calls fit
        )
    if isinstance(n_components, Integral) and n_components > n_features:
        warn(
            f"n_components={n_components} exceeds the {n_features} features of X: an "
            "overcomplete code can copy its input and learn nothing; use fewer "
            f"components, or {ways} to keep it from copying",
            UserWarning,
            stacklevel=6,  # the line that calls fit
        )
