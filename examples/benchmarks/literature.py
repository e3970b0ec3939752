"""What the scripts that repeat published results share: images, arguments, report.

The images are MNIST in its usual split, grey levels in [0, 1]. They are read from
mnist.npz in the folder named by the environment variable SKAE_DATA, or in
../shared/data beside the repository; without either, scikit-learn downloads them. With
--quick they are the 8 x 8 digits that come with scikit-learn, and nothing is to be
concluded from the numbers: does it run?
"""

import argparse
from statistics import fmean
from typing import NamedTuple

import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.model_selection import train_test_split
from speed_race import timed
from speed_report import TOO_SMALL, head_text, table_text, tell
from tables import data_folder

N_TRAIN, N_DEVELOP = 60_000, 10_000  # MNIST's own split, and one to choose by
QUICK_EPOCHS = 2
SECONDS = "seconds"  # the name of a figure that every fit has

# -- images ----------------------------------------------------------------------------


class Images(NamedTuple):
    """Rows of pixels in [0, 1], float32, and the digit that each one shows."""

    name: str
    X_train: np.ndarray  # (n_train, n_pixels)
    y_train: np.ndarray  # (n_train,)
    X_test: np.ndarray  # (n_test, n_pixels)
    y_test: np.ndarray  # (n_test,)


def load_images(*, quick=False):
    """Return MNIST, or a small set if there is no time."""
    if quick:
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        parts = train_test_split(X, y, test_size=500, stratify=y, random_state=0)
        X_train, X_test, y_train, y_test = parts
        return Images("scikit-learn's digits", X_train, y_train, X_test, y_test)
    path = data_folder() / "mnist.npz"
    if path.is_file():
        with np.load(path) as file:
            X_train, X_test = grey(file["X_train"]), grey(file["X_test"])
            y_train, y_test = file["y_train"].astype(int), file["y_test"].astype(int)
    else:
        X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
        X_train, X_test = grey(X[:N_TRAIN]), grey(X[N_TRAIN:])
        y_train, y_test = np.split(y.astype(int), [N_TRAIN])
    return Images("MNIST", X_train, y_train, X_test, y_test)


def developing(images):
    """Return the training images alone, the last of them in place of test images."""
    n_test = min(N_DEVELOP, len(images.X_train) // 5)
    X_train, X_test = np.split(images.X_train, [-n_test])
    y_train, y_test = np.split(images.y_train, [-n_test])
    return Images(f"{images.name} for training", X_train, y_train, X_test, y_test)


def grey(levels):
    """Return images of 256 grey levels as rows in [0, 1]."""
    return levels.reshape(len(levels), -1).astype(np.float32) / 255


def binarized(X, seed):
    """Return zeros and ones drawn once, with the grey levels as probabilities."""
    uniform = np.random.RandomState(seed).random_sample(X.shape)
    return (uniform < X).astype(np.float32)


# -- fits ------------------------------------------------------------------------------


class Fit(NamedTuple):
    """A model that was fitted with a seed, and what was measured; lower is better."""

    model: str
    seed: int
    epochs: int | None  # None where there is no such thing
    seconds: float
    figures: dict[str, float]


def timed_fit(model, estimator, X, figures):
    """Return the `Fit` of an estimator, without its figures, and tell of it.

    Parameters
    ----------
    model : str
        What to call it.
    estimator : transformer of skae
        Fitted here.
    X : ndarray of shape (n_rows, n_features)
        Rows.
    figures : callable
        Returns the figures of the fitted estimator, as a dict. Not timed.
    """
    _, times = timed(estimator.fit, X)
    seed, epochs = estimator.random_state, estimator.n_epochs_
    return told(Fit(model, seed, epochs, times["wall"], figures(estimator)))


def told(fit):
    """Return a fit, having said on standard error that it is done."""
    tell(f"{fit.model}, seed {fit.seed}", {SECONDS: fit.seconds, **fit.figures})
    return fit


# -- arguments -------------------------------------------------------------------------


def make_parser(doc, *, minutes=None):
    """Return a parser of the arguments that all scripts have.

    Parameters
    ----------
    doc : str
        Docstring of the script.
    minutes : float or None, default=None
        The time that a fit has, if the claim names one.
    """
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="fits; default: 3")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    if minutes is not None:
        parser.add_argument(
            "--minutes",
            type=float,
            default=minutes,
            help=f"a fit trains for as many epochs as should take so long on two "
            f"cores; default: {minutes:g}",
        )
    return parser


