"""The contract of an architecture."""

from abc import ABC, abstractmethod

from skae._sklearn import ParameterHolder


class Architecture(ParameterHolder, ABC):
    """Base class of the network families.

    An architecture holds the user's parameters and builds the nonlinear half of an
    encoder and of a decoder; the estimator puts a linear path beside each. Weights
    must be drawn from the `Rng` that is handed in, never from a global generator.

    One without a bottleneck builds a restorer instead, from rows to rows.
    """

    _parameter_constraints = {}

    #: Fewest rows that a training batch may have.
    min_batch_rows = 1

    #: Whether a code stands between a row and its reconstruction.
    has_bottleneck = True

    #: Whether a restorer is told what is missing, see `build_restorer`.
    is_shown_holes = False

    #: Whether a restorer is told how strong the noise is that it is to take off, and
    #: makes that noise in training itself, see `build_restorer`.
    is_told_noise = False

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

    def build_restorer(self, n_features, rng, n_more=0):
        """Return the network from rows to what to add to them, without a code.

        Asked for where `has_bottleneck` is False, and the other two then are not. Maps
        (n_rows, n_features) to the same shape, with an `output` as in `build_encoder`,
        and may have a buffer `backdrop` of shape (n_features,), which is set to the
        mean row in network space less its own mean.

        Where `is_shown_holes`, what it maps is (n_rows, 3 * n_features): a filled row
        in a scale that brings far values near, the filled row itself, and 1 where it
        has been filled; of a table with categories `n_more` numbers follow. Where
        `is_told_noise`, waves of the noise's strength follow upon the row, as
        `DenoisingMLP` has them.
        """
        raise NotImplementedError
