"""How long searches take whose networks train together, and what they come out as.

    python examples/benchmarks/search.py             # about ten minutes
    python examples/benchmarks/search.py --sections grid --repeats 3
    python examples/benchmarks/search.py --quick     # seconds: does it run?

Sections:

- `grid`: 8 step sizes x 2 folds of an autoencoder of 30-64-32-8-32-64-30, 10 epochs,
  4,500 rows, scoring included: `skae.model_selection.GridSearchCV` beside that of
  scikit-learn over the same estimators, over skorch and over `MLPRegressor`, in this
  process or with two workers that are warm. "error" is one minus the mean over all fits
  of the variance explained in held-out rows. Fits one by one have one thread of torch,
  which is faster than two where steps are small.
- `small`: the same with batches of 32; with two warm workers on either side, too.
- `first`: the first search in a process, where workers have to start.
- `digits`: 24 VAEs x 5 folds of digits before a logistic regression.
- `members`: an outlier detector of five members and four folds around an autoencoder.
- `stacks`: seconds of K networks in a stack, and of K tight loops by hand.
- `limits`: a stack of 16 beside as many fits one by one, the larger the networks.

Contenders take turns; figures are medians over the repeats.
"""

import argparse
import sys
import time
import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from joblib.externals.loky import get_reusable_executor
from search_contenders import explained, regression
from sklearn import model_selection
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch.callbacks import Callback
from speed import TAB, tabular_rows
from speed_contenders import skae_estimator, skorch_net, tight_fit
from speed_processes import in_new_process
from speed_race import Section, Setting, race, ratio_line, timed
from speed_report import (
    TOO_SMALL,
    Target,
    head_text,
    judge,
    section_text,
    targets_text,
)

from skae import AutoencoderOutlierDetector, VAETransformer
from skae._fit_together import Job, train_jobs
from skae.model_selection import GridSearchCV

LRS = [float(lr) for lr in np.geomspace(5e-4, 4e-3, 8)]
SMALL = Setting((16,), 4, batch_size=32, max_epochs=10)

OURS = "skae.model_selection"
ONE, TWO = "one by one", "two warm workers"
OURS_TWO = f"{OURS}, {TWO}"
SKAE, SKORCH, MLP = "GridSearchCV, skae", "GridSearchCV, skorch", "MLPRegressor"

TARGETS = [
    Target("grid", f"{SKORCH}, {ONE}", OURS, ">=", 15),
    Target("grid", f"{SKORCH}, {TWO}", OURS, ">=", 7),
    Target("grid", f"{MLP}, {TWO}", OURS, ">=", 2.5),
    Target("grid", f"{SKAE}, {TWO}", OURS, ">=", 1.3),
    Target("small", f"{SKAE}, {TWO}", OURS, ">=", 3),
    Target("small", f"{SKAE}, {TWO}", OURS_TWO, ">=", 3),
    Target("first", "workers that start", OURS, ">=", 10),
    *(
        Target("stacks", f"{K} tight loops, batches of {batch}", name, ">=", limit)
        for K in (16, 64)
        for batch, limit in ((32, 10), (256, 3))
        for name in [f"a stack of {K}, batches of {batch}"]
    ),
]


def run_search(cls, estimator, name, X, *, with_target=False, n_jobs=None):
    """Return the seconds of a search and its mean score."""
    search = cls(
        estimator, {name: LRS}, cv=2, scoring=explained, refit=False, n_jobs=n_jobs
    )
    arguments = (X, X) if with_target else (X,)
    before = torch.get_num_threads()
    if n_jobs is None and cls is not GridSearchCV:
        torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, seconds = timed(search.fit, *arguments)
    torch.set_num_threads(before)
    error = 1 - search.cv_results_["mean_test_score"].mean()
    return seconds | {"error": float(error), "epochs": 10}


def grids(setting, X, *, others, workers=True):
    """Return contenders of a search by their names."""
    theirs = model_selection.GridSearchCV
    # the same start for all, which the others have to find
    ours = skae_estimator(setting, init="random")
    contenders = {
        OURS: partial(run_search, GridSearchCV, ours, "lr", X),
        f"{SKAE}, {ONE}": partial(run_search, theirs, ours, "lr", X),
        f"{SKAE}, {TWO}": partial(run_search, theirs, ours, "lr", X, n_jobs=2),
    }
    if workers:
        contenders[OURS_TWO] = partial(
            run_search, GridSearchCV, ours, "lr", X, n_jobs=2
        )
    else:
        del contenders[f"{SKAE}, {TWO}"]
    if not others:
        return contenders
    net, mlp = skorch_net(X.shape[1], setting), regression(setting)
    for name, estimator, lr in ((SKORCH, net, "lr"), (MLP, mlp, "learning_rate_init")):
        for jobs, n_jobs in ((ONE, None), (TWO, 2)):
            contenders[f"{name}, {jobs}"] = partial(
                run_search, theirs, estimator, lr, X, n_jobs=n_jobs, with_target=True
            )
    return contenders


