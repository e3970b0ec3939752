"""How strange rows are: residuals and distances, measured in those of unseen rows."""

from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Where a unit of strangeness ends: it begins at the median of unseen rows.
TAIL = 0.9

# Neighbours are looked for among so many rows at most.
MOST_REFERENCES = 20_000

# Added to what is divided by, and to what a logarithm is taken of.
TINY = 1e-12


class Unit(NamedTuple):
    """The median of something's logarithm on unseen rows, and the width of its tail."""

    median: float
    width: float

    @classmethod
    def of(cls, values):
        """Return the unit of values that are not negative."""
        median, tail = np.quantile(np.log(values + TINY), [0.5, TAIL])
        return cls(median, max(tail - median, 1e-6))

    def measure(self, values):
        """Return values in this unit: 0 in the median, 1 where the tail begins."""
        return (np.log(values + TINY) - self.median) / self.width


def soft_maximum(measures):
    """Return the logarithm of the mean of the exponentials of several measures.

    A row is strange if it is strange in one respect.
    """
    return np.logaddexp.reduce(measures, axis=0) - np.log(len(measures))


class ResidualMeasure:
    """How far rows are from what the estimator makes of them, in one or several views.

    Parameters
    ----------
    squares : ndarray of shape (n_views, n_rows, n_features)
        Squared residuals of rows that the estimator has not seen.
    """

    def __init__(self, squares):
        # a column that is always restored exactly has no unit; one that misses it
        # then is strange without bounds, but for the TINY
        self.units = squares.mean(axis=1, dtype=np.float64) + TINY  # (views, features)
        totals = self.shares(squares).sum(axis=2)
        self.views = [Unit.of(total) for total in totals]
        self.unseen = self._combine(totals)

    def shares(self, squares):
        """Return squared residuals in units of their means on unseen rows."""
        return squares / self.units[:, None]

    def measure(self, squares):
        """Return how strange rows are, (n_rows,)."""
        return self._combine(self.shares(squares).sum(axis=2))

    def _combine(self, totals):
        pairs = zip(self.views, totals, strict=True)
        return np.mean([unit.measure(total) for unit, total in pairs], axis=0)


class NeighborMeasure:
    """How far rows are from their nearest neighbours among the training rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Training rows, in units in which distances make sense.
    numbers : list of int
        How many neighbours the mean distance is taken over, once for each number.
    random_state : RandomState
        Chooses the rows to look among if there are too many.
    """

    def __init__(self, X, numbers, random_state):
        self.among = np.arange(len(X))
        if len(X) > MOST_REFERENCES:
            chosen = random_state.choice(len(X), MOST_REFERENCES, replace=False)
            self.among = np.sort(chosen)
        self.numbers = [min(n, len(self.among) - 1) for n in numbers]
        self.index = NearestNeighbors(n_neighbors=max(self.numbers))
        self.index.fit(X[self.among])
        distances = self._means(*self.index.kneighbors())  # of each from the others
        self.units = [Unit.of(d) for d in distances]
        self.unseen = self._combine(distances)  # (n_references,)

    def measure(self, X):
        """Return how strange rows are, (n_numbers, n_rows)."""
        return self._combine(self._means(*self.index.kneighbors(X)))

    def measure_training(self, X, rows):
        """Return the same of training rows, of which each is no neighbour of its own.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            All training rows.
        rows : ndarray of int of shape (n_rows,)
            The numbers of some.
        """
        place = np.searchsorted(self.among, rows)
        place = np.minimum(place, len(self.among) - 1)
        is_among = self.among[place] == rows
        result = self.unseen[:, place]
        if not is_among.all():
            result[:, ~is_among] = self.measure(X[rows[~is_among]])
        return result

    def centers(self, X):
        """Return the mean of the neighbours of each row."""
        _, neighbors = self.index.kneighbors(X)
        return self.index._fit_X[neighbors].mean(axis=1)

    def _means(self, distances, neighbors):
        return np.stack([distances[:, :n].mean(axis=1) for n in self.numbers])

    def _combine(self, distances):
        pairs = zip(self.units, distances, strict=True)
        return np.stack([unit.measure(d) for unit, d in pairs])
