"""Features of digits for a linear classifier: sparse ones, and contractive ones.

    python examples/benchmarks/sparse_features.py            # 3 seeds: half an hour
    python examples/benchmarks/sparse_features.py --seeds 1 --output features.png
    python examples/benchmarks/sparse_features.py --develop  # which C? without a test
    python examples/benchmarks/sparse_features.py --quick    # seconds: does it run?

The claim: a linear classifier of 1,000 sparse features, which were learned without
labels, names all but 1.35 % of the test digits of MNIST, as that of the k-sparse
autoencoder does [1]_. The classifier is a logistic regression, and the features are

- pixels, to begin with;
- the codes of whole images, 1,000 components of which 25 are active in training and
  100 in the end: the paper's network, one layer there and one back;
- the codes of patches of 12 x 12 pixels, each less its mean and over its deviation,
  111 components of which 8 are active in training and 48 in the end: the roots of
  their sums over each ninth of the image [2]_;
- the codes of a contractive autoencoder of one layer, 250 sigmoids [3]_, with noise
  on the rows and decay of the weights.

C of the classifiers of sparse codes was chosen among some by errors on the last 10,000
training images, of features that were learned on the others, as --develop prints them;
that of the two others is a guess.

References
----------
.. [1] A. Makhzani, B. Frey, "k-Sparse Autoencoders", ICLR 2014, arXiv:1312.5663.
.. [2] A. Coates, H. Lee, A. Ng, "An Analysis of Single-Layer Networks in Unsupervised
   Feature Learning", AISTATS 2011.
.. [3] S. Rifai, P. Vincent, X. Muller, X. Glorot, Y. Bengio, "Contractive
   Auto-Encoders: Explicit Invariance During Feature Extraction", ICML 2011.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from literature import (
    QUICK_EPOCHS,
    Claim,
    Fit,
    developing,
    load_images,
    make_parser,
    parse,
    print_report,
    told,
)
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from speed_race import timed

from skae import AutoencoderTransformer
from skae.architectures import MLP
from skae.corruptions import GaussianNoise
from skae.penalties import Contractive, Sparse

mpl.use("Agg")  # draw to a file, without a screen
import matplotlib.pyplot as plt

N_FEATURES, N_PARTS, PUBLISHED = 1000, 3, 1.35
EPOCHS, PATCH_EPOCHS, CONTRACTIVE_EPOCHS = 15, 5, 20
N_PATCHES, ROWS_AT_ONCE, N_SHOWN = 300_000, 500, 64
LEAST_VARIANCE = 0.05  # of the pixels of a patch; an empty one stays empty
ERROR, ACTIVE = "error, %", "active, %"
PIXELS, IMAGES, PATCHES, CONTRACTIVE = (
    "pixels", "sparse, images", "sparse, patches", "contractive, images",
)  # fmt: skip

# chosen with --develop
BEST_C = {PIXELS: 0.1, IMAGES: 0.05, PATCHES: 0.03, CONTRACTIVE: 0.1}
CANDIDATES = (0.5, 1, 2)  # times the best


# -- features --------------------------------------------------------------------------


def make_autoencoder(n_components, penalty, epochs, seed, **settings):
    """Return an autoencoder of one layer each way, for features and not for errors."""
    return AutoencoderTransformer(
        n_components,
        architecture=MLP(()),
        penalty=penalty,
        init="random",
        early_stopping=False,
        max_epochs=epochs,
        random_state=seed,
        **settings,
    )


def sparse(n_active, n_active_trained, most):
    """Return the penalty, at first with ten times as many active in training."""
    trained = (min(10 * n_active_trained, most), n_active_trained)
    return Sparse("top_k", n_active=n_active, n_active_trained=trained, positive=True)


class PooledCodes(TransformerMixin, BaseEstimator):
    """Sums of the codes of an image's patches, over each part of the image.

    A patch is less its mean and over its standard deviation.

    Parameters
    ----------
    autoencoder : AutoencoderTransformer
        Of patches.
    width : int, default=12
        Pixels of a patch, both ways.
    stride : int, default=2
        Pixels from patch to patch, both ways.
    n_parts : int, default=3
        The image is divided into so many parts, both ways.
    random_state : int, default=0
        Source of the patches that the autoencoder is fitted to.
    """

    def __init__(self, autoencoder, width=12, stride=2, n_parts=3, random_state=0):
        self.autoencoder = autoencoder
        self.width = width
        self.stride = stride
        self.n_parts = n_parts
        self.random_state = random_state

    def _patches(self, X, stride):
        """Return all patches, (n_rows, n_down, n_across, n_pixels)."""
        side = round(X.shape[1] ** 0.5)
        windows = sliding_window_view(
            X.reshape(-1, side, side), (self.width, self.width), axis=(1, 2)
        )[:, ::stride, ::stride]
        patches = windows.reshape(*windows.shape[:3], -1)
        patches = patches - patches.mean(axis=-1, keepdims=True)
        variances = np.square(patches).mean(axis=-1, keepdims=True)
        return patches / np.sqrt(variances + LEAST_VARIANCE)

    def fit(self, X, y=None):
        """Fit the autoencoder to patches drawn at random, but for empty ones."""
        rng = np.random.RandomState(self.random_state)
        n_each = -(-N_PATCHES // len(X))
        drawn = []
        for part in np.array_split(X, -(-len(X) // ROWS_AT_ONCE)):
            patches = self._patches(part, 1)
            patches = patches.reshape(len(part), -1, patches.shape[-1])
            columns = rng.randint(patches.shape[1], size=(len(part), n_each))
            drawn.append(patches[np.arange(len(part))[:, None], columns])
        patches = np.concatenate(drawn).reshape(-1, patches.shape[-1])
        patches = patches[np.ptp(patches, axis=1) > 0]
        self.autoencoder_ = clone(self.autoencoder).fit(patches)
        return self

    def transform(self, X):
        """Return the sums, (n_rows, n_parts ** 2 * n_components)."""
        parts = np.array_split(X, -(-len(X) // ROWS_AT_ONCE))
        return np.concatenate([self._sums(part) for part in parts])

    def _sums(self, X):
        patches = self._patches(X, self.stride)
        codes = self.autoencoder_.transform(patches.reshape(-1, patches.shape[-1]))
        codes = codes.reshape(*patches.shape[:3], -1)
        bands = np.array_split(codes, self.n_parts, axis=1)
        fields = [f for b in bands for f in np.array_split(b, self.n_parts, axis=2)]
        return np.concatenate([field.sum(axis=(1, 2)) for field in fields], axis=1)


def make_features(n_pixels, seed, *, quick=False):
    """Return what makes features of images, by name."""
    n, n_patch_codes = (100, 11) if quick else (N_FEATURES, N_FEATURES // N_PARTS**2)
    epochs, patch_epochs, contractive_epochs = (
        (QUICK_EPOCHS,) * 3 if quick else (EPOCHS, PATCH_EPOCHS, CONTRACTIVE_EPOCHS)
    )
    of_patch = (8, 2) if quick else (48, 8)
    of_images = make_autoencoder(n, sparse(n // 10, n // 40, n), epochs, seed)
    of_patches = make_autoencoder(
        n_patch_codes, sparse(*of_patch, n_patch_codes), patch_epochs, seed,
        batch_size=256,
    )  # fmt: skip
    # noise in the rows, and small weights in the decoder: else large ones would make
    # up for codes that change little because they are small
    contractive = make_autoencoder(
        n // 4, Contractive(1.0, activation="sigmoid"), contractive_epochs, seed,
        corruption=GaussianNoise(0.7), weight_decay=3.0,
    )  # fmt: skip
    width = 4 if quick else 12
    return {
        PIXELS: FunctionTransformer(),
        IMAGES: make_pipeline(Normalizer(), of_images),
        PATCHES: make_pipeline(
            PooledCodes(of_patches, width, stride=1 if quick else 2),
            FunctionTransformer(np.sqrt),
        ),
        CONTRACTIVE: contractive,
    }


# -- the classifier --------------------------------------------------------------------


def errors_of(name, features, images, values_of_c):
    """Yield the percentage of test images that are named wrongly, for each C."""
    Z_train, Z_test = (features.transform(X) for X in (images.X_train, images.X_test))
    if name in (PATCHES, CONTRACTIVE):
        scaler = StandardScaler()
        Z_train, Z_test = scaler.fit_transform(Z_train), scaler.transform(Z_test)
    else:  # zeros stay zeros
        scale = np.sqrt(np.square(Z_train).mean(axis=0).max())
        Z_train, Z_test = Z_train / scale, Z_test / scale
    for C in values_of_c:
        classifier = LogisticRegression(C=C, max_iter=300, tol=1e-4)
        classifier.fit(Z_train, images.y_train)
        yield C, 100 * (1 - classifier.score(Z_test, images.y_test))


def measure(name, features, images, seed, *, develop):
    """Yield the `Fit` of features and classifier, for each C."""
    _, times = timed(features.fit, images.X_train)
    active = 100 * (features.transform(images.X_test[:1000]) != 0).mean()
    factors = CANDIDATES if develop else (1,)
    values_of_c = [BEST_C[name] * factor for factor in factors]
    for C, error in errors_of(name, features, images, values_of_c):
        figures = {ERROR: error, ACTIVE: active}
        model = f"{name}, C {C:g}" if develop else name
        yield told(Fit(model, seed, None, times["wall"], figures))


# -- all of it -------------------------------------------------------------------------


def decoder_columns(autoencoder):
    """Return what each component adds to an image, (n_components, n_pixels)."""
    return autoencoder.module_.decoder.linear.weight.detach().numpy().T


def draw_features(columns, path):
    """Draw 64 features of each name, each between minus and plus its largest value."""
    figure, axes = plt.subplots(1, len(columns), figsize=(2.4 * len(columns), 2.75))
    for ax, (name, rows) in zip(axes, columns.items(), strict=True):
        n, side = round(N_SHOWN**0.5), round(rows.shape[1] ** 0.5)
        tiles = np.zeros((N_SHOWN, side, side))
        rows = rows[:N_SHOWN]
        tiles[: len(rows)] = (rows / np.abs(rows).max(axis=1)[:, None]).reshape(
            -1, side, side
        )
        tiles = tiles.reshape(n, n, side, side).swapaxes(1, 2)
        ax.imshow(tiles.reshape(n * side, -1), cmap="gray", vmin=-1, vmax=1)
        ax.set_title(name, fontsize=9)
        ax.set_axis_off()
    figure.tight_layout(pad=0.6)
    figure.savefig(path, dpi=100, pil_kwargs={"optimize": True})
    plt.close(figure)


def main():
    parser = make_parser(__doc__)
    parser.add_argument(
        "--develop", action="store_true", help="choose C, without a test"
    )
    parser.add_argument(
        "--features", nargs="+", choices=list(BEST_C), default=list(BEST_C)
    )
    parser.add_argument("--output", type=Path, help="where to draw features")
    arguments = parse(parser)
    images = load_images(quick=arguments.quick)
    if arguments.develop:
        images = developing(images)
    fits, columns = [], {"PCA": PCA(N_SHOWN).fit(images.X_train).components_}
    for seed in range(arguments.seeds):
        made = make_features(images.X_train.shape[1], seed, quick=arguments.quick)
        for name in arguments.features:
            features = made[name]
            fits += measure(name, features, images, seed, develop=arguments.develop)
            if name in (IMAGES, CONTRACTIVE):
                ae = features[-1] if name == IMAGES else features
                columns.setdefault(name, decoder_columns(ae))
    if arguments.output:
        draw_features(columns, arguments.output)
    claims = []
    for model in dict.fromkeys(fit.model for fit in fits):
        limit = PUBLISHED if model in (IMAGES, PATCHES) else None
        claims.append(Claim(model, ERROR, PUBLISHED, limit))
    print_report(
        "Features for a linear classifier",
        images,
        make_features(images.X_train.shape[1], 0)[IMAGES][-1],
        fits,
        claims,
        settings={"C": BEST_C},
        quick=arguments.quick,
    )


if __name__ == "__main__":
    main()
