"""Fully connected networks."""

from numbers import Integral as IntegralNumber

from skae._sklearn import Interval, InvalidParameterError, Real, StrOptions
from skae._storage import storable
from skae.architectures._base import Architecture

# Classes of torch.nn, by name: what a user may ask for is known without torch.
ACTIVATIONS = {
    "elu": "ELU",
    "gelu": "GELU",
    "leaky_relu": "LeakyReLU",
    "relu": "ReLU",
    "sigmoid": "Sigmoid",
    "silu": "SiLU",
    "softplus": "Softplus",
    "tanh": "Tanh",
}
NORMALIZATIONS = {"batch": "BatchNorm1d", "layer": "LayerNorm"}


@storable
class MLP(Architecture):
    """Fully connected layers in the encoder, mirrored in the decoder.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, default=(256, 128)
        Widths of the encoder's hidden layers; the decoder has the same in reverse.
        `()` leaves the linear path alone: a linear autoencoder.
    activation : str, default="gelu"
        "elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "softplus", "tanh".
    normalization : {"batch", "layer"} or None, default=None
        Batch or layer normalisation before each activation.
    dropout : float, default=0.0
        Share of hidden units set to zero in training, in [0, 1).

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import MLP
    >>> ae = AutoencoderTransformer(2, architecture=MLP((32, 16), activation="tanh"))
    >>> ae.set_params(architecture__dropout=0.1).architecture
    MLP(activation='tanh', dropout=0.1, hidden_layer_sizes=(32, 16))
    """

    _parameter_constraints = {
        "hidden_layer_sizes": [tuple, list],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(256, 128),
        *,
        activation="gelu",
        normalization=None,
        dropout=0.0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.normalization = normalization
        self.dropout = dropout

    def _validate_params(self):
        super()._validate_params()
        sizes = self.hidden_layer_sizes
        if not all(
            isinstance(size, IntegralNumber) and not isinstance(size, bool) and size > 0
            for size in sizes
        ):
            raise InvalidParameterError(
                "The 'hidden_layer_sizes' parameter of MLP must be a tuple of positive "
                f"ints, () for a linear autoencoder. Got {sizes!r} instead."
            )
        if not (self.has_bottleneck or sizes):
            raise InvalidParameterError(
                f"The 'hidden_layer_sizes' parameter of {type(self).__name__} must "
                f"name at least one layer. Got {sizes!r} instead."
            )

    @property
    def min_batch_rows(self):
        """Fewest rows of a training batch: batch normalisation needs two."""
        return 2 if self.normalization == "batch" else 1

    def build_encoder(self, n_features, n_outputs, rng):
        """Return the network from rows to codes; None without hidden layers."""
        return self._build(n_features, tuple(self.hidden_layer_sizes), n_outputs, rng)

    def build_decoder(self, n_components, n_outputs, rng):
        """Return the network from codes to rows; None without hidden layers."""
        sizes = tuple(self.hidden_layer_sizes)[::-1]
        return self._build(n_components, sizes, n_outputs, rng)

    def _build(self, n_inputs, sizes, n_outputs, rng):
        if not sizes:
            return None
        from torch import nn

        from skae.architectures._layers import Dropout, Sequence, linear

        hidden = []
        for width in sizes:
            hidden.append(linear(n_inputs, width, rng))
            if self.normalization is not None:
                hidden.append(getattr(nn, NORMALIZATIONS[self.normalization])(width))
            hidden.append(getattr(nn, ACTIVATIONS[self.activation])())
            if self.dropout:
                hidden.append(Dropout(self.dropout, rng))
            n_inputs = width
        # the linear path beside the network has the bias
        return Sequence(hidden, linear(n_inputs, n_outputs, rng, bias=False))
