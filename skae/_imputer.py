"""Missing values filled in by an autoencoder."""

import numpy as np
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
)
from sklearn.utils.validation import check_is_fitted

from skae import _modules
from skae._autoencoder import AutoencoderTransformer
from skae._random import draw_seed
from skae._sklearn import (
    HasMethods,
    Integral,
    Interval,
    Real,
    check_feature_names,
    check_n_features,
    get_feature_names,
    validate_parameters,
)
from skae._validation import check_rows, has_holes, refuse_empty_columns
from skae.corruptions import Masking


class AutoencoderImputer(
    OneToOneFeatureMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Fill missing values with what an autoencoder makes of the known ones.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What reconstructs rows, with NaN among them.
    max_iter : int, default=1
        Most rounds.
    tol : float, default=1e-2
        Change.
    random_state : int, RandomState or None, default=None
        Source.
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "reconstruct"]), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator=None, *, max_iter=1, tol=1e-2, random_state=None):
        self.estimator = estimator
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X, y=None):
        """Train the estimator on what is known of X."""
        validate_parameters(self)
        names = get_feature_names(X)
        estimator = self._make_estimator()
        X = self._as_rows(X, names, estimator)
        refuse_empty_columns(X, names)
        estimator.fit(X)
        self._become(estimator, X, names)
        return self

    def _make_estimator(self):
        if self.estimator is None:
            estimator = AutoencoderTransformer(corruption=Masking(0.3, fill="center"))
        else:
            estimator = clone(self.estimator)
        if self.random_state is not None and hasattr(estimator, "random_state"):
            estimator.set_params(random_state=draw_seed(self.random_state))
        return estimator

    def _become(self, estimator, X, names):
        """Replace whatever an earlier fit has set."""
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_ = X.shape[1]
        deviations = _modules.column_statistics(X).std
        self._units = np.where(deviations > 0, deviations, 1.0)
        self.estimator_ = estimator

    def transform(self, X):
        """Return X with its missing values filled in."""
        check_is_fitted(self)
        check_feature_names(self, X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        X = self._as_rows(X, names, self.estimator_)
        check_n_features(self, X, reset=False)
        filled = X.copy()
        if has_holes(X):
            rows = np.flatnonzero(np.isnan(X).any(axis=1))
            filled[rows] = self._fill(X[rows])
        return filled

    def _as_rows(self, X, names, estimator):
        return check_rows(
            X,
            estimator=self,
            names=names,
            image_shape=getattr(estimator, "image_shape", None),
            allow_nan=True,
        )

    def _fill(self, X):
        """Return rows, each of which has a hole, with their holes filled."""
        holes = np.isnan(X)
        filled = np.where(holes, self.estimator_.reconstruct(X), X).astype(X.dtype)
        moving = np.arange(len(X))  # rows that still change
        for _ in range(self.max_iter - 1):
            before = filled[moving]
            new = self.estimator_.reconstruct(before)
            after = np.where(holes[moving], new, before).astype(X.dtype)
            filled[moving] = after
            change = np.abs(after - before) / self._units
            moving = moving[change.max(axis=1) > self.tol]
            if not len(moving):
                break
        return filled

    @property
    def _n_features_out(self):
        return self.n_features_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
