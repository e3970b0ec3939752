"""Lossless compression of images: bits a pixel, and images a second.

    python examples/benchmarks/lossless.py            # 3 seeds: about half an hour
    python examples/benchmarks/lossless.py --grey     # 3 seeds: about half an hour
    python examples/benchmarks/lossless.py --quick    # seconds: does it run?

The claim: 10,000 test images of MNIST, turned into zeros and ones once, come back bit
for bit from less than 0.19 bits a pixel, the figure of BB-ANS [1]_, at 1,000 images a
second and more both ways. Every byte counts but those of the model, whose size is
given: its weights in float32. It is trained on images that are turned into zeros and
ones anew in every batch; all but the likelihood and the epochs is at its default.

With --grey the images keep their 256 levels, and the figure to stay below is 1.41 bits
a pixel. A dense network is trained, with the likelihood `Ordinal`.

Beside it stand the compressors that one has at hand, each at its highest level and in
the best of the forms of the same rows that are tried: one byte a pixel, eight pixels a
byte, grey images also with the same pixel of all images side by side, and for PNG and
WebP all images as tiles of a large one.

References
----------
.. [1] J. Townsend, T. Bird, D. Barber, "Practical Lossless Compression with Latent
   Variables using Bits Back Coding", ICLR 2019, arXiv:1901.04866.
"""

import bz2
import gzip
import io
import lzma
import time
from functools import partial

import numpy as np
from literature import (
    Claim,
    binarized,
    epochs_in,
    load_images,
    make_parser,
    number_text,
    parse,
    print_report,
    timed_fit,
)
from PIL import Image
from speed_report import table_text

from skae import VAETransformer
from skae.architectures import MLP
from skae.compression import LosslessCodec
from skae.likelihoods import Bernoulli, Ordinal

BINARIZATION_SEED = 2026
MINUTES, EPOCHS_A_MINUTE, GREY_EPOCHS_A_MINUTE = 10, 6, 4
N_COMPONENTS, GREY_COMPONENTS, GREY_LAYERS = 40, 50, (512, 256)
PUBLISHED, GREY_PUBLISHED, SLOWEST = 0.19, 1.41, 1000
MODEL, RATE, BOUND = "VAE", "bits a pixel", "-ELBO, the same"
WAYS = ("compress, ms an image", "decompress, ms an image")


def make_vae(side, max_epochs, seed):
    """Return the VAE of convolutions."""
    return VAETransformer(
        N_COMPONENTS,
        image_shape=(1, side, side),
        likelihood=Bernoulli(binarize=True),
        max_epochs=max_epochs,
        random_state=seed,
    )


def make_grey_vae(max_epochs, seed):
    """Return the dense VAE of grey levels."""
    return VAETransformer(
        GREY_COMPONENTS,
        likelihood=Ordinal(),
        architecture=MLP(GREY_LAYERS),
        max_epochs=max_epochs,
        random_state=seed,
    )


def as_levels(X):
    """Return grey images in [0, 1] as bytes."""
    return np.rint(255 * X).astype(np.uint8)


def measure(vae, X):
    """Return the figures of a fitted VAE on rows of whole numbers.

    Raises
    ------
    AssertionError
        If a row does not come back as it was.
    """
    codec = LosslessCodec(vae)
    start = time.perf_counter()
    data = codec.compress(X)
    middle = time.perf_counter()
    back = codec.decompress(data)
    end = time.perf_counter()
    if not (back.dtype == X.dtype and np.array_equal(back, X)):
        raise AssertionError("rows did not come back as they were")
    seconds = middle - start, end - middle
    return {
        RATE: rate_of(data, X),
        BOUND: -vae.score(X.astype(np.float32)) / X.shape[1] / np.log(2),
        **{way: 1000 * s / len(X) for way, s in zip(WAYS, seconds, strict=True)},
    }


def rate_of(data, X):
    """Return the bits of bytes for each entry of X."""
    return 8 * len(data) / X.size


# -- others ----------------------------------------------------------------------------


def tiled(X):
    """Return all images beside and below each other, as one."""
    side, n = round(X.shape[1] ** 0.5), int(len(X) ** 0.5)
    tiles = X[: n * n].reshape(n, n, side, side).swapaxes(1, 2)
    tiles = tiles.reshape(n * side, n * side)
    return tiles if X.dtype == np.uint8 else tiles.astype(bool)


def as_picture(X, **options):
    """Return the bytes of a picture of all images, for as many as fill a square."""
    buffer = io.BytesIO()
    picture = Image.fromarray(tiled(X))
    if options["format"] == "WEBP":
        picture = picture.convert("RGB")
    picture.save(buffer, **options)
    return buffer.getvalue()


def rates_of_others(X):
    """Return bits a pixel, by compressor: the best of its forms."""
    levels = X.astype(np.uint8)
    if X.dtype == np.uint8:
        forms = [levels.tobytes(), levels.T.tobytes()]
    else:
        forms = [levels.tobytes(), np.packbits(X.astype(bool), axis=1).tobytes()]
    compressors = {
        "bz2": lambda form: bz2.compress(form, 9),
        "gzip": lambda form: gzip.compress(form, 9),
        "xz": lambda form: lzma.compress(form, preset=9 | lzma.PRESET_EXTREME),
    }
    rates = {
        name: min(rate_of(compress(form), X) for form in forms)
        for name, compress in compressors.items()
    }
    square = X[: int(len(X) ** 0.5) ** 2]
    for name, options in {
        "PNG": {"format": "PNG", "optimize": True},
        "WebP": {"format": "WEBP", "lossless": True, "quality": 100, "method": 6},
    }.items():
        rates[name] = rate_of(as_picture(square, **options), square)
    return rates


def main():
    parser = make_parser(__doc__, minutes=MINUTES)
    parser.add_argument("--grey", action="store_true", help="images of 256 levels")
    arguments = parse(parser)
    images = load_images(quick=arguments.quick)
    if arguments.grey:
        X_train, X_test = as_levels(images.X_train), as_levels(images.X_test)
        make = partial(make_grey_vae, epochs_in(arguments, GREY_EPOCHS_A_MINUTE))
        title, published = "grey images", GREY_PUBLISHED
    else:
        X_train, X_test = images.X_train, binarized(images.X_test, BINARIZATION_SEED)
        side = round(X_train.shape[1] ** 0.5)
        make = partial(make_vae, side, epochs_in(arguments, EPOCHS_A_MINUTE))
        title, published = "black and white images", PUBLISHED
    fits, n_weights = [], 0
    for seed in range(arguments.seeds):
        vae = make(seed)
        fits.append(timed_fit(MODEL, vae, X_train, lambda vae: measure(vae, X_test)))
        n_weights = sum(p.numel() for p in vae.module_.parameters())
    others = sorted(rates_of_others(X_test).items(), key=lambda item: item[1])
    print_report(
        f"Lossless compression of {title}",
        images,
        make(0),
        fits,
        [
            Claim(MODEL, RATE, published, published),
            *(Claim(MODEL, way, limit=1000 / SLOWEST) for way in WAYS),
        ],
        settings={"bytes of the model": f"{4 * n_weights:,}"},
        notes=[
            "## Others",
            table_text(["", RATE], [[name, number_text(r)] for name, r in others]),
        ],
        quick=arguments.quick,
    )


if __name__ == "__main__":
    main()
