"""A fully connected network that takes noise of any strength off rows of a table."""

from numbers import Real

from skae._sklearn import InvalidParameterError
from skae._storage import storable
from skae.architectures._mlp import MLP

# The network is shown sines and cosines of the logarithm of the noise, in waves of this
# many frequencies, evenly spaced up to the highest.
N_FREQUENCIES, HIGHEST_FREQUENCY = 8, 2.0


@storable
class DenoisingMLP(MLP):
    """Fully connected layers that take normal noise off rows, without a code.

    The network is told how strong the noise is and learns all strengths of a range at
    once, which it makes itself in training: an estimator with it needs no
    `corruption`. Where no row is like those of training, what it takes off is not
    what was put on: so `AutoencoderOutlierDetector` finds anomalies.

    Beside the network is the best linear answer for columns that know nothing of each
    other, and the loss is in units of the error that this leaves, for each strength
    [1]_.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256, 256)
        Widths of the hidden layers.
    noise : (float, float), default=(0.05, 5.0)
        Lowest and highest standard deviation of the noise, in units of the scaled
        columns. All orders of magnitude between them are equally frequent.
    activation, normalization : str
        As for `MLP`.
    dropout : float, default=0.0
        As for `MLP`.

    References
    ----------
    .. [1] T. Karras, M. Aittala, T. Aila, S. Laine, "Elucidating the Design Space of
       Diffusion-Based Generative Models", NeurIPS 2022, arXiv:2206.00364, section 5.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import DenoisingMLP
    >>> X = load_wine().data
    >>> denoiser = AutoencoderTransformer(
    ...     architecture=DenoisingMLP((32,)), max_epochs=5, random_state=0
    ... ).fit(X)
    >>> denoiser.reconstruct(X, noise=0.5).shape
    (178, 13)
    """

    has_bottleneck = False
    is_told_noise = True

    def __init__(
        self,
        hidden_layer_sizes=(256, 256),
        *,
        noise=(0.05, 5.0),
        activation="gelu",
        normalization=None,
        dropout=0.0,
    ):
        super().__init__(
            hidden_layer_sizes,
            activation=activation,
            normalization=normalization,
            dropout=dropout,
        )
        self.noise = noise

    _parameter_constraints = MLP._parameter_constraints | {"noise": [tuple, list]}

    def _validate_params(self):
        super()._validate_params()
        numbers = [
            level
            for level in self.noise
            if isinstance(level, Real) and not isinstance(level, bool)
        ]
        if not (len(numbers) == len(self.noise) == 2 and 0 < numbers[0] < numbers[1]):
            raise InvalidParameterError(
                "The 'noise' parameter of DenoisingMLP must be a pair (low, high) of "
                f"positive floats. Got {self.noise!r} instead."
            )

    def build_restorer(self, n_features, rng):
        """Return the network from noisy rows and waves of the noise to what to add."""
        n_inputs = n_features + 2 * N_FREQUENCIES
        return self._build(n_inputs, tuple(self.hidden_layer_sizes), n_features, rng)
