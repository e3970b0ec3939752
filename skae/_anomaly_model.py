"""What an outlier detector has learned: its members, and scores of unseen rows."""

from itertools import chain
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import KFold

from skae._columns import library_of
from skae._fit_together import fit_all
from skae._random import seeds_of_members
from skae._restorers import Denoiser, OwnEstimator
from skae._storage import storable
from skae._strangeness import soft_maximum
from skae._table_units import ROWS_AT_ONCE, TableUnits
from skae._weights import row_hashes

# With more rows than that, the estimator is fitted once, with some rows left out to
# score, in place of once for each fold.
MOST_FOLDED, ENOUGH_UNSEEN = 50_000, 10_000

# If more than this share of new rows will equal a training row that no other training
# row equals, a row that equals one is not held to be that one.
MOST_REPEATED = 0.01

# The tables of folds that are fitted to at once have about so many bytes.
MOST_COPIED = 2**28


class Rows(NamedTuple):
    """Some rows of a table, as numbers and as the user has them."""

    numbers: np.ndarray  # (n_rows, n_columns), of categories their positions
    table: object  # the same rows, of a DataFrame if X is one

    def __len__(self):
        return len(self.numbers)

    def take(self, which):
        """Return the rows of a slice, or of row numbers."""
        if self.table is self.numbers:
            numbers = self.numbers[which]
            return Rows(numbers, numbers)
        is_pandas = library_of(self.table) == "pandas"
        table = self.table.iloc[which] if is_pandas else self.table[which]
        return Rows(self.numbers[which], table)

    def chunks(self):
        """Yield parts of the rows that fit in memory several times over."""
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield self.take(slice(start, start + ROWS_AT_ONCE))


@storable
class AnomalyModel:
    """What a detector has learned: one or several members that score rows.

    Parameters
    ----------
    detector : AutoencoderOutlierDetector
        With valid parameters.
    rows : Rows
        Valid rows.
    columns : Columns or None
        What the columns are, where some have categories.
    seed : int
        Of the folds, the estimators, and the choice of neighbours.
    """

    def __init__(self, detector, rows, columns, seed):
        units = TableUnits(rows.numbers, columns)
        folds = folds_of(len(rows), detector.cv, np.random.RandomState(seed))
        restorer = Denoiser if detector.estimator is None else OwnEstimator
        seeds = seeds_of_members(seed, detector.n_members)
        restorers = [
            restorer(detector, units, columns, seed_of_member, i > 0)
            for i, seed_of_member in enumerate(seeds)
        ]
        parts = [fitted_to for fitted_to, _ in folds]
        fitted = fit_to_parts(restorers, rows, parts)
        self.estimators = [estimator for own in fitted for estimator in own]
        # no score is by it, but a user's own estimator is of use to the user
        self.whole = None if detector.estimator is None else self.estimators[0]
        if self.whole is not None and len(folds) > 1:
            ((self.whole,),) = fit_to_parts(restorers[:1], rows, [np.arange(len(rows))])
        pairs = zip(restorers, fitted, strict=True)
        self.members = [
            AnomalyMember(*pair, units, rows, folds, seed) for pair in pairs
        ]
        self.unseen_scores = np.mean([m.unseen_scores for m in self.members], axis=0)

    def scores_by_member(self, rows):
        """Return the scores of rows by each member, (n_members, n_rows)."""
        return np.stack([member.score(rows) for member in self.members])

    def explain(self, rows):
        """Return the signed share of each column in the strangeness of rows."""
        return np.mean([member.explain(rows) for member in self.members], axis=0)


