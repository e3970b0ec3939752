"""One fit: train on some rows, choose the epoch on others, train again on all."""

from copy import deepcopy
from functools import partial

from skae import _training
from skae._random import draw_seed
from skae._setup import (
    find_n_components,
    is_refit_due,
    plan_training,
    resume_module,
    split_rows,
    start_module,
    warn_of_overcomplete,
)


class FitRun:
    """A fit that is ready to train; nothing of it is in the estimator yet.

    Parameters
    ----------
    estimator : estimator
        With valid parameters.
    X : ndarray of shape (n_samples, n_features)
        Valid rows.
    names : ndarray of str or None
        Column names.
    resume : bool
        Whether to go on from the network that the estimator has.
    streaming : bool
        Whether this is one pass of unknown many.
    """

    def __init__(self, estimator, X, names, *, resume, streaming):
        self.estimator, self.X, self.names = estimator, X, names
        self.seed = draw_seed(estimator.random_state)
        self.rows = split_rows(estimator, X, streaming=streaming, seed=self.seed)
        self.plan = plan_training(estimator, self.rows, streaming=streaming)
        self.skorch_callbacks = _training.check_skorch_callbacks(
            estimator.callbacks, self.plan
        )
        self.goes_on = streaming or estimator.warm_start
        self.refits = not resume and is_refit_due(estimator, self.rows)
        self.previous = self.optimizer_state = self.n_components = None
        if resume:
            self.module, self.optimizer_state = resume_module(estimator)
            self.previous = _training.TrainingRecord(
                estimator._history, estimator.best_epoch_
            )
        else:
            warn_of_overcomplete(estimator, X.shape[1])
            if self.refits:  # both networks have the width that suits all rows
                self.n_components = find_n_components(
                    estimator, self.rows.rejoined(), seed=self.seed
                )
            self.module = self._start(self.rows)

    @property
    def most_epochs(self):
        """How many epochs there will be at most."""
        return self.plan.max_epochs * (2 if self.refits else 1)

    def train(self, context):
        """Return every attribute that fitting sets.

        Parameters
        ----------
        context : sklearn.callback.CallbackContext
            The context of the fit.
        """
        with _training.failures_explained(
            self.estimator, self.rows, self.names, self.module, self.plan.batch_size
        ):
            record_of = partial(_training.record_of, self.previous)
            fitted = self._train(context, self.module, self.rows, self.plan, record_of)
            return self._refit(context, fitted) if self.refits else fitted

    def _refit(self, context, fitted):
        """Return the attributes after training on all rows up to the best epoch."""
        record = _training.TrainingRecord(fitted["_history"], fitted["best_epoch_"])
        rows, plan = self.rows.rejoined(), self.plan.for_refit(record.best_epoch)
        recalled = _training.RecalledValidation(record.history)
        return self._train(
            context, self._start(rows), rows, plan, lambda net: record, recalled
        )

    def _start(self, rows):
        return start_module(
            self.estimator, rows, seed=self.seed, n_components=self.n_components
        )

    def _train(self, context, module, rows, plan, record_of, *more_callbacks):
        """Return the attributes after training a module."""

        def attributes(net):
            return self.estimator._fitted_attributes(
                net, self.X, self.names, self.seed, record_of(net)
            )

        bridge = _training.SklearnCallbackBridge(
            self.estimator, context, self.X, attributes
        )
        callbacks = [*more_callbacks, *deepcopy(self.skorch_callbacks), bridge]
        net = _training.train(module, rows, plan, callbacks, self.optimizer_state)
        net.forget(bridge, moments=not self.goes_on)
        return attributes(net)
