"""Which scaling suits which columns, and how often `scale="auto"` picks it.

    python examples/benchmarks/scaling.py            # all sets, 3 splits: a minute
    python examples/benchmarks/scaling.py --only rules
    python examples/benchmarks/scaling.py --quick    # scikit-learn's sets, 1 split

Tables and images are read from the folder named by the environment variable
SKAE_DATA, or from ../shared/data beside the repository; without either, only sets that
come with scikit-learn are used. See docs/scaling.md for what came out.
"""

import argparse
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.metrics import r2_score, recall_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.preprocessing import minmax_scale
from tables import data_folder

from skae._modules import Scaler, choose_scaling, column_statistics, principal_axes

MOST_ROWS, MOST_COMPONENTS, SMALLEST_NOISE = 5000, 64, 1e-6
N_HALVES = 10  # random halves of the rows on which the rule is asked again

# A class with fewer rows than this, in training or held out, tells nothing.
FEWEST_OF_A_CLASS = 3

# What a person would say of the columns: units of their OWN (or a mix of units), ONE
# unit; or brought to one scale beforehand: to [0, 1], to variance 1, or by logarithms.
OWN, ONE, UNIT, Z, LOG = "own", "one", "0-1", "z", "log"
ADBENCH_KINDS = {
    "1_ALOI": ONE,  # colour histograms
    "4_breastw": ONE,  # grades from 1 to 10
    "6_cardio": Z,
    "8_celeba": UNIT,  # yes or no
    "11_donors": UNIT,
    "14_glass": UNIT,
    "16_http": LOG,
    "18_Ionosphere": UNIT,
    "20_letter": ONE,  # integers from 0 to 15
    "22_magic.gamma": Z,
    "24_mnist": ONE,  # pixels
    "26_optdigits": ONE,  # pixels
    "28_pendigits": UNIT,  # coordinates of a pen
    "30_satellite": ONE,  # pixels in four bands
    "32_shuttle": OWN,
    "34_smtp": LOG,
    "37_Stamps": UNIT,
    "39_vertebral": OWN,  # five angles and a length
    "41_Waveform": ONE,  # a signal in time
    "43_WDBC": OWN,
    "45_wine": OWN,
    "47_yeast": Z,
}


class Dataset(NamedTuple):
    name: str
    kind: str
    X: np.ndarray  # (n_rows, n_columns)
    y: np.ndarray | None  # classes, or float for a regression target


def bundled_sets():
    """Yield the sets that come with scikit-learn, and some made from them."""
    digits = datasets.load_digits()
    yield Dataset("digits", ONE, digits.data, digits.target)
    rng = np.random.RandomState(0)
    own = np.c_[rng.lognormal(10, 1, 1797), rng.randint(18, 90, 1797)]
    X = np.hstack([digits.data, own])
    yield Dataset("digits + income, age", OWN, X, digits.target)
    for name, kind in (("breast_cancer", OWN), ("wine", OWN), ("iris", ONE)):
        data = getattr(datasets, f"load_{name}")()
        yield Dataset(name, kind, data.data, data.target)
        if kind == OWN:
            yield Dataset(f"{name}, 0-1", UNIT, minmax_scale(data.data), data.target)
    for scaled, kind in ((True, Z), (False, OWN)):
        data = datasets.load_diabetes(scaled=scaled)
        name = "diabetes, z" if scaled else "diabetes"
        yield Dataset(name, kind, data.data, data.target.astype(float))


def folder_sets(folder):
    """Yield the sets of the data folder."""
    for name, kind in ADBENCH_KINDS.items():
        table = np.load(folder / "adbench" / f"{name}.npz")
        yield Dataset(name, kind, table["X"], table["y"])
    faces = np.load(folder / "olivetti.npz")
    X = faces["X"].reshape(len(faces["X"]), -1)
    yield Dataset("olivetti", ONE, X, faces["y"])
    yield Dataset("olivetti / 255", ONE, X / 255.0, faces["y"])
    mnist = np.load(folder / "mnist.npz")
    X = mnist["X_train"].reshape(len(mnist["X_train"]), -1)
    yield Dataset("mnist", ONE, X, mnist["y_train"])
    emoji = np.load(folder / "emoji32.npz")
    X = emoji["X"].reshape(len(emoji["X"]), -1)
    yield Dataset("emoji", ONE, X, emoji["category"])
    spam = pd.read_csv(folder / "spam.csv").to_numpy(float)
    yield Dataset("spam", OWN, spam, None)  # 54 percentages, 3 lengths
    adult = pd.read_csv(folder / "adult.data", skipinitialspace=True)
    salary = adult.pop("Salary").to_numpy(str)
    numbers = adult.select_dtypes("number").to_numpy(float)
    words = pd.get_dummies(adult.select_dtypes(exclude="number")).to_numpy(float)
    yield Dataset("adult", OWN, numbers, salary)
    X = np.hstack([minmax_scale(numbers), words])
    yield Dataset("adult, 0-1, one-hot", UNIT, X, salary)
    columns = ["pclass", "age", "sibsp", "parch", "fare", "survived"]
    titanic = pd.read_csv(folder / "titanic.csv")[columns].dropna()
    survived = titanic.pop("survived").to_numpy(int)
    yield Dataset("titanic", OWN, titanic.to_numpy(float), survived)


