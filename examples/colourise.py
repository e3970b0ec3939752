"""
Colour a grey photograph
========================

An autoencoder that sees grey squares of photographs and is asked for the coloured ones
learns which colours such shades and textures have. Here it learns on three quarters of
the squares of the two photographs that come with scikit-learn, and colours the others.
Prints how far the colours are off, draws a picture.

Run it with ``python examples/colourise.py``; it takes one to two minutes.
"""

# %%
# The data: 520 squares of 32 x 32 pixels, values in [0, 1].

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.neighbors import NearestNeighbors

from skae import AutoencoderTransformer
from skae.architectures import UNet
from skae.corruptions import Grayscale

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

SIDE, SHARE_HELD_OUT = 32, 0.25


def cut(photograph):
    """Return the squares of a photograph, (n_squares, 3 * SIDE * SIDE)."""
    n_down, n_across = (size // SIDE for size in photograph.shape[:2])
    whole = photograph[: n_down * SIDE, : n_across * SIDE] / 255
    tiles = whole.reshape(n_down, SIDE, n_across, SIDE, 3)
    return tiles.transpose(0, 2, 4, 1, 3).reshape(n_down * n_across, -1)


def put_together(rows, photograph):
    """Return squares as a photograph again, (height, width, 3)."""
    n_down, n_across = (size // SIDE for size in photograph.shape[:2])
    tiles = rows.reshape(n_down, n_across, 3, SIDE, SIDE)
    return tiles.transpose(0, 3, 1, 4, 2).reshape(n_down * SIDE, n_across * SIDE, 3)


# %%
# The colourist: a network without a bottleneck, because the picture is there and only
# its colours are missing. The corruption is what it is to undo.


def make_colourist(max_epochs):
    """Return the unfitted autoencoder."""
    return AutoencoderTransformer(
        architecture=UNet((24, 48), n_blocks=1, n_frequencies=4),
        corruption=Grayscale(),
        loss="absolute_error",
        image_shape=(3, SIDE, SIDE),
        max_epochs=max_epochs,
        batch_size=8,
        early_stopping=False,
        random_state=0,
    )


# %%
# The other way: the colours of the most similar grey square that has been seen.


def colours_of_nearest(grey, X_train, grey_train):
    """Return grey squares with the colours of others added to them."""
    nearest = NearestNeighbors(n_neighbors=1).fit(grey_train)
    found = nearest.kneighbors(grey, return_distance=False)[:, 0]
    return (grey + X_train[found] - grey_train[found]).clip(0, 1)


# %%
# Squares that were held out, before and after, and both photographs put together.


def draw(photographs, held_out, columns, path):
    """Draw held-out squares by the name of what they are, and whole photographs."""
    figure = plt.figure(figsize=(9, 9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.5])
    # some of those with most to be seen on them
    shown = np.flatnonzero(held_out)
    shown = shown[np.argsort(-columns["grey"][held_out].std(axis=1))[:48:4]]
    axes = above.subplots(len(columns), len(shown))
    for line, (name, rows) in zip(axes, columns.items(), strict=True):
        line[0].set_title(name, loc="left", fontsize=9)
        for ax, row in zip(line, rows[shown], strict=True):
            ax.imshow(row.reshape(3, SIDE, SIDE).transpose(1, 2, 0))
    grid = below.subplots(2, 2)
    for i, photograph in enumerate(photographs):
        n = len(cut(photograph))
        part = slice(i * n, (i + 1) * n)  # the photographs are of one size
        for ax, name in zip(grid[i], ("grey", "coloured"), strict=True):
            ax.imshow(put_together(columns[name][part], photograph))
    grid[0, 1].set_title("coloured where held out, else as it was", fontsize=9)
    for ax in [*axes.flat, *grid.flat]:
        ax.set_axis_off()
    figure.savefig(path, dpi=90)


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("colourise.png"))
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()

    photographs = load_sample_images().images
    X = np.concatenate([cut(photograph) for photograph in photographs])
    grey = Grayscale()(X, image_shape=(3, SIDE, SIDE))
    held_out = np.random.RandomState(0).random(len(X)) < SHARE_HELD_OUT

    colourist = make_colourist(arguments.epochs).fit(X[~held_out])
    columns = {"grey": grey, "nearest": X.copy(), "coloured": X.copy(), "truth": X}
    columns["coloured"][held_out] = colourist.reconstruct(grey[held_out]).clip(0, 1)
    columns["nearest"][held_out] = colours_of_nearest(
        grey[held_out], X[~held_out], grey[~held_out]
    )
    print(f"{held_out.sum()} squares that were held out; mean absolute error")
    for name, rows in columns.items():
        print(f"  {name:<10}{np.abs(rows - X)[held_out].mean():.3f}")
    draw(photographs, held_out, columns, arguments.output)
    print(f"drew {arguments.output}")


if __name__ == "__main__":
    main()
