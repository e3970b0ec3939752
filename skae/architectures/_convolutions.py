"""Layers of images, whose weights come from an explicit `Rng`."""

import math

import torch
from torch import nn
from torch.nn import functional

# Side of the kernels, and that of the transposed ones: a multiple of the stride, lest
# some pixels be reached more often than others.
SIDE, DOUBLING_SIDE = 3, 4


def _weight(shape, n_inputs, n_outputs, rng):
    """Return Glorot-uniform weights."""
    bound = (6 / (n_inputs + n_outputs)) ** 0.5
    weight = torch.empty(shape)
    return nn.Parameter(weight.uniform_(-bound, bound, generator=rng.generator()))


class Convolution(nn.Module):
    """Convolution of 3 x 3 pixels that keeps the size of the image, or halves it.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels.
    rng : Rng
        Source of the weights.
    stride : int, default=1
        2 halves height and width, rounding up.
    bias : bool, default=True
        Whether each channel has one.
    """

    def __init__(self, n_inputs, n_outputs, rng, *, stride=1, bias=True):
        super().__init__()
        self.stride = stride
        area = SIDE**2
        shape = (n_outputs, n_inputs, SIDE, SIDE)
        self.weight = _weight(shape, area * n_inputs, area * n_outputs, rng)
        zeros = nn.Parameter(torch.zeros(n_outputs)) if bias else None
        self.register_parameter("bias", zeros)

    def forward(self, X):
        """Return images (n_rows, n_outputs, height, width)."""
        return functional.conv2d(
            X, self.weight, self.bias, stride=self.stride, padding=SIDE // 2
        )


class Doubling(nn.Module):
    """Transposed convolution that doubles the image, cut to the wanted size.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Channels.
    size : (int, int)
        Height and width of the result: twice those of the input, or one less.
    rng : Rng
        Source of the weights.
    """

    def __init__(self, n_inputs, n_outputs, size, rng):
        super().__init__()
        self.size = size
        # a pixel of the result is reached from a quarter of the kernel
        area = DOUBLING_SIDE**2 / 4
        shape = (n_inputs, n_outputs, DOUBLING_SIDE, DOUBLING_SIDE)
        self.weight = _weight(shape, area * n_inputs, area * n_outputs, rng)
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    def forward(self, X):
        """Return images (n_rows, n_outputs, *size)."""
        height, width = self.size
        doubled = functional.conv_transpose2d(
            X, self.weight, self.bias, stride=2, padding=1
        )
        return doubled[:, :, :height, :width]


class Residual(nn.Module):
    """An image plus what two convolutions make of it: nothing at first.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    activation : type
        Class of the activation before each convolution.
    rng : Rng
        Source of the weights.
    """

    def __init__(self, n_channels, activation, rng):
        super().__init__()
        self.layers = nn.Sequential(
            activation(),
            Convolution(n_channels, n_channels, rng),
            activation(),
            Convolution(n_channels, n_channels, rng),
        )
        with torch.no_grad():
            self.layers[-1].weight.zero_()

    def forward(self, X):
        """Return images like X."""
        return X + self.layers(X)


class ImageEncoder(nn.Module):
    """From rows to images, through layers of images, to the linear `output` layer."""

    def __init__(self, image_shape, hidden, output):
        super().__init__()
        self.image_shape = image_shape
        self.hidden = nn.Sequential(*hidden)
        self.output = output

    def forward(self, X):
        """Return the output for rows X."""
        images = X.reshape(-1, *self.image_shape)
        images = images.contiguous(memory_format=torch.channels_last)
        return self.output(self.hidden(images))


class ImageDecoder(nn.Module):
    """From codes to small images, through layers of images, to the `output` layer.

    That has four channels for each of the image's: the four pixels that one becomes.
    """

    def __init__(self, shape, entry, hidden, output, size):
        super().__init__()
        self.shape = shape  # (channels, height, width) of the small images
        self.entry = nn.Sequential(*entry)
        self.hidden = nn.Sequential(*hidden)
        self.output = output
        self.size = size  # (height, width) of the image

    def forward(self, Z):
        """Return rows of pixels for codes Z."""
        images = self.entry(Z).reshape(-1, *self.shape)
        images = images.contiguous(memory_format=torch.channels_last)
        doubled = functional.pixel_shuffle(self.output(self.hidden(images)), 2)
        height, width = self.size
        return doubled[:, :, :height, :width].flatten(1)


class ImageRestorer(nn.Module):
    """From images to images: down through stages, and up again beside them.

    Parameters
    ----------
    image_shape : (int, int, int)
        (channels, height, width).
    n_frequencies : int
        See `with_waves`.
    entry : nn.Module
        From the image to the channels of the first stage.
    down : list of nn.Module
        Stages, each at half the size of the one before.
    up : list of nn.ModuleList
        Pairs of a `Doubling` and a stage, one less.
    output : nn.Module
        From the channels of the first stage to those of the image.
    """

    def __init__(self, image_shape, n_frequencies, entry, down, up, output):
        super().__init__()
        self.image_shape, self.n_frequencies = image_shape, n_frequencies
        self.entry = entry
        self.down, self.up = nn.ModuleList(down), nn.ModuleList(up)
        self.output = output
        # what scaling has taken off: convolutions see the image with its mean
        backdrop = torch.zeros(math.prod(image_shape), dtype=torch.float32)
        self.register_buffer("backdrop", backdrop)

    def forward(self, X):
        """Return what to add to rows X."""
        images = (X + self.backdrop).reshape(-1, *self.image_shape)
        images = images.contiguous(memory_format=torch.channels_last)
        images = self.entry(with_waves(images, self.n_frequencies))
        seen = []
        for stage in self.down:
            images = stage(images)
            seen.append(images)
        for doubling, stage in self.up:
            seen.pop()
            images = stage(doubling(images) + seen[-1])
        return self.output(images).flatten(1)


def with_waves(images, n_frequencies):
    """Return images (n_rows, channels, ...) with waves of their values as channels.

    Sine and cosine of pi / 2, pi, 2 pi, ... times the values, so many of each.
    """
    if n_frequencies == 0:
        return images
    waves = [images]
    for i in range(n_frequencies):
        phases = math.pi * 2.0 ** (i - 1) * images
        waves += [phases.sin(), phases.cos()]
    return torch.cat(waves, dim=1)
