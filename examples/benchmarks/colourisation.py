"""Colours for grey pictures: an autoencoder beside a neighbour's and a regression's.

    python examples/benchmarks/colourisation.py          # about 10 minutes
    python examples/benchmarks/colourisation.py --seeds 3 --output pictures
    python examples/benchmarks/colourisation.py --quick  # seconds: does it run?

The claim: on pictograms that were not trained on, the mean distance in CIE Lab space
between the pixels' colours and the right ones is below that of the grey picture itself,
of a colourist who takes the colours of the nearest training picture, and of a
regression, pixel by pixel, on the grey of the pixels around.
"""

from functools import partial

import numpy as np
from restoration import (
    draw,
    make_parser,
    pictograms,
    report,
    run,
)
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import NearestNeighbors
from speed_report import print_parts

from skae import AutoencoderTransformer
from skae.architectures import UNet
from skae.corruptions import Grayscale

# The regression sees so many pixels, each with those that are so near.
MOST_PIXELS, NEAR = 100_000, 3

# -- colours ---------------------------------------------------------------------------

# Light of the three primaries of sRGB as CIE XYZ, and the white that they add up to.
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375],
                   [0.2126729, 0.7151522, 0.0721750],
                   [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
WHITE = TO_XYZ.sum(axis=1)


def to_lab(rgb):
    """Return colours (..., 3), sRGB in [0, 1], in CIE Lab space."""
    rgb = np.clip(rgb, 0, 1).astype(np.float64)
    light = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    x = light @ TO_XYZ.T / WHITE
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    X, Y, Z = np.moveaxis(f, -1, 0)
    return np.stack([116 * Y - 16, 500 * (X - Y), 200 * (Y - Z)], axis=-1)


def to_rgb(lab):
    """Return colours of CIE Lab space as sRGB, cut to [0, 1]."""
    L, a, b = np.moveaxis(lab, -1, 0)
    Y = (L + 16) / 116
    f = np.stack([Y + a / 500, Y, Y - b / 200], axis=-1)
    x = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    light = np.clip((x * WHITE) @ np.linalg.inv(TO_XYZ).T, 0, None)
    rgb = np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light)
    return rgb.clip(0, 1)


def pixels_of(X, image_shape):
    """Return the colours of rows, (n_rows, height, width, 3)."""
    return X.reshape(-1, *image_shape).transpose(0, 2, 3, 1)


def rows_of(pixels):
    """Return colours (n_rows, height, width, 3) as rows."""
    return pixels.transpose(0, 3, 1, 2).reshape(len(pixels), -1)


def distance(X, Y, image_shape):
    """Return the mean distance of the colours of two sets of rows in Lab space."""
    first, second = (to_lab(pixels_of(rows, image_shape)) for rows in (X, Y))
    return float(np.linalg.norm(first - second, axis=-1).mean())


# -- other colourists: of grey rows and coloured training rows -------------------------


def nearest_picture(grey, X_train, grey_train, image_shape):
    """Return the grey pictures with the hues of the nearest training pictures."""
    nearest = NearestNeighbors(n_neighbors=1).fit(grey_train)
    found = X_train[nearest.kneighbors(grey, return_distance=False)[:, 0]]
    lab = to_lab(pixels_of(found, image_shape))
    lab[..., 0] = to_lab(pixels_of(grey, image_shape))[..., 0]
    return rows_of(to_rgb(lab))


def surroundings(grey, image_shape):
    """Return the grey of every pixel's surroundings and where it is."""
    images = pixels_of(grey, image_shape)[..., 0]  # (n_rows, height, width)
    n, height, width = images.shape
    padded = np.pad(images, ((0, 0), (NEAR, NEAR), (NEAR, NEAR)), mode="edge")
    side = 2 * NEAR + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), (1, 2))
    where = np.broadcast_to(np.indices((height, width)), (n, 2, height, width))
    return np.concatenate(
        [windows.reshape(-1, side**2), where.transpose(0, 2, 3, 1).reshape(-1, 2)],
        axis=1,
    )


def pixel_by_pixel(grey, X_train, grey_train, image_shape, quick):
    """Return what a regression says on each pixel's surroundings."""
    features = surroundings(grey_train, image_shape)
    colours = pixels_of(X_train, image_shape).reshape(-1, 3)
    some = np.random.RandomState(0).permutation(len(features))
    some = some[: 2_000 if quick else MOST_PIXELS]
    regression = MultiOutputRegressor(
        HistGradientBoostingRegressor(max_iter=20 if quick else 300, random_state=0)
    ).fit(features[some], colours[some])
    colours = regression.predict(surroundings(grey, image_shape))
    _, height, width = image_shape
    return rows_of(colours.reshape(-1, height, width, 3)).clip(0, 1)


# -- all of it -------------------------------------------------------------------------


def make_colourist(image_shape, **parameters):
    """Return the unfitted autoencoder."""
    defaults = {
        "architecture": UNet((32, 64), n_frequencies=7),
        "max_epochs": 20,
        "batch_size": 32,
    }
    return AutoencoderTransformer(
        loss="absolute_error",
        corruption=Grayscale(),
        image_shape=image_shape,
        precision="bf16",
        early_stopping=False,
        **defaults | parameters,
    )


def compare(arguments):
    """Return the report."""
    pictures, quick = pictograms(arguments.quick), arguments.quick
    X_train, X_test, shape = pictures.X_train, pictures.X_test, pictures.image_shape
    grey_train, grey = (Grayscale()(X, image_shape=shape) for X in (X_train, X_test))
    figure_of = partial(distance, X_test, image_shape=shape)
    known = grey, X_train, grey_train, shape
    rivals = [
        run("grey", "", lambda: grey, figure_of),
        run("nearest picture", "", partial(nearest_picture, *known), figure_of),
        run(
            "pixel by pixel",
            f"HistGradientBoosting, {2 * NEAR + 1} x {2 * NEAR + 1} pixels",
            partial(pixel_by_pixel, *known, quick),
            figure_of,
        ),
    ]
    parameters = {}
    if quick:
        parameters = {"architecture": UNet((8, 16), n_blocks=1), "max_epochs": 10}
    ours = []
    for seed in range(arguments.seeds):
        model = make_colourist(shape, random_state=seed, **parameters)
        ours.append(
            run(
                "AutoencoderTransformer",
                f"`{model.architecture!r}`, {model.max_epochs} epochs",
                lambda model=model: model.fit(X_train).reconstruct(grey),
                figure_of,
            )
        )
    if arguments.output is not None:
        columns = {"grey": grey, **{r.method: r.rows for r in rivals[1:]}}
        columns |= {"autoencoder": ours[0].rows, "colours": X_test}
        draw(arguments.output, "Colours", columns, shape, n_rows=8)
    return report(
        "Colours",
        pictures,
        rivals,
        ours,
        unit="distance in CIE Lab",
        gain=None,
        settings={"pixels of the regression": MOST_PIXELS},
        quick=quick,
    )


def main():
    arguments = make_parser(__doc__, ["pictograms"]).parse_args()
    print_parts("Colours", [compare(arguments)], quick=arguments.quick)


if __name__ == "__main__":
    main()
