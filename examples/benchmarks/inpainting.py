"""Holes in pictures, painted in: an autoencoder beside five other ways.

    python examples/benchmarks/inpainting.py             # about an hour
    python examples/benchmarks/inpainting.py --of digits --seeds 3 --output pictures
    python examples/benchmarks/inpainting.py --quick     # seconds: does it run?

The claim: a peak signal-to-noise ratio in the hole at least 3 dB above that of the best
of column means, principal components fitted to what is known, `KNNImputer`, and
scikit-image's biharmonic surfaces. A hole of 10 x 10 pixels at random in an MNIST
digit, a quarter of an Olivetti face, of persons seen before and of others.

Training pictures are whole. The autoencoder learns on holes of the same kind, cut anew
at every step; on faces and their mirror images. Biharmonic surfaces need scikit-image,
`pip install "skae[bench]"`, and are left out without it.
"""

from functools import partial

import numpy as np
from restoration import (
    best_of,
    digits,
    draw,
    faces,
    faces_of_others,
    grid,
    make_parser,
    mirrored,
    psnr,
    report,
    run,
    setting_text,
    split,
)
from sklearn.decomposition import PCA
from sklearn.impute import KNNImputer
from speed_report import print_parts

from skae import AutoencoderImputer, AutoencoderTransformer
from skae.architectures import UNet

try:
    from skimage.restoration import inpaint_biharmonic
except ImportError:
    inpaint_biharmonic = None

GAIN = 3.0  # asked for, in dB
MOST_NEIGHBOURS = 20_000  # training pictures that KNNImputer sees
N_ROUNDS = 100  # of filling holes by principal components

# -- holes -----------------------------------------------------------------------------


class Square:
    """Cut a square hole into each picture, at a random place."""

    def __init__(self, side, image_shape):
        self.side, self.image_shape = side, image_shape

    def __call__(self, X, rng):
        """Return pictures with NaN in the holes."""
        _, height, width = self.image_shape
        tops = rng.integers(height - self.side + 1, size=len(X))
        lefts = rng.integers(width - self.side + 1, size=len(X))
        return self.cut(X, tops, lefts)

    def cut(self, X, tops, lefts):
        """Return pictures with holes that begin at the given places."""
        channels, height, width = self.image_shape
        rows, columns = np.ogrid[:height, :width]
        down = rows - tops[:, None, None]  # (n_rows, height, 1)
        across = columns - lefts[:, None, None]  # (n_rows, 1, width)
        side = self.side
        hole = (down >= 0) & (down < side) & (across >= 0) & (across < side)
        holes = np.repeat(hole[:, None], channels, axis=1).reshape(X.shape)
        return np.where(holes, np.nan, X).astype(X.dtype)


