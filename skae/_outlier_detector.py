"""Anomalies found by an autoencoder that knows how usual rows hang together."""

import numpy as np
import pandas as pd
from sklearn.base import MetaEstimatorMixin, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from skae._anomaly_model import AnomalyModel, Rows
from skae._columns import as_table, find_columns
from skae._conformal import benjamini_hochberg, conformal_p_values
from skae._random import draw_seed
from skae._sklearn import (
    HasMethods,
    Integral,
    Interval,
    InvalidParameterError,
    ParameterHolder,
    Real,
    StrOptions,
    check_feature_names,
    check_n_features,
    get_feature_names,
    validate_parameters,
)
from skae._storage import SavingMixin, check_attributes, storable
from skae._validation import check_can_differ, check_rows, refuse_empty_columns

# The p-value below which contamination="auto" calls a row an outlier.
AUTO_P_VALUE = 0.05


@storable
class AutoencoderOutlierDetector(
    OutlierMixin, MetaEstimatorMixin, SavingMixin, ParameterHolder
):
    """Find rows that are unlike those of training.

    A row is strange if the estimator does not restore it as well as others, or if it
    is far from its nearest training rows. Either is measured in units of what is usual
    for rows that the model has not seen, and the stranger of them counts.

    By default the estimator takes noise off, of all strengths in a wide range, without
    a bottleneck: where it pulls a row far, rows like that are rare [1]_. If there may
    be outliers among the training rows, rows are compared with many others in place of
    that, as they are and less noise.

    Scores of training rows are those of models that have not seen them, here and
    wherever such a row comes again. New rows are scored by the same models, the mean
    over all of them, not by a model that has seen more rows [2]_. So thresholds are
    honest: of new rows of the same kind, the share that is asked for is called
    outliers. Only where rows of training are often equal, a row that comes again is
    scored as a new one: it may be one.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What reconstructs rows: `AutoencoderTransformer` or `VAETransformer`, say. None
        is an `AutoencoderTransformer` with `DenoisingMLP()`, which is given rows in
        units in which columns can be compared. Of a `VAETransformer` the ELBO counts in
        place of the residuals.
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
        Number of parts of the training rows that are scored by a model of the others;
        new rows are scored by all of these models. Of more than 50,000 rows 10,000 are
        left out once instead.
    n_members : int, default=1
        How many detectors to make one of, which share the parts but not the seed. The
        score of a row is the mean of theirs; `score_samples` says how far they differ.
        Small networks of the user's train all at once.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Which columns have categories, as for `AutoencoderTransformer`, which is told
        so if it is the estimator.
    handle_unknown : {"error", "ignore"}, default="error"
        What to do with a category that `fit` has not seen: raise ValueError, or take it
        for one that no row has, which is strange.
    random_state : int, RandomState or None, default=None
        Source of all randomness.

    Attributes
    ----------
    estimators_ : list of estimator
        What scores are by: for each part of the training rows the estimator that was
        fitted to the others; those of one member after those of another.
    estimator_ : estimator
        `estimator`, fitted to all training rows, which no score is by. Of more than
        50,000 rows it is the first of `estimators_`. Not there if `estimator` is None.
    offset_ : float
        Score below which a row is an outlier.
    training_scores_ : ndarray of shape (n_unseen,)
        Scores of training rows by models that have not seen them, in no order.
    categories_ : list of ndarray or None
        Of every column: its categories, None for numbers. None if no column has some.
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
    .. [2] V. Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial
       Intelligence 74, 2015, arXiv:1208.0806.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderOutlierDetector
    >>> X, y = load_wine(return_X_y=True)
    >>> detector = AutoencoderOutlierDetector(cv=2, random_state=0).fit(X[y == 0])
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
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "handle_unknown": [StrOptions({"error", "ignore"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        contamination="auto",
        n_neighbors="auto",
        cv=4,
        n_members=1,
        categorical_features="from_dtype",
        handle_unknown="error",
        random_state=None,
    ):
        self.estimator = estimator
        self.contamination = contamination
        self.n_neighbors = n_neighbors
        self.cv = cv
        self.n_members = n_members
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
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
        columns = find_columns(X, self.categorical_features)
        self._check_estimator(columns)
        names = get_feature_names(X)
        rows = self._as_rows(X, names, columns)
        refuse_empty_columns(rows.numbers, names)
        if len(rows) < 2:
            raise ValueError(
                f"n_samples={len(rows)}: {type(self).__name__} needs at least 2 rows, "
                "to score one by a model of the other"
            )
        model = AnomalyModel(self, rows, columns, draw_seed(self.random_state))
        scores = model.unseen_scores
        calibration = np.sort(scores)
        if self.contamination == "auto":
            offset = offset_for(AUTO_P_VALUE, calibration)
        else:
            offset = offset_of_share(self.contamination, calibration)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.estimators_ = model.estimators
        if model.whole is not None:
            self.estimator_ = model.whole
        elif hasattr(self, "estimator_"):
            del self.estimator_
        self.training_scores_ = scores
        self.categories_ = None if columns is None else columns.categories
        self.n_features_in_ = rows.numbers.shape[1]
        self.offset_ = offset
        self._model, self._columns = model, columns
        self._calibration = calibration
        return self

    def _check_stored(self, state):
        """Raise ValueError unless a state from a file is one of this estimator."""
        validate_parameters(self)
        self._check_numbers()
        own = ("estimator_",) if self.estimator is not None else ()
        check_attributes(
            self,
            state,
            (
                *own, "estimators_", "offset_", "training_scores_", "categories_",
                "n_features_in_", "_model", "_columns", "_calibration",
            ),
        )  # fmt: skip

    def _check_estimator(self, columns):
        """Raise ValueError if the estimator is not what is needed of it."""
        check_can_differ(self.estimator, self.n_members)
        needed = "reconstruct_proba"
        if columns is None or self.estimator is None or hasattr(self.estimator, needed):
            return
        raise ValueError(
            f"estimator={self.estimator!r} has no {needed}, which is needed for "
            f"{columns.name(np.argmax(columns.is_categorical))} of X with its "
            "categories; use AutoencoderTransformer or VAETransformer, or encode it "
            "with OneHotEncoder"
        )

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
            self.offset_ = offset_for(value, self._calibration)
        else:
            self.offset_ = offset_of_share(value, self._calibration)
        return self

    # -- scores ----------------------------------------------------------------

    def score_samples(self, X, return_std=False):
        """Return how usual each row is: minus its strangeness.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        return_std : bool, default=False
            Whether to return how far the members differ, of which there must be two.

        Returns
        -------
        score : ndarray of shape (n_samples,)
            In float64, about 0 in the median of the training rows and about -1 for a
            row stranger than nine out of ten of them.
        std : ndarray of shape (n_samples,)
            Standard deviation of the scores of the members, if `return_std=True`. The
            score, their mean, has an error of `std / sqrt(n_members)` by the seed.
        """
        check_is_fitted(self)
        if return_std and len(self._model.members) < 2:
            raise ValueError(
                "return_std=True: scores of one member have no standard deviation; fit "
                "with n_members=5, for instance"
            )
        scores = self._model.scores_by_member(self._check_rows(X))
        mean = scores.mean(axis=0)
        return (mean, scores.std(axis=0, ddof=1)) if return_std else mean

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

        Of new rows of the training rows' kind, about a share p has a p-value of at most
        p [1]_: conformal p-values, by the scores of training rows by models that have
        not seen them. The mean over these models, by which new rows are scored, varies
        a little less than each, so that mostly a little fewer rows are that low.

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
        columns = getattr(self, "feature_names_in_", None)
        return pd.DataFrame(self._model.explain(X), index=index, columns=columns)

    def _check_rows(self, X):
        check_feature_names(self, X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        if self._columns is not None:
            X = as_table(X)
            check_n_features(self, X, reset=False)
        rows = self._as_rows(X, names, self._columns)
        check_n_features(self, rows.numbers, reset=False)
        return rows

    def _as_rows(self, X, names, columns):
        """Return a table that has been checked as `Rows`."""
        if columns is None:
            X = check_rows(X, estimator=self, names=names, allow_nan=True)
            return Rows(X, X)
        X = as_table(X)
        unknown = "mark" if self.handle_unknown == "ignore" else "error"
        numbers = columns.encode(X, handle_unknown=unknown, estimator=self)
        return Rows(numbers, X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def offset_for(p_value, calibration):
    """Return the score below which rows have at most a p-value, by sorted scores."""
    n_below = rank_of(p_value, calibration) - 1
    return float(calibration[max(n_below, 0)])


def offset_of_share(share, calibration):
    """Return the score below which a share of new rows is expected, by sorted scores.

    The calibration rows are below it in the same share; of those that are tied where it
    is, none are. What the share leaves of a rank is as far as it is from the last row
    below it to the next one: with a hundred rows a rank is a whole percent.
    """
    n_below = rank_of(share, calibration)
    if n_below in (0, len(calibration)):
        return float(calibration[max(n_below - 1, 0)])
    last, next_ = calibration[n_below - 1 : n_below + 1]
    if last == next_:
        return float(last)
    part = share * (len(calibration) + 1) - n_below
    return float(max(last + part * (next_ - last), np.nextafter(last, next_)))


def rank_of(share, calibration):
    """Return how many scores are as low as one that a share of new rows is below."""
    # a new row is equally likely to have each rank among the others
    n = len(calibration)
    return min(int(np.floor(share * (n + 1))), n)
