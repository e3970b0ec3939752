"""
Fill a table, and count with what is not known
==============================================

A table of measurements with holes: `AutoencoderImputer` fills them with what the known
values of a row say. That is what a prediction needs. A regression of which standard
errors are wanted must not take such values for measurements: with `sample_posterior`
they are drawn, several times over, and Rubin's rules pool what is computed from each
table. Prints both, and draws a picture of a table before and after.

Run it with ``python examples/impute.py``; it takes about a minute.
"""

# %%
# The data: 569 tumours, of which 10 properties of the cells are measured. Where the
# radius is large, other values are missing more often.

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from scipy.stats import t as student
from sklearn.datasets import load_breast_cancer
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

N_COLUMNS, N_SHOWN, LEVEL = 10, 40, 0.9


def load_table(random_state):
    """Return the standardised table, and the same with holes."""
    X = load_breast_cancer(as_frame=True).data.iloc[:, :N_COLUMNS]
    X = StandardScaler().set_output(transform="pandas").fit_transform(X)
    chance = 0.2 + 0.4 / (1 + np.exp(-2 * X[["mean radius"]].to_numpy()))
    holes = np.random.RandomState(random_state).uniform(size=X.shape) < chance
    holes[:, 0] = False
    return X, X.mask(holes)


# %%
# One filling: the errors in the holes, beside other ways.


def compare(X, seen, random_state):
    """Return filled tables by the name of the imputer, and print their errors."""
    imputers = {
        "mean": SimpleImputer(),
        "nearest neighbours": KNNImputer(),
        "AutoencoderImputer": AutoencoderImputer(random_state=random_state),
    }
    holes, filled = seen.isna().to_numpy(), {}
    print("Root mean squared error in the holes, in standard deviations:")
    for name, imputer in imputers.items():
        filled[name] = imputer.set_output(transform="pandas").fit_transform(seen)
        error = np.sqrt(np.square(filled[name] - X).to_numpy()[holes].mean())
        print(f"  {name:20s} {error:.3f}")
    return filled


# %%
# Many fillings: a regression of one column on three others, from each of them.


def regress(X):
    """Return the coefficients of a regression, and their squared errors."""
    design = X[["mean radius", "mean texture", "mean smoothness"]].to_numpy()
    design = np.column_stack([np.ones(len(X)), design])
    y = X["mean concavity"].to_numpy()
    weights, residual, *_ = np.linalg.lstsq(design, y, rcond=None)
    noise = residual[0] / (len(X) - design.shape[1])
    return weights[1:], noise * np.diag(np.linalg.inv(design.T @ design))[1:]


def pool(estimates, squared_errors):
    """Return estimates and half-widths of their intervals by Rubin's rules.

    The variance is that within tables, on average, and that between them; of m tables
    a little more. Its degrees of freedom are few where the latter is much of it.
    """
    m, value = len(estimates), estimates.mean(axis=0)
    between = (1 + 1 / m) * estimates.var(axis=0, ddof=1)
    total = squared_errors.mean(axis=0) + between
    n_freedom = (m - 1) * (total / between) ** 2
    return value, student.ppf((1 + LEVEL) / 2, n_freedom) * np.sqrt(total)


def report(X, seen, filled, random_state, n_imputations):
    """Print the regression from whole rows, one filling, many, and the truth."""
    imputer = AutoencoderImputer(
        sample_posterior=True, n_imputations=n_imputations, random_state=random_state
    ).fit(seen)
    tables = imputer.sample_imputations(seen, random_state=random_state)
    tables = [pd.DataFrame(table, columns=seen.columns) for table in tables]
    pairs = [regress(table) for table in tables]
    lines = {"many fillings, pooled": pool(*map(np.array, zip(*pairs, strict=True)))}
    width = student.ppf((1 + LEVEL) / 2, len(X))
    for name, table in [
        ("one filling, as if known", filled["AutoencoderImputer"]),
        ("rows without holes", seen.dropna()),
        ("the whole table", X),
    ]:
        weights, squares = regress(table)
        lines[name] = weights, width * np.sqrt(squares)
    print(f"\nSlopes of concavity, and half-widths of their {LEVEL:.0%} intervals:")
    print(f"  {'':26s}{'radius':>16s}{'texture':>16s}{'smoothness':>16s}")
    for name, parts in lines.items():
        cells = (f"{w:8.2f} +- {h:.2f}" for w, h in zip(*parts, strict=True))
        print(f"  {name:26s}" + "".join(f"{cell:>16s}" for cell in cells))


# %%
# The picture: some rows with holes, the same filled, and as they are.


def draw(X, seen, filled, path):
    """Draw a table before and after."""
    tables = {
        "seen": seen,
        "filled": filled["AutoencoderImputer"],
        "the truth": X,
    }
    figure, axes = plt.subplots(1, 3, figsize=(9, 6), layout="constrained")
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        ax.imshow(table[:N_SHOWN], vmin=-2.5, vmax=2.5, cmap="RdBu", aspect="auto")
        ax.set_facecolor("0.25")
        names = [name.removeprefix("mean ") for name in X.columns]
        ax.set_xticks(range(N_COLUMNS), names, rotation=90)
        ax.set_yticks([])
        ax.set_title(title)
    figure.savefig(path, dpi=100)
    print(f"\nPicture: {path}")


def main():
    parser = argparse.ArgumentParser(description="Fill a table.")
    parser.add_argument("--out", default="impute.png", help="default: impute.png")
    parser.add_argument("--imputations", type=int, default=10, help="default: 10")
    arguments = parser.parse_args()
    X, seen = load_table(random_state=0)
    print(f"{len(X)} rows, {seen.isna().to_numpy().mean():.0%} of the values missing\n")
    filled = compare(X, seen, random_state=0)
    report(X, seen, filled, 0, arguments.imputations)
    draw(X, seen, filled, Path(arguments.out))


if __name__ == "__main__":
    main()
