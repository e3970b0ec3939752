"""The networks of many candidates and folds, trained before they are asked for."""

import time
import warnings
from copy import copy
from itertools import pairwise
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import Parallel, delayed

from skae._base import BaseAutoencoder
from skae._fit_together import Job, can_stack, train_jobs
from skae._rehearsal import Recall, Rehearsal, Rehearsed, fingerprint
from skae._setup import Memo
from skae._sklearn import check_method_params, take_rows

# So many networks are prepared and trained at a time: they are all in memory. So are
# the rows of their splits, unless these have more bytes.
MOST_AT_ONCE, MOST_COPIED = 256, 2**30


class Fit(NamedTuple):
    """A fit that has been made for a candidate and a split."""

    candidate: int
    split: int
    rows: str  # their fingerprint
    estimator: BaseAutoencoder
    seconds: float


class Candidate(dict):
    """Parameters of a candidate, with its trained networks among them.

    Parameters
    ----------
    plain : dict
        The parameters.
    name : str
        Of the parameter that takes the networks.
    fits : list of Fit
        Those that have been made for it.
    n_splits : int
        How many there may be.
    """

    def __init__(self, plain, name, fits, n_splits):
        recall = Recall({fit.rows: fit.estimator for fit in fits})
        super().__init__(plain | {name: recall})
        self.plain, self.seconds = plain, [0.0] * n_splits
        for fit in fits:
            self.seconds[fit.split] = fit.seconds

    def __deepcopy__(self, memo):
        return {key: clone(value, safe=False) for key, value in self.items()}


