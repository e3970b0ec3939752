"""What an outlier detector has learned: estimators, and measures of strangeness."""

from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import KFold

from skae._autoencoder import AutoencoderTransformer
from skae._columns import library_of
from skae._fit_together import fit_all
from skae._random import seeds_of_members
from skae._storage import storable
from skae._strangeness import (
    LikelihoodMeasure,
    NeighborMeasure,
    ResidualMeasure,
    soft_maximum,
)
from skae._table_units import ROWS_AT_ONCE, TableUnits
from skae._weights import row_hashes
from skae.architectures import DenoisingMLP

# The default denoiser: strengths of noise that it learns, steps, rows of a batch.
NOISE, STEPS, BATCH_SIZE = (0.05, 5.0), 2000, 128

# Strengths at which rows are looked at. Weak noise shows how columns hang together
# close by, strong noise how far out a row is as a whole; outliers among the training
# rows are part of what is close by, so only the strong is asked if there are some, or
# what is as strong as draws rows to where most are.
LEVELS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0)
STRONG_LEVELS, DRAWN_BY = (2.5, 4.0), 1.5

# How many neighbours a row is compared with if the training rows are clean.
FEW_NEIGHBORS = [1, 5]

# With more rows than that, the estimator is fitted once, with some rows left out to
# score, in place of once for each fold.
MOST_FOLDED, ENOUGH_UNSEEN = 50_000, 10_000

# If more than this share of new rows will equal a training row that no other training
# row equals, a row that equals one is not held to be that one.
MOST_REPEATED = 0.01

# The tables of folds that are fitted to at once have about so many bytes.
MOST_COPIED = 2**28

# Squares of residuals beyond this are all the same: float32 has room for them.
MOST_SURPRISING = 1e30


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


class Restorer:
    """What makes rows look usual, and how strangeness is measured with it.

    Parameters
    ----------
    detector : AutoencoderOutlierDetector
        With valid parameters.
    units : TableUnits
        Of the columns.
    columns : Columns or None
        Knows the categories.
    seed : int
        Of training.
    is_further : bool
        Whether it belongs to a member that is not the first, which must differ.
    """

    def __init__(self, detector, units, columns, seed, is_further):
        self.units, self.columns = units, columns
        self.seed, self.is_further = seed, is_further
        self.is_clean = detector.contamination == "auto"
        self.own = detector.estimator
        self.categorical_features = detector.categorical_features
        self.neighbors = neighbors_of(detector)

    def measures(self):
        """Return what to measure of rows."""
        result = [ResidualMeasure(self.surprises, self.units.has_unit)]
        if self.neighbors:
            measure = NeighborMeasure(self.as_they_are, self.units, self.neighbors)
            result.append(measure)
        return result

    def as_they_are(self, rows, V, estimators):
        """Yield rows in units, the same for all estimators."""
        yield V

    def surprises(self, rows, V, estimators):
        """Yield how far values are from what each estimator expects.

        Of each an array, (n_views, n_rows, n_features), with the signs of residuals.
        """
        for estimator in estimators:
            yield self._surprises_by(estimator, rows, V)

    def _surprises(self, rows, V, expected):
        """Return how far values are from what is expected in units, as float32."""
        residuals = self.units.residuals(rows.numbers, V, expected)
        surprises = self.units.surprises(rows.numbers, residuals)
        np.minimum(surprises, MOST_SURPRISING, out=surprises)
        return (self.units.directions(residuals) * surprises).astype(np.float32)


