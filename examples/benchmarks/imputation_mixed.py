"""Imputation of tables with categories, beside the ways of scikit-learn and missForest.

    python examples/benchmarks/imputation_mixed.py --data shared/data
    python examples/benchmarks/imputation_mixed.py --choose   # on known entries alone
    python examples/benchmarks/imputation_mixed.py --quick    # made-up rows, seconds

- Adult: census income, 15 columns of which nine have categories, up to 41 of them
  (`adult.data` in `--data` or SKAE_DATA). All imputers get the same 5,000 rows, drawn
  anew with each seed; `--rows 0` is the whole table of 32,561 rows.
- Titanic: 891 passengers (`titanic.csv` there). Of the columns of seaborn's table
  those are left out that repeat another one in other words (`alive`, `class`, `who`,
  `adult_male`, `embark_town`, `alone`); survived, pclass, sex, embarked and deck are
  categories, age, sibsp, parch and fare are numbers.

A fifth of the known entries is removed at random, on top of the holes that the tables
have. Imputers are fitted to the table that they fill. The figures are those of what was
removed: of numbers the root mean squared error in standard deviations of the column, of
categories the share of wrong ones, and of either the mean over columns.

With `--choose` a tenth of the known entries is removed as well and the figures are
those of that tenth: settings were chosen so, of all imputers. `KNNImputer` sees
numbers in standard deviations and categories as one-hot codes, of which the largest is
taken; trees see the positions of categories. `IterativeImputer` with forests predicts
these as numbers and rounds them, missForest [1]_ has classifiers for them.

.. [1] D. Stekhoven, P. Buehlmann, "MissForest: non-parametric missing value imputation
   for mixed-type data", Bioinformatics 28, 2012, doi:10.1093/bioinformatics/btr597.
"""

