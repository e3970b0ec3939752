"""The network that fills holes in tables: the joint normal law, and one beside it."""

import numpy as np
import torch
from torch import nn

from skae._modules._footprint import Footprint, footprint
from skae._modules._joint_normal import JointNormal, spread_rows
from skae._modules._restoring import RestoringModule
from skae.architectures._layers import zero_output

# The middle share of a column's values whose width is the unit of its robust scale,
# and the least of it, in standard deviations.
MIDDLE, LEAST_WIDTH = (0.1, 0.9), 0.05

# That width of a normal law, in standard deviations.
IN_DEVIATIONS = 2.56


class FillingModule(RestoringModule):
    """A restorer whose rows have holes, which it is shown.

    Rows in network space have NaN in their holes here, up to the path that fills them.

    Parameters
    ----------
    **settings : object
        As for `AutoencoderModule`; the architecture is one that is shown holes.
    """

    def _build_networks(self):
        network = self.architecture.build_restorer(self.n_features, self.rng)
        self.encoder = FillingPath(self.n_features, network, self.rng)
        self.decoder = nn.Identity()

    def start_at_rows(self, rows):
        """Make the network fill holes with their mean by the law of `TrainingRows`."""
        numbers = rows.numbers()
        if numbers is None:
            numbers = np.arange(len(rows.X))
        X = rows.X[numbers[spread_rows(len(numbers))]]
        U = self.scaler(torch.from_numpy(X.astype(np.float64)), torch.float64)
        self.encoder.start_at(U, *self._line())

    def corrupt(self, U, rng, known=None):
        """Return what is restored in training: rows with their holes, and more."""
        if known is not None:
            U = U.where(known > 0, torch.nan)
        if self.corruption is None:
            return U
        X = self._corrupt_rows(U, rng)
        return self.scaler(X, U.dtype)

    def encode(self, U):
        """Return the output of the network for rows in network space."""
        corruption = self.corruption
        keeps_known = corruption is not None and corruption.keeps_known
        return self.encoder(U, keeps_known=keeps_known)

    def open_rows(self, X):
        """Return rows X in network space, NaN in their holes, and what is known."""
        U = self.to_network_space(X)
        return U, (~U.isnan()).to(U.dtype)

    def rescaled_errors(self, X):
        """Return every entry's squared error in network space, 0 in holes."""
        return super().rescaled_errors(X).nan_to_num(0.0)


class FillingPath(nn.Module):
    """Rows filled by a joint normal law, and what a network adds to them.

    Parameters
    ----------
    n_features : int
        Width of a row, and of the result.
    network : nn.Module
        From filled rows, in two scales, and their holes to what to add.
    rng : Rng
        Source of noise.
    """

    def __init__(self, n_features, network, rng):
        super().__init__()
        self.law, self.network = JointNormal(n_features), network
        self.register_buffer("middle", torch.zeros(n_features))
        self.register_buffer("width", torch.ones(n_features))
        self.register_buffer("gain", torch.ones(n_features))
        self.register_buffer("bias", torch.zeros(n_features))
        of_network = footprint(network, 3 * n_features, rng)
        self.footprint = Footprint(
            of_network.n_operations + n_features**3 // 6,
            max(of_network.widest, n_features),
        )

    def forward(self, U, *, keeps_known):
        """Return the sum of both for rows U, NaN in their holes.

        To what is known nothing is added if it is sure to be right.
        """
        with torch.no_grad():
            holes, filled = U.isnan(), self.law(U)
        # values far out would drown the others but for a second scale
        robust = ((filled - self.middle) / self.width).asinh()
        near = self.law.standardise(filled)
        shown = torch.cat([robust, near, holes.to(U.dtype)], dim=1)
        added = self.network(shown)
        if keeps_known:
            added = added * holes
        return self.gain * filled + self.bias + added

    def start_at(self, U, gain, bias):
        """Fit the law to rows U; the output is `gain * filled row + bias`."""
        self.law.fit(U)
        self.gain.fill_(gain)
        self.bias.copy_(torch.from_numpy(bias))
        U = U.where(~U.isnan().all(dim=0), 0.0)  # what only held-out rows know
        low, middle, high = (
            torch.from_numpy(np.nanquantile(U.numpy(), q, axis=0))
            for q in (MIDDLE[0], 0.5, MIDDLE[1])
        )
        self.middle.copy_(middle)
        self.width.copy_((high - low).clamp(min=LEAST_WIDTH) / IN_DEVIATIONS)
        zero_output(self.network)
