"""One fit: train on some rows, choose the epoch on others, train again on all."""

from copy import deepcopy
from functools import partial
from typing import NamedTuple

import numpy as np

from skae import _training
from skae._columns import Columns
from skae._journal import Journal
from skae._parameters import warn_of_copying
from skae._random import draw_seed
from skae._setup import (
    Memo,
    is_refit_due,
    plan_training,
    resume_module,
    split_rows,
    start_module,
)


class TrainingData(NamedTuple):
    """What `fit` was given, once it is known to be valid."""

    X: np.ndarray  # (n_samples, n_features), of categories their positions
    names: np.ndarray | None  # of the columns
    columns: Columns | None  # what they are, where they have laws of their own
    table: object  # the rows as the user has them, for callbacks
    weights: np.ndarray | None  # (n_samples,), above 0


class FitRun:
    """A fit that is ready to train; nothing of it is in the estimator yet.

    Parameters
    ----------
    estimator : estimator
        With valid parameters.
    data : TrainingData
        The rows.
    resume : bool
        Whether to go on from the network that the estimator has.
    streaming : bool
        Whether this is one pass of unknown many.
    memo : Memo or None, default=None
        What other fits to the same data have found.
    journal : Journal or None, default=None
        Where it is written down how far the fit has got, and may have got before.
    """

    def __init__(self, estimator, data, *, resume, streaming, memo=None, journal=None):
        self.estimator = estimator
        self.X, self.names, columns, self.table, weights = data
        X, self.columns = self.X, columns
        self.journal = Journal(None, estimator, data) if journal is None else journal
        self.seed = draw_seed(estimator.random_state)
        if self.journal.seed is not None:
            self.seed = self.journal.seed
        self.journal.begin(self.seed)
        memo = Memo() if memo is None else memo
        split = partial(
            split_rows, estimator, X,
            streaming=streaming, seed=self.seed, weights=weights,
        )  # fmt: skip
        self.rows = memo.recall_rows(estimator, self.seed, split)
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
            start = partial(
                start_module, estimator, seed=self.seed, columns=columns, memo=memo
            )
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
            if self.journal.record is not None:
                record = _training.TrainingRecord(**self.journal.record)
            else:
                record_of = partial(_training.record_of, self.previous)
                net = self._train(context, *self.first, record_of)
                record = record_of(net)
                self.journal.note(record)
            if self.refits:
                net = self._refit(context, record)
            return self.attributes(net, record)

    def _refit(self, context, record):
        """Return the net trained on all rows up to the best epoch of the record."""
        recalled = _training.RecalledValidation(record.history)
        again = self.again(record)
        return self._train(context, *again, lambda net: record, recalled)

    @property
    def first(self):
        """What is trained: a module, its rows, and the plan."""
        return self.module, self.rows, self.plan

    def again(self, record):
        """Return what is trained on all rows, up to the best epoch of the record."""
        rows, plan = self.rows.rejoined(), self.plan.for_refit(record.best_epoch)
        return self.module_of_all, rows, plan

    def _train(self, context, module, rows, plan, record_of, *more_callbacks):
        """Return the net that has trained a module."""
        bridge = _training.SklearnCallbackBridge(
            self.estimator,
            context,
            self.table,
            lambda net: self.attributes(net, record_of(net)),
        )
        watching = [bridge, *self.journal.callbacks()]
        callbacks = [*more_callbacks, *deepcopy(self.skorch_callbacks), *watching]
        net = _training.train(module, rows, plan, callbacks, self.optimizer_state)
        net.forget(watching, moments=not self.goes_on)
        return net

    def attributes(self, net, record):
        """Return every attribute that fitting sets, with a net that has trained."""
        numbers = self.rows.rejoined().numbers(resolution=1)
        X = self.X if numbers is None else self.X[numbers]
        attributes = self.estimator._fitted_attributes(
            net, X, self.names, self.seed, record
        )
        return attributes | {"_columns": self.columns}
