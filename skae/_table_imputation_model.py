"""Draws of missing values in tables with categories: one column after the other."""

import numpy as np

from skae._imputation_model import HIDDEN, laws_of_columns, quantiles
from skae._storage import storable

# How many known values of a column stand for it where nothing is known of a row.
MOST_KNOWN = 1000


@storable
class TableImputationModel:
    """An estimator of what is missing, and draws from what it says.

    A row's holes are drawn one after the other, in a random order, and the estimator is
    told what has been drawn: a row's draws belong together as far as it knows. Of
    categories it has probabilities. Numbers are drawn as far off what is expected as
    those of the same column are in rows that the estimator has not seen, whatever is
    known of the row.

    Parameters
    ----------
    filler : Filler
        Fitted to `rows`, some columns of categories.
    rows : ndarray of shape (n_samples, n_features)
        What the estimator is fitted to; of categories their positions.
    others : ndarray of shape (n_others, n_features)
        Rows to measure on.
    seed : int
        Decides what is hidden.
    """

    def __init__(self, filler, rows, others, seed):
        self.filler, self.units = filler, filler.units
        self.restorer, self.categorical = filler.restorer, filler.categorical
        random = np.random.RandomState(seed)
        some = rows[random.permutation(len(rows))[:MOST_KNOWN]]
        self.known = [_known(some[:, j], rows[:, j]) for j in range(rows.shape[1])]
        self.errors = self._measure(others, random)

    def _measure(self, X, random):
        """Return how far off numbers are, sorted, in standard deviations."""
        hidden = (random.uniform(size=X.shape) < HIDDEN) & ~np.isnan(X)
        hidden[hidden.sum(axis=1) == (~np.isnan(X)).sum(axis=1)] = False
        holed = np.where(hidden, np.nan, X)
        rows = ~np.isnan(holed).all(axis=1)
        off, hidden = np.zeros_like(X), hidden & rows[:, None]
        off[rows] = (X[rows] - self.restorer.reconstruct(holed[rows])) / self.units
        hidden[:, self.categorical] = False
        return laws_of_columns(off, hidden)

    def draw(self, X, filled, seed):
        """Return filled rows with a draw in each hole of X, of the dtype of `filled`.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows, NaN in their holes.
        filled : ndarray like X
            The same rows with what is expected in the holes.
        seed : int
            Seed of the draws.
        """
        random, result, holes = np.random.RandomState(seed), X.copy(), np.isnan(X)
        for j in random.permutation(X.shape[1]):
            rows = np.flatnonzero(holes[:, j])
            uniform = random.uniform(size=len(rows))
            nothing = np.isnan(result[rows]).all(axis=1)
            known = self.known[j]
            at = (uniform[nothing] * len(known)).astype(int)
            result[rows[nothing], j] = known[at]
            rows, uniform = rows[~nothing], uniform[~nothing]
            if len(rows):
                result[rows, j] = self._draw_column(result[rows], j, uniform, random)
        return result.astype(filled.dtype)

    def _draw_column(self, X, j, uniform, random):
        """Return draws of column j given what is known of rows by now."""
        if j not in self.categorical:
            normal = random.normal(size=len(X))
            off = quantiles(self.errors[j], normal) * self.units[j]
            return self.restorer.reconstruct(X)[:, j] + off
        probabilities = self.restorer.reconstruct_proba(X)[int(j)]
        steps = probabilities.cumsum(axis=1)  # (n_rows, n_categories)
        drawn = (uniform[:, None] * steps[:, -1:] > steps).sum(axis=1)
        codes = self.restorer.categories_[j]
        return codes[drawn.clip(max=len(codes) - 1)]


def _known(some, column):
    """Return known values: of some rows, or of all if these have none."""
    known = some[~np.isnan(some)]
    return known if len(known) else column[~np.isnan(column)]
