"""What the scripts that restore pictures share: pictures, rivals, report.

MNIST, the Olivetti faces and pictograms are read from mnist.npz, olivetti.npz and
emoji32.npz in the folder named by the environment variable SKAE_DATA, or in
../shared/data beside the repository. With --quick, pictures are those that come with
scikit-learn.

Rivals have parameters. They are chosen on training pictures, by the error at the very
task, before test pictures are seen.
"""

import argparse
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
from literature import load_images
from sklearn.datasets import load_sample_images
from sklearn.model_selection import train_test_split
from speed_race import timed
from speed_report import list_text, table_text, tell
from tables import FACES, data_folder, load_table

from skae.metrics import peak_signal_to_noise_ratio

# Rivals that work on one picture at a time see so many of the test pictures, and so
# does everybody else; parameters are chosen on so many of the training pictures, and on
# no more than a fifth of them.
MOST_TESTED, MOST_CHOSEN_BY = 1000, 200

N_PERSONS, N_TEST_PERSONS = 40, 8
SQUARE = 16  # side of the squares of photographs, in pixels

# -- pictures --------------------------------------------------------------------------


class Pictures(NamedTuple):
    """Rows of pixels in [0, 1]."""

    name: str
    X_train: np.ndarray  # (n_train, n_pixels), float32
    X_test: np.ndarray  # (n_test, n_pixels), float32
    image_shape: tuple  # (channels, height, width)


