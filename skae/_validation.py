"""What every public door asks of its arrays.

Each function returns the checked array or raises an error that names the argument,
the column, the value, what was expected, and the way out.
"""

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from skae._sklearn import Integral, InvalidParameterError, get_feature_names

# Row data of these types is used as it is, without a copy; anything else becomes
# float64.
NATIVE_DTYPES = [
    np.dtype(t) for t in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "?")
]

# Ways out, for errors.
FILL = (
    "fill missing values first, for instance with sklearn.impute.SimpleImputer in a "
    "Pipeline, or drop the rows"
)
CLIP = "clip or replace such values first, or drop the rows"
ENCODE = "encode text first, for instance with sklearn.preprocessing.OneHotEncoder"
DECLARE = (
    "if these are categories, say so with astype('category'), or by "
    "categorical_features=[{}]"
)

# Kinds of columns that may hold anything.
OBJECTS = ("object", "str", "string", "string[python]", "string[pyarrow]")

# Numbers per chunk when NaN are looked for.
CHUNK_CELLS = 2**17

# Squares of larger values overflow float64, and with them every variance.
LARGEST_VALUE = 1e150


def name_column(j, names):
    """Return how an error calls column `j`: its name, or its position."""
    return f"column {names[j]!r}" if names is not None else f"column {j}"


def check_rows(
    X,
    *,
    estimator,
    names=None,
    image_shape=None,
    allow_nan=False,
    allow_empty_rows=False,
):
    """Return X as a 2-D array of rows, finite but for NaN if that is allowed.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, *image_shape)
        What the user passed.
    estimator : object
        The estimator that errors speak of.
    names : ndarray of str or None
        Column names for errors.
    image_shape : tuple of int or None
        Shape of the image in a row; a 4-D X is flattened when it agrees.
    allow_nan : bool, default=False
        Whether NaN is a missing value.
    allow_empty_rows : bool, default=False
        Whether a row may have nothing else; it is refused if not.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        Of one of `NATIVE_DTYPES`, not copied where the input is already so.
    """
    if image_shape is not None:
        X = _flatten_images(X, image_shape)
    X = check_numbers(X, estimator=estimator, names=names, allow_nan=allow_nan)
    if image_shape is not None and X.shape[1] != np.prod(image_shape):
        raise ValueError(
            f"image_shape={tuple(image_shape)} means {np.prod(image_shape)} features, "
            f"but X has {X.shape[1]} features; "
            "image_shape is (channels, height, width) of one row"
        )
    if allow_nan and not allow_empty_rows:
        refuse_empty_rows(X)
    return X


def check_numbers(X, *, estimator, names=None, allow_nan=False):
    """Return X as a 2-D array of numbers; of its rows `check_rows` asks more."""
    encode = DECLARE if hasattr(estimator, "categorical_features") else ENCODE
    X = _refuse_columns_without_numbers(X, allow_nan, encode)
    try:
        X = check_array(
            X,
            dtype=NATIVE_DTYPES,
            ensure_all_finite=False,
            estimator=estimator,
            input_name="X",
        )
    except ValueError as error:
        if str(error).startswith("could not convert string to float"):
            advice = encode.format("position of the column")
            raise ValueError(f"{error} in X, expected numbers; {advice}") from None
        raise
    check_finite(X, names=names, allow_nan=allow_nan)
    return X


def has_holes(X):
    """Return whether an array of numbers has NaN in it, in one fast pass."""
    if X.dtype.kind != "f":
        return False
    total = _sum_of_squares(X)
    return bool(np.isnan(X.min() if np.isinf(total) else total))


def refuse_empty_rows(X):
    """Raise ValueError for a row of nothing but NaN, which tells nothing."""
    if not has_holes(X):
        return
    for start, known in _known_entries(X):
        empty = ~known.any(axis=1)
        if empty.any():
            raise ValueError(
                f"row {start + empty.argmax()} of X has no known value, only NaN: "
                "there is nothing to go by; drop such rows"
            )


