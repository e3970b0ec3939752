"""Codes that change little when the row does."""

from skae._sklearn import Integral, Interval, Real, StrOptions
from skae._storage import storable
from skae.penalties._base import Penalty


@storable
class Contractive(Penalty):
    r"""Let the code change little when the row does.

    The cost is :math:`\|\partial z / \partial u\|_F^2`, the sum of squares of the
    derivatives of the code by the row in network space, a mean over rows [1]_.

    Parameters
    ----------
    weight : float, default=0.1
        Factor of the cost, which is in nats per row.
    activation : {"sigmoid"} or None, default=None
        What stands behind the encoder. The paper's contractive autoencoder is
        "sigmoid" with `MLP(())`, one layer.
    n_draws : int, default=1
        Directions of the code that a deep encoder is differentiated in, drawn anew for
        every row and step: the mean of the squared derivatives along random signs is
        the cost, without bias [2]_. For an encoder of one layer, or from
        `n_components` draws on, the cost is exact.

    References
    ----------
    .. [1] S. Rifai, P. Vincent, X. Muller, X. Glorot, Y. Bengio, "Contractive
       Auto-Encoders: Explicit Invariance During Feature Extraction", ICML 2011.
    .. [2] M. Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix
       for Laplacian Smoothing Splines", 1989, doi:10.1080/03610918908812806.
    """

    _parameter_constraints = {
        "weight": [Interval(Real, 0, None, closed="left")],
        "activation": [StrOptions({"sigmoid"}), None],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
    }

    needs_jacobian = True

    def __init__(self, weight=0.1, *, activation=None, n_draws=1):
        self.weight = weight
        self.activation = activation
        self.n_draws = n_draws

    @property
    def squashes(self):
        """Whether a sigmoid stands behind the encoder."""
        return self.activation is not None

    def cost(self, Z, U, encoder, rng):
        """Return the cost of codes, in nats per row."""
        if encoder.network is None:
            slopes = Z * (1 - Z) if self.squashes else Z.new_ones(1, Z.shape[1])
            return self.weight * one_layer_norm(slopes, encoder.linear.weight).mean()
        if self.n_draws >= Z.shape[1]:
            return self.weight * squared_jacobian(Z, U).mean()
        draws = [2 * rng.keep_like(Z, 0.5) - 1 for _ in range(self.n_draws)]
        estimates = sum(squared_slopes(Z, U, signs) for signs in draws)
        return self.weight * estimates.mean() / self.n_draws


def one_layer_norm(slopes, weight):
    """Return the squared norm of the Jacobian of `s(W u + b)`, (n_rows,).

    `slopes` are the derivatives of s, (n_rows, n_components), `weight` is W.
    """
    return slopes.square() @ weight.square().sum(dim=1)


def squared_slopes(Z, U, directions):
    """Return the squared length of the gradient of `directions @ z` by u, (n_rows,).

    Its mean over random signs is the squared norm of the Jacobian of Z by U.
    """
    import torch

    (gradient,) = torch.autograd.grad(Z, U, directions, create_graph=True)
    return gradient.square().sum(dim=1)


def squared_jacobian(Z, U):
    """Return the squared norm of the Jacobian of Z by U, (n_rows,)."""
    import torch

    axes = torch.eye(Z.shape[1], dtype=Z.dtype, device=Z.device)
    return sum(squared_slopes(Z, U, axis.expand_as(Z)) for axis in axes)
