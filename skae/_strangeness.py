"""How strange rows are: residuals and distances, measured in those of unseen rows."""

from typing import NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skae._storage import storable

# The methods that measures look at rows by, see `Restorer`.
VIEWS = ("surprises", "with_likelihood", "as_they_are", "denoised")

# Where a unit of strangeness ends: it begins at the median of unseen rows.
TAIL = 0.9

# Neighbours are looked for among so many rows at most, and a share of them among fewer:
# that takes longer, and goes by no single row.
MOST_REFERENCES, ENOUGH_REFERENCES = 20_000, 5_000

# Fewest neighbours that stand for a share of the rows.
FEWEST_NEIGHBORS = 5

# Added to what is divided by, and to what a logarithm is taken of.
TINY = 1e-12


@storable
class Unit(NamedTuple):
    """The median of something's logarithm on unseen rows, and the width of its tail."""

    median: float
    width: float

    @classmethod
    def of(cls, values):
        """Return the unit of values that are not negative.

        A row that equals another is at distance 0, which says nothing of how far from
        each other different rows are.
        """
        values = values[values > 0] if (values > 0).any() else values
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


class Looking:
    """What looks at rows by a method of another object, which it keeps the name of."""

    def __getstate__(self):
        # a method has no place in a file: only what it belongs to, and its name
        state = dict(vars(self))
        if state["look"] is not None:
            state["look"] = [state["look"].__self__, state["look"].__name__]
        return state

    def __setstate__(self, state):
        state = dict(state)
        if state["look"] is not None:
            owner, name = state["look"]
            if name not in VIEWS:
                raise ValueError(f"{name!r} is no way to look at rows")
            state["look"] = getattr(owner, name)
        vars(self).update(state)


@storable
class ResidualMeasure(Looking):
    """How far rows are from what an estimator makes of them, in one or several views.

    Parameters
    ----------
    look : callable
        `look(rows, V)` returns how far the values of rows are from what is expected,
        (n_views, n_rows, n_features): squared residuals, or what stands for them, with
        the signs of the residuals.
    has_unit : ndarray of shape (n_features,) of bool, default=False
        Which features are in a unit that all can be compared in, that of a squared
        residual whose mean is 1.
    """

    #: The axis of rows in what it looks at.
    axis = 1

    def __init__(self, look, has_unit=False):
        self.look, self.has_unit = look, has_unit

    def fit(self, looks, random_state):
        """Learn what is usual, and return how strange the rows are, (1, n_rows)."""
        # a column that is always restored exactly has no unit; one that misses it
        # then is strange without bounds, but for the TINY
        means = np.abs(looks).mean(axis=1, dtype=np.float64) + TINY
        self.units = np.where(self.has_unit, 1.0, means)  # (n_views, n_features)
        totals = self._in_units(looks).sum(axis=2)
        self.views = [Unit.of(total) for total in totals]
        return self._combine(totals)

    def measure(self, looks):
        """Return how strange rows are, (1, n_rows)."""
        return self._combine(self._in_units(looks).sum(axis=2))

    def _in_units(self, looks):
        return np.abs(looks) / self.units[:, None]

    def _combine(self, totals):
        pairs = zip(self.views, totals, strict=True)
        return np.mean([unit.measure(total) for unit, total in pairs], axis=0)[None]

    def explain(self, looks, X):
        """Return the signed share of each feature, (n_rows, n_features)."""
        return (np.sign(looks) * shares_of(self._in_units(looks))).mean(axis=0)


@storable
class LikelihoodMeasure(ResidualMeasure):
    """How unlikely rows are; residuals only tell why.

    Parameters
    ----------
    look, has_unit : object
        As for `ResidualMeasure`, but that the log-likelihoods of the rows, in nats,
        come as one more feature.
    """

    def fit(self, looks, random_state):
        """Learn what is usual, and return how strange the rows are, (1, n_rows)."""
        super().fit(looks[..., :-1], random_state)
        self.median, tail = np.quantile(looks[0, :, -1], [0.5, 1 - TAIL])
        self.width = max(self.median - tail, 1e-6)
        return self.measure(looks)

    def measure(self, looks):
        """Return how strange rows are, (1, n_rows)."""
        return (self.median - looks[..., -1]) / self.width

    def explain(self, looks, X):
        """Return the signed share of each feature, (n_rows, n_features)."""
        return super().explain(looks[..., :-1], X)


@storable
class NeighborMeasure(Looking):
    """How far rows are from their nearest neighbours among the training rows.

    Parameters
    ----------
    look : callable
        `look(rows, V)` returns rows in units in which distances make sense.
    units : TableUnits
        Knows which entries belong together.
    numbers : list of int or float
        How many neighbours the mean distance is taken over, once for each number; or
        the share of the training rows.
    """

    axis = 0

    def __init__(self, look, units, numbers):
        self.look, self.table_units, self.numbers = look, units, numbers

    def __getstate__(self):
        state = super().__getstate__()
        if "index" in state:
            state["index"] = state["index"]._fit_X
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "index" in state:
            self._index(state["index"])

    def _index(self, rows):
        """Make an index of rows."""
        self.index = NearestNeighbors(n_neighbors=max(self.numbers)).fit(rows)

    def fit(self, looks, random_state):
        """Learn what is usual, and return how strange rows are, (n_numbers, n_rows).

        A row is no neighbour of its own.
        """
        share = None if isinstance(self.numbers, list) else self.numbers
        most = MOST_REFERENCES if share is None else ENOUGH_REFERENCES
        among = np.arange(len(looks))
        if len(looks) > most:
            among = np.sort(random_state.choice(len(looks), most, replace=False))
        if share is not None:
            self.numbers = [max(FEWEST_NEIGHBORS, round(share * len(among)))]
        self.numbers = [min(n, len(among) - 1) for n in self.numbers]
        self._index(looks[among])
        distances = self._means(*self.index.kneighbors())  # of each from the others
        self.units = [Unit.of(d) for d in distances]
        others = np.setdiff1d(np.arange(len(looks)), among)
        result = np.empty((len(self.numbers), len(looks)))
        result[:, among] = self._combine(distances)
        if len(others):
            result[:, others] = self.measure(looks[others])
        return result

    def measure(self, looks):
        """Return how strange rows are, (n_numbers, n_rows)."""
        return self._combine(self._means(*self.index.kneighbors(looks)))

    def _means(self, distances, neighbors):
        return np.stack([distances[:, :n].mean(axis=1) for n in self.numbers])

    def _combine(self, distances):
        pairs = zip(self.units, distances, strict=True)
        return np.stack([unit.measure(d) for unit, d in pairs])

    def explain(self, looks, X):
        """Return the signed share of each column in the way to the neighbours."""
        _, neighbors = self.index.kneighbors(looks)
        centers = self.index._fit_X[neighbors].mean(axis=1)
        away = self.table_units.residuals(X, looks, centers[None])[0]
        shares = shares_of(self.table_units.sum_columns(np.square(away)))
        return self.table_units.directions(away) * shares


def shares_of(values):
    """Return the share of each column in the sum over columns."""
    totals = values.sum(axis=-1, keepdims=True)
    return values / np.where(totals > 0, totals, 1.0)
