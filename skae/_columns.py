"""What the columns of X are, and the way from a table to numbers and back.

Inside there are numbers alone: a category is its position among the categories of its
column, and NaN what is missing. That is as compact as X, and what batches are gathered
from; only a batch has an entry for each category (`skae/_modules/_layout.py`).
"""

from contextlib import suppress

import numpy as np
import pandas as pd
from sklearn.utils import check_array

from skae._column_dtypes import export_dtype, import_dtype
from skae._sklearn import Integral, get_feature_names
from skae._storage import storable
from skae._validation import check_numbers, name_column, refuse_empty_rows

# How many values an error lists.
MOST_LISTED = 10


@storable
class Columns:
    """Which columns of a table have categories, and which categories these are.

    Parameters
    ----------
    X : DataFrame of pandas or polars, or array-like
        The table of the first fit.
    categorical_features : "from_dtype", array-like or None
        The parameter of the estimator.

    Attributes
    ----------
    categories : list
        Of every column: its categories, an ndarray, or None for numbers.
    """

    def __init__(self, X, categorical_features):
        self.names = get_feature_names(X)
        self.library = library_of(X)
        self.labels = None if self.library is None else list(X.columns)
        self.n_columns = np.shape(X)[1]
        self.dtypes = column_dtypes(X)
        declared = self._declared(categorical_features)
        # of a table with categories, bools are two categories
        is_bool = [
            any(declared) and str(dtype).lower() in ("bool", "boolean")
            for dtype in self.dtypes
        ]
        self.is_categorical = np.array(declared) | np.array(is_bool, dtype=bool)
        self.is_bool = np.array(is_bool, dtype=bool) & ~np.array(declared)
        self.categories = [None] * self.n_columns

    def __getstate__(self):
        return vars(self) | {"dtypes": [export_dtype(dtype) for dtype in self.dtypes]}

    def __setstate__(self, state):
        dtypes = [import_dtype(dtype) for dtype in state["dtypes"]]
        vars(self).update(state | {"dtypes": dtypes})

    @property
    def has_categories(self):
        """Whether any column has."""
        return bool(self.is_categorical.any())

    @property
    def numbers(self):
        """Positions of the columns of numbers."""
        return np.flatnonzero(~self.is_categorical)

    def name(self, j):
        """Return how errors call column `j`."""
        return name_column(j, self.labels)

    # -- which columns have categories ---------------------------------------------

    def _declared(self, features):
        """Return whether each column is said to have categories, a list of bools."""
        if features is None:
            return [False] * self.n_columns
        if isinstance(features, str):  # "from_dtype"
            return [is_category_dtype(dtype) for dtype in self.dtypes]
        features = list(features)
        if features and all(isinstance(f, bool | np.bool_) for f in features):
            if len(features) != self.n_columns:
                raise ValueError(
                    f"categorical_features is a mask of {len(features)} columns, but X "
                    f"has {self.n_columns} features; pass one bool for each"
                )
            return [bool(f) for f in features]
        declared = [False] * self.n_columns
        for feature in features:
            declared[self.position(feature, "categorical_features")] = True
        return declared

    def position(self, feature, parameter):
        """Return the position of a column that a parameter names, or raise."""
        if isinstance(feature, str):
            if self.names is None:
                raise ValueError(
                    f"{parameter} has the name {feature!r}, but the columns of X have "
                    "no names; pass positions, or a DataFrame"
                )
            found = np.flatnonzero(self.names == feature)
            if len(found):
                return int(found[0])
            raise ValueError(
                f"{parameter} has {feature!r}, but X has no such column; its columns "
                f"are {_listed(self.names)}"
            )
        if not isinstance(feature, Integral) or isinstance(feature, bool):
            raise ValueError(
                f"{parameter} has {feature!r}, expected names or positions of columns"
            )
        if not 0 <= feature < self.n_columns:
            raise ValueError(
                f"{parameter} has the position {feature}, but X has {self.n_columns} "
                f"features: positions go from 0 to {self.n_columns - 1}"
            )
        return int(feature)

    # -- from a table to numbers ---------------------------------------------------

    def fit(self, X, *, allow_empty=False):
        """Find the categories of the columns that have some.

        A column without a known value is refused, or has none if that is allowed.
        """
        table = as_table(X)
        for j in np.flatnonzero(self.is_categorical):
            if self.is_bool[j]:
                self.categories[j] = np.array([False, True])
            else:
                values = _column(table, j)
                self.categories[j] = _sorted_categories(values, self.name(j))
                if len(self.categories[j]) == 0 and not allow_empty:
                    raise ValueError(
                        f"{self.name(j)} of X has no known value, only NaN: there is "
                        "nothing to learn about it; drop the column"
                    )
        return self

    def encode(self, X, *, handle_unknown, estimator, allow_empty_rows=False):
        """Return a table as numbers: of categories their positions, or NaN.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            Rows; columns are told by their positions.
        handle_unknown : {"error", "ignore", "mark"}
            What to do with categories that `fit` has not seen: "ignore" takes them for
            missing, "mark" gives them the position after the last.
        estimator : estimator
            The one that errors speak of.
        allow_empty_rows : bool, default=False
            Whether a row may have no known value; it is refused if not.

        Returns
        -------
        ndarray of shape (n_samples, n_columns)
            float32 if the columns of numbers all are, else float64.
        """
        table, numbers = as_table(X), self.numbers
        labels = None if self.labels is None else [self.labels[j] for j in numbers]
        labels = numbers.tolist() if labels is None else labels
        dtype = np.float64
        if len(numbers):
            own = check_numbers(
                _columns(table, numbers),
                estimator=estimator,
                names=labels,
                allow_nan=True,
            )
            dtype = np.float32 if own.dtype == np.float32 else np.float64
        result = np.empty((len(table), self.n_columns), dtype=dtype)
        if len(numbers):
            result[:, numbers] = own
        for j in np.flatnonzero(self.is_categorical):
            result[:, j] = self._codes(_column(table, j), j, handle_unknown)
        if not allow_empty_rows:
            refuse_empty_rows(result)
        return result

    def holes(self, X, rows):
        """Return where values of X are missing: unknown categories are none.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_columns)
            What `encode` was given.
        rows : ndarray of shape (n_samples, n_columns)
            What it returned.
        """
        table, holes = as_table(X), np.isnan(rows)
        for j in np.flatnonzero(self.is_categorical & holes.any(axis=0)):
            codes, _ = _factorize(_column(table, j), self.name(j))
            holes[:, j] = codes < 0
        return holes

    def _codes(self, values, j, handle_unknown):
        codes, uniques = _factorize(values, self.name(j))
        positions = pd.Index(self.categories[j]).get_indexer(pd.Index(uniques))
        unknown = [u for u, at in zip(uniques, positions, strict=True) if at < 0]
        is_empty = len(self.categories[j]) == 0  # nothing is said about it
        if unknown and handle_unknown == "error" and not is_empty:
            raise ValueError(
                f"Found unknown categories {_listed(unknown)} in {self.name(j)} of X; "
                f"fit has seen {_listed(self.categories[j])}. Use "
                "handle_unknown='ignore' to treat them as missing"
            )
        beyond = len(self.categories[j]) if handle_unknown == "mark" else np.nan
        lookup = np.append(np.where(positions < 0, beyond, positions), np.nan)
        return lookup[codes]  # the code of a missing value is -1

    # -- and back ------------------------------------------------------------------

    def decode(self, rows, index=None):
        """Return numbers as a table of the library, columns and dtypes of the first.

        Of a table that was an array: as an array of the values, of objects if some
        are no numbers.
        """
        if not self.has_categories:
            return rows
        if self.library is None:
            return self.values(rows)
        columns = [
            self.column(rows[:, j], j, dtype, self.library)
            for j, dtype in enumerate(self.dtypes)
        ]
        if self.library == "pandas":
            frame = pd.concat(
                [pd.Series(column, copy=False) for column in columns], axis=1
            )
            frame.columns = self.labels
            return frame if index is None else frame.set_axis(index)
        import polars as pl

        return pl.DataFrame(
            [c.alias(label) for c, label in zip(columns, self.labels, strict=True)]
        )

    def column(self, numbers, j, dtype, library):
        """Return numbers as column `j` of a DataFrame: a Series of the dtype."""
        known = self.categories[j]
        values = numbers if known is None else _values(numbers, known)
        make = _pandas_column if library == "pandas" else _polars_column
        return make(values, dtype, known is not None)

    def values(self, rows):
        """Return rows (..., n_columns) with values in place of positions.

        An array of floats if all categories are numbers, else of objects.
        """
        if not self.has_categories:
            return rows
        kinds = {
            self.categories[j].dtype.kind for j in np.flatnonzero(self.is_categorical)
        }
        values = rows.astype(rows.dtype if kinds <= set("biuf") else object)
        for j in np.flatnonzero(self.is_categorical):
            values[..., j] = _values(rows[..., j], self.categories[j])
        return values

    def probabilities(self, entries, law):
        """Return the probabilities of categories, by column.

        Parameters
        ----------
        entries : ndarray of shape (n_samples, n_entries)
            Means of rows in network space.
        law : TableLaw
            Knows which column an entry belongs to.

        Returns
        -------
        dict of str or int to ndarray of shape (n_samples, n_categories)
        """
        owners, _ = law.entries()
        result = {}
        for j in np.flatnonzero(self.is_categorical):
            own = entries[:, owners == j]
            if len(self.categories[j]) == 2:
                own = np.hstack([1 - own, own])
            result[int(j) if self.labels is None else self.labels[j]] = own
        return result


