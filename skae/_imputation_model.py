"""Draws of missing values: from where they are expected, as far off as they are."""

import numpy as np
from scipy.special import ndtr

from skae import _modules
from skae._random import Rng
from skae._storage import storable

# Share of the known entries that are hidden to see how far off they are filled.
HIDDEN = 0.2

# Fewest entries whose deviations stand for those of a column; with fewer, all do.
FEWEST = 50


@storable
class ImputationModel:
    """What fills holes with what is expected, and the law of what it is off by.

    Draws of a row are correlated as in the joint normal law of all columns, and their
    spread goes by what that law says for the row's pattern of holes. How far off the
    filler is in these units, column by column, is measured on rows that it has not
    seen: with its heavy tails, and smaller where it knows more than the normal law.

    Parameters
    ----------
    filler : Filler
        Fitted to `rows`.
    rows : ndarray of shape (n_samples, n_features)
        What the joint law is fitted to.
    others : ndarray of shape (n_others, n_features)
        Rows to measure on.
    seed : int
        Decides what is hidden.
    """

    def __init__(self, filler, rows, others, seed):
        self.filler, self.units = filler, filler.units
        self.law = None
        self.center = np.nan_to_num(_modules.column_statistics(rows).mean)
        if rows.shape[1] <= _modules.MOST_COLUMNS:
            self.law = _modules.joint_normal(self._standard(rows))
        self.scores = self._measure(others, np.random.RandomState(seed))

    def _standard(self, X):
        return (X.astype(np.float64) - self.center) / self.units

    def _measure(self, X, random_state):
        """Return how far off each column is filled, sorted, in expected deviations."""
        hidden = (random_state.uniform(size=X.shape) < HIDDEN) & ~np.isnan(X)
        holed = np.where(hidden, np.nan, X)
        V = self._standard(holed)
        off = (X - self.filler.fill(holed)[0]) / self.units
        scores = off / self._deviations(V).clip(min=np.finfo(np.float32).eps)
        return laws_of_columns(scores, hidden)

    def _deviations(self, V):
        if self.law is None:
            return np.ones_like(V)
        return _modules.deviations(self.law, V)

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
        V, holes, rng = self._standard(X), np.isnan(X), Rng(seed)
        deviations = self._deviations(V)  # (n_rows, n_features)
        if self.law is None:
            normal = rng.for_numpy().normal(size=V.shape)
        else:
            noise = _modules.conditional_noise(self.law, V, rng)
            normal = noise / deviations.clip(min=np.finfo(np.float64).tiny)
        result = filled.copy()
        for j, scores in enumerate(self.scores):
            rows = np.flatnonzero(holes[:, j])
            off = quantiles(scores, normal[rows, j]) * deviations[rows, j]
            result[rows, j] += (off * self.units[j]).astype(result.dtype)
        return result


def laws_of_columns(scores, hidden):
    """Return the sorted scores of hidden entries by column, all of them if it has few.

    Both are (n_rows, n_columns).
    """
    everything = np.sort(scores[hidden])
    columns = [np.sort(s[h]) for s, h in zip(scores.T, hidden.T, strict=True)]
    return [s if len(s) >= FEWEST else everything for s in columns]


def quantiles(scores, normal):
    """Return the numbers whose rank among sorted scores is that of normal draws."""
    if len(scores) < FEWEST:  # too few to be a law
        spread = np.sqrt(np.mean(np.square(scores))) if len(scores) else 1.0
        return spread * normal
    ranks = ndtr(normal) * len(scores) - 0.5
    return np.interp(ranks, np.arange(len(scores)), scores)