def run_grid(plan):
    setting, X = plan.setting(TAB), tabular_rows(plan.rows(4500))
    rows = race(grids(setting, X, others=True), plan.repeats)
    lines = [ratio_line(rows, row.name, OURS) for row in rows[1:]]
    return Section("16 fits, batches of 256, scores included", rows, lines)


def run_small(plan):
    setting = replace(plan.setting(TAB), batch_size=32)
    X = tabular_rows(plan.rows(4500))
    # to start workers takes longer than all of a quick run
    contenders = grids(setting, X, others=False, workers=not plan.quick)
    rows = race(contenders, plan.repeats)
    lines = [ratio_line(rows, row.name, OURS) for row in rows[1:]]
    if not plan.quick:
        lines.append(ratio_line(rows, f"{SKAE}, {TWO}", OURS_TWO))
    return Section("16 fits, batches of 32, scores included", rows, lines)


def first_search(ours, setting, n_rows):
    """Return the seconds of the first search in a process that has skae and torch."""
    X = tabular_rows(n_rows)
    estimator = skae_estimator(setting, init="random")
    estimator.fit(X[:100])
    cls, n_jobs = (GridSearchCV, None) if ours else (model_selection.GridSearchCV, 2)
    seconds = run_search(cls, estimator, "lr", X, n_jobs=n_jobs)
    if not ours:  # or this process waits for them before it ends
        get_reusable_executor().shutdown()
    return seconds


def run_first(plan):
    setting, n_rows = plan.setting(TAB), plan.rows(4500)
    contenders = {
        name: partial(in_new_process, first_search, ours, setting, n_rows)
        for name, ours in ((OURS, True), ("workers that start", False))
    }
    rows = race(contenders, plan.repeats, warm_up=False)
    lines = [ratio_line(rows, "workers that start", OURS)]
    return Section("The first search of a process, 16 fits", rows, lines)


