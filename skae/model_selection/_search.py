"""scikit-learn's searches, with the networks of all candidates trained beforehand."""

from sklearn import model_selection
from sklearn.utils import indexable

from skae._sklearn import check_method_params
from skae.model_selection._pretraining import with_networks


class StackedSearchMixin:
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
    """Search over parameter values, in about the time of one fit.

    It is `sklearn.model_selection.GridSearchCV`, with the same parameters, methods,
    attributes, and results, but that the networks of candidates and folds train
    together.
    """


class RandomizedSearchCV(StackedSearchMixin, model_selection.RandomizedSearchCV):
    """The same for `sklearn.model_selection.RandomizedSearchCV`."""
