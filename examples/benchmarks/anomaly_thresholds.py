"""How many clean rows a detector calls outliers, beside how many it was asked to.

    python examples/benchmarks/anomaly_thresholds.py          # 22 tables: two hours
    python examples/benchmarks/anomaly_thresholds.py --error 1
    python examples/benchmarks/anomaly_thresholds.py --quick  # seconds: does it run?

The normal rows of each table are split into halves at random,
`AutoencoderOutlierDetector` is fitted to one at its defaults, and rows of the other are
called outliers or not, at thresholds of two kinds. Splits are repeated, at least
`--fewest` times, until the standard error of a share of 5 % is at most `--error`
points: a threshold that 60 scores decide is right in the mean only. Of large tables
4,000 rows are drawn.

Tables are those of `anomalies.py`, found in the same way.
"""

import argparse
import shlex
import sys

import numpy as np
from anomalies import load_tables
from speed_report import TOO_SMALL, describe_machine, list_text, table_text

from skae import AutoencoderOutlierDetector

MOST_ROWS = 4000

#: What is asked for, as arguments of `set_threshold`.
THRESHOLDS = (
    {"p_value": 0.02},
    {"p_value": 0.05},
    {"p_value": 0.1},
    {"contamination": 0.02},
    {"contamination": 0.05},
    {"contamination": 0.1},
)

CLOSE = 1.0  # points


def n_splits(n_rows, arguments):
    """Return how many splits make the standard error small enough."""
    # half of the rows decide the threshold, half are counted
    variance = 0.05 * 0.95 * 2 / (n_rows / 2)
    return max(arguments.fewest, int(np.ceil(variance / (arguments.error / 100) ** 2)))


def shares(X, seed):
    """Return which share of clean rows is called outliers, at each threshold."""
    rows = np.random.RandomState(seed).permutation(len(X))[:MOST_ROWS]
    train, test = np.array_split(X[rows], 2)
    detector = AutoencoderOutlierDetector(random_state=seed).fit(train)
    scores = detector.score_samples(test)
    result = []
    for threshold in THRESHOLDS:
        ((name, value),) = threshold.items()
        if name == "p_value" and value * (len(train) + 1) < 1:
            result.append(np.nan)  # there is no p-value that low
            continue
        detector.set_threshold(**threshold)
        result.append((scores < detector.offset_).mean())
    return 100 * np.array(result)


def report(figures, arguments):
    """Return what came out, as markdown."""
    asked = 100 * np.array([next(iter(t.values())) for t in THRESHOLDS])
    names = [f"{n.replace('_', '-')} {v:g}" for t in THRESHOLDS for n, v in t.items()]
    lines = []
    for table, (n_rows, runs) in figures.items():
        means = np.mean(runs, axis=0)
        line = ["none" if np.isnan(m) else f"{m:.1f}" for m in means]
        lines.append([table, n_rows, len(runs), *line])
    off = np.array([np.mean(runs, axis=0) - asked for _, runs in figures.values()])
    with np.errstate(invalid="ignore"):
        close = (np.abs(off) <= CLOSE).sum(axis=0)
        there = (~np.isnan(off)).sum(axis=0)
    within = [f"{c} of {n}" for c, n in zip(close, there, strict=True)]
    head = ["table", "rows", "splits", *names]
    parts = [
        "# Clean rows that are called outliers, in %",
        f"`{shlex.join(['python', *sys.argv])}`",
        list_text(describe_machine()),
        table_text(head, [*lines, [f"within {CLOSE:g} point", "", "", *within]]),
    ]
    if arguments.quick:
        parts.append(TOO_SMALL)
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--error", type=float, default=0.5, help="points")
    parser.add_argument("--fewest", type=int, default=3, help="splits")
    parser.add_argument("--tables", nargs="+", help="names, as 14_glass; default: all")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.error, arguments.fewest = np.inf, 1
    figures = {}
    for name, X, y in load_tables(arguments.quick):
        if arguments.tables is not None and name not in arguments.tables:
            continue
        normal = X[y == 0]
        n_rows = min(len(normal), MOST_ROWS)
        runs = [shares(normal, seed) for seed in range(n_splits(n_rows, arguments))]
        figures[name] = n_rows, runs
        print(name, np.round(np.mean(runs, axis=0), 2), file=sys.stderr, flush=True)
    print(report(figures, arguments))


if __name__ == "__main__":
    main()
