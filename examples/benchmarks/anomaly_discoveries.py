"""How many alarms are false, where a rate of false discoveries is asked for.

    python examples/benchmarks/anomaly_discoveries.py          # a quarter of an hour
    python examples/benchmarks/anomaly_discoveries.py --quick  # seconds: does it run?

Made-up tables: six columns hang together by two hidden ones, and in outliers each
column is from another row, so that every one on its own is as usual. A detector is
fitted to usual rows, and `select_outliers` is asked for the outliers among new rows, of
which a tenth, or none, are some. Every trial has rows of its own. Reported are means
over trials: the share of false alarms among all alarms, zero where there is none, with
its standard error, and the share of outliers that are found.

The procedure promises the rate times the share of usual rows among the new ones, on
average, for scores of rows that are exchangeable [1]_; those here are of models of
three quarters of the rows beside one of all rows, and nearly so.

.. [1] S. Bates, E. Candes, L. Lei, Y. Romano, M. Sesia, "Testing for Outliers with
   Conformal p-values", Annals of Statistics 51, 2023, arXiv:2104.08279.
"""

import argparse
import sys

import numpy as np
from speed_report import print_parts, table_text

from skae import AutoencoderOutlierDetector, AutoencoderTransformer
from skae.architectures import MLP

N_COLUMNS, N_HIDDEN, NOISE = 6, 2, 0.3
N_TRAINING, N_NEW, SHARE = 500, 200, 0.1
RATES = (0.05, 0.1, 0.2)


def make_rows(n_usual, n_outliers, loadings, rng):
    """Return usual rows, and behind them outliers."""
    n_rows = n_usual + n_outliers
    X = rng.normal(size=(n_rows, N_HIDDEN)) @ loadings
    X += NOISE * rng.normal(size=X.shape)
    others = rng.normal(size=(n_outliers, N_COLUMNS, N_HIDDEN))
    X[n_usual:] = np.einsum("ijk,kj->ij", others, loadings)
    X[n_usual:] += NOISE * rng.normal(size=(n_outliers, N_COLUMNS))
    return X


def detectors(seed):
    """Return detectors by name."""
    linear = AutoencoderTransformer(N_HIDDEN, architecture=MLP(()), max_epochs=5)
    return {
        "linear autoencoder": AutoencoderOutlierDetector(linear, random_state=seed),
        "default": AutoencoderOutlierDetector(random_state=seed),
    }


def try_once(name, share, seed):
    """Return false share of alarms and found share of outliers, at each rate."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(N_HIDDEN, N_COLUMNS))
    detector = detectors(seed)[name].fit(make_rows(N_TRAINING, 0, loadings, rng))
    n_outliers = round(share * N_NEW)
    X = make_rows(N_NEW - n_outliers, n_outliers, loadings, rng)
    is_outlier = np.arange(N_NEW) >= N_NEW - n_outliers
    result = []
    for rate in RATES:
        alarm = detector.select_outliers(X, fdr=rate)
        false = (alarm & ~is_outlier).sum() / max(alarm.sum(), 1)
        found = alarm[is_outlier].mean() if n_outliers else np.nan
        result.append((false, found))
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=400, help="of the linear one")
    parser.add_argument("--default-trials", type=int, default=20, help="of the default")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    arguments = parser.parse_args()
    n_trials = {
        "linear autoencoder": arguments.trials,
        "default": arguments.default_trials,
    }
    if arguments.quick:
        n_trials = {"linear autoencoder": 8}
    lines = []
    for name, n in n_trials.items():
        for share in (SHARE, 0.0):
            runs = np.array([try_once(name, share, seed) for seed in range(n)])
            errors = runs.std(axis=0, ddof=1) / np.sqrt(n)
            for rate, mean, error in zip(RATES, runs.mean(axis=0), errors, strict=True):
                found = "" if np.isnan(mean[1]) else f"{mean[1]:.2f}"
                false = f"{mean[0]:.3f} ± {error[0]:.3f}"
                promised = f"{rate * (1 - share):.3f}"
                lines.append([name, n, f"{share:.0%}", rate, promised, false, found])
                print(*lines[-1], file=sys.stderr, flush=True)
    head = ["detector", "trials", "outliers", "asked", "promised", "false", "found"]
    parts = [
        "## Of all alarms so many are false, of all outliers so many are found",
        table_text(head, lines),
    ]
    print_parts("False discoveries", parts, quick=arguments.quick)


if __name__ == "__main__":
    main()
