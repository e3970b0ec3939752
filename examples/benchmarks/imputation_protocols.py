"""Imputation of two tables as papers have measured it, beside scikit-learn's ways.

    python examples/benchmarks/imputation_protocols.py --data shared/data
    python examples/benchmarks/imputation_protocols.py --quick   # breast cancer, once
    python examples/benchmarks/imputation_protocols.py --choose  # on known cells alone

- Spam (4,601 x 57; `spam.csv` in `--data` or SKAE_DATA): a fifth of the entries is
  removed at random, columns are scaled to [0, 1], and the figure is the root mean
  squared error of what was removed [1]_.
- Breast cancer (569 x 30): half of the entries is removed, columns are standardised,
  and the figure is the mean squared error of what was removed [2]_.

Imputers are fitted to the table that they fill. Each sees columns in units of their
known values, and no removed value. With `--choose` a tenth of the known entries is
removed as well and the figures are those of that tenth: settings were chosen so.

.. [1] J. Yoon, J. Jordon, M. van der Schaar, "GAIN: Missing Data Imputation using
   Generative Adversarial Nets", ICML 2018, arXiv:1806.02920.
.. [2] P.-A. Mattei, J. Frellsen, "MIWAE: Deep Generative Modelling and Imputation of
   Incomplete Data Sets", ICML 2019, arXiv:1812.02633.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from speed_report import print_parts, table_text

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.architectures import RestoringMLP
from skae.corruptions import Masking

SHARES = {"spam": 0.2, "breast cancer": 0.5}


# Trees and rounds: what takes minutes. All of spam's 57 columns take half a minute each
# with a hundred trees.
FOREST = {"spam": (20, 3), "breast cancer": (100, 10)}
QUICK_FOREST = 5, 2


def make_imputers(seed, forest, *, quick):
    """Return imputers by name, one with so many trees and rounds."""
    n_trees, n_rounds = forest
    trees = ExtraTreesRegressor(n_trees, random_state=seed)
    few_steps = AutoencoderTransformer(
        architecture=RestoringMLP((32,)),
        corruption=Masking("random", fill="missing"),
        max_epochs=3,
    )
    ours = few_steps if quick else None
    return {
        "AutoencoderImputer": AutoencoderImputer(
            ours, similar_rows=True, random_state=seed
        ),
        "mean": SimpleImputer(),
        "KNNImputer": KNNImputer(),
        "IterativeImputer": IterativeImputer(random_state=seed),
        "IterativeImputer, trees": IterativeImputer(
            trees, max_iter=n_rounds, random_state=seed
        ),
    }


def read(table, folder):
    """Return a table and the units that its errors are measured in."""
    if table == "spam":
        X = pd.read_csv(Path(folder) / "spam.csv").to_numpy(float)[:, :57]
        return X, X.max(axis=0) - X.min(axis=0)
    X = load_breast_cancer().data
    return X, X.std(axis=0)


def measure(X, units, share, seed, *, choose, quick, forest, names):
    """Return the mean squared error and the seconds of every imputer."""
    random = np.random.RandomState(seed)
    measured = random.uniform(size=X.shape) < share
    seen = np.where(measured, np.nan, X)
    if choose:
        measured = ~measured & (random.uniform(size=X.shape) < 0.1)
        seen[measured] = np.nan
    center, scale = np.nanmean(seen, axis=0), np.nanstd(seen, axis=0)
    results = {}
    for name, imputer in make_imputers(seed, forest, quick=quick).items():
        if names and name not in names:
            continue
        start = time.perf_counter()
        filled = imputer.fit_transform((seen - center) / scale) * scale + center
        seconds = time.perf_counter() - start
        errors = ((filled - X) / units)[measured]
        results[name] = np.mean(np.square(errors)), seconds
        print(
            f"{seed} {name}: {results[name][0]:.5f}, {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tables", nargs="+", default=list(SHARES), choices=SHARES)
    parser.add_argument("--imputers", nargs="+", help="default: all")
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA", "."))
    parser.add_argument("--choose", action="store_true", help="on known cells alone")
    parser.add_argument("--quick", action="store_true", help="breast cancer, once")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.tables, arguments.seeds = ["breast cancer"], 1
    warnings.simplefilter("ignore", ConvergenceWarning)
    parts = []
    for table in arguments.tables:
        X, units = read(table, arguments.data)
        print(table, file=sys.stderr)
        runs = [
            measure(
                X, units, SHARES[table], seed, names=arguments.imputers,
                choose=arguments.choose,
                quick=arguments.quick,
                forest=QUICK_FOREST if arguments.quick else FOREST[table],
            )
            for seed in range(arguments.seeds)
        ]  # fmt: skip
        parts += [
            f"## {table.capitalize()}, {len(X):,} x {X.shape[1]}, "
            f"{SHARES[table]:.0%} removed, {len(runs)} seeds",
            errors_text(runs, "RMSE" if table == "spam" else "MSE"),
        ]
    print_parts("Imputation as papers measure it", parts, quick=arguments.quick)


def errors_text(runs, figure):
    """Return a table of errors and seconds, a line for each imputer."""
    lines = []
    for name in runs[0]:
        errors, seconds = np.array([run[name] for run in runs]).T
        if figure == "RMSE":
            errors = np.sqrt(errors)
        cells = [f"{errors.mean():.4f}", f"{errors.std():.4f}", f"{seconds.mean():.1f}"]
        lines.append([name, *cells])
    return table_text(["imputer", figure, "deviation", "seconds"], lines)


if __name__ == "__main__":
    main()
