"""New digits: how far does a classifier of real ones take them for real?

    python examples/benchmarks/generation.py            # 3 seeds: half an hour
    python examples/benchmarks/generation.py --seeds 1 --output new_digits.png
    python examples/benchmarks/generation.py --quick    # seconds: does it run?

A small convolutional network is trained on the real training digits and names 10,000
new ones of every model:

- doubt: one minus the probability of the class that it names, on average, in %. The
  claim is that of new digits is no higher than that of real test digits;
- rarest class: the share, in %, of the digit that comes least often, and how many of
  the ten come among the first 64;
- Frechet distance: between normal laws of the features before the network's last
  layer, of new digits and of test digits [1]_. Training digits are at a distance, too.

The models are an autoencoder and a VAE of 16 components, at their defaults but for
epochs and the likelihood of the VAE; and mixtures of 32 normal laws on PCA's
components, as many and four times as many. Rows of a VAE are decoded without noise. A
temperature below 1 asks for more typical digits.

References
----------
.. [1] M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a
   Local Nash Equilibrium", NeurIPS 2017, arXiv:1706.08500.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from literature import (
    QUICK_EPOCHS,
    Claim,
    Fit,
    load_images,
    make_parser,
    parse,
    print_report,
    told,
)
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from speed_race import timed
from torch import nn
from torch.nn.functional import cross_entropy

from skae import AutoencoderTransformer, VAETransformer

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

N_COMPONENTS, N_DRAWS, N_SHOWN = 16, 10_000, 64
EPOCHS, JUDGE_STEPS, JUDGE_BATCH = 20, 3000, 128
N_LAWS, MOST_ROWS_OF_MIXTURE = 32, 20_000
DOUBT, RAREST, CLASSES, FRECHET = (
    "doubt, %", "rarest class, %", f"classes among {N_SHOWN}", "Frechet distance",
)  # fmt: skip
WARM, COLD = "AE, mixture", "AE, mixture, temperature 0.7"
TEST, TRAINING = "test digits", "training digits"
PRIOR, VAE_MIXTURE = "VAE, prior", "VAE, mixture"
SHOWN = (TEST, WARM, COLD, VAE_MIXTURE, PRIOR, f"PCA({N_COMPONENTS}), mixture")


# -- the judge -------------------------------------------------------------------------


class Judge(nn.Module):
    """A classifier of digits, of two convolutions and two dense layers."""

    def __init__(self, side):
        super().__init__()
        size = ((side + 1) // 2 + 1) // 2
        self.features = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            nn.Conv2d(1, 32, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(32, 64, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64 * size**2, 64),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(64, 10)

    def forward(self, X):
        """Return the logits of ten classes."""
        return self.output(self.dropout(self.features(X)))

    @torch.no_grad()
    def judge(self, X):
        """Return probabilities of the classes, and features, of rows X."""
        self.eval()
        parts = torch.as_tensor(X, dtype=torch.float32).split(1000)
        features = torch.cat([self.features(part) for part in parts])
        shares = self.output(features).double().softmax(dim=1)
        return shares.numpy(), features.double().numpy()


def train_judge(X, y, side, n_steps=JUDGE_STEPS):
    """Return a `Judge` that has learned to name rows X."""
    torch.manual_seed(0)
    judge, X, y = Judge(side), torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.Adam(judge.parameters())
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / n_steps)
        rows = torch.randint(len(X), (JUDGE_BATCH,))
        optimizer.zero_grad()
        cross_entropy(judge(X[rows]), y[rows]).backward()
        optimizer.step()
    return judge


def frechet_distance(A, B):
    """Return the Frechet distance of normal laws that have the moments of A and B."""
    cov_a, cov_b = np.cov(A.T), np.cov(B.T)
    difference = np.square(A.mean(axis=0) - B.mean(axis=0)).sum()
    values, vectors = np.linalg.eigh(cov_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    # of the product's root, whose trace is that of this symmetric matrix's root
    values = np.linalg.eigvalsh(root @ cov_b @ root)
    common = np.sqrt(np.maximum(values, 0)).sum()
    return difference + np.trace(cov_a) + np.trace(cov_b) - 2 * common


def figures_of(X, judge, reference):
    """Return the figures of rows beside the features of test digits."""
    shares, features = judge.judge(np.clip(X, 0, 1))
    named = shares.argmax(axis=1)
    return {
        DOUBT: 100 * (1 - shares.max(axis=1).mean()),
        RAREST: 100 * np.bincount(named, minlength=10).min() / len(named),
        CLASSES: len(np.unique(named[:N_SHOWN])),
        FRECHET: frechet_distance(features, reference),
    }


# -- the models ------------------------------------------------------------------------


def make_models(side, epochs, seed):
    """Return an autoencoder and a VAE."""
    settings = {
        "image_shape": (1, side, side), "max_epochs": epochs, "random_state": seed,
    }  # fmt: skip
    ae = AutoencoderTransformer(N_COMPONENTS, **settings)
    return ae, VAETransformer(N_COMPONENTS, likelihood="bernoulli", **settings)


def draws_of_autoencoder(ae, n, seed):
    """Yield new rows by the name of where their codes are from."""
    yield WARM, ae.sample(n, seed)
    yield COLD, ae.sample(n, seed, temperature=0.7)


def draws_of_vae(vae, n, seed):
    """Yield new rows by the name of where their codes are from."""
    for density in ("prior", "aggregate", "mixture"):
        codes = vae.sample_codes(n, seed, density)
        yield f"VAE, {density}", vae.inverse_transform(codes)


def draws_of_pca(X, n, seed, n_laws):
    """Yield name, new rows of a normal mixture on PCA's components, and seconds."""
    few = X[np.random.RandomState(seed).permutation(len(X))[:MOST_ROWS_OF_MIXTURE]]
    few = few.astype(np.float64)  # float32 would not do for narrow laws
    for n_components in (N_COMPONENTS, 4 * N_COMPONENTS):
        n_components = min(n_components, X.shape[1] // 2)
        pca = PCA(n_components, random_state=seed)
        mixture = GaussianMixture(n_laws, reg_covar=1e-3, random_state=seed)
        _, times = timed(make_pipeline(pca, mixture).fit, few)
        rows = pca.inverse_transform(mixture.sample(n)[0])
        # drawn in the order of the laws
        order = np.random.RandomState(seed).permutation(n)
        yield f"PCA({n_components}), mixture", rows[order], times["wall"]


def draw_all(images, side, seed, *, quick=False):
    """Yield (model, epochs, seconds of the fit, new rows) of every model."""
    n, epochs = (500, QUICK_EPOCHS) if quick else (N_DRAWS, EPOCHS)
    ae, vae = make_models(side, epochs, seed)
    for model, draws in ((ae, draws_of_autoencoder), (vae, draws_of_vae)):
        _, times = timed(model.fit, images.X_train)
        for name, X in draws(model, n, seed):
            yield name, model.n_epochs_, times["wall"], X
    n_laws = 8 if quick else N_LAWS
    for name, X, seconds in draws_of_pca(images.X_train, n, seed, n_laws):
        yield name, None, seconds, X


# -- all of it -------------------------------------------------------------------------


def draw_picture(rows, side, path):
    """Draw the first rows of each name as a square of images."""
    n = round(N_SHOWN**0.5)
    figure, axes = plt.subplots(2, -(-len(rows) // 2), figsize=(7.2, 5.3))
    for ax, (name, X) in zip(axes.flat, rows.items(), strict=False):
        tiles = np.clip(X[:N_SHOWN], 0, 1).reshape(n, n, side, side)
        tiles = tiles.swapaxes(1, 2).reshape(n * side, n * side)
        ax.imshow(tiles, cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(name, fontsize=9)
    for ax in axes.flat:
        ax.set_axis_off()
    figure.tight_layout(pad=0.6)
    figure.savefig(path, dpi=100, pil_kwargs={"optimize": True})
    plt.close(figure)


def main():
    parser = make_parser(__doc__)
    parser.add_argument("--output", type=Path, help="where to draw the first 64")
    arguments = parse(parser)
    quick = arguments.quick
    images = load_images(quick=quick)
    side = round(images.X_train.shape[1] ** 0.5)
    judge = train_judge(
        images.X_train, images.y_train, side, 300 if quick else JUDGE_STEPS
    )
    shares, reference = judge.judge(images.X_test)
    accuracy = (shares.argmax(axis=1) == images.y_test).mean()

    fits, shown = [], {}
    for name, X in ((TEST, images.X_test), (TRAINING, images.X_train)):
        shown[name] = X
        fits.append(told(Fit(name, 0, None, 0.0, figures_of(X, judge, reference))))
    for seed in range(arguments.seeds):
        for name, epochs, seconds, X in draw_all(images, side, seed, quick=quick):
            figures = figures_of(X, judge, reference)
            fits.append(told(Fit(name, seed, epochs, seconds, figures)))
            shown.setdefault(name, X)
    limit = fits[0].figures[DOUBT]
    names = [name for name in shown if name not in (TEST, TRAINING)]
    claims = [Claim(name, DOUBT, limit=limit) for name in names]
    if arguments.output:
        rows = {name: shown[name] for name in SHOWN if name in shown}
        draw_picture(rows, side, arguments.output)
    print_report(
        "New digits",
        images,
        make_models(side, QUICK_EPOCHS if quick else EPOCHS, 0)[0],
        fits,
        claims,
        settings={"accuracy of the judge on test digits": f"{accuracy:.4f}"},
        notes=["What is asked is the doubt about test digits."],
        quick=quick,
    )


if __name__ == "__main__":
    main()
