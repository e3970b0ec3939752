"""The network of an autoencoder whose codes are ordered: every size in one."""

import math
from copy import deepcopy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skae._modules._autoencoder import AutoencoderModule
from skae._modules._linear_path import LinearPath

# What a size wants of a component counts this much less for every component that it
# has beyond that one: small sizes have few components to be good by, and large ones
# many.
YIELD = 0.8

# A size whose error on held-out rows is above that of PCA costs this many times the
# excess on top, so that no epoch is kept for the sake of the other sizes.
PRICE_OF_EXCESS = 10.0

# In network space the data has variance about 1; an error below this is rounding.
SMALLEST_ERROR = 1e-6


class OrderedOutput(NamedTuple):
    """What a forward pass returns."""

    Z: Tensor  # (n_rows, n_components), codes
    params: Tensor  # (n_components, n_rows, n_features), decoded from 1, 2, ... of them


class OrderedModule(AutoencoderModule):
    """One encoder, and a decoder for each number of leading components.

    The loss weighs every size alike, however small its error: it is that of a normal
    law whose variance, for each size, is what the rows of a batch say.

    Parameters
    ----------
    n_encoded : int or None, default=None
        How many components the encoder has, of which the first `n_components` are kept;
        None for as many.
    **settings : object
        As for `AutoencoderModule`.
    """

    has_prefixes = True

    def __init__(self, *, n_components, n_encoded=None, **settings):
        # before the networks are built
        self.n_encoded = n_components if n_encoded is None else n_encoded
        super().__init__(n_components=n_components, **settings)
        width = self.n_features
        self.register_buffer("axes", torch.zeros(self.n_components, width))
        self.register_buffer("axes_mean", torch.zeros(width))

    def _build_networks(self):
        width, rng, build = self.n_features, self.rng, self.architecture
        encoder = build.build_encoder(width, self.n_encoded, rng)
        self.encoder = LinearPath(width, self.n_encoded, encoder, rng)
        self.decoders = nn.ModuleList(
            LinearPath(k, width, build.build_decoder(k, width, rng), rng)
            for k in range(1, self.n_components + 1)
        )

    @property
    def decoder(self):
        """The decoder of whole codes."""
        return self.decoders[-1]

    def settings(self):
        """Return the arguments that rebuild this module, but for the weights."""
        return super().settings() | {"n_encoded": self.n_encoded}

    def narrowed(self, n_components):
        """Return a copy that has the first so many components alone."""
        twin = deepcopy(self)
        twin.decoders = twin.decoders[:n_components]
        twin.axes = twin.axes[:n_components].clone()
        twin.n_components = n_components
        return twin

    def start_at_pca(self, axes):
        """Make the network PCA of every size on the given `PrincipalAxes`."""
        _, components = axes.padded(self.n_components)
        self.encoder.start_at(components, -components @ axes.mean)
        for k, decoder in enumerate(self.decoders, start=1):
            decoder.start_at(components[:k].T, axes.mean)
        self.axes.copy_(torch.from_numpy(components))
        self.axes_mean.copy_(torch.from_numpy(axes.mean))

    # -- training, in network space --------------------------------------------

    def encode(self, U):
        """Return the codes of rows in network space."""
        return self.encoder(U)[:, : self.n_components]

    def forward(self, U, rng=None):
        """Return the `OrderedOutput` of rows in network space."""
        Z = self.encode(U)
        rows = [decoder(self._first(Z, decoder)) for decoder in self.decoders]
        return OrderedOutput(Z, torch.stack(rows))

    def _first(self, Z, decoder):
        """Return the components that a decoder takes, with gradients that fade."""
        k = decoder.linear.in_features
        if not self.training:
            return Z[:, :k]
        beyond = torch.arange(k - 1, -1, -1, device=Z.device, dtype=Z.dtype)
        share = YIELD**beyond  # of size k in what component j comes to be
        return share * Z[:, :k] + (1 - share) * Z[:, :k].detach()

    def loss(self, output, U, known=None):
        """Return the mean over sizes of the loss and its terms, in nats per row."""
        errors = (output.params - U).square()  # (n_components, n_rows, n_features)
        logs = _log_errors(errors, known)
        loss = logs.mean()
        if not self.training:
            logs_of_pca = _log_errors(self._left_by_pca(U), known)
            excess = (logs - logs_of_pca).clamp(min=0)
            loss = loss + PRICE_OF_EXCESS * excess.mean()
        n_known = self.n_features if known is None else known.sum(dim=1).mean()
        loss = 0.5 * n_known * (math.log(2 * math.pi) + 1 + loss)
        return loss, {"reconstruction": loss.detach()}

    def _left_by_pca(self, U):
        """Return the squared errors of PCA, (n_components, n_rows, n_features)."""
        left, errors = U - self.axes_mean, []
        for axis in self.axes:
            left = left - (left @ axis)[:, None] * axis
            errors.append(left.square())
        return torch.stack(errors)

    # -- inference, in the units of X ------------------------------------------

    def inverse_transform(self, Z):
        """Return the mean rows of codes Z or of their first components."""
        return self.from_network_space(self.decoders[Z.shape[1] - 1](Z))

    def errors_of_sizes(self, X):
        """Return the squared error of rows X at every size, (n_rows, n_components).

        Summed over the known entries of a row, in network space.
        """
        U, known = self.open_rows(X)
        errors = (self(U).params - U).square()
        errors = errors if known is None else errors * known
        return errors.sum(dim=2).T


def _log_errors(errors, known):
    """Return the logarithm of the mean of known squared errors at each size."""
    if known is None:
        means = errors.mean(dim=(1, 2))
    else:
        means = (errors * known).sum(dim=(1, 2)) / known.sum()
    return (means + SMALLEST_ERROR).log()
