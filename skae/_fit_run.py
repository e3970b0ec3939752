"""One fit: train on some rows, choose the epoch on others, train again on all."""

from copy import deepcopy
from functools import partial

from skae import _training
from skae._parameters import warn_of_copying
from skae._random import draw_seed
from skae._setup import (
    is_refit_due,
    plan_training,
    resume_module,
    split_rows,
    start_module,
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
    columns : Columns or None, default=None
        What the columns are, where they have laws of their own.
    table : object, default=None
        What callbacks are shown for X; None for X itself.
    weights : ndarray of shape (n_samples,) or None, default=None
        Weights of the rows, above 0.
    """

    def __init__(
        self,
        estimator,
        X,
        names,
        *,
        resume,
        streaming,
        columns=None,
        table=None,
        weights=None,
    ):
        self.estimator, self.X, self.names = estimator, X, names
        self.columns, self.table = columns, X if table is None else table
        self.seed = draw_seed(estimator.random_state)
        self.rows = split_rows(
            estimator, X, streaming=streaming, seed=self.seed, weights=weights
        )
        self.plan = plan_training(estimator, self.rows, streaming=streaming)
        self.skorch_callbacks = _training.check_skorch_callbacks(
            estimator.callbacks, self.plan
        )
        self.goes_on = streaming or estimator.warm_start
        self.refits = not resume and is_refit_due(estimator, self.rows)
        self.previous = self.optimizer_state = None
        if resume:
            self.module, self.optimizer_state = resume_module(estimator, columns)
            self.previous = _training.TrainingRecord(
                estimator._history, estimator.best_epoch_
            )
        else:
            warn_of_copying(estimator, X.shape[1], columns)
            start = partial(start_module, estimator, seed=self.seed, columns=columns)
            n_components = estimator.n_components
            if self.refits:  # both networks have the width that suits all rows
                self.module_of_all = start(self.rows.rejoined(), n_components)
                n_components = self.module_of_all.n_components
            self.module = start(self.rows, n_components)

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
            net = self._train(context, self.module, self.rows, self.plan, record_of)
            record = record_of(net)
            if self.refits:
                net = self._refit(context, record)
            return self._attributes(net, record)

    def _refit(self, context, record):
        """Return the net trained on all rows up to the best epoch of the record."""
        rows, plan = self.rows.rejoined(), self.plan.for_refit(record.best_epoch)
        recalled = _training.RecalledValidation(record.history)
        return self._train(
            context, self.module_of_all, rows, plan, lambda net: record, recalled
        )

    def _train(self, context, module, rows, plan, record_of, *more_callbacks):
        """Return the net that has trained a module."""
        bridge = _training.SklearnCallbackBridge(
            self.estimator,
            context,
            self.table,
            lambda net: self._attributes(net, record_of(net)),
        )
        callbacks = [*more_callbacks, *deepcopy(self.skorch_callbacks), bridge]
        net = _training.train(module, rows, plan, callbacks, self.optimizer_state)
        net.forget(bridge, moments=not self.goes_on)
        return net

    def _attributes(self, net, record):
        numbers = self.rows.rejoined().numbers(resolution=1)
        X = self.X if numbers is None else self.X[numbers]
        attributes = self.estimator._fitted_attributes(
            net, X, self.names, self.seed, record
        )
        return attributes | {"_columns": self.columns}
