"""What metrics ask of their arrays."""

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from skae._validation import LARGEST_VALUE


def check_rows(X, name, fewest=2):
    """Return the argument `name` as a 2-D array of finite float64.

    Raises
    ------
    ValueError
        If it cannot be one.
    """
    array = check_array(
        X,
        dtype=np.float64,
        ensure_2d=False,
        allow_nd=True,
        ensure_all_finite=False,
        input_name=name,
    )
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}, expected (n_rows, n_columns); reshape a "
            f"single column with {name}.reshape(-1, 1), and others with "
            f"{name}.reshape(len({name}), -1)"
        )
    if len(array) < fewest:
        raise ValueError(
            f"{name} has shape {array.shape}, expected at least {fewest} rows"
        )
    is_bad = ~(np.abs(array) < LARGEST_VALUE)  # NaN, too
    if is_bad.any():
        row, column = np.argwhere(is_bad)[0]
        raise ValueError(
            f"{name} has {array[row, column]} in row {row} of column {column}, "
            f"expected finite numbers below {LARGEST_VALUE:g}; drop such rows, or fill "
            "them in first, with sklearn.impute.SimpleImputer for instance"
        )
    return array


def check_same_shape(X, Y, names):
    """Return two arrays of rows of one shape; a single row is enough."""
    X, Y = (check_rows(A, name, 1) for A, name in zip((X, Y), names, strict=True))
    if X.shape != Y.shape:
        raise ValueError(
            f"{names[0]} has shape {X.shape} and {names[1]} {Y.shape}; each row needs "
            "its counterpart, so their shapes must be the same"
        )
    return X, Y


def check_two_samples(X, Y):
    """Return two arrays of rows with the same columns."""
    X, Y = check_rows(X, "X"), check_rows(Y, "Y")
    if X.shape[1] != Y.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} columns and Y {Y.shape[1]}; rows can be compared only "
            "if they have the same columns"
        )
    return X, Y


def check_codes_and_factors(Z, factors, *, min_components=1, min_factors=1):
    """Return codes as floats, and factors as numbers of their values.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes.
    factors : array-like of shape (n_samples, n_factors)
        Whole numbers, a column for each factor.
    min_components, min_factors : int, default=1
        Fewest columns that make sense.

    Returns
    -------
    Z : ndarray of float64 of shape (n_samples, n_components)
    factors : ndarray of int of shape (n_samples, n_factors)
        From 0 on, in each column.

    Raises
    ------
    ValueError
        If the arrays are not like that.
    """
    Z, factors = check_rows(Z, "Z"), check_rows(factors, "factors")
    check_consistent_length(Z, factors)
    for name, array, fewest in (
        ("Z", Z, min_components),
        ("factors", factors, min_factors),
    ):
        if array.shape[1] < fewest:
            raise ValueError(
                f"{name} has {array.shape[1]} column, expected at least {fewest}: this "
                "score compares them with each other"
            )
    numbers = np.empty(factors.shape, dtype=np.intp)
    for j, column in enumerate(factors.T):
        values, numbers[:, j] = np.unique(column, return_inverse=True)
        is_broken = values != np.rint(values)
        if is_broken.any():
            raise ValueError(
                f"factors has {values[is_broken][0]} in column {j}, expected whole "
                "numbers for the values of a factor; number them with np.unique(..., "
                "return_inverse=True), or bin them with "
                "sklearn.preprocessing.KBinsDiscretizer(encode='ordinal')"
            )
        if len(values) < 2:
            raise ValueError(
                f"factors has the value {values[0]:g} alone in column {j}, and nothing "
                "can be told of a factor that does not vary; drop the column"
            )
    return Z, numbers
