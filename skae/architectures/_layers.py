"""Layers whose randomness comes from an explicit `Rng`."""

import torch
from torch import nn


def linear(n_inputs, n_outputs, rng, *, bias=True):
    """Return a linear layer with Glorot-uniform weights and zero bias, if any."""
    # made by hand: nn.Linear would fill its weights from the global generator, and on
    # the meta device, where it would not, import half a second of torch
    layer = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(layer)
    layer.in_features, layer.out_features = n_inputs, n_outputs
    weight = torch.empty(n_outputs, n_inputs)
    nn.init.xavier_uniform_(weight, generator=rng.generator())
    layer.weight = nn.Parameter(weight)
    zeros = nn.Parameter(torch.zeros(n_outputs)) if bias else None
    layer.register_parameter("bias", zeros)
    return layer


class Dropout(nn.Module):
    """Set a random share of the units to zero in training, and scale up the rest.

    Like `nn.Dropout`, which cannot be given a generator.
    """

    def __init__(self, probability, rng):
        super().__init__()
        self.probability = probability
        self.rng = rng

    def forward(self, X):
        """Return X with units dropped; X itself outside training."""
        if not self.training or self.probability == 0:
            return X
        keep = 1 - self.probability
        return X * self.rng.keep_like(X, keep) / keep

    def extra_repr(self):
        """Return what the repr shows."""
        return f"probability={self.probability}"


class Sequence(nn.Module):
    """Hidden layers, then the linear `output` layer."""

    def __init__(self, hidden, output):
        super().__init__()
        self.hidden = nn.Sequential(*hidden)
        self.output = output

    def forward(self, X):
        """Return the output for rows X."""
        return self.output(self.hidden(X))


def zero_output(network):
    """Make a network return zero until training changes that."""
    if network is not None:
        with torch.no_grad():
            for parameter in network.output.parameters():
                parameter.zero_()
