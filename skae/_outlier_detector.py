"""Anomalies found by an autoencoder that knows how usual rows hang together."""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MetaEstimatorMixin, OutlierMixin, clone
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from skae import _modules
from skae._autoencoder import AutoencoderTransformer
from skae._conformal import benjamini_hochberg, conformal_p_values
from skae._random import draw_seed
from skae._sklearn import (
    HasMethods,
    Integral,
    Interval,
    InvalidParameterError,
    Real,
    StrOptions,
    check_feature_names,
    check_n_features,
    get_feature_names,
    validate_parameters,
)
from skae._strangeness import NeighborMeasure, ResidualMeasure, soft_maximum
from skae._validation import check_rows, refuse_empty_columns
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

# The p-value below which contamination="auto" calls a row an outlier.
AUTO_P_VALUE = 0.05

# Most columns for which holes are filled by a joint normal law of all: it costs their
# cube for a row with holes. In wider tables they are filled with column means.
MOST_COLUMNS = 128

# Rows scored at once.
ROWS_AT_ONCE = 8192


class AutoencoderOutlierDetector(OutlierMixin, MetaEstimatorMixin, BaseEstimator):
    """Find rows that are unlike those of training.

    A row is strange if the estimator does not restore it as well as others, or if it
    is far from its nearest training rows. Either is measured in units of what is usual
    for rows that the model has not seen, and the stranger of them counts.

    By default the estimator takes noise off, of all strengths in a wide range, without
    a bottleneck: where it pulls a row far, rows like that are rare [1]_.

    Scores of training rows are those of models that have not seen them, here and
    wherever such a row comes again. So thresholds are honest: of new rows of the same
    kind, the share that is asked for is called outliers.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What reconstructs rows: `AutoencoderTransformer` or `VAETransformer`, say. None
        is an `AutoencoderTransformer` with `DenoisingMLP()`. Of a `VAETransformer` the
        ELBO counts in place of the residuals.
    contamination : float in (0, 0.5] or "auto", default="auto"
        "auto" holds the training rows to be clean: outliers are rows with a p-value
        below 0.05 (see `p_values`). A float is the share of outliers among the
        training rows: as many of them are called so, and other outliers nearby no
        longer speak for a row.
    n_neighbors : int, list of int or "auto", default="auto"
        How many of the nearest training rows a row is compared with; a list asks more
        than one question. "auto" is `[1, 5]` for clean training rows, else a share
        `contamination` of them, at least 5. 0 compares with none.
    cv : int, default=4
        Number of parts of the training rows that are scored by a model of the others.
        Of more than 50,000 rows 10,000 are left out once instead.
    random_state : int, RandomState or None, default=None
        Source of all randomness.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    offset_ : float
        Score below which a row is an outlier.
    training_scores_ : ndarray of shape (n_unseen,)
        Scores of training rows by models that have not seen them, in no order.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if they have any.

    See Also
    --------
    sklearn.neighbors.LocalOutlierFactor : Compares densities.
    sklearn.ensemble.IsolationForest : Isolates rows by random cuts.

    References
    ----------
    .. [1] G. Alain, Y. Bengio, "What Regularized Auto-Encoders Learn from the
       Data-Generating Distribution", JMLR 15, 2014, arXiv:1211.4246.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderOutlierDetector
    >>> X, y = load_wine(return_X_y=True)
    >>> detector = AutoencoderOutlierDetector(random_state=0).fit(X[y == 0])
    >>> bool((detector.predict(X[y == 2]) == -1).all())
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "reconstruct"]), None],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "n_neighbors": [
            StrOptions({"auto"}),
            Interval(Integral, 0, None, closed="left"),
            list,
        ],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        contamination="auto",
        n_neighbors="auto",
        cv=4,
        random_state=None,
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.n_neighbors = n_neighbors
        self.cv = cv
        self.random_state = random_state

    # -- training --------------------------------------------------------------

    def fit(self, X, y=None):
        """Learn what rows are usual.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, at least two. NaN is a missing value.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted detector. An error leaves it as it was.
        """
        validate_parameters(self)
        self._check_numbers()
        names = get_feature_names(X)
        X = check_rows(X, estimator=self, names=names, allow_nan=True)
        refuse_empty_columns(X, names)
        if len(X) < 2:
            raise ValueError(
                f"n_samples={len(X)}: {type(self).__name__} needs at least 2 rows, to "
                "score one by a model of the other"
            )
        seed = draw_seed(self.random_state)
        model = _Model(self, X, seed)
        scores = model.unseen_scores
        fitted = {
            "estimator_": model.estimator,
            "training_scores_": scores,
            "n_features_in_": X.shape[1],
            "_model": model,
            "_calibration": np.sort(scores),
        }
        if names is not None:
            fitted["feature_names_in_"] = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        vars(self).update(fitted)
        if self.contamination == "auto":
            self.offset_ = self._offset_for(AUTO_P_VALUE)
        else:
            self.offset_ = float(np.quantile(scores, self.contamination))
        return self

    def _check_numbers(self):
        numbers = self.n_neighbors
        if isinstance(numbers, list) and not (
            numbers
            and all(
                isinstance(n, Integral) and not isinstance(n, bool) and n > 0
                for n in numbers
            )
        ):
            raise InvalidParameterError(
                f"The 'n_neighbors' parameter of {type(self).__name__} must be 'auto', "
                f"an int of at least 0, or a list of positive ints. Got {numbers!r} "
                "instead."
            )

    def set_threshold(self, *, contamination=None, quantile=None, p_value=None):
        """Set the score below which rows are outliers, without another fit.

        Parameters
        ----------
        contamination : float in (0, 0.5], optional
            Share of the training rows to call outliers.
        quantile : float in (0, 1), optional
            Quantile of the scores of clean rows: the share of new rows of the usual
            kind to call outliers. The same number as `contamination`, but any.
        p_value : float in (0, 1), optional
            Outliers are rows with at most this p-value.

        Returns
        -------
        self : object
            The detector with another `offset_`.
        """
        check_is_fitted(self)
        given = {
            name: value
            for name, value in (
                ("contamination", contamination),
                ("quantile", quantile),
                ("p_value", p_value),
            )
            if value is not None
        }
        if len(given) != 1:
            raise ValueError(
                "set_threshold needs one of contamination, quantile and p_value, got "
                f"{list(given) or 'none'}"
            )
        ((name, value),) = given.items()
        highest = 0.5 if name == "contamination" else 1.0
        if not (isinstance(value, Real) and 0 < value <= highest):
            raise InvalidParameterError(
                f"{name} must be a float in (0, {highest:g}], got {value!r}"
            )
        if name == "p_value":
            n = len(self._calibration)
            if value * (n + 1) < 1:
                raise ValueError(
                    f"p_value={value:g} is below the lowest there is with {n} scored "
                    f"training rows, {1 / (n + 1):.3g}; ask for a higher one, or fit "
                    "to more rows"
                )
            self.offset_ = self._offset_for(value)
        else:
            self.offset_ = float(np.quantile(self._calibration, value))
        return self

    def _offset_for(self, p_value):
        """Return the score below which rows have at most a p-value."""
        n = len(self._calibration)
        n_below = int(np.floor(p_value * (n + 1))) - 1
        return float(self._calibration[np.clip(n_below, 0, n - 1)])

    # -- scores ----------------------------------------------------------------

    def score_samples(self, X):
        """Return how usual each row is: minus its strangeness.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        score : ndarray of shape (n_samples,)
            In float64, about 0 in the median of the training rows and about -1 for a
            row stranger than nine out of ten of them.
        """
        check_is_fitted(self)
        return self._model.score(self._check_rows(X))

    def decision_function(self, X):
        """Return `score_samples(X) - offset_`: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X):
        """Return -1 for outliers and 1 for other rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            Of -1 and 1.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X):
        """Return the share of usual rows that are at least as strange as each row.

        Of new rows of the training rows' kind, a share p has a p-value of at most p
        [1]_: conformal p-values, by the scores of training rows that the model has not
        seen.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p_values : ndarray of shape (n_samples,)
            In (0, 1]; low for outliers.

        References
        ----------
        .. [1] S. Bates, E. Candes, L. Lei, Y. Romano, M. Sesia, "Testing for Outliers
           with Conformal p-values", Annals of Statistics 51, 2023, arXiv:2104.08279.
        """
        return conformal_p_values(self.score_samples(X), self._calibration)

    def select_outliers(self, X, fdr=0.1):
        """Return which rows of X are outliers, few of them by mistake.

        In place of a threshold for each row, the share of false alarms among all alarms
        is held below `fdr` on average, by the procedure of Benjamini and Hochberg on
        `p_values`. How many rows are called outliers depends on all of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            New rows.
        fdr : float in (0, 1), default=0.1
            False discovery rate.

        Returns
        -------
        is_outlier : ndarray of shape (n_samples,) of bool
        """
        if not (isinstance(fdr, Real) and 0 < fdr < 1):
            raise InvalidParameterError(f"fdr must be a float in (0, 1), got {fdr!r}")
        return benjamini_hochberg(self.p_values(X), fdr)

    def explain(self, X):
        """Return what part each feature has in the strangeness of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        parts : DataFrame of shape (n_samples, n_features)
            Shares, of absolute values that add up to at most 1. Positive where the
            value is higher than the rest of the row and its neighbours let expect,
            negative where it is lower. The index is that of X, if it has one.
        """
        check_is_fitted(self)
        index = getattr(X, "index", None) if hasattr(X, "columns") else None
        X = self._check_rows(X)
        parts = [self._model.explain(rows) for rows in _chunks(X)]
        columns = getattr(self, "feature_names_in_", None)
        return pd.DataFrame(np.concatenate(parts), index=index, columns=columns)

    def _check_rows(self, X):
        check_feature_names(self, X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        X = check_rows(X, estimator=self, names=names, allow_nan=True)
        check_n_features(self, X, reset=False)
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _Model:
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
        self.hashes = None  # so that nothing counts as seen while fitting
        statistics = _modules.column_statistics(X)
        self.center = np.nan_to_num(statistics.mean)
        self.scale = np.where(statistics.std > 0, statistics.std, 1.0)
        self.law = None
        if X.shape[1] <= MOST_COLUMNS:
            self.law = _modules.joint_normal(self._in_units(X))
        random_state = np.random.RandomState(seed)
        make = partial(make_estimator, detector.estimator, seed=seed)
        folds = folds_of(len(X), detector.cv, random_state)
        unseen, residuals, likelihoods = [], [], []
        for fitted_to, scored in folds:
            self.estimator = make(len(fitted_to)).fit(X[fitted_to])
            unseen.append(scored)
            residuals.append(self._residuals(X[scored]).astype(np.float32))
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
            standard = self._standard(X)
            self.neighbors = NeighborMeasure(standard, numbers, random_state)
            by_row = self.neighbors.measure(standard[unseen])
            place = np.searchsorted(self.neighbors.among, unseen)
            place = np.minimum(place, len(self.neighbors.among) - 1)
            is_among = self.neighbors.among[place] == unseen
            by_row[:, is_among] = self.neighbors.unseen[:, place[is_among]]
            measures += list(by_row)
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
        scores = np.concatenate([-self._strangeness(rows) for rows in _chunks(X)])
        hashes = row_hashes(X)
        place = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        is_known = self.hashes[place] == hashes
        scores[is_known] = self.scores[place[is_known]]
        return scores

    def _strangeness(self, X):
        return soft_maximum(self._measures(X, self._residuals(X)))

    def _measures(self, X, residuals):
        if self.likelihood_unit is None:
            measures = [self.residual_measure.measure(np.square(residuals))]
        else:
            measures = [self._likelihood_measure(self._likelihood(X))]
        if self.neighbors is not None:
            measures += list(self.neighbors.measure(self._standard(X)))
        return np.stack(measures)

    def explain(self, X):
        """Return the signed share of each feature in the strangeness of rows."""
        residuals = self._residuals(X)
        measures = self._measures(X, residuals)
        weights = np.exp(measures - np.logaddexp.reduce(measures, axis=0))
        shares = self.residual_measure.shares(np.square(residuals))
        shares = (
            np.sign(residuals) * shares / (shares.sum(axis=2, keepdims=True) + 1e-300)
        )
        parts = weights[0][:, None] * shares.mean(axis=0)
        if self.neighbors is not None:
            standard = self._standard(X)
            away = standard - self.neighbors.centers(standard)
            away[np.isnan(X)] = 0.0
            shares = signed_shares(np.square(away), away)
            parts += weights[1:].sum(axis=0)[:, None] * shares
        return parts

    def _residuals(self, X):
        """Return rows less what the estimator makes of them, (n_views, n, features)."""
        holes = np.isnan(X)
        X = self.center + self.scale * self._standard(X)
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


def _chunks(X):
    for start in range(0, len(X), ROWS_AT_ONCE):
        yield X[start : start + ROWS_AT_ONCE]
