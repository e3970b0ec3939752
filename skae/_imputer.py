"""Missing values filled in by an autoencoder."""

import numpy as np
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
)
from sklearn.impute import MissingIndicator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae import _modules
from skae._autoencoder import AutoencoderTransformer
from skae._imputation_model import ImputationModel
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
from skae._validation import check_count, check_rows, has_holes, refuse_empty_columns
from skae.architectures import RestoringMLP
from skae.corruptions import Masking

# Share of the known entries that the default estimator learns to restore in tables too
# wide for a joint law of all columns.
MASKED = 0.5

# The default estimator takes about this many steps, of this size, in batches of a
# sixteenth of the rows within bounds: each row of a batch has equations to solve.
STEPS, STEP_SIZE = 2500, 2e-3
BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 16, 16, 128


def _draws(imputer):
    """Return whether there are laws to draw from."""
    return bool(imputer.sample_posterior)


class AutoencoderImputer(
    OneToOneFeatureMixin, MetaEstimatorMixin, TransformerMixin, BaseEstimator
):
    """Fill missing values with what an autoencoder makes of the known ones.

    The autoencoder is trained on rows with their missing values, which cost it
    nothing. A row is filled with what it reconstructs in the holes: known values stay
    as they are, to the bit. In further rounds the filled row is reconstructed in turn,
    until its holes hardly change [1]_.

    With `sample_posterior=True` holes are filled with draws, as multiple imputation
    [2]_ needs them: what is computed from several of them has the right uncertainty.
    Each estimator in turn, fitted to a random half of the rows, says where a value is
    expected, and rows of the other half how far off it is. Estimates from halves
    differ from that of all rows as much as that does from the truth [3]_.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What reconstructs rows: has `fit` and `reconstruct`, and takes NaN. None is an
        `AutoencoderTransformer` that learns to restore a random share of the known
        values from the others, `corruption=Masking("random", fill="missing")`, with
        `architecture=RestoringMLP()`: it starts from the joint normal law of the
        columns. For more than 128 columns it is the default architecture, with
        `Masking(0.5, fill="center")`.
    max_iter : int, default=1
        Most rounds. One is right for an autoencoder that has learned to restore rows
        with holes, more are for one that has learned rows alone.
    tol : float, default=1e-2
        Change in a round, in standard deviations of the column, below which a row
        is done.
    sample_posterior : bool, default=False
        Whether holes are filled with draws; else with what is expected there.
    n_imputations : int, default=10
        How many estimators are fitted to halves of the rows for that.
    add_indicator : bool, default=False
        Whether columns follow that say where a value was missing, as those of
        `sklearn.impute.MissingIndicator` for the columns with holes in `fit`.
    keep_empty_features : bool, default=False
        Whether a column without a known value in `fit` is filled with zeros; else it
        is left out.
    random_state : int, RandomState or None, default=None
        Seed of the estimator, if it takes one; None leaves that of the estimator. Of
        draws it is the seed too.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    indicator_ : sklearn.impute.MissingIndicator
        What finds the missing values; None if `add_indicator=False`.
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
    .. [2] D. Rubin, "Multiple Imputation for Nonresponse in Surveys", Wiley 1987,
       doi:10.1002/9780470316696.
    .. [3] J. Shao, C. Wu, "A General Theory for Jackknife Variance Estimation", Annals
       of Statistics 17, 1989, doi:10.1214/aos/1176347263.

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
        "sample_posterior": ["boolean"],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        max_iter=1,
        tol=1e-2,
        sample_posterior=False,
        n_imputations=10,
        add_indicator=False,
        keep_empty_features=False,
        random_state=None,
    ):
        self.estimator = estimator
        self.max_iter = max_iter
        self.tol = tol
        self.sample_posterior = sample_posterior
        self.n_imputations = n_imputations
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.random_state = random_state

    def fit(self, X, y=None):
        """Train the estimator on what is known of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing. With an `image_shape` of the estimator
            also (n_samples, channels, height, width), and every column must have a
            known value then.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted imputer. An error leaves it as it was.
        """
        validate_parameters(self)
        names = get_feature_names(X)
        X = self._as_rows(X, names, self.estimator)
        known = ~np.isnan(X)
        filled = known.any(axis=0)
        if getattr(self.estimator, "image_shape", None) is not None or not filled.any():
            refuse_empty_columns(X, names)
        rows = X if known.any(axis=1).all() else X[known.any(axis=1)]
        fitted = self._fit_rows(rows if filled.all() else rows[:, filled])
        indicator = None
        if self.add_indicator:
            indicator = MissingIndicator(error_on_new=False).fit(X)
        self._become(fitted, filled, indicator, X.shape[1], names)
        return self

    def _fit_rows(self, X):
        """Return what `fit` learns of rows with a known value in each row and column.

        That is the estimator, units and centers of the columns, the most rounds, the
        laws to draw from, and a seed of draws.
        """
        estimator = self._make_estimator(X, self.random_state).fit(X)
        columns = column_units(X), _modules.column_statistics(X).mean
        _, n_iter = self._fill_all(X, estimator, *columns)
        models, seed = [], None
        if self.sample_posterior:
            random = np.random.RandomState(draw_seed(self.random_state))
            models = [
                self._fit_half(X, *columns, random) for _ in range(self.n_imputations)
            ]
            seed = draw_seed(random)
        return estimator, *columns, n_iter, models, seed

    def _make_estimator(self, X, random_state):
        """Return the unfitted estimator for rows X."""
        if self.estimator is not None:
            estimator = clone(self.estimator)
        elif X.shape[1] > _modules.MOST_COLUMNS:
            estimator = AutoencoderTransformer(
                corruption=Masking(MASKED, fill="center")
            )
        else:
            batch_size = np.clip(len(X) // BATCHES, SMALLEST_BATCH, LARGEST_BATCH)
            n_batches = -(-len(X) // batch_size)
            estimator = AutoencoderTransformer(
                architecture=RestoringMLP(),
                corruption=Masking("random", fill="missing"),
                lr=STEP_SIZE,
                batch_size=int(batch_size),
                max_epochs=int(max(1, STEPS // n_batches)),
            )
        if random_state is not None and hasattr(estimator, "random_state"):
            estimator.set_params(random_state=draw_seed(random_state))
        return estimator

    def _fit_half(self, X, units, centers, random):
        """Return the `ImputationModel` of a random half of the rows."""
        half, others = np.array_split(random.permutation(len(X)), 2)
        rows, others = X[half], X[others]
        empty = np.isnan(rows).all(axis=0)
        rows[:, empty] = centers[empty]  # what other rows know
        estimator = self._make_estimator(rows, random).fit(rows)
        return ImputationModel(
            estimator,
            lambda X: self._fill_all(X, estimator, units, centers)[0],
            rows,
            others,
            units,
            draw_seed(random),
        )

    def _become(self, fitted, kept, indicator, n_features, names):
        """Replace whatever an earlier fit has set."""
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_, self._kept, self.indicator_ = n_features, kept, indicator
        self.estimator_, *self._columns, self.n_iter_ = fitted[:4]
        self._models, self._seed = fitted[4:]

    def transform(self, X):
        """Return X with its missing values filled in.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing. A row without a known value gets the
            means of the columns.

        Returns
        -------
        X_filled : ndarray of shape (n_samples, n_features_out)
            A copy, of the dtype of X, without NaN. With `sample_posterior=True` it has
            one draw in each hole, the same at every call.
        """
        X = self._check_rows(X)
        if self.sample_posterior:
            return next(self._imputations(X, 1, self._seed))
        rows = X[:, self._kept]
        filled, _ = self._fill_all(rows, self.estimator_, *self._columns)
        return self._finish(X, filled)

    @available_if(_draws)
    def sample_imputations(self, X, n_imputations=None, random_state=None):
        """Return X with its missing values filled in several times, with draws.

        Available with `sample_posterior=True`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing.
        n_imputations : int or None, default=None
            How often; None for as often as there are estimators, the parameter of that
            name.
        random_state : int, RandomState or None, default=None
            Source of the draws.

        Returns
        -------
        X_filled : ndarray of shape (n_imputations, n_samples, n_features_out)
            Each as `transform` returns one.
        """
        X = self._check_rows(X)
        if n_imputations is None:
            n_imputations = len(self._models)
        check_count("n_imputations", n_imputations)
        seed = draw_seed(random_state)
        return np.stack(list(self._imputations(X, n_imputations, seed)))

    def _imputations(self, X, n_imputations, seed):
        """Yield filled rows, of every model in turn."""
        random, rows = np.random.RandomState(seed), X[:, self._kept]
        for i in range(n_imputations):
            model = self._models[i % len(self._models)]
            filled, _ = self._fill_all(rows, model.estimator, *self._columns)
            if has_holes(rows):
                filled = model.draw(rows, filled, draw_seed(random))
            yield self._finish(X, filled)

    def _check_rows(self, X):
        check_is_fitted(self)
        check_feature_names(self, X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        X = self._as_rows(X, names, self.estimator_)
        check_n_features(self, X, reset=False)
        return X

    def _as_rows(self, X, names, estimator):
        return check_rows(
            X,
            estimator=self,
            names=names,
            image_shape=getattr(estimator, "image_shape", None),
            allow_nan=True,
            allow_empty_rows=True,
        )

    def _finish(self, X, filled):
        """Return filled columns with what else `transform` returns of rows X."""
        if self.keep_empty_features and not self._kept.all():
            whole = np.nan_to_num(X, nan=0.0)
            whole[:, self._kept] = filled
            filled = whole
        if self.indicator_ is None:
            return filled
        # `set_config` may have the indicator return frames
        missing = np.isnan(X[:, self.indicator_.features_])
        return np.hstack([filled, missing.astype(filled.dtype)])

    def _fill_all(self, X, estimator, units, centers):
        """Return a copy of rows with all holes filled, and the most rounds of one."""
        filled, rows, n_iter = X.copy(), _with_holes(X), 1
        if len(rows):
            empty = np.isnan(X[rows]).all(axis=1)
            filled[rows[empty]] = centers
            rows = rows[~empty]
        if len(rows):
            filled[rows], n_iter = self._fill(X[rows], estimator, units)
        return filled, n_iter

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

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X; None for those of `fit`, or x0, x1, ...

        Returns
        -------
        names : ndarray of str
        """
        names = super().get_feature_names_out(input_features)
        result = names if self.keep_empty_features else names[self._kept]
        if self.indicator_ is None:
            return result
        return np.concatenate([result, self.indicator_.get_feature_names_out(names)])

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
