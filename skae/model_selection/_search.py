"""scikit-learn's searches, with the networks of all candidates trained beforehand."""

from sklearn import model_selection
from sklearn.utils import indexable

from skae._documentation import DocumentedMixin
from skae._sklearn import check_method_params
from skae.model_selection._pretraining import with_networks


class StackedSearchMixin(DocumentedMixin):
    """Trains networks of one shape together, before candidates are evaluated.

    Everything else is the search's own: when it calls the `fit` of an autoencoder, that
    recalls what has been trained. A fit that is not recalled is made there and then.
    """

    def fit(self, X, y=None, **params):
        """Run fit with all sets of parameters.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            What to predict, where the estimator or the scores need it.
        **params : dict of str to object
            For the `fit` of the estimator, the splitter and the scorer, as metadata
            routing has it.

        Returns
        -------
        self : object
            The fitted search.
        """
        self._given = X, y, params
        try:
            return super().fit(X, y, **params)
        finally:
            vars(self).pop("_given", None)

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        # taken away, because the search travels to other processes from here on
        X, y, params = vars(self).pop("_given")
        X, y = indexable(X, y)
        params = check_method_params(X, params)
        routed = self._get_routed_params_for_fit(params)

        def evaluate_trained(candidates, cv=None, more_results=None, callback_ctx=None):
            cv = self._checked_cv_orig if cv is None else cv
            splits = list(cv.split(X, y, **routed.splitter.split))
            candidates = with_networks(
                self.estimator, list(candidates), X, y, splits,
                routed.estimator.fit, self.n_jobs,
            )  # fmt: skip
            return evaluate_candidates(
                candidates,
                cv=Splits(splits),
                more_results=more_results,
                callback_ctx=callback_ctx,
            )

        super()._run_search(evaluate_trained, callback_ctx=callback_ctx)

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        plain = [getattr(c, "plain", c) for c in candidate_params]
        seconds = [
            own
            for candidate in candidate_params
            for own in getattr(candidate, "seconds", [0.0] * n_splits)
        ]
        # what training has taken is part of the time to fit
        out = [
            result | {"fit_time": result["fit_time"] + own}
            for result, own in zip(out, seconds, strict=True)
        ]
        return super()._format_results(plain, n_splits, out, more_results)


class Splits:
    """A splitter whose splits have been made.

    Parameters
    ----------
    splits : list of tuple of ndarray
        Row numbers of training and test rows.
    """

    def __init__(self, splits):
        self.splits = splits

    def split(self, X=None, y=None, groups=None):
        """Return the splits."""
        return self.splits


class GridSearchCV(StackedSearchMixin, model_selection.GridSearchCV):
    """Search over all combinations of parameter values, in about the time of one fit.

    As `sklearn.model_selection.GridSearchCV`, with the same parameters, methods,
    attributes and results, but that networks train together. Candidates and folds whose
    networks have the same layers are one stack: they may differ in `n_components`,
    `beta`, `lr`, `weight_decay`, `corruption`, `random_state`, and whatever else leaves
    the layers as they are. The rest is fitted one by one, with the same results.

    Parameters
    ----------
    estimator : estimator
        An autoencoder of this package, or what has one inside: a Pipeline, say. Any
        other estimator is searched as scikit-learn does.
    param_grid : dict of str to list, or list of dict
        Values to try, by the names of parameters.
    scoring : str, callable, list, tuple, dict or None, default=None
        How candidates are scored on held-out rows; None for their own `score`.
    n_jobs : int or None, default=None
        How many stacks are trained at a time, each in a process of its own, and how
        many candidates are scored. None is one process, which trains with as many
        threads as torch has.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all rows, or by which score.
    cv : int, splitter, iterable or None, default=None
        How rows are split; None is five folds.
    verbose : int, default=0
        How much to say.
    pre_dispatch : int or str, default="2*n_jobs"
        How many candidates to hand out for scoring in advance.
    error_score : "raise" or float, default=nan
        Score of a candidate whose fit fails, or to raise its error.
    return_train_score : bool, default=False
        Whether to score training rows as well.

    See Also
    --------
    RandomizedSearchCV : Draws candidates from laws.
    skae.VAETransformerCV : Chooses the width of a code and beta.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import VAETransformer
    >>> from skae.model_selection import GridSearchCV
    >>> vae = VAETransformer(max_epochs=20, random_state=0)
    >>> grid = {"n_components": [1, 2], "beta": [0.3, 1.0]}
    >>> search = GridSearchCV(vae, grid, cv=3).fit(load_iris().data)
    >>> search.cv_results_["mean_test_score"].shape
    (4,)
    """


class RandomizedSearchCV(StackedSearchMixin, model_selection.RandomizedSearchCV):
    """Search over parameter values drawn at random, in about the time of one fit.

    As `sklearn.model_selection.RandomizedSearchCV`, but that networks train together as
    in `GridSearchCV`.

    Parameters
    ----------
    estimator : estimator
        As for `GridSearchCV`.
    param_distributions : dict of str to list or law, or list of dict
        What to draw values from, by the names of parameters.
    n_iter : int, default=10
        How many candidates to draw.
    scoring, n_jobs, refit, cv, verbose, pre_dispatch : object
        As for `GridSearchCV`.
    random_state : int, RandomState or None, default=None
        Source of the draws.
    error_score, return_train_score : object
        As for `GridSearchCV`.

    See Also
    --------
    GridSearchCV : Tries all combinations.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.model_selection import RandomizedSearchCV
    >>> search = RandomizedSearchCV(
    ...     AutoencoderTransformer(2, max_epochs=20, random_state=0),
    ...     {"lr": loguniform(1e-4, 1e-2)},
    ...     n_iter=4,
    ...     random_state=0,
    ... ).fit(load_iris().data)
    >>> bool(1e-4 < search.best_params_["lr"] < 1e-2)
    True
    """
