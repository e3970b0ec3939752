"""The contract of a penalty."""

from abc import ABC, abstractmethod

from skae._sklearn import ParameterHolder


class Penalty(ParameterHolder, ABC):
    """Base class of what an autoencoder's code costs beside its reconstruction.

    A penalty holds parameters of the user's and no state. It may also change what a
    code is: `activate` makes it of the encoder's output.
    """

    _parameter_constraints = {}

    #: Whether the cost is one of derivatives by the rows.
    needs_jacobian = False

    #: Whether a sigmoid stands behind the encoder.
    squashes = False

    @property
    def intercept(self):
        """The code of an output of zero."""
        return 0.5 if self.squashes else 0.0

    @property
    def slope(self):
        """The derivative of the code there."""
        return 0.25 if self.squashes else 1.0

    def activate(self, A):
        """Return the codes of the encoder's output: its sigmoid, or the output itself.

        Parameters
        ----------
        A : Tensor of shape (n_rows, n_components)
            Encoder output.

        Returns
        -------
        Tensor like A
        """
        return A.sigmoid() if self.squashes else A

    #: Share of the training steps over which `activate_trained` comes to its end.
    warmup = 0.0

    def activate_trained(self, A, share):
        """Return what training has in place of `activate`: the same, unless overridden.

        Parameters
        ----------
        A : Tensor of shape (n_rows, n_components)
            Encoder output.
        share : float
            Rises from 0 to 1 over the share `warmup` of the steps.

        Returns
        -------
        Tensor like A
        """
        return self.activate(A)

    @abstractmethod
    def cost(self, Z, U, encoder, rng):
        """Return the cost of codes, in nats per row.

        Parameters
        ----------
        Z : Tensor of shape (n_rows, n_components)
            Codes, as a function of U.
        U : Tensor of shape (n_rows, n_features)
            The encoded rows, in network space.
        encoder : LinearPath
            From U to what `activate` takes.
        rng : Rng
            Source of all randomness.

        Returns
        -------
        Tensor of shape ()
        """

    def check_size(self, n_components):
        """Raise ValueError unless codes of this width can be penalised.

        Parameters
        ----------
        n_components : int
            Width of a code.
        """