@storable
class AnomalyMember:
    """Estimators of the folds, measures, and scores of unseen rows.

    Parameters
    ----------
    restorer : Restorer
        Knows what to measure.
    estimators : list of estimator
        Fitted to the folds.
    units : TableUnits
        Of the columns.
    rows : Rows
        All training rows.
    folds : list of tuple of ndarray
        Which rows the estimators are fitted to, and which they are to score.
    seed : int
        Of the choice of neighbours.
    """

    def __init__(self, restorer, estimators, units, rows, folds, seed):
        self.measures, self.units = restorer.measures(), units
        self.estimators = estimators
        unseen, seen_by = [], [[] for _ in self.measures]
        for estimator, (_, scored) in zip(estimators, folds, strict=True):
            unseen.append(scored)
            for part in rows.take(scored).chunks():
                new = self._look(part, [estimator])
                for seen, (_, looks) in zip(seen_by, new, strict=True):
                    seen.extend(looks)
        random_state = np.random.RandomState(seed)
        pairs = zip(self.measures, seen_by, strict=True)
        strangeness = [
            measure.fit(np.concatenate(looks, axis=measure.axis), random_state)
            for measure, looks in pairs
        ]
        scores = -soft_maximum(np.concatenate(strangeness))
        self._remember(rows.numbers, np.concatenate(unseen), scores)

    def _remember(self, X, unseen, scores):
        """Keep the scores of training rows, for when these rows come again."""
        self.unseen_scores, self.hashes = scores, None
        hashes = row_hashes(X)
        if share_to_repeat(hashes) > MOST_REPEATED:
            return
        self.hashes, where = np.unique(hashes[unseen], return_inverse=True)
        # equal rows of different folds have one score
        self.scores = np.bincount(where, scores) / np.bincount(where)
        self.unseen_scores = self.scores[where]

    def score(self, rows):
        """Return scores of rows, those of training by models that did not see them."""
        scores, new = np.empty(len(rows)), np.arange(len(rows))
        if self.hashes is not None:
            hashes = row_hashes(rows.numbers)
            place = np.searchsorted(self.hashes, hashes)
            place = np.minimum(place, len(self.hashes) - 1)
            scores = self.scores[place]
            new = np.flatnonzero(self.hashes[place] != hashes)
        for start in range(0, len(new), ROWS_AT_ONCE):
            which = new[start : start + ROWS_AT_ONCE]
            scores[which] = -self._strangeness(rows.take(which))
        return scores

    def _look(self, rows, estimators):
        """Yield what each measure looks at, with each of the estimators it differs by.

        Pairs of a measure and an iterator: what is seen in wide rows takes memory.
        """
        V = self.units.fill(rows.numbers)
        for measure in self.measures:
            yield measure, measure.look(rows, V, estimators)

    def _strangeness(self, rows):
        """Return how strange rows are, by the mean over the estimators."""
        strangeness = [
            np.mean([measure.measure(look) for look in looks], axis=0)
            for measure, looks in self._look(rows, self.estimators)
        ]
        return soft_maximum(np.concatenate(strangeness))

    def explain(self, rows):
        """Return the signed share of each column in the strangeness of rows."""
        return np.concatenate([self._explain(part) for part in rows.chunks()])

    def _explain(self, rows):
        X = rows.numbers
        strangeness, shares = [], []
        for measure, looks in self._look(rows, self.estimators):
            both = ((measure.measure(look), measure.explain(look, X)) for look in looks)
            values, parts = zip(*both, strict=True)
            strangeness.append(np.mean(values, axis=0))
            shares.append(np.mean(parts, axis=0))
        total = np.logaddexp.reduce(np.concatenate(strangeness), axis=0)
        parts = np.zeros(X.shape)
        for values, own in zip(strangeness, shares, strict=True):
            weights = np.exp(values - total).sum(axis=0)  # of a soft maximum
            parts += weights[:, None] * own
        return parts


def fit_to_parts(restorers, rows, parts):
    """Return estimators of each restorer, fitted to parts of the rows: lists in a list.

    All of them at a time where the parts are small, for they may train as a stack.

    Parameters
    ----------
    restorers : list of Restorer
        Of the members, who are given the same tables.
    rows : Rows
        All training rows.
    parts : list of ndarray of int
        Which rows to fit to.
    """
    fitted = [[] for _ in restorers]
    at_once = max(1, MOST_COPIED // rows.numbers.nbytes)
    for start in range(0, len(parts), at_once):
        some = parts[start : start + at_once]
        tables = [restorers[0].table(rows, which) for which in some]
        made = [[r.make(len(table)) for table in tables] for r in restorers]
        fit_all([*chain(*made)], tables * len(restorers))
        for own, estimators in zip(fitted, made, strict=True):
            own.extend(estimators)
    return fitted


def folds_of(n_rows, n_folds, random_state):
    """Return pairs of row numbers: to fit to, and to score."""
    if n_rows > MOST_FOLDED:
        order = random_state.permutation(n_rows)
        return [(np.sort(order[ENOUGH_UNSEEN:]), np.sort(order[:ENOUGH_UNSEEN]))]
    folds = KFold(min(n_folds, n_rows), shuffle=True, random_state=random_state)
    return list(folds.split(np.empty((n_rows, 1))))


def share_to_repeat(hashes):
    """Return what share of new rows to expect that equal a row that was seen once.

    That is the share of rows that were seen twice [1]_.

    Parameters
    ----------
    hashes : ndarray of shape (n_rows,)
        Equal for equal rows.

    References
    ----------
    .. [1] I. Good, "The Population Frequencies of Species and the Estimation of
       Population Parameters", Biometrika 40, 1953, doi:10.1093/biomet/40.3-4.237.
    """
    _, counts = np.unique(hashes, return_counts=True)
    return 2 * (counts == 2).sum() / len(hashes)
