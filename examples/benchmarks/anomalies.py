"""Anomalies in tables: AutoencoderOutlierDetector beside nearest neighbours.

    python examples/benchmarks/anomalies.py                 # 22 tables, 5 seeds: hours
    python examples/benchmarks/anomalies.py --seeds 1 --most-rows 5000
    python examples/benchmarks/anomalies.py --protocol contaminated
    python examples/benchmarks/anomalies.py --pyod --seeds 1 --most-rows 10000
    python examples/benchmarks/anomalies.py --quick         # seconds: does it run?

The protocols are those of DTE [1]_, on tables of ADBench [2]_: columns are standardised
by the training rows; more than 50,000 rows are cut down to so many at random, fewer
than 1,000 are drawn up to so many with replacement.

- one-class: training rows are the first half of the normal rows, in the order of the
  file; test rows are all others. The detector is at its defaults.
- contaminated: training rows are as many as there are rows, drawn with replacement;
  test rows are all rows. `contamination=0.1`, whatever the table.

Figures are areas under the curves of ROC and of precision and recall, in %, the mean
over seeds. Nearest neighbours are those of the paper, by the fifth distance, and must
agree with its figures; published ones are read from dte_semi_aucroc.csv and the like
in the folder `--published`, if there is one. With `--pyod` the autoencoder and the VAE
of PyOD [3]_ join in, with their default numbers of epochs and with 100.

What is measured is written to the file `--figures` too, if there is one: a run that was
cut off goes on with the tables that are not in it.

Tables are read from the folder adbench in the folder that the environment variable
SKAE_DATA names, or in ../shared/data beside the repository. With --quick it is
one that comes with scikit-learn.

References
----------
.. [1] V. Livernoche et al., "On Diffusion Modeling for Anomaly Detection", ICLR 2024,
   arXiv:2305.18593.
.. [2] S. Han et al., "ADBench: Anomaly Detection Benchmark", NeurIPS 2022,
   arXiv:2206.09426.
.. [3] Y. Zhao, Z. Nasrullah, Z. Li, "PyOD: A Python Toolbox for Scalable Outlier
   Detection", JMLR 20, 2019, arXiv:1901.01588.
"""

import argparse
import csv
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, wilcoxon
from sklearn.datasets import load_wine
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from speed_race import timed
from speed_report import print_parts, table_text
from tables import data_folder

from skae import AutoencoderOutlierDetector

FEWEST_ROWS, MOST_ROWS = 1000, 50_000
CONTAMINATION = 0.1  # of the second protocol, for all tables
ROC, PR = "ROC", "PR"

#: Of the published methods, those whose figures are shown table by table.
SHOWN = ("kNN", "DTE-NP", "ICL", "DTE-C", "IForest", "MCD", "VAE")
AS_PUBLISHED = ", published"

#: Tables that were looked at when the defaults of the detector had been chosen.
KEPT_BACK = {
    "1_ALOI", "8_celeba", "18_Ionosphere", "26_optdigits", "39_vertebral", "45_wine",
    "47_yeast",
}  # fmt: skip


def load_tables(quick):
    """Yield names of tables, their rows, and 1 where a row is an anomaly."""
    if quick:
        X, y = load_wine(return_X_y=True)
        yield "wine", X, (y == 0).astype(int)
        return
    folder = data_folder() / "adbench"
    for path in sorted(folder.glob("*.npz"), key=lambda p: int(p.stem.split("_")[0])):
        table = np.load(path, allow_pickle=True)
        yield path.stem, table["X"].astype(np.float64), table["y"].astype(int)


