"""Convolutional networks for rows that are images."""

from itertools import pairwise
from math import ceil, prod

from skae._sklearn import Integral, Interval
from skae._storage import storable
from skae.architectures._mlp import ACTIVATIONS
from skae.architectures._stages import StagedArchitecture, halved_sizes

# channels="auto" halves the image until its shorter side has at most this many pixels,
# once at least, with so many channels that double up to a most.
FEW_PIXELS, FIRST_CHANNELS, MOST_CHANNELS = 8, 16, 128


@storable
class Conv(StagedArchitecture):
    """Strided convolutions in the encoder, mirrored in the decoder.

    Each stage of the encoder halves height and width by a convolution of stride 2,
    and may have residual blocks of two more [1]_. The decoder goes back by transposed
    convolutions, the last of which are four side by side, one for each of the four
    pixels that one becomes [2]_: layers at full size cost most. Images of any height
    and width are taken.

    Parameters
    ----------
    channels : tuple of int or "auto", default="auto"
        Channels of each stage. "auto" is 16, 32, 64, 128, 128, ... with as many stages
        as leave at most 8 pixels of the shorter side, and at least one.
    n_blocks : int, default=0
        Residual blocks in each stage.
    hidden_layer_sizes : tuple of int, default=(256,)
        Widths of the dense layers between the convolutions and the code.
    activation : str, default="gelu"
        As for `MLP`.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row; None is that of the estimator.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual
       Networks", ECCV 2016, arXiv:1603.05027.
    .. [2] W. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an
       Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016, arXiv:1609.05158.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import Conv
    >>> ae = AutoencoderTransformer(
    ...     16, architecture=Conv((16, 32)), image_shape=(1, 28, 28)
    ... )
    """

    _parameter_constraints = StagedArchitecture._parameter_constraints | {
        "n_blocks": [Interval(Integral, 0, None, closed="left")],
        "hidden_layer_sizes": [tuple, list],
    }

    def __init__(
        self,
        channels="auto",
        *,
        n_blocks=0,
        hidden_layer_sizes=(256,),
        activation="gelu",
        image_shape=None,
    ):
        self.channels = channels
        self.n_blocks = n_blocks
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.image_shape = image_shape

    def _auto_channels(self):
        """Return the channels of each stage that "auto" stands for."""
        shorter, channels = min(self.image_shape[1:]), []
        while shorter > FEW_PIXELS or not channels:
            channels.append(min(FIRST_CHANNELS * 2 ** len(channels), MOST_CHANNELS))
            shorter = ceil(shorter / 2)
        return tuple(channels)

    def _sizes(self):
        """Return (height, width) before the first stage and after each."""
        return halved_sizes(self.image_shape, len(self._channels()))

    def build_encoder(self, n_features, n_outputs, rng):
        """Return the network from images to codes."""
        from torch import nn

        from skae.architectures._convolutions import Convolution, ImageEncoder
        from skae.architectures._layers import linear

        activation = getattr(nn, ACTIVATIONS[self.activation])
        hidden, n_inputs = [], self.image_shape[0]
        for width in self._channels():
            hidden.append(Convolution(n_inputs, width, rng, stride=2))
            hidden += self._blocks(width, activation, rng)
            hidden.append(activation())
            n_inputs = width
        height, width = self._sizes()[-1]
        hidden.append(nn.Flatten())
        n_inputs *= height * width
        for width in self.hidden_layer_sizes:
            hidden += [linear(n_inputs, width, rng), activation()]
            n_inputs = width
        output = linear(n_inputs, n_outputs, rng, bias=False)
        return ImageEncoder(tuple(self.image_shape), hidden, output)

    def build_decoder(self, n_components, n_outputs, rng):
        """Return the network from codes to images."""
        from torch import nn

        from skae.architectures._convolutions import (
            Convolution,
            Doubling,
            ImageDecoder,
        )
        from skae.architectures._layers import linear

        activation = getattr(nn, ACTIVATIONS[self.activation])
        widths, sizes = self._channels()[::-1], self._sizes()[::-1]
        shape = (widths[0], *sizes[0])
        entry, n_inputs = [], n_components
        for width in (*tuple(self.hidden_layer_sizes)[::-1], prod(shape)):
            entry += [linear(n_inputs, width, rng), activation()]
            n_inputs = width
        hidden = []
        if self.n_blocks:
            entry.pop()
            hidden += [*self._blocks(widths[0], activation, rng), activation()]
        for (n_inputs, width), size in zip(pairwise(widths), sizes[1:-1], strict=True):
            hidden.append(Doubling(n_inputs, width, size, rng))
            hidden += self._blocks(width, activation, rng)
            hidden.append(activation())
        output = Convolution(widths[-1], 4 * self.image_shape[0], rng, bias=False)
        return ImageDecoder(shape, entry, hidden, output, sizes[-1])
