"""What the units of hidden layers do over rows."""

import copy

import torch

from skae._training._inference import map_rows

#: Where torch has the layers whose outputs are activations.
ACTIVATIONS = torch.nn.modules.activation.__name__
#: A unit does the same for all rows if it varies by less, in shares of its size.
SAME = 1e-6


def losses_and_constant_units(module, X):
    """Return how well rows are reconstructed, and the units that tell none apart.

    Parameters
    ----------
    module : AutoencoderModule
        A fitted module, in evaluation mode.
    X : ndarray of shape (n_samples, width)
        Rows.

    Returns
    -------
    losses : ndarray of shape (n_samples,)
        Of reconstruction, in nats.
    units : dict of str to ndarray of bool of shape (n_units,)
        By the name of each layer of activations in the module, which units do the same
        for all rows. A unit of a layer for images is a channel.
    """
    module = copy.deepcopy(module)  # others may use it meanwhile
    ranges = {}
    for name, layer in module.named_modules():
        if type(layer).__module__ == ACTIVATIONS:
            layer.register_forward_hook(widen(ranges, name))
    losses = map_rows(module, "reconstruction_losses", X)
    return losses, {
        name: (highest - lowest <= SAME * highest.abs()).cpu().numpy()
        for name, (lowest, highest) in ranges.items()
    }


def widen(ranges, name):
    """Return a hook that widens the range of each unit by what a batch brings."""

    def hook(layer, inputs, outputs):
        units = outputs.transpose(0, 1).flatten(1)
        lowest, highest = units.amin(1), units.amax(1)
        if name in ranges:  # of an earlier batch
            lowest = torch.minimum(lowest, ranges[name][0])
            highest = torch.maximum(highest, ranges[name][1])
        ranges[name] = lowest, highest

    return hook
