"""
Reduce digits before a classifier: PCA, an autoencoder, a VAE
=============================================================

The everyday question: 64 pixels are too many, how few numbers do as well? PCA, an
autoencoder and a VAE of the same size stand before the same classifier; then a grid
search picks the size of the code and beta. Prints a table, draws a picture.

Run it with ``python examples/digits.py``; it takes two to four minutes on two cores.
"""

# %%
# The data: 1,797 images of 8 x 8 pixels, a third of them kept for the end.

import argparse
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

N_COMPONENTS = 8


def make_pipeline_with(reducer):
    """Return a classifier that sees nothing but the codes."""
    return Pipeline(
        [
            ("codes", reducer),
            ("scale", StandardScaler()),
            ("classify", LogisticRegression(max_iter=5000)),
        ]
    )


def squared_error(pipeline, X, y=None):
    """Return the mean squared error of an image decoded from its code."""
    codes = pipeline.named_steps["codes"]
    decoded = codes.inverse_transform(codes.transform(X))
    return np.square(X - decoded).sum(axis=1).mean()


def accuracy(pipeline, X, y):
    """Return the share of digits that are named rightly."""
    return pipeline.score(X, y)


# %%
# Three reducers of one size, five folds each. Codes of the autoencoder keep more of the
# image than PCA's, and the classifier notices.


def compare(X, y):
    """Return a table of accuracy and reconstruction error, one row a reducer."""
    reducers = {
        "PCA": PCA(N_COMPONENTS),
        "AutoencoderTransformer": AutoencoderTransformer(N_COMPONENTS, random_state=0),
        "VAETransformer": VAETransformer(N_COMPONENTS, random_state=0),
    }
    rows = {}
    for name, reducer in reducers.items():
        folds = cross_validate(
            make_pipeline_with(reducer),
            X,
            y,
            cv=5,
            n_jobs=2,
            scoring={"accuracy": accuracy, "error": squared_error},
        )
        rows[name] = {
            "accuracy": folds["test_accuracy"].mean(),
            "spread": folds["test_accuracy"].std(),
            "squared error": folds["test_error"].mean(),
            "seconds a fit": folds["fit_time"].mean(),
        }
    return pd.DataFrame(rows).T


# %%
# How many components, and how much weight on the prior? Ask the classifier.


def search(X, y):
    """Return a fitted search over the size of the code and beta."""
    grid = {"codes__n_components": [4, 8, 16], "codes__beta": [0.1, 1.0]}
    pipeline = make_pipeline_with(VAETransformer(max_epochs=30, random_state=0))
    return GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X, y)


# %%
# The picture: codes of width two, and images decoded from codes of width eight.


def draw(X, y, path):
    """Draw codes above, images and their reconstructions below."""
    reducers = {
        "PCA": PCA,
        "Autoencoder": AutoencoderTransformer,
        "VAE": VAETransformer,
    }
    X_train, X_test, _, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0)

    figure = plt.figure(figsize=(11, 8.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.15])
    panels = above.subplots(1, 3)
    for ax, (name, reducer) in zip(panels, reducers.items(), strict=True):
        Z = reducer(2, random_state=0).fit(X_train).transform(X_test)
        points = ax.scatter(*Z.T, c=y_test, cmap="tab10", s=9, vmin=-0.5, vmax=9.5)
        ax.set(title=f"{name}, 2 components", xticks=[], yticks=[])
    above.colorbar(points, ax=panels, ticks=range(10), label="digit")
    above.suptitle("Codes of held-out digits", fontweight="bold")

    shown = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
    rows = {"original": X_test[shown]}
    for name, reducer in reducers.items():
        fitted = reducer(N_COMPONENTS, random_state=0).fit(X_train)
        rows[name] = fitted.inverse_transform(fitted.transform(X_test[shown]))
    grid = below.subplots(len(rows), 10)
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    below.suptitle(
        f"The same digits from {N_COMPONENTS} numbers each", fontweight="bold"
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    """Print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--output", type=Path, default=Path("digits.png"))
    output = parser.parse_args().output
    start = time.perf_counter()

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=1 / 3, stratify=y, random_state=0
    )

    print(f"{N_COMPONENTS} components before logistic regression, 5-fold:\n")
    print(compare(X, y).round(3).to_string(), "\n")

    found = search(X_train, y_train)
    table = pd.DataFrame(found.cv_results_)
    table = table.pivot_table(
        index="param_codes__n_components",
        columns="param_codes__beta",
        values="mean_test_score",
    )
    print("Accuracy of a VAE by n_components and beta, 3-fold:\n")
    print(table.round(3).rename_axis("n_components").to_string(), "\n")
    best = {k.removeprefix("codes__"): v for k, v in found.best_params_.items()}
    print(
        f"Best: {best}; accuracy on held-out digits {found.score(X_test, y_test):.3f}"
    )

    draw(X, y, output)
    print(f"Picture: {output} ({time.perf_counter() - start:.0f} s in all)")


if __name__ == "__main__":
    main()