def refuse_empty_columns(X, names=None):
    """Raise ValueError for a column of nothing but NaN, which tells nothing."""
    if not has_holes(X):
        return
    seen = np.zeros(X.shape[1], dtype=bool)
    for _, known in _known_entries(X):
        seen |= known.any(axis=0)
    if not seen.all():
        raise ValueError(
            f"{name_column(seen.argmin(), names)} of X has no known value, only NaN: "
            "there is nothing to learn about it; drop the column"
        )


def _known_entries(X):
    """Yield where chunks of rows start, and which of their entries are known."""
    step = max(1, CHUNK_CELLS // X.shape[1])
    for start in range(0, len(X), step):
        yield start, ~np.isnan(X[start : start + step])


def check_codes(Z, *, n_components, estimator, or_fewer=False):
    """Return Z as a finite float array of shape (n_samples, n_components).

    With `or_fewer` it may have less than so many columns.
    """
    names = get_feature_names(Z)
    Z = check_array(
        Z,
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        estimator=estimator,
        input_name="Z",
    )
    if Z.shape[1] != n_components and not (or_fewer and Z.shape[1] < n_components):
        raise ValueError(
            f"Z has {Z.shape[1]} features, but {type(estimator).__name__} was fitted "
            f"with n_components={n_components}"
        )
    check_finite(Z, names=names, input_name="Z")
    return Z


def check_finite(X, *, names=None, input_name="X", allow_nan=False):
    """Raise ValueError for NaN, infinities, and values whose squares overflow."""
    if X.dtype.kind != "f":
        return
    if _sum_of_squares(X) < LARGEST_VALUE:  # NaN would fail the comparison
        return
    # np.fmin and np.fmax pass over NaN
    least, most = (np.fmin, np.fmax) if allow_nan else (np.minimum, np.maximum)
    lowest, highest = (float(f.reduce(X, axis=None)) for f in (least, most))
    if lowest > -LARGEST_VALUE and highest < LARGEST_VALUE:
        return
    for condition, complaint, way_out in (
        (np.isnan, "contains NaN", FILL),
        (np.isinf, "contains infinity or a value too large for its dtype", CLIP),
        (_overflows, f"contains a value beyond {LARGEST_VALUE:g}, whose square "
         "overflows float64", CLIP),
    )[allow_nan:]:  # fmt: skip
        bad = condition(X)
        if bad.any():
            i, j = np.argwhere(bad)[0]
            raise ValueError(
                f"Input {input_name} {complaint}.\n"
                f"{name_column(j, names)} has {X[i, j]} in row {i}"
                f" ({bad.sum()} such values in all); {way_out}"
            )


def check_count(name, value):
    """Raise if the argument `name` of a method is not a positive int."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise InvalidParameterError(f"{name} must be a positive int, got {value!r}")


def check_components(components, n_components):
    """Return the numbers of some components as a list, of every one for None."""
    if components is None:
        return list(range(n_components))
    components = np.atleast_1d(components).tolist()
    for j in components:
        known = isinstance(j, Integral) and 0 <= j < n_components
        if isinstance(j, bool) or not known:
            raise InvalidParameterError(
                f"components must be ints from 0 to {n_components - 1}, got {j!r}"
            )
    return components


def check_overflow(result, X, input_name="X", names=None):
    """Return what a network made of X, or raise ValueError if it is not finite.

    Parameters
    ----------
    result : ndarray or tuple of ndarray
        Results with as many rows as X.
    X : ndarray
        What the network was applied to.
    input_name : str, default="X"
        What errors call X.
    names : ndarray of str or None, default=None
        Column names of X.
    """
    for array in result if isinstance(result, tuple) else (result,):
        if np.isfinite(_sum_of_squares(array)):
            continue
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if not finite.all():
            i = int(finite.argmin())
            j = int(np.abs(X[i].astype(np.float64)).argmax())
            or_else = ", or pass float64" if array.dtype == np.float32 else ""
            raise ValueError(
                f"{input_name} overflows the network: row {i} has {X[i, j]} in "
                f"{name_column(j, names)}, far from all that the network was trained "
                f"on, and its result is not finite in {array.dtype}; clip the value"
                f"{or_else}"
            )
    return result


def _sum_of_squares(X):
    """Return the sum of all squares, in one fast pass: NaN or infinity if in doubt."""
    if not (X.flags.forc and X.dtype in (np.float32, np.float64)):
        return np.inf
    entries = X.ravel(order="K")  # no copy
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.dot(entries, entries))


def _overflows(X):
    return np.abs(X) > LARGEST_VALUE


def _flatten_images(X, image_shape):
    """Return a 4-D X as rows; leave everything else to `check_array`."""
    shape = np.shape(X)
    if len(shape) == 4 and tuple(shape[1:]) == tuple(image_shape):
        return np.reshape(np.asarray(X), (shape[0], -1))
    if len(shape) in (3, 4):
        raise ValueError(
            f"Found array with dim {len(shape)} and shape {shape}, expected rows "
            f"(n_samples, {np.prod(image_shape)}) or images "
            f"(n_samples, {', '.join(str(size) for size in image_shape)}) for "
            f"image_shape={tuple(image_shape)}"
        )
    return X


def _refuse_columns_without_numbers(X, allow_nan, encode):
    """Name the datetime, categorical or text columns of a DataFrame, or return it.

    `check_array` refuses them too, without saying which column it was, and does not
    know `pd.NA` in a column of objects.
    """
    dtypes = getattr(X, "dtypes", None)
    columns = getattr(X, "columns", None)
    if dtypes is None or columns is None:
        dtype = getattr(X, "dtype", None)
        if getattr(dtype, "kind", None) in ("M", "m"):
            raise ValueError(
                f"X has dtype {dtype}, expected numbers; encode it first, for instance "
                "as a number of days"
            )
        return X
    with_na = []
    for column, dtype in zip(columns, dtypes, strict=True):
        kind = str(dtype).lower()
        if kind.startswith(
            ("datetime", "timedelta", "date", "period", "interval", "categ", "enum")
        ):
            or_else = ", or as a number of days"
            if encode == DECLARE and kind.startswith(("categ", "enum")):
                or_else = ", or fit with it among the categorical_features"
            raise ValueError(
                f"column {column!r} of X has dtype {dtype}, expected numbers; encode "
                "it first, for instance with sklearn.preprocessing.OneHotEncoder or "
                f"TargetEncoder{or_else}"
            )
        if kind.startswith("complex"):
            raise ValueError(
                f"Complex data not supported: column {column!r} of X has dtype {dtype}"
            )
        if kind in OBJECTS and _refuse_objects(X[column], column, allow_nan, encode):
            with_na.append(column)
    if with_na:
        X = X.copy(deep=False)
        for column in with_na:
            X[column] = X[column].where(X[column].notna(), np.nan)
    return X


def _refuse_objects(values, column, allow_nan, encode):
    """Name the column of the first value that is no number; or tell of `pd.NA`."""
    has_na = False
    for row, value in enumerate(values):
        if value is None:  # becomes NaN, and is refused as such
            continue
        if value is pd.NA and allow_nan:
            has_na = True
            continue
        if value is pd.NA:
            raise ValueError(
                f"Input X contains NaN.\ncolumn {column!r} has {value} in row {row}; "
                f"{FILL}"
            )
        try:
            float(value)
        except (ValueError, TypeError) as error:
            advice = encode.format(repr(column))
            if not isinstance(value, str):
                advice = "drop or encode the column"
            raise type(error)(
                f"{error} in column {column!r} of X, expected numbers; {advice}"
            ) from None
    return has_na


def check_can_differ(estimator, n_members):
    """Raise ValueError if the members of an ensemble of an estimator are all the same.

    `estimator` is the user's, or None for a default.
    """
    if n_members == 1 or estimator is None or hasattr(estimator, "random_state"):
        return
    raise ValueError(
        f"n_members={n_members}: members differ by their seed, but estimator="
        f"{estimator!r} has no parameter random_state; leave n_members at 1, or give "
        "it one"
    )
