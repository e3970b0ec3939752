"""Normal law with one scale."""

from functools import partial

from skae._storage import storable
from skae.likelihoods._location_scale import LocationScale


@storable
class Gaussian(LocationScale):
    """Normal law around the decoder's output with one scale for all features.

    A learned scale weighs reconstruction against the KL term by itself [1]_, so
    `beta=1` is right for data of any noise level.

    Parameters
    ----------
    scale : "learned" or float, default="learned"
        Standard deviation in network space (after the estimator's scaling).

    References
    ----------
    .. [1] O. Rybkin, K. Daniilidis, S. Levine, "Simple and Effective VAE Training
       with Calibrated Decoders", ICML 2021, arXiv:2006.13202.

    Examples
    --------
    >>> import torch
    >>> from skae.likelihoods import Gaussian
    >>> round(Gaussian(scale=1.0).log_prob(torch.zeros(1), torch.ones(1)).item(), 4)
    -1.4189
    """

    def unit_log_prob(self, deviations):
        """Return log N(deviation; 0, 1), in nats."""
        return -0.5 * deviations.square() - self.log_normaliser

    def slope_operations(self, deviations, moment):
        """Return the operations that set the sum of squares; deviations are slopes."""
        import torch

        squares = torch.empty_like(deviations)
        return [
            partial(torch.mul, deviations, deviations, out=squares),
            partial(torch.sum, squares, (1, 2), out=moment),
        ]

    def unit_sample(self, params, rng):
        """Return standard normal draws."""
        return rng.normal_like(params)
