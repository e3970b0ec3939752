"""Laplace law with one scale."""

import math
from functools import partial

from skae._storage import storable
from skae.likelihoods._location_scale import LocationScale


@storable
class Laplace(LocationScale):
    """Laplace law around the decoder's output: the absolute error in nats.

    Parameters
    ----------
    scale : "learned" or float, default="learned"
        Mean absolute deviation in network space (after the estimator's scaling).

    Examples
    --------
    >>> import torch
    >>> from skae.likelihoods import Laplace
    >>> round(Laplace(scale=1.0).log_prob(torch.zeros(1), torch.ones(1)).item(), 4)
    -1.6931
    """

    # The scale's maximum-likelihood estimate is the mean absolute deviation.
    scale_per_deviation = math.sqrt(2 / math.pi)
    unit_variance = 2.0

    power = 1
    log_normaliser = math.log(2)

    def unit_log_prob(self, deviations):
        """Return log Laplace(deviation; 0, 1), in nats."""
        return -deviations.abs() - self.log_normaliser

    def slope_operations(self, deviations, moment):
        """Return the operations that set the sum of sizes, then leave the signs."""
        import torch

        sizes = torch.empty_like(deviations)
        return [
            partial(torch.abs, deviations, out=sizes),
            partial(torch.sum, sizes, (1, 2), out=moment),
            deviations.sign_,
        ]

    def unit_sample(self, params, rng):
        """Return a random sign times exponential draws."""
        import torch

        sign = 2 * rng.keep_like(params, 0.5) - 1
        draws = torch.empty_like(params)
        return sign * draws.exponential_(generator=rng.generator(params.device))
