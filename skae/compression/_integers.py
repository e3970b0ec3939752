"""Networks in whole numbers, which every machine computes alike.

Who decodes must come to the very probabilities of who encoded: a difference in the last
bit of one of them, and all that follows is noise. Sums of floating-point products
depend on their order, which depends on the processor and on the number of rows. Here
weights, activations and inputs are whole numbers in float64, small enough that every
sum is exact in any order; what is not a sum is read from a table.
"""

import copy
import math
from itertools import chain

import numpy as np
import torch
from torch import nn

from skae.architectures import _convolutions as ours
from skae.architectures._layers import Dropout

# Whole numbers stand for so many fractional bits: of activations and of weights. What
# an affine layer returns has the bits of both.
ACTIVATION_BITS, WEIGHT_BITS = 12, 14
AFFINE_BITS = ACTIVATION_BITS + WEIGHT_BITS

# Largest number that sums may come to; float64 has all whole ones up to 2 ** 53, and a
# residual block adds some of these.
LARGEST_SUM = 2.0**50

# Tables of activations have so many entries to the unit, and are cut off there.
ENTRY_BITS, CUT_OFF = 9, 64

AFFINE = (
    nn.Linear,
    nn.Conv2d,
    nn.ConvTranspose2d,
    ours.Convolution,
    ours.Doubling,
)
TABULATED = (
    nn.ELU, nn.GELU, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Softplus, nn.Tanh
)  # fmt: skip
EXACT = (nn.Sequential, nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, Dropout)


class Table:
    """A function of fixed-point numbers: its value in the middle of each step.

    Values are rounded to whole numbers, so that the last bits of `exp` or `erf`, which
    differ between machines, do not matter.

    Parameters
    ----------
    function : callable
        From ndarray to ndarray, float64.
    low, high : int
        The range of the argument; beyond it, the value at its end.
    entry_bits : int
        Binary logarithm of the entries to the unit.
    bits : int
        Fractional bits of the values.
    """

    def __init__(self, function, low, high, entry_bits, bits):
        self.low, self.high, self.entry_bits = low, high, entry_bits
        n_entries = (high - low) << entry_bits
        middles = low + (np.arange(n_entries) + 0.5) / 2**entry_bits
        self.exact = np.ldexp(function(middles), bits)
        self.values = np.rint(self.exact)

    def margin(self):
        """Return how far the nearest value is from being rounded the other way."""
        return float(np.abs(np.abs(self.exact - np.trunc(self.exact)) - 0.5).min())

    def digest_into(self, digest):
        """Feed the values to a hash."""
        digest.update(self.values.tobytes())

    def __call__(self, X, bits):
        """Return the values for whole numbers X of so many fractional bits."""
        entries = np.floor(np.ldexp(X, self.entry_bits - bits))
        entries -= self.low << self.entry_bits
        np.clip(entries, 0, len(self.values) - 1, out=entries)
        return self.values[entries.astype(np.int64)]

    def between(self, X, bits):
        """Return whole numbers on straight lines between the values, as `__call__`."""
        fine = bits - self.entry_bits
        # steps from the middle of the first entry
        steps = X - (self.low * 2.0**bits + 2.0 ** (fine - 1))
        np.clip(steps, 0, (len(self.values) - 1) * 2.0**fine, out=steps)
        entries = np.floor(np.ldexp(steps, -fine))
        steps -= np.ldexp(entries, fine)
        entries = entries.astype(np.int64)
        left = self.values[entries]
        rise = self.values[np.minimum(entries + 1, len(self.values) - 1)] - left
        return left + np.floor(np.ldexp(rise * steps, -fine))


def activation_table(layer):
    """Return the `Table` of an activation of torch."""

    def function(X):
        with torch.inference_mode():
            return layer(torch.from_numpy(X)).numpy()

    return Table(function, -CUT_OFF, CUT_OFF, ENTRY_BITS, ACTIVATION_BITS)


class _TableLayer(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.table = activation_table(layer)

    def forward(self, X):
        return torch.from_numpy(self.table(X.numpy(), AFFINE_BITS))


class IntegerNetwork:
    """A network of affine layers and activations, in whole numbers.

    Parameters
    ----------
    network : nn.Module
        Encoder or decoder of a fitted module.
    largest : float
        Largest absolute value of an input.

    Raises
    ------
    ValueError
        If a layer is of a kind that cannot be computed so, or its weights are too
        large.
    """

    def __init__(self, network, *, largest):
        self.network = copy.deepcopy(network).cpu().double().eval()
        _check_layers(self.network)
        parameters = chain.from_iterable(
            layer.parameters(recurse=False) for layer in self.network.modules()
        )
        for parameter in parameters:
            parameter.requires_grad_(False)
        bound = max(largest, CUT_OFF) * 2**ACTIVATION_BITS
        for layer in self.network.modules():
            if isinstance(layer, AFFINE):
                _round_layer(layer, bound)
        _replace_activations(self.network)

    def __call__(self, X):
        """Return outputs, with `AFFINE_BITS`, of inputs with `ACTIVATION_BITS`.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_inputs)
            Whole numbers, float64.

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
            Whole numbers, float64.
        """
        with torch.inference_mode():
            return self.network(torch.from_numpy(X)).numpy()

    def digest_into(self, digest):
        """Feed all that the outputs depend on to a hash."""
        digest.update(str(self.network).encode())
        for layer in self.network.modules():
            for parameter in layer.parameters(recurse=False):
                digest.update(parameter.numpy().tobytes())
            if isinstance(layer, _TableLayer):
                layer.table.digest_into(digest)


def _check_layers(network):
    """Raise ValueError for a layer that has no form in whole numbers."""
    for name, layer in network.named_modules():
        known = isinstance(layer, (*AFFINE, *TABULATED, *EXACT))
        weighs = any(True for _ in layer.parameters(recurse=False))
        weighs = weighs or any(True for _ in layer.buffers(recurse=False))
        is_leaf = not any(True for _ in layer.children())
        if not known and (weighs or is_leaf):
            raise ValueError(
                f"layer {name!r} of the network is {layer}, which compression cannot "
                "compute in whole numbers; use dense or convolutional layers and the "
                "activations of skae.architectures.MLP, without normalization"
            )


def _round_layer(layer, bound):
    """Make weights and bias whole numbers, and see that sums stay exact."""
    layer.weight.data = torch.ldexp(layer.weight, torch.tensor(WEIGHT_BITS)).round()
    # at least all the products that any output sums up
    weights = layer.weight.abs()
    outputs_first = not isinstance(layer, (nn.ConvTranspose2d, ours.Doubling))
    weights = weights if outputs_first else weights.transpose(0, 1)
    largest = weights.flatten(1).sum(dim=1).max().item() * bound
    if layer.bias is not None:
        layer.bias.data = torch.ldexp(layer.bias, torch.tensor(AFFINE_BITS)).round()
        largest += layer.bias.abs().max().item()
    if not largest < LARGEST_SUM:
        raise ValueError(
            f"weights of {layer} may sum up to 2 ** {math.log2(largest):.0f}, beyond "
            "what compression computes exactly; train with weight_decay, or on scaled "
            "rows"
        )


def _replace_activations(network):
    """Put tables in the place of activations."""
    for name, layer in network.named_children():
        if isinstance(layer, TABULATED):
            setattr(network, name, _TableLayer(layer))
        else:
            _replace_activations(layer)
