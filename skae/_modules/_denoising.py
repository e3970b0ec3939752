"""The network that takes noise off rows, and is told how strong it is."""

import math

import torch
from torch import nn

from skae._modules._autoencoder import AutoencoderOutput
from skae._modules._footprint import footprint
from skae._modules._restoring import RestoringModule
from skae.architectures._denoising_mlp import HIGHEST_FREQUENCY, N_FREQUENCIES
from skae.architectures._layers import zero_output


class DenoisingModule(RestoringModule):
    """A restorer of rows with normal noise, of all strengths in a range.

    A row to encode has one number more than features in training: the logarithm of
    the standard deviation of its noise.

    Parameters
    ----------
    **settings : object
        As for `AutoencoderModule`; the architecture is one that is told the noise.
    """

    def _build_networks(self):
        network = self.architecture.build_restorer(self.n_features, self.rng)
        self.encoder = DenoisingPath(self.n_features, network, self.rng)
        self.decoder = nn.Identity()

    def start_at_rows(self, rows):
        """Make the network the best that columns can do without each other."""
        self.encoder.start_at()

    @property
    def lowest(self):
        """The logarithm of the weakest noise."""
        return math.log(self.architecture.noise[0])

    def corrupt(self, U, rng, known=None):
        """Return noisy rows with the logarithms of their noise as the last column."""
        U = super().corrupt(U, rng, known)
        span = math.log(self.architecture.noise[1]) - self.lowest
        level = self.lowest + span * rng.uniform_like(U[:, :1])  # (n_rows, 1)
        noisy = U + level.exp() * rng.normal_like(U)
        return torch.cat([noisy, level], dim=1)

    def encode(self, U, level=None):
        """Return rows in network space less noise of a level; None is the weakest."""
        level = self.lowest if level is None else level
        return self.encoder(U, torch.full_like(U[:, :1], level))

    def forward(self, U, rng=None):
        """Return the `AutoencoderOutput` of noisy rows; the code is their noise."""
        rows, level = U[:, :-1], U[:, -1:]
        return AutoencoderOutput(level, self.encoder(rows, level))

    def loss(self, output, U, known=None):
        """Return the mean loss and its terms, see `AutoencoderModule.loss`.

        Half the squared error, in units of what columns on their own leave on average.
        """
        variance = (2 * output.Z).exp()  # (n_rows, 1)
        errors = (output.params - U).square() * (1 + variance) / (2 * variance)
        if known is not None:
            errors = errors * known
        reconstruction = errors.sum(dim=1).mean()
        return reconstruction, {"reconstruction": reconstruction.detach()}

    # -- inference, in the units of X ------------------------------------------

    def denoise(self, X, noise):
        """Return rows less noise of a standard deviation, in scaled units."""
        U, _ = self.open_rows(X)
        return self.scaler.inverse(self.encode(U, math.log(noise)))


class DenoisingPath(nn.Module):
    """Rows drawn towards their mean, and what a network adds to them.

    For noise of standard deviation s the row is divided by 1 + s**2, which is best for
    columns of unit variance that know nothing of each other; the network sees rows of
    unit variance, and its output counts in the units of the error that is left.

    Parameters
    ----------
    n_features : int
        Width of a row, and of the result.
    network : nn.Module
        From rows, and waves of the noise, to rows.
    rng : Rng
        Source of noise.
    """

    def __init__(self, n_features, network, rng):
        super().__init__()
        self.network = network
        frequencies = torch.linspace(0, HIGHEST_FREQUENCY, N_FREQUENCIES + 1)[1:]
        self.register_buffer("frequencies", frequencies)
        self.footprint = footprint(network, n_features + 2 * N_FREQUENCIES, rng)

    def forward(self, U, level):
        """Return rows U less noise of which `level` is the logarithm, (n_rows, 1)."""
        variance = (2 * level).exp()
        whole = 1 + variance
        angles = level * self.frequencies  # (n_rows, n_frequencies)
        shown = torch.cat([U / whole.sqrt(), angles.sin(), angles.cos()], dim=1)
        return U / whole + (variance / whole).sqrt() * self.network(shown)

    def start_at(self):
        """Make the network add nothing."""
        zero_output(self.network)
