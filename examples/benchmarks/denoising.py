"""Noise taken out of pictures: an autoencoder beside seven other ways.

    python examples/benchmarks/denoising.py              # about 15 minutes
    python examples/benchmarks/denoising.py --of digits --seeds 3 --output pictures
    python examples/benchmarks/denoising.py --quick      # seconds: does it run?

The claim: a peak signal-to-noise ratio at least 3 dB above that of the best of median
filter, wavelets (shifted and averaged), total variation, non-local means, the
projection on principal components, and the mean of nearest neighbours. Normal noise:
0.5 on MNIST, 0.1 on the Olivetti faces, of persons seen before and of others. What
clipping to [0, 1] would take off the noise is left in it.

The first four need scikit-image (and PyWavelets), `pip install "skae[bench]"`, and are
left out without it.
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
from scipy.ndimage import median_filter
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from speed_report import print_parts

from skae import AutoencoderTransformer
from skae.architectures import UNet
from skae.corruptions import GaussianNoise

try:
    from skimage import restoration as skimage
except ImportError:
    skimage = None

GAIN = 3.0  # asked for, in dB

# -- other ways: of noisy rows, and of clean training rows -----------------------------


def one_by_one(function):
    """Return the way that treats each picture by a function of height x width."""

    def way(noisy, X_train, image_shape, noise, **settings):
        images = noisy.astype(np.float64).reshape(-1, *image_shape[1:])
        restored = [function(image, noise, **settings) for image in images]
        return np.reshape(restored, noisy.shape)

    return way


def wavelets(image, noise, strength, wavelet):
    """Return a picture with small wavelet coefficients taken off, over 16 shifts."""
    denoise = partial(
        skimage.denoise_wavelet, sigma=strength * noise, wavelet=wavelet,
        rescale_sigma=False,
    )  # fmt: skip
    shifts = [(i, j) for i in range(4) for j in range(4)]
    results = [
        np.roll(denoise(np.roll(image, shift, (0, 1))), [-s for s in shift], (0, 1))
        for shift in shifts
    ]
    return np.mean(results, axis=0)


def principal_components(noisy, X_train, image_shape, noise, n_components):
    """Return what the projection on principal components leaves."""
    pca = PCA(n_components, random_state=0).fit(X_train)
    return pca.inverse_transform(pca.transform(noisy))


def neighbours(noisy, X_train, image_shape, noise, n_neighbors):
    """Return the mean of the nearest training pictures."""
    nearest = NearestNeighbors(n_neighbors=n_neighbors).fit(X_train)
    return X_train[nearest.kneighbors(noisy, return_distance=False)].mean(axis=1)


def other_ways():
    """Return the other ways and the settings to choose from, by name."""
    median = one_by_one(lambda image, noise, size: median_filter(image, size))
    ways = {
        "median filter": (median, grid(size=[3, 5])),
        "principal components": (
            principal_components,
            grid(n_components=[4, 8, 16, 24, 32, 48, 64, 96]),
        ),
        "nearest neighbours": (neighbours, grid(n_neighbors=[1, 2, 4, 8, 16, 32])),
    }
    if skimage is not None:
        total_variation = one_by_one(
            lambda image, noise, weight: skimage.denoise_tv_chambolle(
                image, weight=weight * noise
            )
        )
        non_local = one_by_one(
            lambda image, noise, h, patch_size: skimage.denoise_nl_means(
                image, patch_size=patch_size, patch_distance=9, h=h * noise, sigma=noise
            )
        )
        ways |= {
            "wavelets": (
                one_by_one(wavelets),
                grid(strength=[0.5, 0.75, 1.0], wavelet=["db1", "db2", "sym4"]),
            ),
            "total variation": (total_variation, grid(weight=[0.4, 0.7, 1, 1.4, 2])),
            "non-local means": (
                non_local,
                grid(h=[0.3, 0.5, 0.7, 0.9], patch_size=[3, 5]),
            ),
        }
    return ways


# -- ours ------------------------------------------------------------------------------


def make_denoiser(noise, image_shape, **parameters):
    """Return the unfitted autoencoder."""
    return AutoencoderTransformer(
        corruption=GaussianNoise(noise),
        image_shape=image_shape,
        precision="bf16",
        early_stopping=False,
        **{"architecture": UNet()} | parameters,
    )


OF_DIGITS = {
    "architecture": UNet((16, 32, 64)),
    "loss": "binary_cross_entropy",
    "max_epochs": 3,
}
OF_FACES = {"architecture": UNet((32, 64)), "max_epochs": 40, "batch_size": 16}

#: Pictures, standard deviation of the noise, parameters, whether to mirror them.
SUBJECTS = {
    "digits": (digits, 0.5, OF_DIGITS, False),
    "faces": (faces, 0.1, OF_FACES, True),
    "others' faces": (faces_of_others, 0.1, OF_FACES, True),
}


def compare(subject, arguments):
    """Return the report of a subject."""
    load, noise, parameters, mirrors = SUBJECTS[subject]
    pictures = load(arguments.quick)
    clean, shape = pictures.X_test, pictures.image_shape
    spoil = GaussianNoise(noise)
    noisy = spoil(clean, image_shape=shape, random_state=0)
    fitted_to, chosen_by = split(pictures)
    noisy_to_choose_by = spoil(chosen_by, random_state=1)

    rivals = []
    for name, (way, candidates) in other_ways().items():
        at = partial(way, image_shape=shape, noise=noise)
        candidates = candidates[:1] if arguments.quick else candidates
        settings = best_of(
            candidates,
            lambda at=at, **s: psnr(at(noisy_to_choose_by, fitted_to, **s), chosen_by),
        )
        function = partial(at, noisy, pictures.X_train, **settings)
        rivals.append(
            run(name, setting_text(settings), function, lambda Y: psnr(Y, clean))
        )

    X_train = pictures.X_train
    if mirrors:
        X_train = mirrored(X_train, shape)
    if arguments.quick:
        X_train, parameters = X_train[:500], parameters | {"max_epochs": 8}
        parameters = parameters | {"architecture": UNet((8, 16), n_blocks=1)}
    ours = []
    for seed in range(arguments.seeds):
        model = make_denoiser(noise, shape, random_state=seed, **parameters)
        ours.append(
            run(
                "AutoencoderTransformer",
                f"`{model.architecture!r}`, {model.max_epochs} epochs",
                lambda model=model: model.fit(X_train).reconstruct(noisy),
                lambda Y: psnr(Y, clean),
            )
        )
    if arguments.output is not None:
        best = max(rivals, key=lambda result: result.figure)
        columns = {"clean": clean, "noisy": noisy, best.method: best.rows}
        columns["autoencoder"] = ours[0].rows
        draw(arguments.output, f"Noise on {subject}", columns, shape)
    return report(
        f"Noise of {noise} on {subject}",
        pictures,
        rivals,
        ours,
        unit="PSNR, dB",
        gain=GAIN,
        settings={"PSNR of the noisy ones, dB": f"{psnr(noisy, clean):.2f}"},
        quick=arguments.quick,
    )


def main():
    arguments = make_parser(__doc__, SUBJECTS).parse_args()
    reports = [compare(subject, arguments) for subject in arguments.of]
    print_parts("Noise", reports, quick=arguments.quick)


if __name__ == "__main__":
    main()