def parse(parser, arguments=None):
    """Return the arguments; a quick run has one seed."""
    parsed = parser.parse_args(arguments)
    if parsed.quick:
        parsed.seeds = 1
    return parsed


def epochs_in(arguments, epochs_a_minute):
    """Return how many epochs fill the minutes of a fit."""
    if arguments.quick:
        return QUICK_EPOCHS
    return max(1, round(epochs_a_minute * arguments.minutes))


# -- report ----------------------------------------------------------------------------


class Claim(NamedTuple):
    """A figure of a model beside the published one, and what is asked of it."""

    model: str
    figure: str  # or SECONDS
    published: float | None = None
    limit: float | None = None  # the worst seed is to stay below


def print_report(
    title, images, estimator, fits, claims, *, settings=None, notes=(), quick=False
):
    """Print what was run, every fit, and what came of the claims, as markdown.

    Parameters
    ----------
    title : str
        What was repeated.
    images : Images
        What was fitted to.
    estimator : transformer of skae
        What was fitted.
    fits : list of Fit
        What was measured.
    claims : list of Claim
        What to put beside the literature.
    settings : dict or None, default=None
        What the figures depend on besides.
    notes : iterable of str, default=()
        Sentences, and tables of a script's own.
    quick : bool, default=False
        Whether the numbers mean nothing.
    """
    shapes = f"{images.X_train.shape} and {images.X_test.shape}"
    settings = {
        "images": f"{images.name}, {shapes}",
        "estimator": " ".join(repr(estimator).split()),
        **(settings or {}),
    }
    verdict = TOO_SMALL if quick else "The verdict is that of the worst seed."
    parts = [
        head_text(title, settings),
        "## Beside the literature",
        claims_text(fits, claims, quick=quick),
        verdict,
        "## Fits",
        fits_text(fits),
        *notes,
    ]
    print("\n\n".join(parts))


def number_text(number):
    """Return a number with two decimals, or three if it is small."""
    return f"{number:.2f}" if abs(number) >= 10 else f"{number:.3f}"


def fits_text(fits):
    """Return a table of all fits."""
    names = list(dict.fromkeys(name for fit in fits for name in fit.figures))
    lines = [
        [
            fit.model,
            fit.seed,
            "" if fit.epochs is None else fit.epochs,
            f"{fit.seconds:.1f}",
            *(number_text(fit.figures[n]) if n in fit.figures else "" for n in names),
        ]
        for fit in fits
    ]
    return table_text(["model", "seed", "epochs", SECONDS, *names], lines)


def claims_text(fits, claims, *, quick=False):
    """Return a table of the claims: mean and worst over the seeds, and a verdict."""
    headers = ["model", "figure", "mean", "worst", "published", "asked", "verdict"]
    lines = []
    for model, figure, published, limit in claims:
        values = [
            fit.seconds if figure == SECONDS else fit.figures[figure]
            for fit in fits
            if fit.model == model
        ]
        worst, asked, verdict = max(values), "", ""
        if limit is not None:
            asked = f"<= {number_text(limit)}"
            verdict = "" if quick else "met" if worst <= limit else "missed"
        line = [model, figure, number_text(fmean(values)), number_text(worst)]
        line += ["" if published is None else number_text(published), asked, verdict]
        lines.append(line)
    return table_text(headers, lines)
