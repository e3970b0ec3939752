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

# Share of the known entries that the default estimator learns to restore.
MASKED = 0.5


class AutoencoderImputer(
    OneToOneFeatureMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Fill missing values with what an autoencoder makes of the known ones.

    The autoencoder is trained on rows with their missing values, which cost it
    nothing. A row is filled with what it reconstructs in the holes: known values stay
    as they are, to the bit. In further rounds the filled row is reconstructed in turn,
    until its holes hardly change [1]_.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What reconstructs rows: has `fit` and `reconstruct`, and takes NaN. None is an
        `AutoencoderTransformer` that learns to restore half of the known values from
        the other half, `corruption=Masking(0.5, fill="center")`.
    max_iter : int, default=1
        Most rounds. One is right for an autoencoder that has learned to restore rows
        with holes, more are for one that has learned rows alone.
    tol : float, default=1e-2
        Change in a round, in standard deviations of the column, below which a row
        is done.
    random_state : int, RandomState or None, default=None
        Seed of the estimator, if it takes one; None leaves that of the estimator.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    n_iter_ : int
        Most rounds that a row of `fit` takes.
    n_features_in_ : int
        Number of columns seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if they have any.

    See Also
    --------
    sklearn.impute.IterativeImputer : Predicts each column from the others.

    References
    ----------
    .. [1] D. Rezende, S. Mohamed, D. Wierstra, "Stochastic Backpropagation and
       Approximate Inference in Deep Generative Models", ICML 2014, arXiv:1401.4082,
       appendix F; here with means in place of draws.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderImputer
    >>> X = load_iris().data
    >>> X[0, 2] = np.nan  # 1.4 cm
    >>> imputer = AutoencoderImputer(random_state=0)
    >>> bool(abs(imputer.fit_transform(X)[0, 2] - 1.4) < 0.3)
    True
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
        """Train the estimator on what is known of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing. Every row and every column must have a
            known one. With an `image_shape` of the estimator also (n_samples,
            channels, height, width).
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted imputer. An error leaves it as it was.
        """
        validate_parameters(self)
        names, estimator = get_feature_names(X), self._make_estimator()
        X = self._as_rows(X, names, estimator)
        refuse_empty_columns(X, names)
        estimator.fit(X)
        units = column_units(X)
        rows = X[_with_holes(X)]
        _, n_iter = self._fill(rows, estimator, units) if len(rows) else (rows, 1)
        self._become(estimator, units, n_iter, names)
        return self

    def _make_estimator(self):
        if self.estimator is None:
            estimator = AutoencoderTransformer(
                corruption=Masking(MASKED, fill="center")
            )
        else:
            estimator = clone(self.estimator)
        if self.random_state is not None and hasattr(estimator, "random_state"):
            estimator.set_params(random_state=draw_seed(self.random_state))
        return estimator

    def _become(self, estimator, units, n_iter, names):
        """Replace whatever an earlier fit has set."""
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_, self._units = len(units), units
        self.n_iter_, self.estimator_ = n_iter, estimator

    def transform(self, X):
        """Return X with its missing values filled in.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing, each with a known one.

        Returns
        -------
        X_filled : ndarray of shape (n_samples, n_features)
            A copy, of the dtype of X, without NaN.
        """
        check_is_fitted(self)
        check_feature_names(self, X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        X = self._as_rows(X, names, self.estimator_)
        check_n_features(self, X, reset=False)
        filled, rows = X.copy(), _with_holes(X)
        if len(rows):
            filled[rows], _ = self._fill(X[rows], self.estimator_, self._units)
        return filled

    def _as_rows(self, X, names, estimator):
        return check_rows(
            X,
            estimator=self,
            names=names,
            image_shape=getattr(estimator, "image_shape", None),
            allow_nan=True,
        )

    def _fill(self, X, estimator, units):
        """Return rows that have holes with these filled, and the most rounds of one."""
        holes = np.isnan(X)
        filled = np.where(holes, estimator.reconstruct(X), X).astype(X.dtype)
        changing, n_iter = np.arange(len(X)), 1
        while n_iter < self.max_iter and len(changing):
            before, open_ = filled[changing], holes[changing]
            after = np.where(open_, estimator.reconstruct(before), before)
            filled[changing] = after
            change = np.abs(after - before) / units
            changing = changing[change.max(axis=1) > self.tol]
            n_iter += 1
        return filled, n_iter

    @property
    def _n_features_out(self):
        return self.n_features_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def column_units(X):
    """Return the standard deviation of the known values of every column, or 1."""
    deviations = _modules.column_statistics(X).std
    return np.where(deviations > 0, deviations, 1.0)


def _with_holes(X):
    """Return the numbers of the rows that have holes."""
    return np.flatnonzero(np.isnan(X).any(axis=1)) if has_holes(X) else []
