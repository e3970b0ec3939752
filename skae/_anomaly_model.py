"""What an outlier detector has learned: estimators, and measures of strangeness."""

from functools import partial

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold

from skae import _modules
from skae._autoencoder import AutoencoderTransformer
from skae._strangeness import NeighborMeasure, ResidualMeasure, soft_maximum
from skae._weights import row_hashes
from skae.architectures import DenoisingMLP

# The default denoiser: strengths of noise that it learns, steps, rows of a batch.
NOISE, STEPS, BATCH_SIZE = (0.05, 5.0), 2000, 128

# Strengths at which rows are looked at. Weak noise shows how columns hang together
# close by, strong noise how far out a row is as a whole; outliers among the training
# rows are part of what is close by, so only the strong is asked if there are some.
LEVELS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 4.0)
STRONG_LEVELS = (2.5, 4.0)

# How many neighbours a row is compared with if the training rows are clean.
FEW_NEIGHBORS = [1, 5]

# With more rows than that, the estimator is fitted once, with some rows left out to
# score, in place of once for each fold.
MOST_FOLDED, ENOUGH_UNSEEN = 50_000, 10_000

# Rows scored at once.
ROWS_AT_ONCE = 8192


class AnomalyModel:
    """What a detector has learned: estimators, measures, and scores of unseen rows.

    Parameters
    ----------
    detector : AutoencoderOutlierDetector
        With valid parameters.
    X : ndarray of shape (n_samples, n_features)
        Valid rows.
    seed : int
        Of the folds, the estimators, and the choice of neighbours.
    """

    def __init__(self, detector, X, seed):
        self.is_clean = detector.contamination == "auto"
        statistics = _modules.column_statistics(X)
        self.center = np.nan_to_num(statistics.mean)
        self.scale = np.where(statistics.std > 0, statistics.std, 1.0)
        self.law = None
        if X.shape[1] <= _modules.MOST_COLUMNS:
            some = X[_modules.spread_rows(len(X))]
            self.law = _modules.joint_normal(self._in_units(some))
        standard = self._standard(X)
        random_state = np.random.RandomState(seed)
        make = partial(make_estimator, detector.estimator, seed=seed)
        folds = folds_of(len(X), detector.cv, random_state)
        unseen, residuals, likelihoods = [], [], []
        for fitted_to, scored in folds:
            self.estimator = make(len(fitted_to)).fit(X[fitted_to])
            unseen.append(scored)
            differences = self._residuals(X[scored], standard[scored])
            residuals.append(differences.astype(np.float32))
            likelihoods.append(self._likelihood(X[scored]))
        if len(folds) > 1:
            self.estimator = make(len(X)).fit(X)
        unseen = np.concatenate(unseen)
        self.residual_measure = ResidualMeasure(
            np.square(np.concatenate(residuals, axis=1))
        )
        measures = [self.residual_measure.unseen]
        self.likelihood_unit = None
        if likelihoods[0] is not None:
            values = np.concatenate(likelihoods)
            median, tail = np.quantile(values, [0.5, 0.1])
            self.likelihood_unit = median, max(median - tail, 1e-6)
            measures = [self._likelihood_measure(values)]
        self.neighbors = None
        numbers = neighbor_numbers(detector, len(X))
        if numbers:
            self.neighbors = NeighborMeasure(standard, numbers, random_state)
            measures += list(self.neighbors.measure_training(standard, unseen))
        self._remember(X[unseen], -soft_maximum(measures))

    def _remember(self, X, scores):
        """Keep the scores of rows, to return them when these rows come again."""
        hashes, where = np.unique(row_hashes(X), return_inverse=True)
        self.hashes = hashes
        # equal rows of different folds have one score
        self.scores = np.bincount(where, scores) / np.bincount(where)
        self.unseen_scores = self.scores[where]

    def score(self, X):
        """Return scores of rows, those of training by models that did not see them."""
        scores = np.concatenate([-self._strangeness(rows) for rows in chunks(X)])
        hashes = row_hashes(X)
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        is_known = self.hashes[place] == hashes
        scores[is_known] = self.scores[place[is_known]]
        return scores

    def _strangeness(self, X):
        standard = self._standard(X)
        residuals = self._residuals(X, standard)
        return soft_maximum(self._measures(X, standard, residuals))

    def _measures(self, X, standard, residuals):
        if self.likelihood_unit is None:
            measures = [self.residual_measure.measure(np.square(residuals))]
        else:
            measures = [self._likelihood_measure(self._likelihood(X))]
        if self.neighbors is not None:
            measures += list(self.neighbors.measure(standard))
        return np.stack(measures)

    def explain(self, X):
        """Return the signed share of each feature in the strangeness of rows."""
        return np.concatenate([self._shares(rows) for rows in chunks(X)])

    def _shares(self, X):
        standard = self._standard(X)
        residuals = self._residuals(X, standard)
        measures = self._measures(X, standard, residuals)
        weights = np.exp(measures - np.logaddexp.reduce(measures, axis=0))
        shares = self.residual_measure.shares(np.square(residuals))
        parts = weights[0][:, None] * signed_shares(shares, residuals).mean(axis=0)
        if self.neighbors is not None:
            away = standard - self.neighbors.centers(standard)
            away[np.isnan(X)] = 0.0
            shares = signed_shares(np.square(away), away)
            parts += weights[1:].sum(axis=0)[:, None] * shares
        return parts

    def _residuals(self, X, standard):
        """Return rows less what the estimator makes of them, (n_views, n, features).

        `standard` has the same rows as `_standard` returns them.
        """
        holes = np.isnan(X)
        X = self.center + self.scale * standard
        architecture = getattr(self.estimator, "module_", self.estimator)
        architecture = getattr(architecture, "architecture", None)
        if getattr(architecture, "is_told_noise", False):
            levels = LEVELS if self.is_clean else STRONG_LEVELS
            views = [self.estimator.reconstruct(X, noise=level) for level in levels]
        else:
            views = [self.estimator.reconstruct(X)]
        residuals = (X - np.stack(views)) / self.scale
        residuals[:, holes] = 0.0  # nothing is strange about a hole
        return residuals

    def _likelihood(self, X):
        """Return the ELBO of rows; None if the estimator has none."""
        if not hasattr(self.estimator, "log_likelihood"):
            return None
        return self.estimator.score_samples(X.astype(np.float64, copy=False))

    def _likelihood_measure(self, values):
        median, width = self.likelihood_unit
        return (median - values) / width

    def _standard(self, X):
        """Return rows of unit variance, their holes filled."""
        V = self._in_units(X)
        holed = np.isnan(V).any(axis=1)
        if self.law is not None and holed.any():
            V[holed] = _modules.expected(self.law, V[holed])
        return np.nan_to_num(V)

    def _in_units(self, X):
        return (X.astype(np.float64) - self.center) / self.scale


