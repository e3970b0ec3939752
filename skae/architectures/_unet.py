"""A network from images to images of the same size, without a bottleneck."""

from itertools import pairwise
from math import ceil

from skae._sklearn import Integral, Interval
from skae._storage import storable
from skae.architectures._mlp import ACTIVATIONS
from skae.architectures._stages import StagedArchitecture, halved_sizes

# channels="auto" halves the image until its shorter side has at most this many pixels,
# once at least, with so many channels at full size and so many below.
FEW_PIXELS, FIRST_CHANNELS, OTHER_CHANNELS = 8, 32, 64


@storable
class UNet(StagedArchitecture):
    """Convolutions at several sizes of the image, from image to image.

    For autoencoders that restore: there is no code of a few numbers between the
    spoilt image and the restored one, because what a denoiser, a colourist or a
    restorer needs is all that the image still shows. So it takes a `corruption`, and
    `transform` returns the restored rows, as `reconstruct` does.

    Stages of residual blocks [1]_ see the image at full size, at half of it, and so
    on; on the way back up each stage adds what it had on the way down [2]_. All that
    the network returns is added to the image that it was given.

    Parameters
    ----------
    channels : tuple of int or "auto", default="auto"
        Channels of each stage, the first of which is at full size. "auto" is 32, 64,
        64, ... with as many stages as leave at most 8 pixels of the shorter side, and
        at least two.
    n_blocks : int, default=2
        Residual blocks in each stage, either way.
    n_frequencies : int, default=0
        Frequencies, each twice the one before, whose sines and cosines of the pixels'
        values are further channels of the input [3]_. For what hangs on a value
        abruptly, as the colour may on the shade of grey: 6 or more.
    activation : str, default="gelu"
        As for `MLP`.
    image_shape : tuple of int or None, default=None
        (channels, height, width) of the image in a row; None is that of the estimator.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Identity Mappings in Deep Residual
       Networks", ECCV 2016, arXiv:1603.05027.
    .. [2] O. Ronneberger, P. Fischer, T. Brox, "U-Net: Convolutional Networks for
       Biomedical Image Segmentation", MICCAI 2015, arXiv:1505.04597.
    .. [3] M. Tancik et al., "Fourier Features Let Networks Learn High Frequency
       Functions in Low Dimensional Domains", NeurIPS 2020, arXiv:2006.10739.

    Examples
    --------
    >>> from skae import AutoencoderTransformer
    >>> from skae.architectures import UNet
    >>> from skae.corruptions import GaussianNoise
    >>> denoiser = AutoencoderTransformer(
    ...     architecture=UNet((32, 64)),
    ...     corruption=GaussianNoise(0.5),
    ...     image_shape=(1, 28, 28),
    ... )
    """

    _parameter_constraints = StagedArchitecture._parameter_constraints | {
        "n_blocks": [Interval(Integral, 1, None, closed="left")],
        "n_frequencies": [Interval(Integral, 0, None, closed="left")],
    }

    has_bottleneck = False

    def __init__(
        self,
        channels="auto",
        *,
        n_blocks=2,
        n_frequencies=0,
        activation="gelu",
        image_shape=None,
    ):
        self.channels = channels
        self.n_blocks = n_blocks
        self.n_frequencies = n_frequencies
        self.activation = activation
        self.image_shape = image_shape

    def _auto_channels(self):
        """Return the channels of each stage that "auto" stands for."""
        shorter, channels = min(self.image_shape[1:]), [FIRST_CHANNELS]
        while shorter > FEW_PIXELS or len(channels) == 1:
            channels.append(OTHER_CHANNELS)
            shorter = ceil(shorter / 2)
        return tuple(channels)

    def _sizes(self):
        """Return (height, width) of each stage."""
        return halved_sizes(self.image_shape, len(self._channels()) - 1)

    def build_restorer(self, n_features, rng):
        """Return the network from images to what to add to them."""
        from torch import nn

        from skae.architectures._convolutions import (
            Convolution,
            Doubling,
            ImageRestorer,
        )

        activation = getattr(nn, ACTIVATIONS[self.activation])
        widths, sizes = self._channels(), self._sizes()
        n_inputs = self.image_shape[0] * (1 + 2 * self.n_frequencies)
        entry = Convolution(n_inputs, widths[0], rng)
        down = [nn.Sequential(*self._blocks(widths[0], activation, rng))]
        up = []
        for n_inputs, width in pairwise(widths):
            halving = Convolution(n_inputs, width, rng, stride=2)
            down.append(nn.Sequential(halving, *self._blocks(width, activation, rng)))
        for (n_outputs, width), size in zip(pairwise(widths), sizes, strict=False):
            doubling = Doubling(width, n_outputs, size, rng)
            blocks = nn.Sequential(*self._blocks(n_outputs, activation, rng))
            up.insert(0, nn.ModuleList([doubling, blocks]))
        output = nn.Sequential(
            activation(), Convolution(widths[0], self.image_shape[0], rng, bias=False)
        )
        return ImageRestorer(
            tuple(self.image_shape), self.n_frequencies, entry, down, up, output
        )

    def build_encoder(self, n_features, n_outputs, rng):
        """Return nothing: there is no code."""

    def build_decoder(self, n_components, n_outputs, rng):
        """Return nothing: there is no code."""
