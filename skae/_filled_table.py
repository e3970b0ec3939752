"""A table with categories whose holes are filled, and nothing else is touched."""

import numpy as np
import pandas as pd

from skae._columns import as_table, is_category_dtype, library_of


def fill_table(X, columns, rows, holes, kept):
    """Return a table with its holes filled, of the library, dtypes and index of X.

    A column of categories has those of `fit`, and those that X has beside them. Where
    `fit` was given an array it is an array.

    Parameters
    ----------
    X : DataFrame or array-like of shape (n_samples, n_columns)
        The table.
    columns : Columns
        What its columns are.
    rows : ndarray of shape (n_samples, n_columns)
        What to fill holes with: numbers, of categories their positions. A column
        without a known category is left as it is.
    holes : ndarray of bool of shape (n_samples, n_columns)
        Where values of X are missing.
    kept : ndarray of bool of shape (n_columns,)
        Which columns to return.
    """
    table = as_table(X)
    if columns.library is None and library_of(table) is not None:
        table = table.to_numpy()
    holes = holes & [known is None or len(known) > 0 for known in columns.categories]
    positions = np.flatnonzero(kept)
    if library_of(table) is None:
        return _filled_array(table, columns, rows, holes)[:, kept]
    fill = _filled_of_pandas if library_of(table) == "pandas" else _filled_of_polars
    filled = [fill(table, j, columns, rows[:, j], holes[:, j]) for j in positions]
    return _with_columns(table, positions, filled)


def add_flags(table, flags, names):
    """Return a filled table with columns of bools beside it."""
    library = library_of(table)
    if library is None:
        return np.hstack([table, flags.astype(table.dtype)])
    if library == "pandas":
        flags = pd.DataFrame(flags, index=table.index, columns=names)
        return pd.concat([table, flags], axis=1)
    import polars as pl

    return table.hstack(pl.DataFrame(flags, schema=list(names)))


def _filled_array(table, columns, rows, holes):
    result = table.copy()
    for j, known in enumerate(columns.categories):
        where = holes[:, j]
        values = rows[where, j]
        result[where, j] = values if known is None else known[values.astype(int)]
    return result


def _filled_of_pandas(table, j, columns, positions, holes):
    """Return one column of a DataFrame of pandas, filled."""
    column, known = table.iloc[:, j], columns.categories[j]
    if is_category_dtype(column.dtype) and known is not None:
        column = _with_categories(column, columns.dtypes[j], known)
    if not holes.any():
        return column
    made = columns.column(positions[holes], j, column.dtype, "pandas")
    column = column.copy()
    column.iloc[np.flatnonzero(holes)] = made.array
    return column


def _with_categories(column, dtype, known):
    """Return a column of pandas whose dtype has the categories of `fit`, and its own.

    It is the dtype of `fit` where that will do.
    """
    if not is_category_dtype(dtype):
        dtype = pd.CategoricalDtype(known)
    own = column.cat.remove_unused_categories().cat.categories
    beside = own[~own.isin(dtype.categories)]
    if len(beside):
        every = dtype.categories.append(beside)
        dtype = pd.CategoricalDtype(every, ordered=dtype.ordered)
    return column if column.dtype == dtype else column.astype(dtype)


def _filled_of_polars(table, j, columns, positions, holes):
    """Return one column of a DataFrame of polars, filled."""
    import polars as pl

    column = table.to_series(j)
    if str(column.dtype).startswith("Enum"):
        own = column.dtype.categories
        beside = [c for c in map(str, columns.categories[j]) if c not in set(own)]
        column = column.cast(pl.Enum([*own, *beside])) if beside else column
    if not holes.any():
        return column
    made = columns.column(positions[holes], j, column.dtype, "polars")
    return column.scatter(np.flatnonzero(holes), made)


def _with_columns(table, positions, filled):
    """Return some columns of a DataFrame, replaced by others."""
    if library_of(table) == "pandas":
        result = table.iloc[:, positions].copy(deep=False)
        for i, column in enumerate(filled):
            result.isetitem(i, column)
        return result
    return table[:, positions.tolist()].with_columns(filled)
