"""
What beta does to a VAE: one component a factor, for a price
============================================================

Pictures of an ellipse, of which three things are known: how large it is, how far right,
and how far down. A VAE is not told; does each of its components become one of them? The
larger beta, the more expensive is what a code says of a picture. Scores of
disentanglement compare codes with what is known. Prints a table, draws a picture.

What to see: with a small beta all six components are in use, and each has some of each
factor. At beta 2 three of them are left, as many as there are factors, and pictures
still come back well. One component then says how far right the ellipse is, and little
else; the other two share how far down and how large it is, so scores stay far from 1.
Nothing in the objective forbids that. At beta 8 a third component costs more than it
is worth: pictures blur and size is lost, which two of the scores do not mind.

Run it with ``python examples/disentangle.py``; it takes about two minutes on one core,
``--quick`` half of that.
"""

# %%
# The data: 2,048 pictures of 16 x 16 pixels, every combination of the factors once.

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from sklearn.metrics import mutual_info_score

from skae import VAETransformer
from skae.datasets import make_shapes
from skae.metrics import (
    active_units,
    disentanglement_completeness_informativeness,
    factor_vae_score,
    mutual_information_gap,
)

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

SIZE, N_COMPONENTS = 16, 6
BETAS = (0.1, 0.5, 1.0, 2.0, 8.0)
SHOWN = (0.1, 2.0)  # whose components are drawn
FACTORS, N_STEPS = ("size", "right", "down"), 7


def make_pictures():
    """Return pictures of ellipses, and the three factors of each."""
    X, factors = make_shapes(
        size=SIZE, shapes=("ellipse",), n_scales=8, n_rotations=1, n_positions=16
    )
    return X, factors[:, [1, 3, 4]]  # neither shape nor rotation varies


# %%
# Scores know codes and factors only. The reconstruction has its own.


def judge(vae, X, factors):
    """Return scores of a fitted VAE by their names."""
    Z = vae.transform(X)
    dci = disentanglement_completeness_informativeness(Z, factors, random_state=0)
    return {
        "MIG": mutual_information_gap(Z, factors),
        "disentanglement": dci.disentanglement,
        "completeness": dci.completeness,
        "FactorVAE": factor_vae_score(Z, factors, random_state=0),
        "informativeness": dci.informativeness,
        "squared error": vae.reconstruction_error(X).mean(),
        "active units": active_units(Z),
    }


def compare(seeds):
    """Return a table of scores, one row a beta and seed, and VAEs by beta."""
    X, factors = make_pictures()
    rows, vaes = [], {}
    for beta in BETAS:
        for seed in seeds:
            vae = VAETransformer(
                N_COMPONENTS,
                likelihood="bernoulli",
                beta=beta,
                max_epochs=80,
                random_state=seed,
            ).fit(X)
            rows.append({"beta": beta, "seed": seed} | judge(vae, X, factors))
            vaes.setdefault(beta, vae)
    return pd.DataFrame(rows).set_index(["beta", "seed"]), vaes


def known_shares(vae, X, factors):
    """Return which share of each factor's entropy is known to each component."""
    shares = np.empty((N_COMPONENTS, len(FACTORS)))
    for i, component in enumerate(vae.transform(X).T):
        bins = pd.cut(component, 20, labels=False)
        for k, factor in enumerate(factors.T):
            shares[i, k] = mutual_info_score(bins, factor)
            shares[i, k] /= mutual_info_score(factor, factor)
    return shares


# %%
# The picture: scores above; below, what each component does to the same ellipse, and
# what it knows.


def draw(table, vaes, path):
    """Draw scores above, components for two betas below."""
    figure = plt.figure(figsize=(11, 8.5), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.2])
    draw_scores(above, table)
    for panel, beta in zip(below.subfigures(1, 2), SHOWN, strict=True):
        draw_components(panel, vaes[beta])
        panel.suptitle(f"beta {beta:g}: one component a line", fontweight="bold")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_scores(panel, table):
    """Draw scores, and what they cost, against beta."""
    scores, price = panel.subplots(1, 2)
    means = table.groupby("beta").mean()
    for k, name in enumerate(["FactorVAE", "completeness", "disentanglement", "MIG"]):
        scores.plot(means.index, means[name], color=f"C{k}", label=name)
        betas = table.index.get_level_values("beta")
        scores.scatter(betas, table[name], color=f"C{k}", s=12)
    scores.set(title="scores of disentanglement", ylim=(0, 1), ylabel="1 is best")
    scores.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.15))
    price.plot(means.index, means["squared error"], "k-o", label="squared error")
    price.set(yscale="log", ylabel="squared error of a picture", title="their price")
    units = price.twinx()
    units.plot(means.index, means["active units"], "C3--s")
    units.set(ylim=(0, N_COMPONENTS + 0.5))
    units.set_ylabel("components in use (dashed)", color="C3")
    for ax in (scores, price):
        ax.set(xscale="log", xlabel="beta")
        ax.set_xticks(BETAS, [f"{beta:g}" for beta in BETAS])
        ax.minorticks_off()


def draw_components(panel, vae):
    """Draw a line for each component: the same ellipse, and shares of the factors."""
    middle, _ = make_shapes(
        size=SIZE, shapes=("ellipse",), n_scales=1, n_rotations=1, n_positions=1
    )
    order = np.argsort(-vae.kl_per_component_)
    pictures = vae.traverse(middle, components=order, n_steps=N_STEPS)
    shares = known_shares(vae, *make_pictures())[order]
    grid = panel.subplots(N_COMPONENTS, N_STEPS + len(FACTORS))
    for line, images, known in zip(grid, pictures, shares, strict=True):
        for ax, image in zip(line, images, strict=False):
            ax.imshow(image.reshape(SIZE, SIZE), cmap="gray", vmin=0, vmax=1)
        for ax, share in zip(line[N_STEPS:], known, strict=True):
            ax.imshow([[share]], cmap="Blues", vmin=0, vmax=1)
            color = "white" if share > 0.5 else "black"
            ax.text(0, 0, f"{share:.1f}", ha="center", va="center", color=color)
    for ax in grid.flat:
        ax.set(xticks=[], yticks=[])
    for ax, name in zip(grid[0, N_STEPS:], FACTORS, strict=True):
        ax.set_title(name, fontsize=9)
    for ax, nats in zip(grid[:, 0], vae.kl_per_component_[order], strict=True):
        ax.set_ylabel(f"{nats:.1f} nats", rotation=0, ha="right", va="center")


def main():
    """Print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--output", type=Path, default=Path("disentangle.png"))
    parser.add_argument("--quick", action="store_true", help="one seed instead of two")
    options = parser.parse_args()

    table, vaes = compare(seeds=range(1 if options.quick else 2))
    print(f"Scores of {N_COMPONENTS} components, by beta and seed:\n")
    print(table.round(2).to_string(), "\n")
    draw(table, vaes, options.output)
    print(f"Picture: {options.output}")


if __name__ == "__main__":
    main()