def find_columns(X, categorical_features, or_else=False):
    """Return the `Columns` of a table that has categories, or None.

    Parameters
    ----------
    X : DataFrame or array-like
        The table of the first fit.
    categorical_features : "from_dtype", array-like or None
        The parameter of the estimator.
    or_else : bool, default=False
        Whether they are needed of a table without categories, too.
    """
    if not (declares_categories(X, categorical_features) or or_else):
        return None
    columns = Columns(as_table(X), categorical_features).fit(X)
    return columns if columns.has_categories or or_else else None


# -- tables of either library ------------------------------------------------------


def library_of(X):
    """Return "pandas" or "polars" for a DataFrame, else None."""
    if isinstance(X, pd.DataFrame):
        return "pandas"
    is_polars = type(X).__module__.startswith("polars") and hasattr(X, "columns")
    return "polars" if is_polars and hasattr(X, "dtypes") else None


def column_dtypes(X):
    """Return the dtype of every column of a table."""
    if library_of(X) is None:
        return [getattr(X, "dtype", None)] * np.shape(X)[1]
    return list(X.dtypes)


def declares_categories(X, features):
    """Return whether `categorical_features` may mean some of the columns of X."""
    if isinstance(features, str):  # "from_dtype"
        return library_of(X) is not None and any(map(is_category_dtype, X.dtypes))
    return features is not None and len(features) > 0


