"""The network of an autoencoder whose codes cost something."""

from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skae._modules._autoencoder import AutoencoderModule

# A code with an activation starts in the middle of it, at outputs of this deviation,
# where it is nearly linear.
MIDDLE = 0.25


class PenalisedOutput(NamedTuple):
    """What a forward pass returns."""

    Z: Tensor  # (n_rows, n_components), codes
    params: Tensor  # (n_rows, n_features), decoder output before the likelihood
    cost: Tensor  # (), penalty in nats per row


class PenalisedModule(AutoencoderModule):
    """An autoencoder with a penalty on its codes, and perhaps an activation.

    Parameters
    ----------
    penalty : Penalty
        What codes cost, and what they are.
    **settings : object
        As for `AutoencoderModule`.
    """

    terms = ("reconstruction", "penalty")

    def __init__(self, *, penalty, **settings):
        super().__init__(**settings)
        penalty.check_size(self.n_components)
        self.penalty = penalty
        self.warmup = 1.0  # share of the way that codes in training have come

    def settings(self):
        """Return the arguments that rebuild this module, but for the weights."""
        return super().settings() | {"penalty": self.penalty}

    def start_at_pca(self, axes):
        """Make the network PCA, as far as the activation of codes is linear."""
        super().start_at_pca(axes)
        self._start_in_the_middle(axes)

    def start_at_mixed(self, start):
        """Make the network PCA, as far as the activation of codes is linear."""
        super().start_at_mixed(start)
        self._start_in_the_middle(start.axes)

    def _start_in_the_middle(self, axes):
        intercept, slope = self.penalty.intercept, self.penalty.slope
        if slope == 1 and intercept == 0:
            return
        eigenvalues, _ = axes.padded(self.n_components)
        deviations = torch.from_numpy(np.sqrt(np.maximum(eigenvalues, 0)))
        deviations = deviations.clamp(min=deviations.max() * 1e-6).to(self.dtype)
        gains = torch.where(deviations > 0, MIDDLE / deviations, 1.0)
        encoder, decoder = self.encoder.linear, self.decoder.linear
        with torch.no_grad():
            encoder.weight.mul_(gains[:, None])
            encoder.bias.mul_(gains)
            decoder.weight.div_(slope * gains)
            decoder.bias.sub_(decoder.weight.sum(dim=1) * intercept)

    def set_objective(self, *, penalty, **objective):
        """Set the parameters of the loss."""
        super().set_objective(**objective)
        self.penalty = penalty

    def set_warmup(self, share):
        """Set how far codes in training have come to be those of inference."""
        self.warmup = share

    def encode(self, U):
        """Return the codes of rows in network space, in training as they are there."""
        A = self.encoder(U)
        if self.training:
            return self.penalty.activate_trained(A, self.warmup)
        return self.penalty.activate(A)

    def forward(self, U, rng=None):
        """Return the `PenalisedOutput` of rows in network space."""
        rng = self.rng if rng is None else rng
        differentiate = self.penalty.needs_jacobian
        with torch.enable_grad() if differentiate else nullcontext():
            if differentiate:
                U = U.detach().requires_grad_()
            Z = self.encode(U)
            cost = self.penalty.cost(Z, U, self.encoder, rng)
        return PenalisedOutput(Z, self.decoder(Z), cost)

    def loss(self, output, U, known=None):
        """Return the mean loss and its terms, in nats per row."""
        reconstruction, terms = super().loss(output, U, known)
        terms["penalty"] = output.cost.detach()
        return reconstruction + output.cost, terms
