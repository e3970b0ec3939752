"""The contract of an architecture."""

from abc import ABC, abstractmethod

from sklearn.base import BaseEstimator


class Architecture(BaseEstimator, ABC):
    """Base class of the network families.

    An architecture holds the user's parameters and builds the nonlinear half of an
    encoder and of a decoder; the estimator puts a linear path beside each. Weights
    must be drawn from the `Rng` that is handed in, never from a global generator.
    """

    _parameter_constraints = {}

    #: Fewest rows that a training batch may have.
    min_batch_rows = 1

    @abstractmethod
    def build_encoder(self, n_features, n_outputs, rng):
        """Return the network from rows to codes, or None for no network.

        Parameters
        ----------
        n_features : int
            Width of a row.
        n_outputs : int
            Width of the output: `n_components`, or twice that for a VAE.
        rng : Rng
            Source of the weights, and of the noise in training.

        Returns
        -------
        nn.Module or None
            Maps (n_rows, n_features) to (n_rows, n_outputs). Its last layer must be
            reachable as its attribute `output`, and return zero when its parameters
            are zero: the estimator sets them so for the PCA start.
        """

    @abstractmethod
    def build_decoder(self, n_components, n_outputs, rng):
        """Return the network from codes to rows, or None for no network."""