def digits(quick):
    """Return MNIST in its usual split, the first test images of it."""
    images = load_images(quick=quick)
    side = round(images.X_train.shape[1] ** 0.5)
    X_test = images.X_test[: MOST_TESTED // 10 if quick else MOST_TESTED]
    return Pictures(images.name, images.X_train, X_test, (1, side, side))


def faces_of_others(quick):
    """Return the Olivetti faces: test pictures are of persons never seen before."""
    if quick:
        return digits(quick)
    X = (load_table(FACES) / 255).astype(np.float32).reshape(N_PERSONS, -1, 64 * 64)
    order = np.random.RandomState(0).permutation(N_PERSONS)
    X_test, X_train = X[order[:N_TEST_PERSONS]], X[order[N_TEST_PERSONS:]]
    return Pictures(
        "Olivetti faces, other persons",
        X_train.reshape(-1, 64 * 64),
        X_test.reshape(-1, 64 * 64),
        (1, 64, 64),
    )


def faces(quick):
    """Return the Olivetti faces: test pictures are others of the same persons."""
    if quick:
        return digits(quick)
    X = (load_table(FACES) / 255).astype(np.float32)
    persons = np.repeat(np.arange(N_PERSONS), len(X) // N_PERSONS)
    X_train, X_test = train_test_split(
        X, test_size=80, stratify=persons, random_state=0
    )
    return Pictures("Olivetti faces, same persons", X_train, X_test, (1, 64, 64))


def pictograms(quick):
    """Return coloured pictograms; squares of photographs if there is no time."""
    if quick:
        X, side = squares_of_photographs(SQUARE)[:400], SQUARE
        name = "squares of scikit-learn's photographs"
    else:
        X = np.load(data_folder() / "emoji32.npz")["X"].transpose(0, 3, 1, 2) / 255
        name, side = "pictograms", 32
    X = X.reshape(len(X), -1).astype(np.float32)
    X_train, X_test = train_test_split(X, test_size=len(X) // 7, random_state=0)
    return Pictures(name, X_train, X_test, (3, side, side))


def squares_of_photographs(side):
    """Return squares cut out of two photographs, (n_squares, 3, side, side)."""
    squares = []
    for photograph in load_sample_images().images:
        height, width = (size // side * side for size in photograph.shape[:2])
        tiles = photograph[:height, :width] / 255
        tiles = tiles.reshape(height // side, side, width // side, side, 3)
        squares.append(tiles.transpose(0, 2, 4, 1, 3).reshape(-1, 3, side, side))
    squares = np.concatenate(squares)
    return squares[np.random.RandomState(0).permutation(len(squares))]


def split(pictures):
    """Return training pictures to fit to, and others to choose parameters by."""
    n_chosen_by = min(MOST_CHOSEN_BY, len(pictures.X_train) // 5)
    return np.split(pictures.X_train, [-n_chosen_by])


def mirrored(X, image_shape):
    """Return pictures and their mirror images."""
    images = X.reshape(-1, *image_shape)
    return np.concatenate([X, images[..., ::-1].reshape(X.shape)])


# -- what is measured ------------------------------------------------------------------


def psnr(X, Y, where=None):
    """Return the peak signal-to-noise ratio of pixels in [0, 1], in decibels.

    Of the mean squared error over all pixels of all pictures, or over some pixels.
    """
    pixels = (Z.reshape(1, -1) if where is None else Z[where][None] for Z in (X, Y))
    return peak_signal_to_noise_ratio(*pixels, data_range=1.0)


class Result(NamedTuple):
    """What a method made of the test pictures."""

    method: str
    settings: str
    rows: np.ndarray  # (n_test, n_pixels)
    seconds: float  # its training included
    figure: float


def best_of(candidates, figure_of, *, highest=True):
    """Return the settings of a rival, dicts, of the best figure."""
    figures = [figure_of(**settings) for settings in candidates]
    best = np.argmax(figures) if highest else np.argmin(figures)
    return candidates[int(best)]


def grid(**values):
    """Return all settings of some parameters, as dicts."""
    return [dict(zip(values, v, strict=True)) for v in product(*values.values())]


def run(method, settings, function, figure_of):
    """Return the `Result` of a function without arguments, and tell of it."""
    rows, times = timed(function)
    result = Result(method, settings, rows, times["wall"], figure_of(rows))
    tell(method, {"figure": result.figure, "seconds": result.seconds})
    return result


def setting_text(settings):
    """Return settings as text."""
    return ", ".join(f"{name}={value}" for name, value in settings.items())


# -- arguments and report --------------------------------------------------------------


def make_parser(doc, subjects):
    """Return a parser of the arguments that all scripts have.

    Parameters
    ----------
    doc : str
        Docstring of the script.
    subjects : iterable of str
        Names of what may be restored.
    """
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    subjects = list(subjects)
    parser.add_argument("--of", nargs="+", default=subjects, choices=subjects)
    parser.add_argument("--seeds", type=int, default=1, help="fits; default: 1")
    parser.add_argument("--output", type=Path, help="folder for pictures, if wanted")
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    return parser


def report(title, pictures, rivals, ours, *, unit, gain, settings, quick):
    """Return what came out, as markdown.

    Parameters
    ----------
    title : str
        What was restored, and of what.
    pictures : Pictures
        The pictures.
    rivals, ours : list of Result
        Of other methods, and of each seed.
    unit : str
        What the figures are.
    gain : float or None
        What ours are to be above the best rival by; None if they are to be below.
    settings : dict
        What the figures depend on besides.
    quick : bool
        Whether the numbers mean nothing.
    """
    figures = [result.figure for result in ours]
    pick = min if gain is None else max
    best = pick(rivals, key=lambda result: result.figure)
    lines = [
        [r.method, r.settings, f"{r.seconds:.1f}", f"{r.figure:.2f}"] for r in rivals
    ]
    lines += [
        [f"{r.method}, seed {i}", r.settings, f"{r.seconds:.1f}", f"{r.figure:.2f}"]
        for i, r in enumerate(ours)
    ]
    worst = max(figures) if gain is None else min(figures)
    asked = f"below {best.figure:.2f}" if gain is None else f"+{gain:g}"
    met = worst < best.figure if gain is None else worst >= best.figure + gain
    summary = [
        best.method,
        f"{best.figure:.2f}",
        f"{fmean(figures):.2f}",
        f"{worst:.2f}",
        f"{worst - best.figure:+.2f}",
        asked,
        "" if quick else "met" if met else "missed",
    ]
    shapes = f"{len(pictures.X_train)} and {len(pictures.X_test)}"
    parts = [
        f"## {title}",
        list_text({"pictures": f"{pictures.name}, {shapes}", **settings}),
        table_text(["method", "settings", "seconds", unit], lines),
        f"## {title}: beside the best rival",
        table_text(
            ["best rival", "its", "ours, mean", "worst", "difference", "asked", ""],
            [summary],
        ),
    ]
    return "\n\n".join(parts)


def draw(folder, title, columns, image_shape, n_rows=4):
    """Draw pictures beside each other: a column for each method.

    Parameters
    ----------
    folder : Path
        Where to write.
    title : str
        What was restored, and of what; the file is named by it.
    columns : dict of str to ndarray of shape (n_pictures, n_pixels)
        Pictures by the title above them.
    image_shape : tuple
        (channels, height, width).
    n_rows : int, default=4
        How many of them.
    """
    from matplotlib.figure import Figure

    n_columns = len(columns)
    figure = Figure(figsize=(1.25 * n_columns, 1.2 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for column, (method, rows) in zip(axes.T, columns.items(), strict=True):
        column[0].set_title(method, fontsize=8)
        for ax, row in zip(column, rows, strict=False):
            image = row.reshape(image_shape).transpose(1, 2, 0).clip(0, 1)
            ax.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=1)
            ax.set_axis_off()
    folder.mkdir(parents=True, exist_ok=True)
    name = title.lower().replace("'", "").replace(" ", "_")
    figure.savefig(folder / f"{name}.png", dpi=110)
