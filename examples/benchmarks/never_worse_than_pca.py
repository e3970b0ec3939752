"""Whether the defaults are ever worse than PCA of the same size, on held-out rows.

    python examples/benchmarks/never_worse_than_pca.py            # 27 tables, 3 seeds
    python examples/benchmarks/never_worse_than_pca.py --quick    # does it run?
    python examples/benchmarks/never_worse_than_pca.py --tables wine 14_glass --claims 1

Which tables there are, and where they come from, is said in tables.py. Of every table
and seed 70 % of the rows are for training. The code has a quarter of the columns, and
PCA is fitted to rows in the estimator's own scaling.

1. The squared error of AutoencoderTransformer over that of PCA, in that scaling.
2. The ELBO of VAETransformer minus PCA.score ("gain"), and minus the ELBO of one that
   started at random and had twice as many epochs ("over random"), in nats per row.
3. The ELBO at the start, before training, minus PCA.score.
"""

import argparse
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice, product
from multiprocessing import get_context

import numpy as np
from never_worse_report import Trial, tables_text, targets_text
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from speed_race import timed
from speed_report import TOO_SMALL, head_text, tell
from tables import BUNDLED, load_table, table_names

from skae import AutoencoderTransformer, VAETransformer

MOST_COMPONENTS = 64
QUICK_EPOCHS = 3
NO_TRAINING = {"max_epochs": 1, "lr": 1e-12, "early_stopping": False}

# Discarded variance below this share of the largest is rounding: the covariance of
# probabilistic PCA has no inverse then, and PCA.score tells nothing.
SINGULAR = 1e-12

VERDICT = """\
The seeds are 0, 1, ...; "worst" and "farthest" are over all of them. A table without a
figure is not among the tables of its target, and a note says why."""

# -- one table, one seed ---------------------------------------------------------------


class ScaledPCA:
    """PCA in the scaling and of the size of a fitted estimator.

    Parameters
    ----------
    estimator : transformer of skae
        Fitted.
    X_train : ndarray of shape (n_rows, n_features)
        Rows to fit.
    """

    def __init__(self, estimator, X_train):
        scaler = estimator.module_.scaler
        self.center = scaler.center.cpu().numpy()
        self.scale = scaler.scale.cpu().numpy()
        self.pca = PCA(estimator.n_components_, svd_solver="full")
        self.pca.fit(self._scaled(X_train))

    @property
    def scaling(self):
        """Its name: "global" is one scale for all columns."""
        return "global" if np.ptp(self.scale) == 0 else "standard"

    @property
    def is_singular(self):
        """Whether nothing but rounding is discarded."""
        return self.pca.noise_variance_ <= SINGULAR * self.pca.explained_variance_[0]

    def _scaled(self, X):
        return (X - self.center) / self.scale

    def error(self, X):
        """Return the squared error of reconstructing rows."""
        U = self._scaled(X)
        return np.square(U - self.pca.inverse_transform(self.pca.transform(U))).sum()

    def error_of(self, estimator, X):
        """Return that of the estimator."""
        return np.square((X - estimator.reconstruct(X)) / self.scale).sum()

    def score(self, X):
        """Return `PCA.score` in the units of X, in nats per row."""
        return self.pca.score(self._scaled(X)) - np.log(self.scale).sum()


