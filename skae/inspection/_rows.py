"""Rows of a table as numbers, with the names of the columns."""

import numpy as np
import pandas as pd

from skae._columns import as_table


def as_numbers(X, name="X"):
    """Return the columns of numbers of X, (n_samples, n_numbers), and their names.

    Columns with categories have no place on an axis of numbers and are left out.
    """
    if hasattr(X, "columns"):
        table = pd.DataFrame(as_table(X))
        numbers = table.select_dtypes("number")
        if numbers.shape[1] == 0:
            raise ValueError(f"{name} has no column of numbers to draw")
        return numbers.to_numpy(dtype=float, na_value=np.nan), list(numbers.columns)
    rows = np.asarray(X, dtype=float)
    if rows.ndim > 2:
        rows = rows.reshape(len(rows), -1)
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(
            f"{name} must have the shape (n_samples, n_features), got {rows.shape}"
        )
    return rows, [f"x{j}" for j in range(rows.shape[1])]


def spread_of(X):
    """Return the standard deviation of each column but for NaN; 1 for a constant."""
    spread = np.nanstd(X, axis=0)
    return np.where(spread > 0, spread, 1.0)
