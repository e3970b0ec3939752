"""Rows of a table in units in which columns can be compared, categories among them."""

import numpy as np

from skae import _modules
from skae._storage import storable

# Rows that are brought into units at once.
ROWS_AT_ONCE = 2048


@storable
class TableUnits:
    """The units of a table's columns, and how far values are from what is expected.

    A number counts in standard deviations of its column. A column of categories has an
    entry for each, 1 or 0. So rows that differ in a category are as far apart in that
    column as two random rows are in a number, on average.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns)
        Rows; of categories their positions. NaN is a missing value.
    columns : Columns or None, default=None
        Knows the categories; None if there are none.
    """

    def __init__(self, X, columns=None):
        n_columns = X.shape[1]
        n_categories = np.zeros(n_columns, dtype=int)  # 0 for numbers
        if columns is not None:
            known = columns.categories
            n_categories[:] = [0 if own is None else len(own) for own in known]
        widths = np.maximum(n_categories, 1)
        self.owners = np.repeat(np.arange(n_columns), widths)  # (n_entries,)
        stops = np.cumsum(widths)
        self.blocks = {
            int(j): slice(int(stops[j] - widths[j]), int(stops[j]))
            for j in np.flatnonzero(n_categories)
        }
        self.is_number = n_categories[self.owners] == 0  # (n_entries,)
        # a category that no row has is unlikely, not impossible
        self.least_probability = 1 / (len(X) + 1)
        statistics = _modules.column_statistics(X)
        self.center = np.nan_to_num(statistics.mean)[self.owners]
        self.scale = statistics.std[self.owners]
        for j, block in self.blocks.items():
            self.center[block] = category_shares(X[:, j], n_categories[j])
            self.scale[block] = 1.0
        self.scale[~(self.scale > 0)] = 1.0
        self.law = None
        if 0 < self.is_number.sum() <= _modules.MOST_COLUMNS:
            some = self._entries(X[_modules.spread_rows(len(X))])
            self.law = _modules.joint_normal(some[:, self.is_number])

    # -- rows in units -------------------------------------------------------------

    def measure(self, X, which):
        """Return some rows in units, (n_rows, n_entries), float32, NaN as X has it."""
        result = np.empty((len(which), len(self.owners)), dtype=np.float32)
        for start in range(0, len(which), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            result[part] = self._entries(X[which[part]])
        return result

    def fill(self, X):
        """Return rows in units, float64, with what to expect of missing values.

        Of numbers that is what the others of the row say, of categories how frequent
        they are.
        """
        V = self._entries(X)
        numbers = V[:, self.is_number]
        holed = np.isnan(numbers).any(axis=1)
        if self.law is not None and holed.any():
            numbers[holed] = _modules.expected(self.law, numbers[holed])
            V[:, self.is_number] = numbers
        return np.nan_to_num(V)

    def _entries(self, X):
        entries = X.astype(np.float64)
        if self.blocks:
            entries = entries[:, self.owners]
        for block in self.blocks.values():
            positions = entries[:, block]
            is_one = positions == np.arange(positions.shape[1])
            entries[:, block] = np.where(np.isnan(positions), np.nan, is_one)
        return (entries - self.center) / self.scale

    def restore(self, V):
        """Return entries in units as they were: numbers of X, and probabilities."""
        return self.center + self.scale * V

    # -- differences ---------------------------------------------------------------

    def residuals(self, X, V, expected):
        """Return what entries V of rows X are more than expected, 0 where X has NaN.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Rows.
        V, expected : ndarray of shape (n_rows, n_entries), (n_views, n_rows, n_entries)
            In units.
        """
        residuals = V - expected
        residuals[:, np.isnan(X)[:, self.owners]] = 0.0  # a hole is not strange
        return residuals

    def surprises(self, X, residuals):
        """Return how far each column is from what is expected, not negative.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_columns)
            Rows. A category that is not known has a position beyond the others.
        residuals : ndarray of shape (n_views, n_rows, n_entries)
            As `residuals` returns them.

        Returns
        -------
        surprises : ndarray of shape (n_views, n_rows, n_columns)
            Squared residuals of numbers, minus twice the logarithms of the
            probabilities of categories, and 0 for what is missing.
        """
        if not self.blocks:
            return np.square(residuals)
        result = np.empty((*residuals.shape[:2], X.shape[1]))
        result[..., self.owners[self.is_number]] = np.square(
            residuals[..., self.is_number]
        )
        for j, block in self.blocks.items():
            # right for a row's own category, whose entry is 1
            probabilities = 1 - residuals[..., block]
            result[..., j] = self.surprise_of_category(X[:, j], probabilities)
        return result

    def surprise_of_category(self, positions, probabilities):
        """Return minus twice the logarithm of the probability of each category.

        So it counts as a number does, which is normal given the others and has a
        squared residual in units of its mean.

        Parameters
        ----------
        positions : ndarray of shape (n_rows,)
            NaN is a missing value, which is no surprise. A category that is not known
            has a position beyond the others.
        probabilities : ndarray of shape (n_views, n_rows, n_categories)
            Of all, or at least of the category that each row has.
        """
        lowest = self.least_probability
        known = np.flatnonzero(positions < probabilities.shape[2])
        own = np.full(probabilities.shape[:2], lowest)
        own[:, known] = probabilities[:, known, positions[known].astype(int)]
        own[:, np.isnan(positions)] = 1.0
        return -2 * np.log(np.clip(own, lowest, 1.0))

    @property
    def has_unit(self):
        """Whether surprises of each column are in nats, and need no other unit."""
        result = np.zeros(int(self.owners[-1]) + 1, dtype=bool)
        result[list(self.blocks)] = True
        return result

    def directions(self, residuals):
        """Return 1 or -1 for each column: of numbers, the signs of the residuals."""
        if not self.blocks:
            return np.sign(residuals)
        signs = np.ones((*residuals.shape[:-1], int(self.owners[-1]) + 1))
        numbers = self.owners[self.is_number]
        signs[..., numbers] = np.sign(residuals[..., self.is_number])
        return signs

    def sum_columns(self, values):
        """Return the sums (..., n_columns) of the entries (..., n_entries) of each."""
        if not self.blocks:
            return values
        starts = np.flatnonzero(np.diff(self.owners, prepend=-1))
        return np.add.reduceat(values, starts, axis=-1)


def category_shares(positions, n_categories):
    """Return the share of each category among the known ones of a column."""
    known = positions[~np.isnan(positions)].astype(int)
    return np.bincount(known, minlength=n_categories) / max(len(known), 1)
