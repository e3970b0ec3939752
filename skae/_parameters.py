"""What an estimator's parameters stand for, and whether they make sense with X."""

from functools import partial
from inspect import isclass, signature
from warnings import warn

import numpy as np
from sklearn.base import BaseEstimator, clone

from skae import _modules, _training
from skae._device import resolve_device
from skae._sklearn import Integral, InvalidParameterError, validate_parameters
from skae._validation import has_holes, name_column
from skae.architectures import MLP, Conv
from skae.corruptions._chain import as_corruption
from skae.likelihoods import (
    Bernoulli,
    Categorical,
    Gaussian,
    Laplace,
    Likelihood,
    PerColumn,
)
from skae.likelihoods._column_scales import ColumnScales
from skae.likelihoods._table_law import Part, TableLaw

# What the names of architectures stand for.
ARCHITECTURES = {"mlp": MLP(), "conv": Conv()}

# Rows are looked through in blocks of this size.
ROWS_PER_CHECK = 4096


def resolve_architecture(estimator):
    """Return the `Architecture` that the estimator's parameter stands for.

    One for images that does not know their shape is told the estimator's.
    """
    architecture, shape = estimator.architecture, image_shape_of(estimator)
    if architecture == "auto":
        is_image = shape is not None and min(shape[1:]) > 1
        architecture = "conv" if is_image else "mlp"
    architecture = clone(
        ARCHITECTURES[architecture] if isinstance(architecture, str) else architecture
    )
    if architecture.get_params(deep=False).get("image_shape", ()) is None:
        architecture.set_params(image_shape=shape)
    return architecture


def resolve_likelihood(estimator, columns=None):
    """Return the `Likelihood` that the estimator's loss or likelihood stands for.

    For `Columns`, the one of a row of them.
    """
    value = getattr(estimator, estimator._likelihood_parameter)
    if columns is not None:
        return resolve_table_law(estimator, value, columns)
    return _named_law(estimator, value)


def _named_law(estimator, value):
    """Return a copy of a law that may be given by its name."""
    if isinstance(value, str) and value not in estimator._likelihoods:
        parameter = estimator._likelihood_parameter
        raise InvalidParameterError(
            f"{parameter} has a law {value!r}, expected a Likelihood or a name among "
            f"{sorted(estimator._likelihoods)}"
        )
    return clone(estimator._likelihoods[value] if isinstance(value, str) else value)


def resolve_table_law(estimator, value, columns):
    """Return the `TableLaw` of columns, of which some may have categories."""
    parameter = estimator._likelihood_parameter
    if not isinstance(value, PerColumn):
        value = PerColumn(rest=value)
    rest = value.rest
    if rest is None:
        rest = signature(type(estimator)).parameters[parameter].default
    laws = dict.fromkeys(columns.numbers.tolist(), _named_law(estimator, rest))
    for feature, law in (value.laws or {}).items():
        j = columns.position(feature, parameter)
        if columns.is_categorical[j]:
            raise ValueError(
                f"{parameter} has a law for {columns.name(j)}, but it has categories, "
                "whose law is that of categories; leave it out, or leave the column "
                "out of categorical_features"
            )
        laws[j] = _named_law(estimator, law)
    return TableLaw(
        [*_parts_of_numbers(laws), *_parts_of_categories(columns.categories)]
    )


def _parts_of_numbers(laws):
    """Return columns of numbers with the same law side by side."""
    groups = {}
    for j, law in sorted(laws.items()):
        groups.setdefault(repr(law), (law, []))[1].append(j)
    for law, group in groups.values():
        if getattr(law, "scale", None) == "learned" and type(law) in (
            Gaussian,
            Laplace,
        ):
            law = ColumnScales(law)
        yield Part(law, tuple(group), 1, None)


