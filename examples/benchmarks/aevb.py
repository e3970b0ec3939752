"""The first VAE, Kingma & Welling's on MNIST: a better bound, in five minutes a fit.

    python examples/benchmarks/aevb.py                  # 3 seeds: about an hour
    python examples/benchmarks/aevb.py --seeds 1 --components 3,20
    python examples/benchmarks/aevb.py --quick          # seconds: does it run?

The claim: for codes of 3, 5, 10, 20 and 200 components, minus the ELBO of test images
is below that of a replication of the paper [1]_, after at most five minutes on two
cores in place of 300 epochs of Adagrad. The paper itself has curves and no table.

The protocol is that of the replication: images turned into zeros and ones once, with
the grey levels as probabilities, in a split of 60,000 and 10,000; layers
784-500-N-500-784 with tanh; a Bernoulli likelihood. Minus the ELBO is that of
`score_samples`: a mean over 64 draws of the code of each image, where the replication
took one, which has the same expectation.

Everything but the network, the likelihood and the epochs is at its default: 2,000 of
the training images are held out to choose the epoch by. What skae trains has linear
paths beside both networks.

References
----------
.. [1] D. Kingma, M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014,
   arXiv:1312.6114; the figures are means over three seeds.
"""

from literature import (
    SECONDS,
    Claim,
    binarized,
    epochs_in,
    load_images,
    make_parser,
    parse,
    print_report,
    timed_fit,
)

from skae import VAETransformer
from skae.architectures import MLP

N_HIDDEN = 500
BINARIZATION_SEED = 2026
# slow enough for the widest code
MINUTES, EPOCHS_A_MINUTE = 5, 8
PUBLISHED = {3: 141.30, 5: 124.41, 10: 107.57, 20: 100.61, 200: 99.23}
BOUND = "-ELBO"


def make_vae(n_components, max_epochs, seed):
    """Return the VAE of the paper."""
    return VAETransformer(
        n_components,
        architecture=MLP((N_HIDDEN,), activation="tanh"),
        likelihood="bernoulli",
        max_epochs=max_epochs,
        random_state=seed,
    )


def main():
    parser = make_parser(__doc__, minutes=MINUTES)
    parser.add_argument(
        "--components",
        type=lambda sizes: [int(size) for size in sizes.split(",")],
        default=list(PUBLISHED),
        help=f"some of {','.join(map(str, PUBLISHED))}; default: all",
    )
    arguments = parse(parser)
    images = load_images(quick=arguments.quick)
    X_train, X_test = (
        binarized(X, BINARIZATION_SEED + i)
        for i, X in enumerate((images.X_train, images.X_test))
    )
    sizes = [3, 20] if arguments.quick else arguments.components
    epochs = epochs_in(arguments, EPOCHS_A_MINUTE)

    fits, claims = [], []
    for size in sizes:
        model = f"components: {size}"
        for seed in range(arguments.seeds):
            vae = make_vae(size, epochs, seed)
            fits.append(
                timed_fit(model, vae, X_train, lambda vae: {BOUND: -vae.score(X_test)})
            )
        claims += [
            Claim(model, BOUND, PUBLISHED.get(size), PUBLISHED.get(size)),
            Claim(model, SECONDS, limit=60 * arguments.minutes),
        ]
    print_report(
        "Auto-encoding variational Bayes",
        images,
        make_vae("N", epochs, 0),
        fits,
        claims,
        quick=arguments.quick,
    )


if __name__ == "__main__":
    main()
