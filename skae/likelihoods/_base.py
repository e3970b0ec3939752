"""The contract of a likelihood."""

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np

from skae._sklearn import ParameterHolder


class Surrogate(NamedTuple):
    """A Gaussian stand-in for a likelihood around the column means.

    With it the linear start of a network has a closed form: the rows
    `gain * (X - means)` are treated as Gaussian around `params - bias`.

    Parameters
    ----------
    bias : ndarray of shape (n_features,)
        Decoder output that gives the column means.
    gain : float or ndarray of shape (n_features,)
        Factor of the centred rows.
    noise_variance : float, ndarray of shape (n_features,) or None
        Variance of the stand-in; None if it is to be estimated.
    """

    bias: np.ndarray
    gain: float | np.ndarray
    noise_variance: float | np.ndarray | None


class Likelihood(ParameterHolder, ABC):
    """Base class of the laws p(x | z), factorised over features.

    A likelihood holds parameters of the user's and no state: what is learned (a
    scale, say) lives in the network, is made by `initial_parameters`, and comes
    back as keyword arguments. `params` is the decoder's output, before any link
    function, of shape (..., n_features).
    """

    _parameter_constraints = {}

    #: Lowest and highest value that a feature may take.
    support = (-np.inf, np.inf)

    #: Whether X may be shifted and rescaled before the law is applied to it.
    scalable = True

    #: What X is divided by all the same where it may not be rescaled: network space has
    #: numbers of about unit size, while the law and its scores are those of X.
    unit = 1.0

    #: Whether X must be whole numbers.
    whole = False

    #: Whether it is told of each column what `fitted_to` needs to know, as `PerColumn`.
    goes_by_column = False

    #: Names of the learned parameters that every feature has one of.
    per_feature = ()

    #: Names of the learned parameters that `mean` takes.
    mean_parameters = ()

    def fitted_to(self, statistics):
        """Return this law, told the `ColumnStatistics` of the training rows: itself."""
        return self

    def initial_parameters(self, noise_variance=1.0):
        """Return the learned parameters at the start.

        Parameters
        ----------
        noise_variance : float, default=1.0
            Variance of the residuals that the start leaves.

        Returns
        -------
        dict of str to float or ndarray
        """
        return {}

    def observe(self, X, rng):
        """Return rows to train on for a batch X of rows in network space: X itself.

        Parameters
        ----------
        X : Tensor of shape (n_rows, n_features)
            Rows in network space; not to be changed.
        rng : Rng
            Source of randomness, if the law treats X as something to draw from.

        Returns
        -------
        Tensor like X
        """
        return X

    @abstractmethod
    def log_prob(self, params, X, **parameters):
        """Return log p(x | z) of every entry of X, in nats.

        Parameters
        ----------
        params : Tensor of shape (..., n_features)
            Decoder output.
        X : Tensor of shape (n_rows, n_features)
            Rows in network space.
        **parameters : Tensor
            Learned parameters.

        Returns
        -------
        Tensor of shape (..., n_features)
        """

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them.

        For training without autograd, which only the laws of this package have: they
        know K networks at once, and tensors that stay where they are.

        Parameters
        ----------
        params : Tensor of shape (K, n_rows, n_features)
            Where the decoder output will be; overwritten by the gradient of the
            log-likelihood, summed over rows and features.
        X : Tensor of shape (K, n_rows, n_features)
            Where the rows will be, in network space.
        weight : float
            Factor of everything that the operations set.
        out : Tensor of shape (..., K)
            Where to put the log-likelihood of each network, in nats.
        parameters, gradients : dict of str to Tensor of shape (K,) or (K, n_features)
            The learned parameters, and where to put the gradients by them.
        known : Tensor like X or None, default=None
            Where it will be said which entries of X count: 1 for those that do, 0 for
            the others. None if all do.

        Returns
        -------
        list of callable
            Functions without arguments, to be called in turn.
        """
        raise NotImplementedError

    @abstractmethod
    def mean(self, params, **parameters):
        """Return the mean of p(x | z), shaped as `params`.

        It is given the learned parameters that `mean_parameters` names.
        """

    @abstractmethod
    def sample(self, params, rng, **parameters):
        """Return one draw from p(x | z), shaped as `params`."""

    def surrogate(self, means):
        """Return the `Surrogate` of this law around the column means."""
        return Surrogate(bias=np.zeros_like(means), gain=1.0, noise_variance=None)
