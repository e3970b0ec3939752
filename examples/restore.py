"""
Restore digits: take off noise, paint in what is missing
========================================================

An autoencoder that has learned to undo what spoils an image restores others that are
spoilt in the same way. One network takes off noise, another fills rectangles that are
missing, NaN, and it has never seen a whole image: those that it learns from have holes,
too. Prints how near either comes to the truth, and draws a picture.

Run it with ``python examples/restore.py``; it takes about half a minute.
"""

# %%
# The data: 1,797 images of 8 x 8 pixels, from 0 to 16. A third of them is for the test.

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from scipy.ndimage import median_filter
from sklearn.datasets import load_digits
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.model_selection import train_test_split

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.corruptions import GaussianNoise, Patch

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

NOISE, HOLE, WHITE = 4.0, 4, 16
N_SHOWN = 12


# %%
# What spoils them: noise with a quarter of the pixels' range as its deviation, or a
# rectangle without a value.


def cut_holes(X, random_state):
    """Return rows with NaN in a square of each image, at a place of its own."""
    places = np.random.RandomState(random_state).randint(8 - HOLE + 1, size=(len(X), 2))
    images = X.reshape(-1, 8, 8).copy()
    for image, (i, j) in zip(images, places, strict=True):
        image[i : i + HOLE, j : j + HOLE] = np.nan
    return images.reshape(X.shape)


# %%
# How to restore them. The autoencoders are trained on images that are spoilt anew at
# every step.


def take_off_noise(X_train, noisy):
    """Return the noisy rows, restored, by the name of the method."""
    denoiser = AutoencoderTransformer(
        32, corruption=GaussianNoise(NOISE), max_epochs=150, random_state=0
    )
    smooth = median_filter(noisy.reshape(-1, 8, 8), size=(1, 3, 3))
    return {
        "median filter": smooth.reshape(noisy.shape),
        "autoencoder": denoiser.fit(X_train).reconstruct(noisy),
    }


def paint_in(X_train, holed):
    """Return the rows with holes, filled, by the name of the method."""
    painter = AutoencoderTransformer(
        32,
        image_shape=(1, 8, 8),
        architecture="mlp",
        corruption=Patch(HOLE, fill="center"),
        max_epochs=150,
        random_state=0,
    )
    imputers = {
        "mean": SimpleImputer(),
        "nearest neighbours": KNNImputer(),
        "autoencoder": AutoencoderImputer(painter),
    }
    return {name: i.fit(X_train).transform(holed) for name, i in imputers.items()}


# %%
# How near they come, as peak signal-to-noise ratio; 10 dB more is a tenth of the
# squared error.


def decibels(X, truth, where=slice(None)):
    """Return the peak signal-to-noise ratio of some entries."""
    return 10 * np.log10(WHITE**2 / np.mean(np.square(X - truth)[where]))


# %%
# The picture: a digit a column.


def draw(blocks, path):
    """Draw lines of digits, one block below the other."""
    lines = [(name, X) for block in blocks for name, X in block.items()]
    figure, grid = plt.subplots(
        len(lines), N_SHOWN, figsize=(N_SHOWN, len(lines)), layout="constrained"
    )
    colours = plt.get_cmap("gray_r").with_extremes(bad="tab:blue")  # NaN is blue
    for (name, X), axes in zip(lines, grid, strict=True):
        for row, ax in zip(X, axes, strict=False):
            ax.imshow(row.reshape(8, 8), cmap=colours, vmin=0, vmax=WHITE)
            ax.set(xticks=[], yticks=[])
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main():
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--output", type=Path, default=Path("restore.png"))
    output = parser.parse_args().output

    X_train, X_test = train_test_split(
        load_digits().data, test_size=1 / 3, random_state=0
    )
    noisy = GaussianNoise(NOISE)(X_test, random_state=0)
    denoised = {"noisy": noisy} | take_off_noise(X_train, noisy)
    holed = cut_holes(X_test, random_state=0)
    painted = paint_in(cut_holes(X_train, random_state=1), holed)

    missing = np.isnan(holed)
    table = {("noise", name): decibels(X, X_test) for name, X in denoised.items()}
    for name, X in painted.items():
        table["hole", name] = decibels(X, X_test, missing)
    print(pd.Series(table, name="dB").round(1).to_string())
    truth = {"truth": X_test}
    draw([denoised, truth, {"with a hole": holed}, painted, truth], output)
    print(f"Picture: {output}")


if __name__ == "__main__":
    main()