def digits_search(plan):
    """Return the seconds of a search over digits, and of its parts."""
    X, y = load_digits(return_X_y=True)
    X, y = X[: plan.rows(len(X))], y[: plan.rows(len(X))]
    vae = VAETransformer(
        max_epochs=plan.epochs(20), likelihood="bernoulli", random_state=0
    )
    model = Pipeline(
        [
            ("scale", MinMaxScaler()),
            ("vae", vae),
            ("classify", LogisticRegression(max_iter=2000)),
        ]
    )
    grid = {
        "vae__n_components": plan.some([2, 4, 8, 16]),
        "vae__beta": plan.some([0.03, 0.1, 0.3, 1.0, 2.0, 4.0]),
    }
    parts = {}
    for name, cls in (
        (OURS, GridSearchCV),
        (f"{SKAE}, {ONE}", model_selection.GridSearchCV),
    ):
        search = cls(model, grid, cv=5, refit=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # collapsed posteriors
            _, seconds = timed(search.fit, X, y)
        results = search.cv_results_
        n_fits = 5 * len(results["params"])
        parts[name] = seconds | {
            "error": 1 - float(results["mean_test_score"].max()),
            "fit": float(results["mean_fit_time"].sum() * 5),
            "score": float(results["mean_score_time"].sum() * 5),
            "n_fits": n_fits,
        }
    return parts


def run_digits(plan):
    parts = {}
    contenders = {
        OURS: lambda: parts.update(digits_search(plan)) or parts[OURS],
        f"{SKAE}, {ONE}": lambda: parts[f"{SKAE}, {ONE}"],
    }
    rows = race(contenders, 1, warm_up=False)
    lines = []
    for name, part in parts.items():
        rest = part["wall"] - part["fit"] - part["score"]
        lines.append(
            f"{name}: {part['n_fits']} fits in {part['fit']:.1f} s, training included, "
            f"scores in {part['score']:.1f} s, the rest {rest:.1f} s"
        )
    lines.append(ratio_line(rows, f"{SKAE}, {ONE}", OURS))
    return Section(
        "24 VAEs x 5 folds of digits before a logistic regression", rows, lines
    )


def detector_of(n_members, callbacks, X):
    """Return the seconds of a detector around a small autoencoder.

    With callbacks its networks are trained one by one.
    """
    estimator = skae_estimator(SMALL).set_params(callbacks=callbacks)
    detector = AutoencoderOutlierDetector(
        estimator, n_members=n_members, random_state=0
    )
    _, seconds = timed(detector.fit, X)
    return seconds


def run_members(plan):
    X = tabular_rows(plan.rows(2048))
    contenders = {
        "5 members": partial(detector_of, 5, None, X),
        "5 members, one by one": partial(detector_of, 5, [Callback()], X),
        "1 member": partial(detector_of, 1, None, X),
    }
    rows = race(contenders, plan.repeats)
    pairs = [("5 members, one by one", "5 members"), ("5 members", "1 member")]
    lines = [ratio_line(rows, *pair) for pair in pairs]
    title = "A detector of four folds around networks of 30-16-4-16-30"
    return Section(title, rows, lines, compete=False)


# -- stacks alone ----------------------------------------------------------------------


def stack_of(K, setting, X):
    """Return the seconds of K networks that train as a stack, start included."""
    estimator = skae_estimator(setting, init="random")
    jobs = [Job(clone(estimator).set_params(lr=1e-3 * (1 + k)), X) for k in range(K)]
    _, seconds = timed(train_jobs, jobs)
    if not all(job.is_done for job in jobs):
        return {"failure": "not stacked"}
    return seconds


def loops_of(K, setting, X):
    """Return the seconds of K tight loops, measured on four of them."""
    fit, some = tight_fit(setting), min(K, 4)
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two are slower
    _, seconds = timed(lambda: [fit(X) for _ in range(some)])
    torch.set_num_threads(before)
    return {name: value * K / some for name, value in seconds.items()}


def fits_of(K, setting, X):
    """Return the seconds of K fits one by one, measured on four of them."""
    estimator, some = skae_estimator(setting, init="random"), min(K, 4)
    _, seconds = timed(lambda: [clone(estimator).fit(X) for _ in range(some)])
    return {name: value * K / some for name, value in seconds.items()}


def run_stacks(plan):
    X, contenders, lines = tabular_rows(plan.rows(2048)), {}, []
    X = np.hstack([X, X[:, :2]])  # 32 columns
    for batch in (32, 256):
        setting = replace(plan.setting(SMALL), batch_size=batch)
        for K in plan.some([16, 64]):
            name = f"a stack of {K}, batches of {batch}"
            contenders[name] = partial(stack_of, K, setting, X)
            loops = f"{K} tight loops, batches of {batch}"
            contenders[loops] = partial(loops_of, K, setting, X)
            lines.append((loops, name))
    rows = race(contenders, plan.repeats)
    lines = [ratio_line(rows, *pair) for pair in lines]
    return Section("Networks of 32-16-4-16-32", rows, lines, compete=False)


def run_limits(plan):
    X, contenders, pairs = tabular_rows(plan.rows(2048)), {}, []
    K = 16
    for width in plan.some([16, 32, 64, 96, 128, 192]):
        setting = replace(TAB, hidden=(width, width // 2), max_epochs=plan.epochs(3))
        job = Job(skae_estimator(setting, init="random"), X)
        flop = 6e-6 * job.run.module.n_operations * setting.batch_size
        name = f"{flop:.0f} MFLOP a step"
        contenders[f"stack, {name}"] = partial(stack_of, K, setting, X)
        contenders[f"one by one, {name}"] = partial(fits_of, K, setting, X)
        pairs.append((f"one by one, {name}", f"stack, {name}"))
    rows = race(contenders, plan.repeats)
    lines = [ratio_line(rows, *pair) for pair in pairs]
    return Section("16 networks, batches of 256", rows, lines, compete=False)


SECTIONS = {
    "grid": run_grid,
    "small": run_small,
    "first": run_first,
    "digits": run_digits,
    "members": run_members,
    "stacks": run_stacks,
    "limits": run_limits,
}


class Plan:
    """How much of everything."""

    def __init__(self, *, quick, repeats):
        self.quick, self.repeats = quick, 1 if quick else repeats

    def rows(self, n_rows):
        return min(n_rows, 400) if self.quick else n_rows

    def epochs(self, n_epochs):
        return 1 if self.quick else n_epochs

    def some(self, values):
        return values[:1] if self.quick else values

    def setting(self, setting):
        return replace(setting, max_epochs=self.epochs(setting.max_epochs))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    arguments = parser.parse_args()
    plan = Plan(quick=arguments.quick, repeats=arguments.repeats)
    sections = {}
    for name in arguments.sections:
        begin = time.perf_counter()
        sections[name] = SECTIONS[name](plan)
        print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
        print(section_text(name, sections[name]), file=sys.stderr, flush=True)
    parts = [
        head_text("Searches"),
        TOO_SMALL
        if plan.quick
        else f"## Targets\n\n{targets_text(list(judge(TARGETS, sections)))}",
        *(section_text(name, section) for name, section in sections.items()),
    ]
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
