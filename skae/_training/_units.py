"""What the units of hidden layers do over rows."""

import copy

import torch

from skae._training._inference import map_rows

#: Where torch has the layers whose outputs are activations.
ACTIVATIONS = torch.nn.modules.activation.__name__
#: A unit does the same for all rows if it varies by less, in shares of its size.
SAME = 1e-6


def unit_ranges(module, X):
    """Return the lowest and highest value of the units of each layer of activations.

    Parameters
    ----------
    module : AutoencoderModule
        A fitted module, in evaluation mode.
    X : ndarray of shape (n_samples, width)
        Rows; they go through the encoder and the decoder.

    Returns
    -------
    ranges : dict of str to tuple of Tensor of shape (n_units,)
        By the name of the layer in the module. A unit of a layer for images is a
        channel.
    """
    module = copy.deepcopy(module)  # others may use it meanwhile
    ranges = {}

    def watch(name):
        def hook(layer, inputs, outputs):
            units = outputs.transpose(0, 1).flatten(1)
            lowest, highest = units.amin(1), units.amax(1)
            if name in ranges:  # of an earlier batch
                lowest = torch.minimum(lowest, ranges[name][0])
                highest = torch.maximum(highest, ranges[name][1])
            ranges[name] = lowest, highest

        return hook

    for name, layer in module.named_modules():
        if type(layer).__module__ == ACTIVATIONS:
            layer.register_forward_hook(watch(name))
    map_rows(module, "reconstruction_losses", X)
    return ranges


def constant_units(module, X):
    """Return which units of each layer of activations do the same for all rows."""
    return {
        name: (highest - lowest <= SAME * highest.abs()).cpu().numpy()
        for name, (lowest, highest) in unit_ranges(module, X).items()
    }