def split(X, y, seed, protocol, most_rows):
    """Return training rows, test rows, and which of the latter are anomalies."""
    rng = np.random.RandomState(seed)
    if len(X) < FEWEST_ROWS:
        rows = rng.choice(len(X), FEWEST_ROWS, replace=True)
        X, y = X[rows], y[rows]
    if len(X) > most_rows:
        rows = rng.choice(len(X), most_rows, replace=False)
        X, y = X[rows], y[rows]
    if protocol == "contaminated":
        train, test = rng.choice(len(X), len(X), replace=True), np.arange(len(X))
    else:
        normal = np.flatnonzero(y == 0)
        train, others = np.split(normal, [len(normal) // 2])
        test = np.concatenate([others, np.flatnonzero(y == 1)])
    scaler = StandardScaler().fit(X[train])
    return scaler.transform(X[train]), scaler.transform(X[test]), y[test]


# -- methods: from training and test rows to how strange the latter are ----------------


def ours(X_train, X_test, seed, protocol):
    """Return the strangeness of test rows by the detector."""
    contamination = CONTAMINATION if protocol == "contaminated" else "auto"
    detector = AutoencoderOutlierDetector(
        contamination=contamination, random_state=seed
    )
    return -detector.fit(X_train).score_samples(X_test)


def nearest(X_train, X_test, seed, protocol):
    """Return the distance to the fifth of the nearest training rows."""
    index = NearestNeighbors(n_neighbors=5).fit(X_train)
    return index.kneighbors(X_test)[0][:, -1]


def forest(X_train, X_test, seed, protocol):
    """Return how soon random cuts isolate a row."""
    isolation = IsolationForest(random_state=seed).fit(X_train)
    return -isolation.score_samples(X_test)


def of_pyod(name, n_epochs, X_train, X_test, seed, protocol):
    """Return the strangeness of test rows by a network of PyOD."""
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.vae import VAE

    kind = {"AutoEncoder": AutoEncoder, "VAE": VAE}[name]
    epochs = {} if n_epochs is None else {"epoch_num": n_epochs}
    model = kind(random_state=seed, verbose=0, **epochs)
    return model.fit(X_train).decision_function(X_test)


METHODS = {
    "AutoencoderOutlierDetector": ours,
    "nearest neighbours": nearest,
    "IsolationForest": forest,
}

OF_PYOD = {
    "PyOD AutoEncoder": partial(of_pyod, "AutoEncoder", None),
    "PyOD AutoEncoder, 100 epochs": partial(of_pyod, "AutoEncoder", 100),
    "PyOD VAE": partial(of_pyod, "VAE", None),
    "PyOD VAE, 100 epochs": partial(of_pyod, "VAE", 100),
}


def measure(tables, arguments):
    """Return figures by table and method: the two areas, and seconds."""
    figures = {}
    if arguments.figures is not None and arguments.figures.exists():
        figures = json.loads(arguments.figures.read_text())
    for name, X, y in tables:
        if name in figures:
            continue
        figures[name] = {}
        methods = METHODS | (OF_PYOD if arguments.pyod else {})
        for method, function in methods.items():
            runs = []
            for seed in range(arguments.seeds):
                parts = split(X, y, seed, arguments.protocol, arguments.most_rows)
                X_train, X_test, is_anomaly = parts
                strangeness, times = timed(
                    function, X_train, X_test, seed, arguments.protocol
                )
                runs.append(
                    (
                        100 * roc_auc_score(is_anomaly, strangeness),
                        100 * average_precision_score(is_anomaly, strangeness),
                        times["cpu"],
                    )
                )
            figures[name][method] = np.mean(runs, axis=0).tolist()
        line = (f"{m} {v[0]:.1f} {v[1]:.1f}" for m, v in figures[name].items())
        print(name, *line, sep="; ", file=sys.stderr, flush=True)
        if arguments.figures is not None:
            arguments.figures.write_text(json.dumps(figures, indent=1))
    return figures


def with_published(figures, arguments):
    """Return the figures with published ones of the same tables, if there are any."""
    kind = {"one-class": "semi", "contaminated": "unsup"}[arguments.protocol]
    published = []
    for area in ("roc", "pr"):
        path = arguments.published / f"dte_{kind}_auc{area}.csv"
        if not path.exists():
            return figures
        with path.open() as lines:
            published.append(
                {plain(row["dataset"]): row for row in csv.DictReader(lines)}
            )
    for name, methods in figures.items():
        roc, pr = (rows[plain(name.partition("_")[2])] for rows in published)
        for method in [key for key in roc if key != "dataset"]:
            pair = [float(roc[method]), float(pr[method])]
            methods[f"{method}{AS_PUBLISHED}"] = [*pair, np.nan]
    return figures


def plain(name):
    """Return a table's name as all spell it."""
    return name.lower().replace("_", "")


# -- report ----------------------------------------------------------------------------


def print_report(figures, sizes, arguments):
    """Print what came out, as markdown."""
    methods = list(next(iter(figures.values())))
    shown = [
        i
        for i, method in enumerate(methods)
        if not method.endswith(AS_PUBLISHED) or method.partition(",")[0] in SHOWN
    ]
    cube = np.array([[figures[t][m] for m in methods] for t in figures])
    lines = [
        [table, *(f"{roc:.1f} / {pr:.1f}" for roc, pr, _ in row[shown])]
        for table, row in zip(figures, cube, strict=True)
    ]
    parts = [
        "## Means over tables, mean ranks, tables where ours is above, Wilcoxon's p",
        compare(methods, cube),
    ]
    # the smaller ones are drawn with replacement: training rows come again in the test
    large = np.array([sizes[table] >= FEWEST_ROWS for table in figures])
    kept_back = np.array([table in KEPT_BACK for table in figures])
    of_some = {
        f"tables of {FEWEST_ROWS:,} rows and more": (large, None),
        "tables on which no default was chosen": (kept_back, shown),
        "tables that are both": (large & kept_back, shown),
    }
    for which, (chosen, of) in of_some.items():
        if 1 < chosen.sum() < len(chosen):
            title = f"## The same, over {chosen.sum()} {which}"
            parts += [title, compare(methods, cube[chosen], of)]
    parts += [
        f"## Table by table, {ROC} / {PR}",
        table_text(["table", *(methods[i] for i in shown)], lines),
    ]
    print_parts(f"Anomalies: {arguments.protocol}", parts, quick=arguments.quick)


def compare(methods, cube, shown=None):
    """Return a line for each method, the best mean area first; ours is method 0.

    Of all methods only some are shown, if these are given, but ranked among all.
    """
    ranks = rankdata(-cube[:, :, :2], axis=1).mean(axis=0)  # (n_methods, 2)
    means = cube.mean(axis=0)
    lines = []
    shown = range(len(methods)) if shown is None else shown
    for i in sorted(shown, key=lambda i: -means[i, 0]):
        ahead = cube[:, 0, :2] - cube[:, i, :2]
        p = ["" if i == 0 else chance_text(ahead[:, j]) for j in (0, 1)]
        wins = [f"{(ahead[:, j] > 0).sum()}" if i else "" for j in (0, 1)]
        lines.append(
            [
                methods[i],
                *(f"{area:.2f}" for area in means[i, :2]),
                *(f"{rank:.1f}" for rank in ranks[i]),
                *wins,
                *p,
                "" if np.isnan(means[i, 2]) else f"{means[i, 2]:.1f}",
            ]
        )
    head = ["method", ROC, PR]
    head += [f"{what}, {area}" for what in ("rank", "above", "p") for area in (ROC, PR)]
    return table_text([*head, "CPU seconds"], lines)


def chance_text(ahead):
    """Return Wilcoxon's p of differences, one for each table."""
    p = wilcoxon(ahead).pvalue
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--protocol", choices=("one-class", "contaminated"), default="one-class"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--most-rows", type=int, default=MOST_ROWS)
    parser.add_argument("--tables", nargs="+", help="names, as 14_glass; default: all")
    parser.add_argument("--pyod", action="store_true", help="its networks too")
    parser.add_argument("--published", type=Path, default=Path("published"))
    parser.add_argument("--figures", type=Path, help="a JSON file: go on with it")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds = 1
    tables = [
        table
        for table in load_tables(arguments.quick)
        if arguments.tables is None or table[0] in arguments.tables
    ]
    figures = with_published(measure(tables, arguments), arguments)
    print_report(figures, {name: len(X) for name, X, _ in tables}, arguments)


if __name__ == "__main__":
    main()
