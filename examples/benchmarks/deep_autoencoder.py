"""Hinton & Salakhutdinov's deep autoencoder on MNIST, without layer-wise pretraining.

    python examples/benchmarks/deep_autoencoder.py           # 3 seeds: half an hour
    python examples/benchmarks/deep_autoencoder.py --quick   # seconds: does it run?

The claim: codes of 30 numbers leave a squared error of less than 3.00 in a test image,
as in the paper [1]_, after at most 10 minutes on two cores.

The protocol is the paper's: pixels in [0, 1], layers 784-1000-500-250-30 and back,
trained by the cross-entropy on the 60,000 training images. What counts is the squared
error, summed over pixels, and averaged over the 10,000 test images. PCA with 30
components is measured beside it; the paper has 13.87. Everything but the network, the
loss and the epochs is at its default: 2,000 of the training images are held out to
choose the epoch by. What skae trains has linear paths beside both networks, and neither
pretraining nor logistic units.

References
----------
.. [1] G. Hinton, R. Salakhutdinov, "Reducing the Dimensionality of Data with Neural
   Networks", Science 313, 2006, doi:10.1126/science.1127647.
"""

import numpy as np
from literature import (
    SECONDS,
    Claim,
    Fit,
    epochs_in,
    load_images,
    make_parser,
    parse,
    print_report,
    timed_fit,
    told,
)
from sklearn.decomposition import PCA
from speed_race import timed

from skae import AutoencoderTransformer
from skae.architectures import MLP

N_COMPONENTS, HIDDEN = 30, (1000, 500, 250)
MINUTES, EPOCHS_A_MINUTE = 10, 5
PUBLISHED, PUBLISHED_PCA = 3.00, 13.87
AUTOENCODER, PCA_NAME = "784-1000-500-250-30", "PCA"
ERROR = "squared error"


def make_autoencoder(max_epochs, seed):
    """Return the autoencoder of the paper."""
    return AutoencoderTransformer(
        N_COMPONENTS,
        architecture=MLP(HIDDEN),
        loss="binary_cross_entropy",
        max_epochs=max_epochs,
        random_state=seed,
    )


def pca_fit(images, seed):
    """Return the `Fit` of PCA with as many components."""
    pca = PCA(N_COMPONENTS, random_state=seed)
    _, times = timed(pca.fit, images.X_train)
    residual = images.X_test - pca.inverse_transform(pca.transform(images.X_test))
    error = np.square(residual).sum(axis=1, dtype=float).mean()
    return told(Fit(PCA_NAME, seed, None, times["wall"], {ERROR: error}))


def main():
    arguments = parse(make_parser(__doc__, minutes=MINUTES))
    images = load_images(quick=arguments.quick)
    epochs = epochs_in(arguments, EPOCHS_A_MINUTE)

    def figures(autoencoder):
        return {ERROR: autoencoder.reconstruction_error(images.X_test).mean()}

    fits = [pca_fit(images, seed=0)]
    for seed in range(arguments.seeds):
        autoencoder = make_autoencoder(epochs, seed)
        fits.append(timed_fit(AUTOENCODER, autoencoder, images.X_train, figures))
    claims = [
        Claim(PCA_NAME, ERROR, PUBLISHED_PCA),
        Claim(AUTOENCODER, ERROR, PUBLISHED, PUBLISHED),
        Claim(AUTOENCODER, SECONDS, limit=60 * arguments.minutes),
    ]
    print_report(
        "A deep autoencoder of 2006",
        images,
        make_autoencoder(epochs, 0),
        fits,
        claims,
        quick=arguments.quick,
    )


if __name__ == "__main__":
    main()