class Quarter(Square):
    """Cut out one of the four quarters of each picture."""

    def __init__(self, image_shape):
        super().__init__(image_shape[1] // 2, image_shape)

    def __call__(self, X, rng):
        """Return pictures with NaN in the holes."""
        tops, lefts = self.side * rng.integers(2, size=(2, len(X)))
        return self.cut(X, tops, lefts)


# -- other ways: of rows with holes, and of whole training rows ------------------------


def column_means(holed, X_train, image_shape):
    """Return rows with the mean of each column in the holes."""
    return np.where(np.isnan(holed), X_train.mean(axis=0), holed)


def principal_components(holed, X_train, image_shape, n_components):
    """Return rows filled by their own projections, again and again."""
    pca = PCA(n_components, random_state=0).fit(X_train)
    holes, filled = np.isnan(holed), column_means(holed, X_train, image_shape)
    for _ in range(N_ROUNDS):
        projected = pca.inverse_transform(pca.transform(filled))
        filled = np.where(holes, projected, holed)
    return filled


def neighbours(holed, X_train, image_shape, n_neighbors):
    """Return rows with the mean of the nearest training rows in the holes."""
    imputer = KNNImputer(n_neighbors=n_neighbors).fit(X_train[:MOST_NEIGHBOURS])
    return imputer.transform(holed)


def biharmonic(holed, X_train, image_shape):
    """Return pictures with the smoothest surfaces in the holes."""
    images = holed.astype(np.float64).reshape(-1, *image_shape[1:])
    filled = [
        inpaint_biharmonic(np.nan_to_num(image), np.isnan(image)) for image in images
    ]
    return np.reshape(filled, holed.shape)


def other_ways():
    """Return the other ways and the settings to choose from, by name."""
    ways = {
        "column means": (column_means, [{}]),
        "principal components": (
            principal_components,
            grid(n_components=[8, 16, 32, 64, 96, 128]),
        ),
        "KNNImputer": (neighbours, grid(n_neighbors=[1, 3, 5, 10, 20])),
    }
    if inpaint_biharmonic is not None:
        ways["biharmonic"] = biharmonic, [{}]
    return ways


# -- ours ------------------------------------------------------------------------------


def make_imputer(cut, image_shape, seed, **parameters):
    """Return the unfitted imputer."""
    estimator = AutoencoderTransformer(
        corruption=cut,
        image_shape=image_shape,
        precision="bf16",
        early_stopping=False,
        random_state=seed,
        **parameters,
    )
    return AutoencoderImputer(estimator, max_iter=1)


OF_DIGITS = {
    "architecture": UNet((16, 32, 64, 128)),
    "max_epochs": 12,
    "batch_size": 64,
}
OF_FACES = {
    "architecture": UNet((16, 32, 48, 64), n_blocks=1),
    "max_epochs": 80,
    "batch_size": 16,
}

#: Pictures, the class of the hole, parameters, whether to mirror training pictures.
SUBJECTS = {
    "digits": (digits, partial(Square, 10), OF_DIGITS, False),
    "faces": (faces, Quarter, OF_FACES, True),
    "others' faces": (faces_of_others, Quarter, OF_FACES, True),
}


def compare(subject, arguments):
    """Return the report of a subject."""
    load, make_hole, parameters, mirrors = SUBJECTS[subject]
    pictures = load(arguments.quick)
    shape = pictures.image_shape
    cut = Square(4, shape) if arguments.quick else make_hole(image_shape=shape)
    clean, holed = pictures.X_test, cut(pictures.X_test, np.random.default_rng(0))
    fitted_to, chosen_by = split(pictures)
    choose_holed = cut(chosen_by, np.random.default_rng(1))

    def figure_of(rows):
        return psnr(rows, clean, np.isnan(holed))

    rivals = []
    for name, (way, candidates) in other_ways().items():
        candidates = candidates[:1] if arguments.quick else candidates
        settings = best_of(
            candidates,
            lambda way=way, **s: psnr(
                way(choose_holed, fitted_to, shape, **s),
                chosen_by,
                np.isnan(choose_holed),
            ),
        )
        function = partial(way, holed, pictures.X_train, shape, **settings)
        rivals.append(run(name, setting_text(settings), function, figure_of))

    X_train = pictures.X_train
    if mirrors:
        X_train = mirrored(X_train, shape)
    if arguments.quick:
        X_train, parameters = X_train[:1000], parameters | {"max_epochs": 40}
        parameters = parameters | {"architecture": UNet((16, 32), n_blocks=1)}
    ours = []
    for seed in range(arguments.seeds):
        model = make_imputer(cut, shape, seed, **parameters)
        estimator = model.estimator
        ours.append(
            run(
                "AutoencoderImputer",
                f"`{estimator.architecture!r}`, {estimator.max_epochs} epochs",
                lambda model=model: model.fit(X_train).transform(holed),
                figure_of,
            )
        )
    if arguments.output is not None:
        best = max(rivals, key=lambda result: result.figure)
        columns = {"with a hole": np.nan_to_num(holed, nan=0.5), best.method: best.rows}
        columns |= {"autoencoder": ours[0].rows, "whole": clean}
        draw(arguments.output, f"Holes in {subject}", columns, shape)
    return report(
        f"Holes in {subject}",
        pictures,
        rivals,
        ours,
        unit="PSNR in the hole, dB",
        gain=GAIN,
        settings={"pictures that KNNImputer sees": f"{MOST_NEIGHBOURS} at most"},
        quick=arguments.quick,
    )


def main():
    arguments = make_parser(__doc__, SUBJECTS).parse_args()
    reports = [compare(subject, arguments) for subject in arguments.of]
    print_parts("Holes", reports, quick=arguments.quick)


if __name__ == "__main__":
    main()
