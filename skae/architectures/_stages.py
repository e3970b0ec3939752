"""What architectures of images have in common: stages of halved images."""

from abc import abstractmethod
from math import ceil
from numbers import Integral as IntegralNumber

from skae._sklearn import InvalidParameterError, StrOptions
from skae.architectures._base import Architecture
from skae.architectures._mlp import ACTIVATIONS


class StagedArchitecture(Architecture):
    """Base class of networks that halve an image again and again.

    A subclass has the parameters `channels`, `n_blocks`, `activation` and
    `image_shape`, and says what "auto" channels are and which sizes images have.
    """

    _parameter_constraints = {
        "channels": [tuple, list, StrOptions({"auto"})],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "image_shape": [tuple, list, None],
    }

    def _validate_params(self):
        super()._validate_params()
        name = type(self).__name__
        if self.image_shape is None:
            raise ValueError(
                f"architecture={self!r} is for images, but image_shape=None; pass "
                "image_shape=(channels, height, width) of the image in a row"
            )
        channels = self._channels()
        if not channels or not all(
            isinstance(c, IntegralNumber) and not isinstance(c, bool) and c > 0
            for c in channels
        ):
            raise InvalidParameterError(
                f"The 'channels' parameter of {name} must be a tuple of positive ints, "
                f"one at least, or 'auto'. Got {self.channels!r} instead."
            )
        sizes = self._sizes()
        if len(sizes) > 1 and min(sizes[-2]) < 2:
            raise ValueError(
                f"image_shape={tuple(self.image_shape)} is too small to be halved "
                f"{len(sizes) - 1} times, as channels={self.channels!r} asks for; use "
                "fewer channels, or architecture='mlp'"
            )

    def _channels(self):
        """Return the channels of each stage."""
        if isinstance(self.channels, str):
            return self._auto_channels()
        return tuple(self.channels)

    @abstractmethod
    def _auto_channels(self):
        """Return the channels of each stage that "auto" stands for."""

    @abstractmethod
    def _sizes(self):
        """Return the (height, width) of all images, each half of the one before."""

    def _blocks(self, width, activation, rng):
        """Return the residual blocks of a stage."""
        from skae.architectures._convolutions import Residual

        return [Residual(width, activation, rng) for _ in range(self.n_blocks)]


def halved_sizes(image_shape, n_times):
    """Return (height, width) of an image and of its halves, rounded up."""
    sizes = [tuple(image_shape[1:])]
    for _ in range(n_times):
        sizes.append(tuple(ceil(side / 2) for side in sizes[-1]))
    return sizes