def with_networks(estimator, candidates, X, y, splits, fit_params, n_jobs):
    """Return candidates that have their networks, as far as these can train together.

    Parameters
    ----------
    estimator : estimator
        An autoencoder, or what has one inside.
    candidates : list of dict
        Parameters.
    X, y : object
        The table to be split.
    splits : list of tuple of ndarray
        Row numbers of training and test rows.
    fit_params : dict
        What else the `fit` of the estimator is given.
    n_jobs : int or None
        How many stacks to train at a time.

    Returns
    -------
    list of dict
        Some of them `Candidate`.
    """
    tasks = [(c, s) for s in range(len(splits)) for c in range(len(candidates))]
    n_parts = max(joblib.effective_n_jobs(n_jobs), -(-len(tasks) // MOST_AT_ONCE))
    if getattr(X, "nbytes", 0) * len(splits) > MOST_COPIED:
        n_parts = max(n_parts, len(splits))
    # candidates of one split stay together: they see the same rows
    bounds = np.linspace(0, len(tasks), n_parts + 1).astype(int)
    parts = [tasks[a:b] for a, b in pairwise(bounds) if a < b]
    results = Parallel(n_jobs=n_jobs, backend=_own_backend())(
        delayed(train_tasks)(estimator, candidates, X, y, splits, fit_params, part)
        for part in parts
    )
    names, fits = {}, [[] for _ in candidates]
    for own_names, own_fits in results:
        names |= own_names
        for fit in own_fits:
            fits[fit.candidate].append(fit)
    return [
        Candidate(plain, names[c], fits[c], len(splits)) if fits[c] else plain
        for c, plain in enumerate(candidates)
    ]


def _own_backend():
    """Return a copy of the backend in force.

    The search keeps that open all the while, and what runs inside would close it.
    """
    backend, _ = joblib.parallel.get_active_backend()
    return copy(backend)


def train_tasks(estimator, candidates, X, y, splits, fit_params, tasks):
    """Return fits for tasks (candidate, split), and names of parameters by candidate.

    Whatever goes wrong on the way will do so again in the search, which has its own way
    to say so; here the candidate is left out.
    """
    stage = Stage(X, y, splits, fit_params)
    models = {c: Model.of(estimator, candidates[c]) for c in {c for c, _ in tasks}}
    models = {c: model for c, model in models.items() if model is not None}
    begin = time.perf_counter()
    jobs = {(c, s): stage.job(models[c], s) for c, s in tasks if c in models}
    train_jobs([*dict.fromkeys(job for job in jobs.values() if job is not None)])
    done = {task: job for task, job in jobs.items() if job is not None and job.is_done}
    seconds = (time.perf_counter() - begin) / max(1, len(done))
    fits = [Fit(c, s, job.rows, job.estimator, seconds) for (c, s), job in done.items()]
    return {c: model.name for c, model in models.items()}, fits


class Model(NamedTuple):
    """An estimator with the parameters of a candidate, and the autoencoder in it."""

    whole: object
    name: str  # of the parameter `callbacks` of the autoencoder
    autoencoder: BaseAutoencoder
    before: str  # a hash of all that rows go through before they are there
    itself: str | None  # a hash of the autoencoder; None if no two fits are alike

    @classmethod
    def of(cls, estimator, candidate):
        """Return the model of a candidate; None if it has no network to train."""
        try:
            whole = clone(estimator).set_params(**clone(candidate, safe=False))
            found = autoencoders_in(whole)
        except Exception:  # as `clone` and `set_params` of any estimator may raise
            return None
        if len(found) != 1:
            return None
        ((name, autoencoder),) = found.items()
        if not can_stack(autoencoder):
            return None
        path = f"{name}__callbacks" if name else "callbacks"
        itself = None
        if autoencoder.random_state is not None:
            itself = joblib.hash(autoencoder)
        return cls(whole, path, autoencoder, hash_before(whole, name), itself)


def autoencoders_in(estimator):
    """Return the autoencoders of which an estimator is made, by their names."""
    if isinstance(estimator, BaseAutoencoder):
        return {"": estimator}
    return {
        name: value
        for name, value in estimator.get_params().items()
        if isinstance(value, BaseAutoencoder)
    }


def hash_before(whole, name):
    """Return a hash that agrees for models whose autoencoders are given the same."""
    if not name:
        return ""
    parts = whole
    if isinstance(whole, Pipeline):
        names = [step for step, _ in whole.steps]
        if name in names:
            parts = whole.steps[: names.index(name)]
    if parts is whole:
        # without its own; the name of another step may begin like its name
        parts = {
            k: v
            for k, v in whole.get_params().items()
            if not f"{k}__".startswith(f"{name}__")
        }
    return joblib.hash(parts)


class Stage:
    """Where fits are rehearsed: up to where an autoencoder is given its rows.

    Parameters
    ----------
    X, y, splits, fit_params : object
        As for `with_networks`.
    """

    def __init__(self, X, y, splits, fit_params):
        self.X, self.y, self.splits, self.fit_params = X, y, splits, fit_params
        self.given, self.jobs = {}, {}
        self.names, self.kept = {}, {}

    def job(self, model, split):
        """Return the `Job` of a model for a split; None if there is none.

        Models that differ in what comes after the autoencoder have one.
        """
        key = split, model.before
        if key not in self.given:
            self.given[key] = self._rehearse(model, split)
        if self.given[key] is None:
            return None
        if model.itself is None:
            return self._make_job(model, self.given[key])
        if (*key, model.itself) not in self.jobs:
            self.jobs[*key, model.itself] = self._make_job(model, self.given[key])
        return self.jobs[*key, model.itself]

    def _make_job(self, model, given):
        X, sample_weight = given
        try:
            return Job(clone(model.autoencoder), X, sample_weight, self._shared)
        except Exception:  # the fit itself will raise the same
            return None

    def _shared(self, data):
        """Return a name for data, data in memory where equal ones are, and a `Memo`."""
        rows = self.names.get(id(data.X)) or fingerprint(data)
        X, memo = self.kept.setdefault(rows, (data.X, Memo()))
        if X is data.X:  # which stays there, and comes with the same weights
            self.names[id(X)] = rows
        return rows, data._replace(X=X), memo

    def _rehearse(self, model, split):
        """Return what the autoencoder is given for a split; None if it never is."""
        train, _ = self.splits[split]
        given = [take_rows(self.X, train)]
        if self.y is not None:
            given.append(take_rows(self.y, train))
        try:
            whole = clone(model.whole).set_params(**{model.name: Rehearsal()})
            params = check_method_params(self.X, self.fit_params, indices=train)
            with warnings.catch_warnings():  # they come again in the search
                warnings.simplefilter("ignore")
                whole.fit(*given, **params)
        except Rehearsed as rehearsed:
            return rehearsed.args
        except Exception:  # the fit itself will raise the same
            return None
        return None