import argparse
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import (
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from speed_report import print_parts, table_text
from tables import as_categories, load_census, made_up_census

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.architectures import RestoringMLP
from skae.corruptions import Masking

SHARE, CHOSEN, N_ROWS = 0.2, 0.1, 5000
TITANIC = [
    "survived", "pclass", "sex", "age", "sibsp", "parch", "fare", "embarked", "deck",
]  # fmt: skip
OURS = "AutoencoderImputer"


def read(table, folder, n_rows, seed):
    """Return a table, text and few-valued columns as categories."""
    if table == "made up":
        return made_up_census(400)
    if table == "titanic":
        X = pd.read_csv(Path(folder) / "titanic.csv")[TITANIC]
        labels = {"survived": ["no", "yes"], "pclass": ["", "1st", "2nd", "3rd"]}
        for name, words in labels.items():
            X[name] = np.array(words, dtype=object)[X[name]]
        return as_categories(X, holes=True)
    X = load_census()
    if n_rows:
        rows = np.random.RandomState(seed).permutation(len(X))[:n_rows]
        X = X.iloc[rows].reset_index(drop=True)
    return as_categories(X.astype(dict.fromkeys(_categories(X), object)), holes=True)


def _categories(X):
    return X.select_dtypes("category").columns.tolist()


# -- rivals ----------------------------------------------------------------------------


def fill_by_neighbours(X, n_neighbors):
    """Return a table filled by `KNNImputer`."""
    names = _categories(X)
    numbers = X.drop(columns=names)
    center, scale = numbers.mean(), numbers.std(ddof=0)
    blocks = [(numbers - center) / scale]
    for name in names:
        block = pd.get_dummies(X[name], dtype=float)
        block[X[name].isna()] = np.nan
        blocks.append(block)
    codes = np.hstack([block.to_numpy(float) for block in blocks])
    codes = KNNImputer(n_neighbors=n_neighbors).fit_transform(codes)
    widths = [block.shape[1] for block in blocks]
    filled, *shares = np.split(codes, np.cumsum(widths)[:-1], axis=1)
    result = dict(zip(numbers, (filled * scale.values + center.values).T, strict=True))
    for name, of_one in zip(names, shares, strict=True):
        result[name] = X[name].cat.categories[of_one.argmax(axis=1)]
    return pd.DataFrame(result)


def to_positions(X):
    """Return a table as numbers, of categories their positions; NaN in the holes."""
    columns = {}
    for name in X:
        if name in _categories(X):
            columns[name] = X[name].cat.codes.where(X[name].notna())
        else:
            columns[name] = X[name]
    return pd.DataFrame(columns).to_numpy(float)


def from_positions(X, rows):
    """Return a table like X of its filled rows as numbers."""
    columns = {}
    for name, own in zip(X, rows.T, strict=True):
        if name in _categories(X):
            known = X[name].cat.categories
            own = known[np.clip(np.rint(own), 0, len(known) - 1).astype(int)]
        columns[name] = own
    return pd.DataFrame(columns)


def fill_simply(X):
    """Return means, and the most frequent categories."""
    guesses = {
        name: X[name].fillna(X[name].mode()[0])
        if name in _categories(X)
        else X[name].fillna(X[name].mean())
        for name in X
    }
    return pd.DataFrame(guesses)


def fill_by_forests(X, n_trees, n_rounds, seed):
    """Return what missForest fills in.

    Column by column, from the one with the fewest holes, a forest is fitted to what is
    known of it and fills the rest. It ends when a round changes more than the last one,
    of numbers and of categories, with what the last one had.
    """
    holes = X.isna().to_numpy()
    is_category = np.array([name in _categories(X) for name in X])
    codes = np.where(holes, to_positions(fill_simply(X)), to_positions(X))
    best, changes = codes, (np.inf, np.inf)
    for _ in range(n_rounds):
        new = best.copy()
        for j in np.argsort(holes.sum(axis=0), kind="stable"):
            missing = holes[:, j]
            if missing.any():
                forest = _forest(is_category[j], n_trees, seed)
                others = np.delete(new, j, axis=1)
                forest.fit(others[~missing], new[~missing, j])
                new[missing, j] = forest.predict(others[missing])
        now = _changes(best, new, holes, is_category)
        if all(n >= c for n, c in zip(now, changes, strict=True)):
            break
        best, changes = new, now
    return from_positions(X, best)


def _forest(is_category, n_trees, seed):
    if is_category:
        return RandomForestClassifier(n_trees, random_state=seed)
    return RandomForestRegressor(n_trees, max_features="sqrt", random_state=seed)


def _changes(before, after, holes, is_category):
    """Return by how much numbers changed, of their size, and how many categories."""
    numbers, categories = holes & ~is_category, holes & is_category
    moved = np.square(after - before)[numbers].sum()
    return (
        moved / max(np.square(after)[numbers].sum(), 1e-300),
        (after != before)[categories].sum() / max(categories.sum(), 1),
    )


def make_fillers(seed, *, quick):
    """Return what fills a table, by name."""
    few_steps = AutoencoderTransformer(
        architecture=RestoringMLP((32,)),
        corruption=Masking("random", fill="missing"),
        max_epochs=10,
    )
    ours = AutoencoderImputer(few_steps if quick else None, random_state=seed)
    n_trees, n_rounds = (5, 2) if quick else (100, 10)
    forest = RandomForestRegressor(
        5 if quick else 30, max_features=0.5, min_samples_leaf=2, random_state=seed
    )
    iterative = IterativeImputer(forest, max_iter=n_rounds // 2, random_state=seed)
    return {
        OURS: ours.fit_transform,
        "mean and mode": fill_simply,
        "KNNImputer": lambda X: fill_by_neighbours(X, n_neighbors=20),
        "IterativeImputer, forests": lambda X: from_positions(
            X, iterative.fit_transform(to_positions(X))
        ),
        "missForest": lambda X: fill_by_forests(X, n_trees, n_rounds, seed),
    }


# -- the measure -----------------------------------------------------------------------


def remove(X, share, random):
    """Return a table with a share of the known entries removed, and which these are."""
    removed = (random.uniform(size=X.shape) < share) & X.notna().to_numpy()
    return X.mask(removed), removed


def column_errors(X, filled, measured):
    """Return the error of every column: see above."""
    errors = {}
    for j, name in enumerate(X):
        truth = X[name][measured[:, j]].to_numpy()
        guess = filled[name].to_numpy()[measured[:, j]]
        if name in _categories(X):
            errors[name] = np.mean(truth != guess)
        else:
            errors[name] = np.sqrt(np.mean(np.square(truth - guess))) / X[name].std()
    return pd.Series(errors)


def measure(X, seed, *, choose, quick, names):
    """Return the errors of every column and the seconds, a column each imputer."""
    random = np.random.RandomState(seed)
    seen, measured = remove(X, SHARE, random)
    if choose:
        seen, measured = remove(seen, CHOSEN, random)
    results = {}
    for name, fill in make_fillers(seed, quick=quick).items():
        if names and name not in names:
            continue
        start = time.perf_counter()
        filled = fill(seen)
        seconds = time.perf_counter() - start
        errors = column_errors(X, filled, measured)
        results[name] = pd.concat([errors, pd.Series({"seconds": seconds})])
        categories = _categories(X)
        numbers = errors.index.difference(categories)
        print(
            f"{seed} {name}: numbers {errors[numbers].mean():.4f}, categories "
            f"{errors[categories].mean():.4f}, {seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )
    return pd.DataFrame(results)


def report(table, X, runs):
    """Return two tables: of means over columns, and of each column."""
    categories = _categories(X)
    numbers = X.columns.difference(categories, sort=False).tolist()
    names = runs[0].columns
    lines = []
    for name in names:
        means = [
            np.array([run[name][columns].mean() for run in runs])
            for columns in (numbers, categories, ["seconds"])
        ]
        cells = [f"{m.mean():.4f} ± {m.std():.4f}" for m in means[:2]]
        lines.append([name, *cells, f"{means[2].mean():.0f}"])
    mean, of_columns = sum(runs) / len(runs), []
    for column in numbers + categories:
        levels = f", {X[column].nunique()} categories" if column in categories else ""
        cells = [f"{mean[name][column]:.3f}" for name in names]
        of_columns.append([column + levels, *cells])
    head = ["imputer", "RMSE of numbers", "errors of categories", "seconds"]
    parts = [
        f"## {table.capitalize()}, {len(X):,} x {X.shape[1]}, {len(runs)} seeds",
        table_text(head, lines),
        f"## {table.capitalize()}, column by column",
        table_text(["column", *names], of_columns),
    ]
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    tables = ["titanic", "adult"]
    parser.add_argument("--tables", nargs="+", default=tables, choices=tables)
    parser.add_argument("--imputers", nargs="+", help="default: all")
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument("--rows", type=int, default=N_ROWS, help="0: all of Adult")
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--choose", action="store_true", help="on known entries alone")
    parser.add_argument("--quick", action="store_true", help="made-up rows, once")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.tables, arguments.seeds = ["made up"], 1
    if arguments.data is not None:
        os.environ["SKAE_DATA"] = arguments.data
    warnings.simplefilter("ignore", ConvergenceWarning)
    parts = []
    for table in arguments.tables:
        print(table, file=sys.stderr)
        runs = []
        for seed in range(arguments.seeds):
            X = read(table, arguments.data or ".", arguments.rows, seed)
            runs.append(
                measure(
                    X, seed, names=arguments.imputers,
                    choose=arguments.choose,
                    quick=arguments.quick,
                )
            )  # fmt: skip
        parts.append(report(table, X, runs))
    title = "Imputation of tables with categories"
    print_parts(title, parts, quick=arguments.quick)


if __name__ == "__main__":
    main()