def _parts_of_categories(categories):
    """Return columns with the same number of categories side by side."""
    groups = {}
    for j, values in enumerate(categories):
        if values is not None:
            groups.setdefault(len(values), []).append(j)
    for n, group in sorted(groups.items()):
        if n == 2:  # one entry for both
            yield Part(Bernoulli(), tuple(group), 1, (1,))
        else:
            yield Part(Categorical(n), tuple(group), n, tuple(range(n)))


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
        if isinstance(part, PerColumn):
            _check_per_column(part)
    _check_optimizer(estimator.optimizer)
    _check_data_loader(estimator.data_loader)
    _check_free_bits(estimator)
    _check_corruption(estimator)
    _check_bottleneck(estimator, architecture)
    _check_ordered(estimator, architecture)
    resolve_device(estimator.device)


def _check_per_column(laws):
    """Raise unless the laws of columns are laws, or names."""
    for feature, law in [("rest", laws.rest), *(laws.laws or {}).items()]:
        if isinstance(law, Likelihood):
            validate_parameters(law)
        elif not (isinstance(law, str) or (feature == "rest" and law is None)):
            raise InvalidParameterError(
                f"the law of {feature!r} in PerColumn must be a Likelihood or a name, "
                f"got {law!r}"
            )


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


def _check_ordered(estimator, architecture):
    """Raise ValueError for what codes that are ordered cannot have."""
    if not getattr(estimator, "ordered", False):
        return
    if not architecture.has_bottleneck:
        raise ValueError(
            f"ordered=True is about a code, but architecture={architecture!r} has no "
            "bottleneck; use ordered=False, or an architecture with a bottleneck, such "
            "as 'mlp'"
        )
    if estimator.penalty is not None:
        raise ValueError(
            f"penalty={estimator.penalty!r} is about codes of one size, and "
            "ordered=True means every size; leave one of them at its default"
        )
    squared_error = estimator._likelihoods["squared_error"]
    if repr(resolve_likelihood(estimator)) != repr(squared_error):
        raise ValueError(
            f"loss={estimator.loss!r} is not for ordered=True, which balances sizes by "
            "their squared errors; use loss='squared_error', or ordered=False"
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


def check_support(estimator, X, names, columns=None):
    """Raise ValueError if X lies outside the likelihood's support."""
    likelihood = resolve_likelihood(estimator, columns)
    if columns is None:
        _check_support_of(likelihood, estimator, X, names)
        return
    for part in likelihood.parts:
        own, anywhere = list(part.columns), part.law.support == Likelihood.support
        if part.codes is None and (part.law.whole or not anywhere):
            labels = own if names is None else [names[j] for j in own]
            _check_support_of(part.law, estimator, X[:, own], labels)


def _check_support_of(likelihood, estimator, X, names):
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


def check_is_table(estimator, columns):
    """Raise ValueError for parameters of images or numbers where columns have laws."""
    if getattr(estimator, "ordered", False):
        raise ValueError(
            "ordered=True is for tables of numbers alone, but X has columns with "
            "categories; use ordered=False, or encode them, by "
            "sklearn.preprocessing.OneHotEncoder"
        )
    architecture = resolve_architecture(estimator)
    takes_tables = architecture.has_bottleneck or architecture.is_shown_holes
    if estimator.image_shape is None and takes_tables:
        return
    name = "image_shape" if estimator.image_shape is not None else "architecture"
    what = "columns with categories"
    if not columns.has_categories:
        what = f"{estimator._likelihood_parameter}=PerColumn(...)"
    raise ValueError(
        f"{name}={getattr(estimator, name)!r} is for images, or for tables of numbers "
        f"alone, but X is a table that has {what}; leave {name} at its default"
    )


def image_shape_of(estimator):
    """Return `image_shape` as a tuple of ints, or None."""
    shape = estimator.image_shape
    return None if shape is None else tuple(int(size) for size in shape)


def warn_of_copying(estimator, n_features, columns=None):
    """Warn of a network that can copy its input, unless something keeps it from it."""
    if columns is not None:  # a category takes as many numbers as there are others
        n_features = resolve_likelihood(estimator, columns).n_entries
    n_components, ways = estimator.n_components, "dropout"
    if hasattr(estimator, "penalty"):
        if estimator.penalty is not None or estimator.corruption is not None:
            return
        ways = "dropout, a penalty or a corruption"
    architecture = resolve_architecture(estimator)
    if not (architecture.has_bottleneck or architecture.is_told_noise):
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