def as_table(X):
    """Return X if it is a DataFrame, else as a 2-D array of numbers or objects."""
    if library_of(X) is not None:
        if len(X) == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 "
                "is required."
            )
        return X
    if not hasattr(X, "dtype"):  # numpy would turn a list of both into strings
        objects, numbers = np.array(X, dtype=object), np.asarray(X)
        X = numbers if numbers.dtype.kind in "biuf" else objects
    return check_array(X, dtype=None, ensure_all_finite=False, input_name="X")


def is_category_dtype(dtype):
    kind = str(dtype).lower()  # polars: Categorical, Enum(categories=[...])
    return kind.startswith(("categ", "enum"))


def _column(table, j):
    """Return one column: a Series of pandas, or an ndarray."""
    library = library_of(table)
    if library == "pandas":
        return table.iloc[:, j]
    if library is None:
        return table[:, j]
    column = table.to_series(j)
    if is_category_dtype(column.dtype):
        import polars as pl

        column = column.cast(pl.String)
    return np.array(column.to_list(), dtype=object)


def _columns(table, positions):
    if library_of(table) == "pandas":
        return table.iloc[:, positions]
    return table[:, positions.tolist()]


def _factorize(values, name):
    """Return the position of every value among the unique ones, and these.

    The position of a missing value is -1. Errors call the column by its name.
    """
    if isinstance(values, pd.Series) and is_category_dtype(values.dtype):
        codes, known = values.cat.codes.to_numpy(), values.cat.categories
        seen = np.unique(codes[codes >= 0])  # those that the dtype alone has are no use
        lookup = np.full(len(known) + 1, -1)
        lookup[seen] = np.arange(len(seen))
        return lookup[codes], known[seen].to_numpy()
    try:
        codes, uniques = pd.factorize(values)
    except TypeError as error:
        raise TypeError(
            f"{error} in {name} of X, where the argument must be one of strings, bools "
            "or numbers to be a category"
        ) from None
    return codes, pd.Index(uniques).to_numpy()


def _sorted_categories(values, name):
    """Return the categories of a column, in the order of its dtype or of their size."""
    _, uniques = _factorize(values, name)
    if not is_category_dtype(getattr(values, "dtype", None)):
        with suppress(TypeError):  # of several types: in the order of appearance
            uniques = np.sort(uniques)
    return uniques


def _values(positions, categories):
    """Return the categories at positions."""
    return categories[np.clip(positions, 0, len(categories) - 1).astype(int)]


def _pandas_column(values, dtype, is_category):
    if not is_category and pd.api.types.is_object_dtype(dtype):  # numbers all the same
        return pd.Series(values, copy=False)
    if not is_category and pd.api.types.is_integer_dtype(dtype):
        values = _whole(values, getattr(dtype, "numpy_dtype", dtype))
    return pd.Series(values, copy=False).astype(dtype)


def _polars_column(values, dtype, is_category):
    import polars as pl

    if is_category:
        return pl.Series(values=values.tolist()).cast(dtype)
    if dtype.is_integer():
        values = _whole(values, np.dtype(str(dtype).lower()))
    return pl.Series(values=values).cast(dtype)


def _whole(values, dtype):
    """Return numbers rounded to the integers of a dtype."""
    limits = np.iinfo(dtype)
    # the largest int64 is no float64: the next smaller one is
    highest = np.nextafter(float(limits.max), 0) if limits.max >= 2**53 else limits.max
    return np.clip(np.round(values), limits.min, highest).astype(dtype)


def _listed(values):
    """Return the first of some values as a list, for an error."""
    shown = [v.item() if hasattr(v, "item") else v for v in list(values)[:MOST_LISTED]]
    more = len(values) - len(shown)
    return f"{shown}" if more <= 0 else f"{shown} and {more} more"
