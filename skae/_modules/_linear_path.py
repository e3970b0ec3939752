"""A linear map with a network beside it."""

import torch
from torch import nn

from skae._modules._footprint import Footprint, footprint
from skae.architectures._layers import linear, zero_output


class LinearPath(nn.Module):
    """The sum of a linear map and a network: `x -> W x + b + network(x)`.

    Set to principal axes, and with a network that starts at zero, it *is* PCA; the
    network then learns what PCA leaves.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Widths.
    network : nn.Module or None
        The nonlinear half; None for a linear model.
    rng : Rng
        Source of the random start.
    """

    def __init__(self, n_inputs, n_outputs, network, rng):
        super().__init__()
        self.linear = linear(n_inputs, n_outputs, rng)
        self.network = network
        self.footprint = footprint(self.linear, n_inputs, rng)
        if network is not None:
            of_network = footprint(network, n_inputs, rng)
            self.footprint = Footprint(
                self.footprint.n_operations + of_network.n_operations,
                max(self.footprint.widest, of_network.widest),
            )

    def forward(self, X):
        """Return the sum of both for rows X."""
        if self.network is None:
            return self.linear(X)
        return self.linear(X) + self.network(X)

    def start_at(self, weight, bias):
        """Make this the linear map `X @ weight.T + bias` (ndarrays)."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(weight))
            self.linear.bias.copy_(torch.from_numpy(bias))
        zero_output(self.network)


class PixelwisePath(nn.Module):
    """The sum of a line for each feature and a network: `x -> a x + b + network(x)`.

    Parameters
    ----------
    n_features : int
        Width of a row, and of the result.
    network : nn.Module
        From rows to rows.
    rng : Rng
        Source of noise.
    """

    def __init__(self, n_features, network, rng):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))
        self.network = network
        self.footprint = footprint(network, n_features, rng)

    def forward(self, X):
        """Return the sum of both for rows X."""
        return self.gain * X + self.bias + self.network(X)

    def start_at(self, gain, bias):
        """Make this the line `gain * X + bias` of a float and an ndarray."""
        with torch.no_grad():
            self.gain.fill_(gain)
            self.bias.copy_(torch.from_numpy(bias))
        zero_output(self.network)