def fit(estimator, X, notes):
    """Return the seconds of a fit; a collapsed posterior is noted, not warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        _, times = timed(estimator.fit, X)
    if any(issubclass(w.category, ConvergenceWarning) for w in caught):
        notes.append(f"posterior collapsed (init={estimator.init!r})")
    return times["wall"]


def measure_error(X_train, X_test, make, notes):
    """Return PCA and the figures of claim 1."""
    ae = make(AutoencoderTransformer)
    figures = {"AE s": fit(ae, X_train, notes)}
    pca = ScaledPCA(ae, X_train)
    if not pca.is_singular:
        figures["ratio"] = pca.error_of(ae, X_test) / pca.error(X_test)
    return pca, figures


def measure_elbo(X_train, X_test, make, notes):
    """Return PCA and the figures of claim 2."""
    vae = make(VAETransformer)
    figures = {"VAE s": fit(vae, X_train, notes)}
    n_epochs = 2 * vae.net_.plan.max_epochs
    rival = make(VAETransformer, init="random", max_epochs=n_epochs)
    figures["random s"] = fit(rival, X_train, notes)
    elbo, pca = vae.score(X_test), ScaledPCA(vae, X_train)
    figures["over random"] = elbo - rival.score(X_test)
    if not pca.is_singular:
        figures["gain"] = elbo - pca.score(X_test)
    return pca, figures


def measure_start(X_train, X_test, make, notes):
    """Return PCA and the figures of claim 3."""
    vae = make(VAETransformer, **NO_TRAINING)
    fit(vae, X_train, notes)
    elbo, pca, figures = vae.score(X_test), ScaledPCA(vae, X_train), {}
    if not pca.is_singular:
        figures["start - PCA.score"] = elbo - pca.score(X_test)
    return pca, figures


# claim: (how to measure it, the figures that a failed fit lacks)
CLAIMS = {
    1: (measure_error, ["ratio"]),
    2: (measure_elbo, ["gain", "over random"]),
    3: (measure_start, ["start - PCA.score"]),
}


def choose_size(X_train):
    """Return the width of the code: a quarter of the columns, within bounds."""
    n_features = X_train.shape[1]
    return min(max(2, n_features // 4), min(X_train.shape) - 1, MOST_COMPONENTS)


def try_table(name, seed, claims, *, quick=False):
    """Return the `Trial` of a table and a seed. Meant for a process with one thread."""
    X = load_table(name)
    X_train, X_test = train_test_split(X, test_size=0.3, random_state=seed)
    n_components = choose_size(X_train)
    common = {"random_state": seed} | ({"max_epochs": QUICK_EPOCHS} if quick else {})

    def make(estimator, **parameters):
        return estimator(n_components, **common | parameters)

    scaling, figures, notes = "", {}, []
    if n_constant := np.sum(np.ptp(X_train, axis=0) == 0):
        notes.append(f"{n_constant} constant columns")
    if len(X_train) <= X.shape[1]:
        notes.append("no more rows than columns")
    for claim in claims:
        measure, judged = CLAIMS[claim]
        try:
            pca, measured = measure(X_train, X_test, make, notes)
        except Exception as error:  # a figure too, and no reason to lose the others
            notes.append(f"claim {claim} failed with seed {seed}: {error!r}")
            figures |= dict.fromkeys(judged, np.nan)
            continue
        figures |= measured
        scaling = pca.scaling
        if pca.is_singular:
            notes.append("PCA discards nothing but rounding: not compared")
    tell(f"{name}, seed {seed}", figures)
    return Trial(X.shape, n_components, scaling, figures, notes)


def run_in_processes(function, jobs, n_jobs):
    """Return what a function returns for each tuple of arguments, in their order.

    The processes compute with one thread each.
    """
    for library in ("OMP", "MKL", "OPENBLAS"):
        os.environ[f"{library}_NUM_THREADS"] = "1"  # a library looks when it is loaded
    spawn = get_context("spawn")  # torch does not survive a fork
    with ProcessPoolExecutor(n_jobs, mp_context=spawn) as pool:
        return list(pool.map(function, *zip(*jobs, strict=True)))


def try_tables(names, n_seeds, claims, *, n_jobs, quick=False):
    """Return the trials of every table, a list of each."""
    try_one = partial(try_table, claims=claims, quick=quick)
    trials = iter(run_in_processes(try_one, product(names, range(n_seeds)), n_jobs))
    return {name: list(islice(trials, n_seeds)) for name in names}


# -- command line ----------------------------------------------------------------------


def make_parser(doc, *, n_seeds):
    """Return a parser of the arguments that recipe.py has too."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument(
        "--seeds", type=int, default=n_seeds, help="fits; default: %(default)s"
    )
    parser.add_argument("--tables", nargs="+", metavar="NAME", help="default: all")
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: 2")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    return parser


def parse(arguments=None):
    """Return the arguments; a quick run has one seed and small tables."""
    parser = make_parser(__doc__, n_seeds=3)
    parser.add_argument("--claims", nargs="+", type=int, choices=CLAIMS, default=CLAIMS)
    parsed = parser.parse_args(arguments)
    known = list(BUNDLED) if parsed.quick else table_names()
    if unknown := set(parsed.tables or ()) - set(known):
        parser.error(f"no tables {sorted(unknown)}; there are {known}")
    parsed.tables = parsed.tables or known
    if parsed.quick:
        parsed.seeds = 1
    return parsed


def main():
    arguments = parse()
    results = try_tables(
        arguments.tables,
        arguments.seeds,
        sorted(arguments.claims),
        n_jobs=arguments.jobs,
        quick=arguments.quick,
    )
    settings = {"seeds": arguments.seeds, "processes": arguments.jobs}
    parts = [
        head_text("Never worse than PCA", settings, n_threads=1),
        "## Tables",
        tables_text(results),
        "## Targets",
        targets_text(results, quick=arguments.quick),
        TOO_SMALL if arguments.quick else VERDICT,
    ]
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