# -- what a scaling is worth -----------------------------------------------------------


def probabilistic_pca(X_train, X_test, scaling, n_components):
    """Return what a model of `n_components` under a scaling is worth on held-out rows.

    Returns
    -------
    nats : float
        Mean log-likelihood of a held-out row in the units of X.
    explained : float
        Share of the held-out variance that is reconstructed, in the median column.
    Z_train, Z_test : ndarray of shape (n_rows, n_components)
        Codes.
    """
    n_features = X_train.shape[1]
    scaler = Scaler(n_features).fit(column_statistics(X_train), scaling)
    center, scale = scaler.center.numpy(), scaler.scale.numpy()
    axes = principal_axes(X_train, None, scaler, n_axes=n_components)
    eigenvalues, components = axes.padded(n_components)
    n_left = n_features - n_components
    noise = (axes.total_variance - eigenvalues.sum()) / max(n_left, 1)
    noise = max(noise, SMALLEST_NOISE)
    eigenvalues = np.maximum(eigenvalues, noise)
    U_train, U_test = ((X - center) / scale - axes.mean for X in (X_train, X_test))
    Z_train, Z_test = U_train @ components.T, U_test @ components.T
    left = np.square(U_test).sum(axis=1) - np.square(Z_test).sum(axis=1)
    distance = (np.square(Z_test) / eigenvalues).sum(axis=1)
    distance += np.maximum(left, 0) / noise  # (n_rows,)
    log_det = np.log(eigenvalues).sum() + n_left * np.log(noise)
    log_density = -0.5 * (distance + log_det + n_features * np.log(2 * np.pi))
    nats = log_density.mean() - np.log(scale).sum()
    residual = U_test - Z_test @ components  # (n_rows, n_features)
    total = np.square(U_test).sum(axis=0)
    seen = total > 0
    explained = 1 - np.square(residual).sum(axis=0)[seen] / total[seen]
    return nats, np.median(explained), Z_train, Z_test


def label_quality(Z_train, y_train, Z_test, y_test):
    """Return how well 5 neighbours tell y from codes, at most 1; NaN if they cannot.

    R2 of a float target, ROC AUC of two classes, balanced accuracy of more.
    """
    if y_train.dtype.kind == "f" and len(np.unique(y_train)) > 2:
        model = KNeighborsRegressor(5).fit(Z_train, y_train)
        return r2_score(y_test, model.predict(Z_test))
    counts = [np.unique(y, return_counts=True)[1] for y in (y_train, y_test)]
    if min(map(len, counts)) < 2:
        return np.nan
    model = KNeighborsClassifier(5).fit(Z_train, y_train)
    if len(model.classes_) > 2:
        classes, guess = np.unique(y_test), model.predict(Z_test)
        return recall_score(y_test, guess, labels=classes, average="macro")
    if min(map(min, counts)) < FEWEST_OF_A_CLASS:
        return np.nan
    probability = model.predict_proba(Z_test)[:, 1]
    return roc_auc_score(y_test == model.classes_[1], probability)


