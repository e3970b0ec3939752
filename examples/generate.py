"""
Generate digits: from a prior, from a mixture, on the way between two
=====================================================================

A VAE decodes codes drawn from its prior. A plain autoencoder has none, but a mixture of
normal laws around its codes does as well, or better: codes of real digits lie on bent
sheets, and the prior knows nothing of them. A classifier that has seen real digits only
says how far the new ones look like digits. Prints a table, draws a picture.

Run it with ``python examples/generate.py``; it takes about half a minute.
"""

# %%
# The data: 1,797 images of 8 x 8 pixels.

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skae import AutoencoderTransformer, VAETransformer

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

N_COMPONENTS, N_DRAWS = 12, 1000


# %%
# Four ways to new digits. Rows of a VAE are decoded without noise, as one would show
# them; `sample` adds it.


def draw_rows(ae, vae):
    """Return new rows by the name of where their codes are from."""
    ways = {"VAE, prior": "prior", "VAE, mixture": "mixture"}
    rows = {"autoencoder, mixture": ae.sample(N_DRAWS, random_state=0)}
    for name, density in ways.items():
        codes = vae.sample_codes(N_DRAWS, random_state=0, density=density)
        rows[name] = vae.inverse_transform(codes)
    return rows


# %%
# What a classifier thinks of them. Rows without a model behind them are there for
# comparison: real digits, and digits whose pixels were drawn one by one.


def judge(rows, classifier):
    """Return a table of confidence and of classes, one row a way."""
    lines = {}
    for name, X in rows.items():
        shares = classifier.predict_proba(X / 16)
        classes = np.bincount(shares.argmax(axis=1), minlength=10)
        lines[name] = {
            "confidence": shares.max(axis=1).mean(),
            "surer than 0.9": (shares.max(axis=1) > 0.9).mean(),
            "rarest class": classes.min() / len(X),
            "commonest class": classes.max() / len(X),
        }
    return pd.DataFrame(lines).T


def shuffle_pixels(X):
    """Return rows whose pixels are each from another row."""
    return np.random.default_rng(0).permuted(X, axis=0)


# %%
# The picture: new digits, ways between two, and what each component does.


def draw(rows, ae, vae, X, path):
    """Draw new digits above, interpolations and traversals below."""
    figure = plt.figure(figsize=(11, 10), layout="constrained")
    above, below = figure.subfigures(2, 1)
    panels = above.subfigures(1, len(rows))
    for panel, (name, images) in zip(panels, rows.items(), strict=True):
        show(panel, images[:64].reshape(8, 8, -1), name)
    ways, components = below.subfigures(1, 2)
    pairs = X[:4], X[4:8]
    paths = [
        ae.interpolate(*pairs, n_steps=8),
        vae.interpolate(*pairs, n_steps=8, path="spherical"),
    ]
    show(ways, np.concatenate(paths), "from one digit to another\nautoencoder, VAE")
    strongest = np.argsort(-vae.kl_per_component_)[:8]
    traversed = vae.traverse(X[:1], components=strongest, n_steps=8)
    show(components, traversed, "one component of the VAE a line\nof the same digit")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def show(panel, images, title):
    """Draw (n_lines, n_columns, 64) images in lines."""
    grid = panel.subplots(*images.shape[:2])
    for line, axes in zip(images, grid, strict=True):
        for image, ax in zip(line, axes, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            ax.set_axis_off()
    panel.suptitle(title)


def main():
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--output", type=Path, default=Path("generate.png"))
    output = parser.parse_args().output

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, _ = train_test_split(
        X, y, test_size=1 / 3, random_state=0
    )
    classifier = MLPClassifier((256,), max_iter=1000, random_state=0).fit(
        X_train / 16, y_train
    )
    ae = AutoencoderTransformer(N_COMPONENTS, random_state=0).fit(X_train)
    vae = VAETransformer(N_COMPONENTS, random_state=0).fit(X_train)

    rows = draw_rows(ae, vae)
    others = {"real digits": X_test, "pixels drawn one by one": shuffle_pixels(X_test)}
    print(judge(rows | others, classifier).round(3).to_string())
    draw(rows, ae, vae, X_test, output)
    print(f"Picture: {output}")


if __name__ == "__main__":
    main()