@storable
class Denoiser(Restorer):
    """The default: a network that takes noise off rows in comparable units."""

    def measures(self):
        """Return what to measure of rows.

        Clean rows of training say how every row should look, and the nearest of them
        is enough to call a row usual. If there may be outliers among them, these are
        restored well and have each other for neighbours. Then a row is compared with
        many, as it is and less noise: that draws rows, and outliers among them too, to
        where most are.
        """
        if self.is_clean or not self.neighbors:
            return super().measures()
        return [
            NeighborMeasure(look, self.units, self.neighbors)
            for look in (self.as_they_are, self.denoised)
        ]

    def table(self, rows, which):
        """Return some of the rows as estimators are given them."""
        if len(which) > STEPS * BATCH_SIZE:  # which is what the steps will see
            random_state = np.random.RandomState(self.seed)
            which = random_state.choice(which, STEPS * BATCH_SIZE, replace=False)
        return self.units.measure(rows.numbers, which)

    def make(self, n_rows):
        """Return an estimator to be fitted to so many rows."""
        n_batches = -(-n_rows // BATCH_SIZE)
        return AutoencoderTransformer(
            architecture=DenoisingMLP(noise=NOISE),
            scale=None,  # rows are in units already
            max_epochs=max(1, round(STEPS / n_batches)),
            batch_size=BATCH_SIZE,
            early_stopping=False,
            random_state=self.seed,
        )

    def denoised(self, rows, V, estimators):
        """Yield rows in units, drawn to where most are by each estimator."""
        for estimator in estimators:
            yield estimator.reconstruct(V, noise=DRAWN_BY)

    def _surprises_by(self, estimator, rows, V):
        levels = LEVELS if self.is_clean else STRONG_LEVELS
        expected = [estimator.reconstruct(V, noise=level) for level in levels]
        return self._surprises(rows, V, np.stack(expected))


@storable
class OwnEstimator(Restorer):
    """An estimator of the user, who is shown rows as the user has them."""

    def measures(self):
        """Return what to measure of rows."""
        result = super().measures()
        if hasattr(self.own, "log_likelihood"):
            result[0] = LikelihoodMeasure(self.with_likelihood, self.units.has_unit)
        return result

    def table(self, rows, which):
        """Return some of the rows as estimators are given them."""
        return rows.take(which).table

    def make(self, n_rows):
        """Return an estimator to be fitted to so many rows."""
        estimator = clone(self.own)
        if self.is_further or getattr(estimator, "random_state", 0) is None:
            estimator.set_params(random_state=self.seed)
        if self.columns is not None:
            estimator.set_params(
                categorical_features=self.categorical_features,
                handle_unknown="ignore",  # unknown to all rows has been refused
            )
        return estimator

    def with_likelihood(self, rows, V, estimators):
        """Yield the surprises of each estimator, and its ELBO as one more column."""
        for estimator in estimators:
            yield self._likelihood_by(estimator, rows, V)

    def _likelihood_by(self, estimator, rows, V):
        some, table = self._readable(estimator, rows)
        if self.columns is None:
            table = table.astype(np.float64, copy=False)
        # what the estimator has not seen is missing to it: each is unlikely on its own
        n_new = (~self._is_known(estimator, rows) & ~np.isnan(rows.numbers)).sum(axis=1)
        elbo = n_new * np.log(self.units.least_probability)
        if len(some):
            elbo[some] += estimator.score_samples(table)
        surprises = self._surprises_by(estimator, rows, V)
        return np.concatenate([surprises, elbo[None, :, None]], axis=2)

    def _surprises_by(self, estimator, rows, V):
        if self.columns is not None:
            return self._surprises_of_table(estimator, rows)[None]
        X, center, scale = self.units.restore(V), self.units.center, self.units.scale
        architecture = getattr(estimator, "module_", estimator)
        architecture = getattr(architecture, "architecture", None)
        if getattr(architecture, "is_told_noise", False):
            levels = LEVELS if self.is_clean else STRONG_LEVELS
            views = [estimator.reconstruct(X, noise=level) for level in levels]
        else:
            views = [estimator.reconstruct(X)]
        return self._surprises(rows, V, (np.stack(views) - center) / scale)

    def _surprises_of_table(self, estimator, rows):
        """Return the same of a table with categories."""
        X = rows.numbers
        some, table = self._readable(estimator, rows)
        result, is_less = np.zeros(X.shape), np.zeros(X.shape, dtype=bool)
        probabilities = {}
        if len(some):
            errors = estimator.reconstruction_error(table, per_feature=True)
            result[some] = np.nan_to_num(errors)
            restored = self.columns.encode(
                estimator.reconstruct(table),
                handle_unknown="ignore",
                estimator=estimator,
            )
            is_less[some] = (restored > X[some]) & ~self.columns.is_categorical
            found = estimator.reconstruct_proba(table).values()
            probabilities = dict(zip(self.units.blocks, found, strict=True))
        for j, block in self.units.blocks.items():
            # the estimator knows the categories of the rows it was fitted to
            of_all = np.zeros((len(X), block.stop - block.start))
            if j in probabilities:
                of_all[np.ix_(some, self._places(estimator, j))] = probabilities[j]
            result[:, j] = self.units.surprise_of_category(X[:, j], of_all[None])[0]
        return np.where(is_less, -1.0, 1.0) * result

    def _readable(self, estimator, rows):
        """Return the numbers of the rows that say something to the estimator, and them.

        Rows do not that have only missing values, and categories it has not seen.
        """
        some = np.flatnonzero(self._is_known(estimator, rows).any(axis=1))
        return some, rows.take(some).table

    def _is_known(self, estimator, rows):
        """Return which values the estimator takes for known ones."""
        is_known = ~np.isnan(rows.numbers)
        for j in self.units.blocks:
            places = self._places(estimator, j)
            is_known[:, j] = np.isin(rows.numbers[:, j], places)
        return is_known

    def _places(self, estimator, j):
        """Return where the estimator's categories are among those of all rows."""
        known = pd.Index(self.columns.categories[j])
        return known.get_indexer(pd.Index(estimator.categories_[j]))


def neighbors_of(detector):
    """Return numbers of neighbours to compare with, a share of the rows, or None."""
    numbers = detector.n_neighbors
    if isinstance(numbers, str):
        is_clean = detector.contamination == "auto"
        return FEW_NEIGHBORS if is_clean else detector.contamination
    if isinstance(numbers, list):
        return numbers
    return [numbers] if numbers else None


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
