"""The network of an autoencoder without a bottleneck: from row to restored row."""

import torch
from torch import nn

from skae._modules._autoencoder import AutoencoderModule
from skae._modules._linear_path import PixelwisePath


class RestoringModule(AutoencoderModule):
    """An autoencoder whose code is the restored row.

    Parameters
    ----------
    **settings : object
        As for `AutoencoderModule`; the architecture is one without a bottleneck.
    """

    def _build_networks(self):
        network = self.architecture.build_restorer(self.n_features, self.rng)
        self.encoder = PixelwisePath(self.n_features, network, self.rng)
        self.decoder = nn.Identity()

    @property
    def n_operations(self):
        """Multiplications, and as many additions, for a row."""
        return self.encoder.footprint.n_operations

    @property
    def widest_layer(self):
        """How many numbers of a row the widest layer has."""
        return self.encoder.footprint.widest

    def set_scaler(self, scaler):
        """Set what takes rows to network space, and the mean row that it takes off."""
        super().set_scaler(scaler)
        backdrop = getattr(self.encoder.network, "backdrop", None)
        if backdrop is not None:
            mean = scaler.center / scaler.scale  # (n_features,)
            with torch.no_grad():
                backdrop.copy_(mean - mean.mean())

    def start_at_rows(self, rows):
        """Make the network return the rows as they are, whatever `TrainingRows`."""
        self.encoder.start_at(*self._line())

    def _line(self):
        """Return gain and bias that make a feature an output whose mean it is."""
        mean = self.scaler.fill.numpy()  # of the rows, in network space
        surrogate = self.likelihood.surrogate(mean)
        return surrogate.gain, surrogate.bias - surrogate.gain * mean

    # -- inference, in the units of X ------------------------------------------

    def transform(self, X):
        """Return the restored rows of rows X, in the units of X."""
        params = super().transform(X)
        return self.scaler.inverse(self._mean(params))

    def inverse_transform(self, Z):
        """Return codes Z: they are rows in the units of X already."""
        return Z