def make_estimator(estimator, n_rows, *, seed):
    """Return the unfitted estimator for so many rows, with a seed if it takes one."""
    if estimator is None:
        n_batches = -(-n_rows // BATCH_SIZE)
        estimator = AutoencoderTransformer(
            architecture=DenoisingMLP(noise=NOISE),
            scale="standard",
            max_epochs=max(1, round(STEPS / n_batches)),
            batch_size=BATCH_SIZE,
            early_stopping=False,
        )
    else:
        estimator = clone(estimator)
    if getattr(estimator, "random_state", 0) is None:
        estimator.set_params(random_state=seed)
    return estimator


def neighbor_numbers(detector, n_rows):
    """Return the list of numbers of neighbours to compare with."""
    numbers = detector.n_neighbors
    if isinstance(numbers, str):
        if detector.contamination == "auto":
            return FEW_NEIGHBORS
        return [max(5, round(detector.contamination * n_rows))]
    if isinstance(numbers, list):
        return numbers
    return [numbers] if numbers else []


def folds_of(n_rows, n_folds, random_state):
    """Return pairs of row numbers: to fit to, and to score."""
    if n_rows > MOST_FOLDED:
        order = random_state.permutation(n_rows)
        return [(np.sort(order[ENOUGH_UNSEEN:]), np.sort(order[:ENOUGH_UNSEEN]))]
    folds = KFold(min(n_folds, n_rows), shuffle=True, random_state=random_state)
    return list(folds.split(np.empty((n_rows, 1))))


def signed_shares(values, differences):
    """Return each feature's share of values, with the sign of a difference."""
    totals = values.sum(axis=-1, keepdims=True)
    return np.sign(differences) * values / np.where(totals > 0, totals, 1.0)


def chunks(X):
    """Yield parts of rows that fit in memory several times over."""
    for start in range(0, len(X), ROWS_AT_ONCE):
        yield X[start : start + ROWS_AT_ONCE]
