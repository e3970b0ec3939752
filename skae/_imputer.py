"""Missing values filled in by an autoencoder."""

from itertools import chain

import numpy as np
from sklearn.base import (
    MetaEstimatorMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    clone,
)
from sklearn.impute import MissingIndicator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skae._columns import Columns, as_table, declares_categories
from skae._filled_table import add_flags, fill_table
from skae._filler import Filler
from skae._fit_together import fit_all
from skae._imputation_defaults import (
    check_takes_categories,
    compares_rows,
    default_estimator,
    units_and_centers,
)
from skae._imputation_model import ImputationModel
from skae._random import draw_seed, seeds_of_members
from skae._sklearn import (
    HasMethods,
    Integral,
    Interval,
    ParameterHolder,
    Real,
    StrOptions,
    check_feature_names,
    check_n_features,
    get_feature_names,
    validate_parameters,
)
from skae._storage import SavingMixin, check_attributes, storable
from skae._table_imputation_model import TableImputationModel
from skae._validation import (
    check_can_differ,
    check_count,
    check_rows,
    has_holes,
    refuse_empty_columns,
)

storable(MissingIndicator)


def _draws(imputer):
    """Return whether there are laws to draw from."""
    return bool(imputer.sample_posterior)


@storable
class AutoencoderImputer(
    OneToOneFeatureMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    SavingMixin,
    ParameterHolder,
):
    """Fill missing values with what an autoencoder makes of the known ones.

    The autoencoder is trained on rows with their missing values, which cost it
    nothing. A row is filled with what it reconstructs in the holes: known values stay
    as they are, to the bit. In further rounds the filled row is reconstructed in turn,
    until its holes hardly change [1]_. What the autoencoder is off by in similar rows
    of `fit`, known values hidden for that purpose, is added: it helps where rows nearly
    repeat others.

    With `sample_posterior=True` holes are filled with draws, as multiple imputation
    [2]_ needs them: what is computed from several of them has the right uncertainty.
    Each estimator in turn, fitted to a random half of the rows, says where a value is
    expected, and rows of the other half how far off it is. Estimates from halves
    differ from that of all rows as much as that does from the truth [3]_. In tables
    with categories a row's holes are drawn one after the other.

    A DataFrame of pandas or polars may have columns of categories, which are filled
    with the most probable one. It comes back as such a DataFrame, of the same columns,
    dtypes and index.

    Parameters
    ----------
    estimator : estimator or None, default=None
        What reconstructs rows: has `fit` and `reconstruct`, and takes NaN. None is an
        `AutoencoderTransformer` that learns to restore a random share of the known
        values from the others, `corruption=Masking("random", fill="missing")`, with
        `architecture=RestoringMLP()`: it starts from the joint normal law of the
        columns. For more than 128 columns it is the default architecture, with
        `Masking(0.5, fill="center")`; each category counts as a column there. One for
        tables with categories has `categorical_features` and `handle_unknown`, as the
        autoencoders of this package do; what it says counts where the parameters of
        those names here have their defaults.
    max_iter : int, default=1
        Most rounds. One is right for an autoencoder that has learned to restore rows
        with holes, more are for one that has learned rows alone.
    tol : float, default=1e-2
        Change in a round, in standard deviations of the column, below which a row
        is done.
    similar_rows : bool or "auto", default="auto"
        Whether what the estimator is off by in similar rows is added to its numbers, as
        far as hidden values agree. "auto" does so for `estimator=None`, in tables of
        numbers of at most 128 columns.
    n_members : int, default=1
        How many estimators to fit that differ by their seed, and to fill holes with the
        mean of; `imputation_spread` says how far they differ. Small networks of the
        user's train all at once.
    sample_posterior : bool, default=False
        Whether holes are filled with draws; else with what is expected there.
    n_imputations : int, default=10
        How many estimators are fitted to halves of the rows for that.
    add_indicator : bool, default=False
        Whether columns follow that say where a value was missing, as those of
        `sklearn.impute.MissingIndicator` for the columns with holes in `fit`.
    keep_empty_features : bool, default=False
        Whether a column without a known value in `fit` is filled with zeros; else it
        is left out. One of categories is kept as it is, with its holes: there is no
        category to fill them with.
    categorical_features : array-like of {bool, int, str}, "from_dtype" or None, \
            default="from_dtype"
        Which columns have categories: a mask, positions, or names. "from_dtype" takes
        the columns of a DataFrame whose dtype says so, "category" of pandas,
        Categorical and Enum of polars, and bools beside them.
    handle_unknown : {"error", "ignore"}, default="error"
        What to do with a category that `fit` has not seen. "ignore" leaves it where it
        is, as all that is known; the rest of the row is filled as if it was missing.
    random_state : int, RandomState or None, default=None
        Seed of the estimator, if it takes one; None leaves that of the estimator. Of
        draws it is the seed too.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator; of several members the first one.
    estimators_ : list of estimator of length n_members
        The fitted estimators of all members.
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
        "similar_rows": ["boolean", StrOptions({"auto"})],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "sample_posterior": ["boolean"],
        "n_imputations": [Interval(Integral, 1, None, closed="left")],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "handle_unknown": [StrOptions({"error", "ignore"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        max_iter=1,
        tol=1e-2,
        similar_rows="auto",
        n_members=1,
        sample_posterior=False,
        n_imputations=10,
        add_indicator=False,
        keep_empty_features=False,
        categorical_features="from_dtype",
        handle_unknown="error",
        random_state=None,
    ):
        self.estimator = estimator
        self.max_iter = max_iter
        self.tol = tol
        self.similar_rows = similar_rows
        self.n_members = n_members
        self.sample_posterior = sample_posterior
        self.n_imputations = n_imputations
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.categorical_features = categorical_features
        self.handle_unknown = handle_unknown
        self.random_state = random_state

    def fit(self, X, y=None):
        """Train the estimator on what is known of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing (in tables with categories also None and
            NA). With an `image_shape` of the estimator also (n_samples, channels,
            height, width), and every column must have a known value then.
        y : Ignored
            Not used, present for API consistency.

        Returns
        -------
        self : object
            The fitted imputer. An error leaves it as it was.
        """
        validate_parameters(self)
        check_can_differ(self.estimator, self.n_members)
        names, columns = get_feature_names(X), self._columns_of(X)
        X = self._as_rows(X, names, columns, self.estimator)
        known = ~np.isnan(X)
        filled = known.any(axis=0)
        if getattr(self.estimator, "image_shape", None) is not None or not filled.any():
            refuse_empty_columns(X, names)
        categorical = [] if columns is None else columns.is_categorical[filled]
        rows = X if known.any(axis=1).all() else X[known.any(axis=1)]
        rows = rows if filled.all() else rows[:, filled]
        fitted = self._fit_rows(rows, np.flatnonzero(categorical))
        indicator = None
        if self.add_indicator:
            indicator = MissingIndicator(error_on_new=False).fit(X)
        self._become(fitted, filled, indicator, X.shape[1], names)
        self._table = columns
        return self

    def _columns_of(self, X):
        """Return the `Columns` of X if some have categories, else None."""
        features = self.categorical_features
        own = getattr(self.estimator, "categorical_features", features)
        if isinstance(features, str) and not isinstance(own, str):
            features = own  # of the user's estimator
        if not declares_categories(X, features):
            return None
        columns = Columns(as_table(X), features).fit(X, allow_empty=True)
        if columns.has_categories:
            check_takes_categories(self.estimator)
            return columns
        return None

    def _fit_rows(self, X, categorical):
        """Return what `fit` learns of rows with a known value in each row and column.

        That is the `Filler`, the most rounds, the laws to draw from, and a seed of
        draws.
        """
        scales = units_and_centers(X, categorical)
        estimators = self._make_members(X, self.random_state, categorical)
        fit_all(estimators, [X] * len(estimators))
        random_state = self.random_state
        if random_state is None:
            random_state = getattr(estimators[0], "random_state", None)
        seed = self._seed_to_compare(X, categorical, random_state)
        filler = self._filler(estimators, categorical, scales, X, seed)
        n_iter = filler.fill(X)[1] if self.max_iter > 1 else 1
        models, seed = [], None
        if self.sample_posterior:
            random = np.random.RandomState(draw_seed(self.random_state))
            models = self._fit_halves(X, categorical, scales, random)
            seed = draw_seed(random)
        return filler, n_iter, models, seed

    def _filler(self, estimators, categorical, scales, X, seed):
        """Return the `Filler` of estimators that have been fitted to rows X.

        It compares rows with these if there is a seed for that.
        """
        filler = Filler(
            estimators, categorical, scales, max_iter=self.max_iter, tol=self.tol
        )
        if seed is not None:
            filler.compare(X, seed)
        return filler

    def _make_members(self, X, random_state, categorical):
        """Return the unfitted estimators for rows X, some columns of categories."""
        if self.estimator is not None:
            estimator = clone(self.estimator)
        else:
            estimator = default_estimator(X, categorical)
        if len(categorical):
            # a half may lack some of them
            estimator.set_params(
                categorical_features=categorical.tolist(), handle_unknown="ignore"
            )
        if random_state is not None and hasattr(estimator, "random_state"):
            estimator.set_params(random_state=draw_seed(random_state))
        if self.n_members == 1:
            return [estimator]
        seed = estimator.random_state
        if not isinstance(seed, Integral):
            seed = draw_seed(seed)
        seeds = seeds_of_members(seed, self.n_members)
        return [clone(estimator).set_params(random_state=seed) for seed in seeds]

    def _seed_to_compare(self, X, categorical, random_state):
        """Return a seed of comparisons with rows X, or None if there are none."""
        if not compares_rows(self.similar_rows, self.estimator, X, categorical):
            return None
        return draw_seed(random_state)

    def _fit_halves(self, X, categorical, scales, random):
        """Return imputation models of random halves of the rows."""
        _, centers = scales
        halves, members, seeds = [], [], []
        for _ in range(self.n_imputations):
            half, others = np.array_split(random.permutation(len(X)), 2)
            rows = X[half]
            empty = np.isnan(rows).all(axis=0)
            rows[:, empty] = centers[empty]  # what other rows know
            halves.append((rows, X[others]))
            members.append(self._make_members(rows, random, categorical))
            to_compare = self._seed_to_compare(rows, categorical, random)
            seeds.append((to_compare, draw_seed(random)))
        tables = [rows for rows, _ in halves for _ in range(self.n_members)]
        fit_all([*chain(*members)], tables)
        model = TableImputationModel if len(categorical) else ImputationModel
        models = []
        for estimators, half, (to_compare, seed) in zip(
            members, halves, seeds, strict=True
        ):
            filler = self._filler(estimators, categorical, scales, half[0], to_compare)
            models.append(model(filler, *half, seed))
        return models

    def _become(self, fitted, kept, indicator, n_features, names):
        """Replace whatever an earlier fit has set."""
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_, self._kept, self.indicator_ = n_features, kept, indicator
        self._fills, self.n_iter_, self._models, self._seed = fitted
        self.estimators_ = self._fills.estimators
        self.estimator_ = self.estimators_[0]

    def _check_stored(self, state):
        """Raise ValueError unless a state from a file is one of this estimator."""
        validate_parameters(self)
        check_attributes(
            self,
            state,
            (
                "estimator_", "estimators_", "indicator_", "n_iter_", "n_features_in_",
                "_fills", "_kept", "_models", "_seed", "_table",
            ),
        )  # fmt: skip

    def transform(self, X):
        """Return X with its missing values filled in.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing. A row without a known value gets the
            means of the columns, and the most frequent categories.

        Returns
        -------
        X_filled : ndarray of shape (n_samples, n_features_out) or DataFrame
            A copy, of the dtype of X, without NaN. With `sample_posterior=True` it has
            one draw in each hole, the same at every call. A table with categories comes
            back as it is, of the same kind and dtypes, but for the holes: whole numbers
            are filled with whole numbers, and a dtype of categories is that of `fit`,
            with unknown ones behind.
        """
        rows = self._check_rows(X)
        if self.sample_posterior:
            return next(self._imputations(X, rows, 1, self._seed))
        filled, _ = self._fills.fill(rows[:, self._kept])
        return self._finish(X, rows, filled)

    def imputation_spread(self, X):
        """Return how far the members differ in what they fill holes with.

        It is what the choice of the seed leaves open, not how far off what is filled in
        may be: for that, see `sample_imputations`. There must be at least two members.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows, NaN where a value is missing.

        Returns
        -------
        spread : ndarray of shape (n_samples, n_features_out)
            Of numbers the standard deviation of the members, in the units of X, before
            what similar rows add; of categories the share of members that would fill in
            another one. 0 where a value is known, and in rows without a known value.
            Of indicators there is none.
        """
        check_is_fitted(self)
        if len(self.estimators_) < 2:
            raise ValueError(
                "imputation_spread is about members, but there is one; fit with "
                "n_members=5, for instance"
            )
        rows = self._check_rows(X)
        spread = self._fills.spread(rows[:, self._kept])
        if self._kept.all() or not self.keep_empty_features:
            return spread
        whole = np.zeros(rows.shape)
        whole[:, self._kept] = spread
        return whole

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
        X_filled : ndarray of shape (n_imputations, n_samples, n_features_out) or list
            Each as `transform` returns one; a list where these are DataFrames.
        """
        rows = self._check_rows(X)
        if n_imputations is None:
            n_imputations = len(self._models)
        check_count("n_imputations", n_imputations)
        seed = draw_seed(random_state)
        tables = list(self._imputations(X, rows, n_imputations, seed))
        return np.stack(tables) if isinstance(tables[0], np.ndarray) else tables

    def _imputations(self, X, rows, n_imputations, seed):
        """Yield X filled, by every model in turn."""
        random, kept = np.random.RandomState(seed), rows[:, self._kept]
        for i in range(n_imputations):
            model = self._models[i % len(self._models)]
            filled, _ = model.filler.fill(kept)
            if has_holes(kept):
                filled = model.draw(kept, filled, draw_seed(random))
            yield self._finish(X, rows, filled)

    def _check_rows(self, X):
        """Return X as numbers; of categories their positions, or NaN if unknown."""
        check_is_fitted(self)
        X = X if self._table is None else as_table(X)
        check_feature_names(self, X, reset=False)
        if self._table is not None:
            check_n_features(self, X, reset=False)
        names = getattr(self, "feature_names_in_", None)
        X = self._as_rows(X, names, self._table, self.estimator_)
        check_n_features(self, X, reset=False)
        return X

    def _as_rows(self, X, names, columns, estimator):
        if columns is not None:
            return columns.encode(
                X,
                handle_unknown=self._handles_unknown(),
                estimator=self,
                allow_empty_rows=True,
            )
        return check_rows(
            X,
            estimator=self,
            names=names,
            image_shape=getattr(estimator, "image_shape", None),
            allow_nan=True,
            allow_empty_rows=True,
        )

    def _handles_unknown(self):
        """Return what to do with unknown categories, as the user's estimator has it."""
        own = getattr(self.estimator, "handle_unknown", "error")
        return own if self.handle_unknown == "error" else self.handle_unknown

    def _finish(self, X, rows, filled):
        """Return filled columns of X as what else `transform` returns.

        `rows` are all columns of X as numbers.
        """
        holes, kept = np.isnan(rows), self._kept
        if not kept.all():
            whole = np.nan_to_num(rows, nan=0.0)
            whole[:, kept] = filled
            filled = whole
        if self.keep_empty_features:
            kept = np.ones_like(kept)
        if self._table is None:
            filled = filled if kept.all() else filled[:, kept]
        else:
            holes = self._table.holes(X, rows)
            filled = fill_table(X, self._table, filled, holes, kept)
        if self.indicator_ is None:
            return filled
        flags = holes[:, self.indicator_.features_]
        names = self.get_feature_names_out()[filled.shape[1] :]
        return add_flags(filled, flags, names)

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