def measure(dataset, seed):
    """Return (nats, explained, quality), each as (standard, global)."""
    rows = np.random.RandomState(seed).permutation(len(dataset.X))[:MOST_ROWS]
    train, test = np.split(rows, [int(0.7 * len(rows))])
    X_train, X_test = (dataset.X[part].astype(float) for part in (train, test))
    n_components = min(max(2, X_train.shape[1] // 4), MOST_COMPONENTS)
    # a constant has no density
    varying = column_statistics(X_train).std > 0
    X_train, X_test = X_train[:, varying], X_test[:, varying]
    values = []
    for scaling in ("standard", "global"):
        *value, Z_train, Z_test = probabilistic_pca(
            X_train, X_test, scaling, n_components
        )
        quality = np.nan
        if dataset.y is not None:
            quality = label_quality(Z_train, dataset.y[train], Z_test, dataset.y[test])
        values.append([*value, quality])
    return np.transpose(values)


# -- rules -----------------------------------------------------------------------------


def spans_of(statistics):
    return (statistics.maximum - statistics.minimum)[statistics.std > 0]


def spread(values):
    """Return the standard deviation of the values over their mean."""
    return values.std() / values.mean()


def same_integers(statistics, X):
    tops = statistics.maximum[statistics.std > 0]
    return np.all(np.round(X) == X) and np.median(tops) == tops.max()


# name: (statistics, X) -> whether the columns are of one kind
RULES = {
    "skae": lambda s, X: choose_scaling(s) == "global",
    "always standard": lambda s, X: False,
    "always global": lambda s, X: True,
    "half the ranges >= 1/2 widest": lambda s, X: (
        np.mean(spans_of(s) >= 0.5 * spans_of(s).max()) >= 0.5
    ),
    "median range >= 1/2 of 90 % quantile": lambda s, X: (
        np.median(spans_of(s)) >= 0.5 * np.quantile(spans_of(s), 0.9)
    ),
    "mean range >= 1/2 widest": lambda s, X: (
        spans_of(s).mean() >= 0.5 * spans_of(s).max()
    ),
    "spread of ranges <= 0.4": lambda s, X: spread(spans_of(s)) <= 0.4,
    "spread of ranges <= 0.6": lambda s, X: spread(spans_of(s)) <= 0.6,
    "spread of ranges <= 0.8": lambda s, X: spread(spans_of(s)) <= 0.8,
    "spread of deviations <= 0.6": lambda s, X: spread(s.std[s.std > 0]) <= 0.6,
    "spread of deviations <= 0.8": lambda s, X: spread(s.std[s.std > 0]) <= 0.8,
    "integers with one maximum": same_integers,
}


def sample_rows(X):
    return X[np.random.RandomState(0).permutation(len(X))[:MOST_ROWS]].astype(float)


def with_wild_cell(X, factor):
    """Return X with one cell so large that its column's range is `factor` times it."""
    X = X.copy()
    column = X[:, np.argsort(X.std(axis=0))[X.shape[1] // 2]]
    column[0] = column.min() + factor * np.ptp(column)
    return X


def ask_rules(X):
    """Return what every rule says of X, of halves of it, and with one wild cell."""
    X = sample_rows(X)
    halves = [
        X[np.random.RandomState(seed).permutation(len(X))[: len(X) // 2]]
        for seed in range(N_HALVES)
    ]
    parts = [X, *halves, with_wild_cell(X, 3), with_wild_cell(X, 1000)]
    parts = [(column_statistics(part), part) for part in parts]
    answers = {}
    for name, rule in RULES.items():
        first, *others = (bool(rule(*part)) for part in parts)
        flips = [other != first for other in others]
        answers[name] = (first, np.mean(flips[:N_HALVES]), flips[-2], flips[-1])
    return answers


# -- tables ----------------------------------------------------------------------------


class Result(NamedTuple):
    dataset: Dataset
    answers: dict  # of every rule
    nats: np.ndarray  # (standard, global), a row
    explained: np.ndarray  # (standard, global), of the median column
    quality: np.ndarray  # (standard, global), of labels told from codes


def lost(results, measure, choices):
    """Return how much the other scaling would have given beyond the chosen one."""
    values = np.array([getattr(result, measure) for result in results])
    rows, choices = np.arange(len(values)), np.asarray(choices, int)
    return np.maximum(values[rows, 1 - choices] - values[rows, choices], 0)


def print_sets(results):
    print(
        f"{'':20}{'':>5}{'':>5} {'':4} {'range':>6} {'':8} {'':>5} "
        f"{'nats per row':>17} {'median column':>15} {'labels':>12}\n"
        f"{'set':20}{'n':>5}{'d':>5} {'kind':4} {'spread':>6} {'rule':8} {'flips':>5} "
        f"{'standard':>8} {'global':>8} {'standard':>8} {'global':>6} "
        f"{'std':>5} {'global':>6}"
    )
    for dataset, answers, nats, explained, quality in results:
        choice, flips = answers["skae"][:2]
        n_rows, n_columns = dataset.X.shape
        spans = spans_of(column_statistics(sample_rows(dataset.X)))
        print(
            f"{dataset.name:20}{min(n_rows, MOST_ROWS):5d}{n_columns:5d} "
            f"{dataset.kind:4} {spread(spans):6.2f} "
            f"{'global' if choice else 'standard':8} {flips:5.0%} "
            f"{nats[0]:8.1f} {nats[1]:8.1f} {explained[0]:8.3f} {explained[1]:6.3f} "
            f"{quality[0]:5.3f} {quality[1]:6.3f}"
        )


def print_kinds(results):
    """Print, of every kind, how many sets each scaling serves better, and means."""
    print(
        f"{'':4} {'':>5} {'better nats':>17} {'better median column':>20} "
        f"{'better labels':>17} {'mean labels':>17}\n"
        f"{'kind':4} {'sets':>5}" + f" {'standard':>10} {'global':>6}" * 4
    )
    for kind in (ONE, OWN, UNIT, Z, LOG):
        of_kind = [result for result in results if result.dataset.kind == kind]
        if not of_kind:
            continue
        cells = ""
        for measure in ("nats", "explained", "quality"):
            values = np.array([getattr(result, measure) for result in of_kind])
            cells += f" {np.sum(values[:, 0] > values[:, 1]):10d}"
            cells += f" {np.sum(values[:, 0] < values[:, 1]):6d}"
        means = np.nanmean(values, axis=0)
        print(f"{kind:4} {len(of_kind):5d}{cells} {means[0]:10.3f} {means[1]:6.3f}")


def print_rules(results):
    print(
        f"{'':36} {'own as':>6} {'one as':>8} {'column lost':>12} {'labels lost':>12} "
        f"{'flips':>7} {'by a cell':>9}\n"
        f"{'rule':36} {'global':>6} {'standard':>8} {'mean':>6} {'worst':>5} "
        f"{'mean':>6} {'worst':>5} {'halves':>7} {'x3':>4} {'x1000':>4}"
    )
    kinds = np.array([result.dataset.kind for result in results])
    for name in RULES:
        choices = np.array([result.answers[name][0] for result in results])
        flips = np.array([result.answers[name][1:] for result in results])
        column, labels = (lost(results, m, choices) for m in ("explained", "quality"))
        print(
            f"{name:36} {np.sum(choices & (kinds == OWN)):6d} "
            f"{np.sum(~choices & (kinds == ONE)):8d} "
            f"{np.mean(column):6.3f} {np.max(column):5.3f} "
            f"{np.nanmean(labels):6.3f} {np.nanmax(labels):5.3f} "
            f"{flips[:, 0].mean():7.1%} {flips[:, 1].sum():4.0f} "
            f"{flips[:, 2].sum():5.0f}"
        )


def print_growth(dataset):
    """Print how the two spreads change with the number of rows."""
    print(f"{dataset.name:>8} rows {'spread of ranges':>17} {'of deviations':>14}")
    for n_rows in (50, 500, 5000, len(dataset.X)):
        statistics = column_statistics(dataset.X[:n_rows])
        deviations = statistics.std[statistics.std > 0]
        print(
            f"{n_rows:13d} {spread(spans_of(statistics)):17.2f} "
            f"{spread(deviations):14.2f}"
        )


def print_summary(results):
    choices = [result.answers["skae"][0] for result in results]
    column, labels = (lost(results, m, choices) for m in ("explained", "quality"))
    names = [result.dataset.name for result in results]
    labelled = labels[np.isfinite(labels)]
    print(f"skae says global for {sum(choices)} of {len(results)} sets. It loses")
    print(
        f"- more than 0.02 of the median column's variance in {np.sum(column > 0.02)} "
        f"sets, at most {column.max():.3f} ({names[column.argmax()]});"
    )
    print(
        f"- more than 0.02 of label quality in {np.sum(labelled > 0.02)} of "
        f"{len(labelled)} sets, at most {labelled.max():.3f} "
        f"({names[np.nanargmax(labels)]})."
    )


def print_growths(results):
    """Print how the measures of the rule change with the number of rows of MNIST."""
    for result in results:
        if result.dataset.name == "mnist":
            print_growth(result.dataset)


PARTS = {
    "sets": print_sets,
    "kinds": print_kinds,
    "rules": print_rules,
    "growth": print_growths,
    "summary": print_summary,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="scikit-learn's sets only")
    parser.add_argument("--only", choices=PARTS, help="one of the tables")
    arguments = parser.parse_args()
    sets, folder = list(bundled_sets()), data_folder()
    if folder.is_dir() and not arguments.quick:
        sets += folder_sets(folder)
    results = []
    for dataset in sets:
        n_splits = 1 if arguments.quick else 3
        measured = [measure(dataset, seed) for seed in range(n_splits)]
        values = np.mean(measured, axis=0)  # (measure, scaling)
        results.append(Result(dataset, ask_rules(dataset.X), *values))
    for name, print_part in PARTS.items():
        if arguments.only in (None, name):
            print_part(results)
            print()


if __name__ == "__main__":
    main()
