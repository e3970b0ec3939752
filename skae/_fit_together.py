"""Many fits at once: those whose networks have one shape train as a stack."""

from collections import defaultdict
from functools import partial

from skae import _training
from skae._base import BaseAutoencoder
from skae._fit_run import FitRun
from skae._parameters import check_parameters
from skae._rehearsal import Recall, Rehearsal
from skae._setup import Memo
from skae._sklearn import callbacks_of


class Job:
    """A fit of an estimator, of which others may be made at the same time.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Not fitted yet; fitted in place.
    X, sample_weight : object
        As for its `fit`.
    share : callable or None, default=None
        Returns a name for `TrainingData`, equal ones whose X is the same memory for all
        jobs, so that networks of one stack are shown what is there once, and a `Memo`.

    Attributes
    ----------
    rows : str or None
        The name of the data.
    is_done : bool
        Whether the estimator has been fitted.
    """

    def __init__(self, estimator, X, sample_weight=None, share=None):
        self.estimator, self.is_done, self.rows = estimator, False, None
        check_parameters(estimator)
        data = estimator._check_training_data(X, sample_weight)
        memo = None
        if share is not None:
            self.rows, data, memo = share(data)
        self.run = FitRun(estimator, data, resume=False, streaming=False, memo=memo)

    def finish(self, member, record):
        """Give the estimator what a member of a stack has become."""
        fitted = self.run.attributes(member.net(), record)
        self.estimator._become(fitted)
        self.is_done, self.run = True, None

    def warn(self):
        """Warn of what a fit would warn of."""
        self.estimator._warn_of(vars(self.estimator))


def fit_all(estimators, tables):
    """Fit estimators, each to its table, as stacks where that is possible.

    What comes out is that of one `fit` after the other, to rounding.

    Parameters
    ----------
    estimators : list of estimator
        Fitted in place; clones of one but for their seeds. Those of other packages are
        fitted one by one.
    tables : list of array-like
        What each is fitted to. The same object again takes no more memory.
    """
    memos, names = {}, {id(X): str(i) for i, X in enumerate(tables)}

    def share(X, data):
        name = names[id(X)]
        numbers, memo = memos.setdefault(name, (data.X, Memo()))
        return name, data._replace(X=numbers), memo

    jobs = [
        Job(estimator, X, share=partial(share, X)) if _trains(estimator, X) else None
        for estimator, X in zip(estimators, tables, strict=True)
    ]
    train_jobs([job for job in jobs if job is not None])
    for estimator, X, job in zip(estimators, tables, jobs, strict=True):
        if job is None or not job.is_done:
            estimator.fit(X)
        else:
            job.warn()


def _trains(estimator, X):
    """Return whether there is a network to train for a fit, beside others."""
    if not (isinstance(estimator, BaseAutoencoder) and can_stack(estimator)):
        return False
    script = estimator.callbacks
    if isinstance(script, Recall):
        return script.attributes(estimator._check_training_data(X, None)) is None
    return not isinstance(script, Rehearsal)


def can_stack(estimator):
    """Return whether the fit of an estimator may be part of a stack.

    Whoever looks on as it trains wants to see it alone. Restorers of rows, without a
    bottleneck, are not among the networks that stacks know.
    """
    if estimator.warm_start or estimator.callbacks or callbacks_of(estimator):
        return False
    return getattr(estimator.architecture, "has_bottleneck", True)


def train_jobs(jobs):
    """Train the jobs whose networks can train beside others.

    Parameters
    ----------
    jobs : list of Job
        Those that have been trained are done afterwards; the others are as they were.
    """
    record_of = partial(_training.record_of, None)
    members = _train({job: job.run.first for job in jobs})
    records = {job: record_of(member) for job, member in members.items()}
    ready = {job: m for job, m in members.items() if not job.run.refits}
    ready |= _train(
        {job: job.run.again(records[job]) for job in members if job.run.refits},
        alone=True,
    )
    for job, member in ready.items():
        job.finish(member, records[job])


def _train(tasks, *, alone=False):
    """Return members that have been trained, by their jobs; some jobs may have none.

    Parameters
    ----------
    tasks : dict of Job to tuple
        Module, rows and plan of each.
    alone : bool, default=False
        Whether a stack may have one member.
    """
    stacks = defaultdict(dict)
    for job, task in tasks.items():
        key = _training.stack_key(*task)
        if key is not None:
            stacks[key][job] = _training.Member(*task)
    trained = {}
    for members in stacks.values():
        if len(members) == 1 and not alone:
            continue
        try:
            _training.train_members(list(members.values()))
        except Exception as error:
            if not _training.is_out_of_memory(error):
                raise
            continue  # there may be enough for one
        trained |= {job: m for job, m in members.items() if not m.has_failed}
    return trained
