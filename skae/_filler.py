"""What fills the holes of rows: estimators, in rounds, and what rows alike say."""

import numpy as np

from skae._similar_rows import SimilarRows
from skae._storage import storable
from skae._validation import has_holes


@storable
class Filler:
    """Fills holes with what estimators make of the known values.

    Parameters
    ----------
    estimators : list of estimator
        Fitted. Of several the mean counts, see `MeanOfMembers`.
    categorical : ndarray of int
        Which columns have categories.
    scales : tuple of ndarray of shape (n_features,)
        Units of the columns, and what rows without a known value are filled with.
    max_iter : int
        Most rounds.
    tol : float
        Change in a round, in units, below which a row is done.

    Attributes
    ----------
    similar : SimilarRows or None
        What the estimators are off by in rows that have been compared.
    """

    similar = None

    def __init__(self, estimators, categorical, scales, *, max_iter, tol):
        self.estimators, self.categorical = estimators, categorical
        self.restorer = estimators[0]
        if len(estimators) > 1:
            self.restorer = MeanOfMembers(estimators, categorical)
        self.units, self.centers = scales
        self.max_iter, self.tol = max_iter, tol

    def compare(self, rows, seed):
        """Add what the estimators are off by in similar rows of these from now on."""
        self.similar = SimilarRows(rows, lambda X: self.fill(X)[0], self.units, seed)

    def fill(self, X):
        """Return a copy of rows with all holes filled, and the most rounds of one."""
        filled, rows, n_iter = X.copy(), rows_with_holes(X), 1
        if len(rows):
            empty = np.isnan(X[rows]).all(axis=1)
            filled[rows[empty]] = self.centers
            rows = rows[~empty]
        if len(rows):
            filled[rows], n_iter = self._fill(X[rows])
            if self.similar is not None:
                filled[rows] = self.similar.add(X[rows], filled[rows])
        return filled, n_iter

    def _fill(self, X):
        """Return rows that have holes with these filled, and the most rounds of one."""
        holes, restore = np.isnan(X), self.restorer.reconstruct
        filled = np.where(holes, restore(X), X).astype(X.dtype)
        changing, n_iter = np.arange(len(X)), 1
        while n_iter < self.max_iter and len(changing):
            before, open_ = filled[changing], holes[changing]
            after = np.where(open_, restore(before), before)
            filled[changing] = after
            change = np.abs(after - before) / self.units
            changing = changing[change.max(axis=1) > self.tol]
            n_iter += 1
        return filled, n_iter

    def spread(self, X):
        """Return how far the members differ in the holes of rows, 0 where known.

        Of numbers it is the standard deviation of what members make of the row in the
        last round; of categories the share of members that would fill in another one.
        """
        spread, rows = np.zeros(X.shape), rows_with_holes(X)
        if len(rows):
            rows = rows[~np.isnan(X[rows]).all(axis=1)]
        if len(rows):
            holes, filled = np.isnan(X[rows]), self.fill(X[rows])[0]
            seen = X[rows] if self.max_iter == 1 else filled
            made = np.stack([e.reconstruct(seen) for e in self.estimators])
            own = made.std(axis=0, ddof=1)
            chosen = self.categorical
            own[:, chosen] = (made != filled)[..., chosen].mean(axis=0)
            spread[rows] = np.where(holes, own, 0.0)
        return spread


@storable
class MeanOfMembers:
    """Several fitted estimators that restore rows as one.

    Numbers are the means of theirs; of categories it is the one that is the most
    probable by the mean of their probabilities.

    Parameters
    ----------
    estimators : list of estimator
        Fitted to the same rows.
    categorical : ndarray of int
        Which columns have categories.
    """

    def __init__(self, estimators, categorical):
        self.estimators, self.categorical = estimators, categorical

    @property
    def categories_(self):
        """The categories of every column."""
        return self.estimators[0].categories_

    def reconstruct(self, X):
        """Return what is made of rows."""
        made = np.mean([e.reconstruct(X) for e in self.estimators], axis=0)
        if len(self.categorical):
            for j, probabilities in self.reconstruct_proba(X).items():
                made[:, j] = self.categories_[j][probabilities.argmax(axis=1)]
        return made

    def reconstruct_proba(self, X):
        """Return the probabilities of categories, by the positions of columns."""
        of_each = [estimator.reconstruct_proba(X) for estimator in self.estimators]
        return {j: np.mean([own[j] for own in of_each], axis=0) for j in of_each[0]}


def rows_with_holes(X):
    """Return the numbers of the rows that have holes."""
    return (
        np.flatnonzero(np.isnan(X).any(axis=1)) if has_holes(X) else np.array([], int)
    )
