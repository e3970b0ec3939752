"""What makes rows look usual, for an outlier detector, and what is measured then."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from skae._autoencoder import AutoencoderTransformer
from skae._storage import storable
from skae._strangeness import LikelihoodMeasure, NeighborMeasure, ResidualMeasure
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

# Squares of residuals beyond this are all the same: float32 has room for them.
MOST_SURPRISING = 1e30


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

    @property
    def levels(self):
        """Strengths of noise at which one that is told them looks at rows."""
        return LEVELS if self.is_clean else STRONG_LEVELS

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
        expected = [estimator.reconstruct(V, noise=level) for level in self.levels]
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
            views = [estimator.reconstruct(X, noise=level) for level in self.levels]
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
