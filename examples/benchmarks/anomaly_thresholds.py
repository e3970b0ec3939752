"""How many clean rows a detector calls outliers, beside how many it was asked to.

    python examples/benchmarks/anomaly_thresholds.py          # 22 tables: two hours
    python examples/benchmarks/anomaly_thresholds.py --error 1
    python examples/benchmarks/anomaly_thresholds.py --quick  # seconds: does it run?

The normal rows of each table are split into halves at random,
`AutoencoderOutlierDetector` is fitted to one at its defaults, and rows of the other are
called outliers or not, at thresholds of two kinds; then the halves change places. What
one half has of strange rows by chance, the other lacks, so that the mean over both
varies much less than either. Splits are repeated, at least `--fewest` times, until the
standard error of the highest share that is asked for is at most `--error` points: a
threshold that 60 scores decide is right in the mean only. Of large tables 4,000 rows
are drawn.

Each split is written to the file `--figures` too, if there is one: a run that was cut
off goes on where it was, and one with a lower `--error` adds splits.

Tables are those of `anomalies.py`, found in the same way.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from anomalies import load_tables
from speed_report import print_parts, table_text

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

ASKED = 100 * np.array([value for t in THRESHOLDS for value in t.values()])
CLOSE = 1.0  # points


def is_exact(runs, arguments):
    """Return whether there are enough splits."""
    return len(runs) >= arguments.fewest and standard_error(runs) <= arguments.error


def standard_error(runs):
    """Return that of the highest share, of the kind of threshold where it is higher."""
    if len(runs) < 2:
        return np.inf
    highest = np.array(runs)[:, ASKED.max() == ASKED]
    return float((highest.std(axis=0, ddof=1) / np.sqrt(len(runs))).max())


def shares(X, seed):
    """Return which share of clean rows is called outliers, at each threshold."""
    rows = np.random.RandomState(seed).permutation(len(X))[:MOST_ROWS]
    halves = np.array_split(X[rows], 2)
    both = [shares_of(*halves, seed), shares_of(*halves[::-1], seed)]
    return np.mean(both, axis=0).tolist()


def shares_of(train, test, seed):
    """Return the same for one half when the other is to train on."""
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


def measure(tables, arguments):
    """Return the number of rows and the shares of each split, by table."""
    figures = {}
    if arguments.figures is not None and arguments.figures.exists():
        figures = json.loads(arguments.figures.read_text())
    for name, X, y in tables:
        normal = X[y == 0]
        _, runs = figures.setdefault(name, (min(len(normal), MOST_ROWS), []))
        while not is_exact(runs, arguments):
            runs.append(shares(normal, len(runs)))
            if arguments.figures is not None:
                arguments.figures.write_text(json.dumps(figures, indent=1))
        means = " ".join(f"{mean:.2f}" for mean in np.mean(runs, axis=0))
        error = f"{len(runs)} splits, error {standard_error(runs):.2f}"
        print(f"{name}: {means}; {error}", file=sys.stderr, flush=True)
    return figures


def print_report(figures, arguments):
    """Print what came out, as markdown."""
    names = [f"{n.replace('_', '-')} {v:g}" for t in THRESHOLDS for n, v in t.items()]
    lines = []
    for table, (n_rows, runs) in figures.items():
        means = np.mean(runs, axis=0)
        line = ["none" if np.isnan(m) else f"{m:.1f}" for m in means]
        error = f"{standard_error(runs):.2f}"
        lines.append([table, n_rows, len(runs), *line, error])
    means = np.array([np.mean(runs, axis=0) for _, runs in figures.values()])
    off = means - ASKED
    with np.errstate(invalid="ignore"):
        close = (np.abs(off) <= CLOSE).sum(axis=0)
        there = (~np.isnan(off)).sum(axis=0)
    within = [f"{c} of {n}" for c, n in zip(close, there, strict=True)]
    head = ["table", "rows", "splits", *names, "error of the highest"]
    last = [
        ["mean", "", "", *(f"{mean:.2f}" for mean in np.nanmean(means, axis=0)), ""],
        [f"within {CLOSE:g} point", "", "", *within, ""],
    ]
    title = "Clean rows that are called outliers, in %"
    table = table_text(head, [*lines, *last])
    print_parts(title, [table], quick=arguments.quick)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--error", type=float, default=0.5, help="points")
    parser.add_argument("--fewest", type=int, default=3, help="splits")
    parser.add_argument("--tables", nargs="+", help="names, as 14_glass; default: all")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    parser.add_argument("--figures", type=Path, help="a JSON file: go on with it")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.error, arguments.fewest = np.inf, 1
    tables = (
        table
        for table in load_tables(arguments.quick)
        if arguments.tables is None or table[0] in arguments.tables
    )
    print_report(measure(tables, arguments), arguments)


if __name__ == "__main__":
    main()
