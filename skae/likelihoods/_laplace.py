"""Laplace law with one scale."""

import math

import numpy as np
import torch

from skae._sklearn import Interval, Real, StrOptions
from skae.likelihoods._base import Likelihood, Surrogate
from skae.likelihoods._gaussian import SMALLEST_SCALE

# The Laplace law of scale b has variance 2 b^2; a normal law of deviation s has mean
# absolute deviation s * sqrt(2 / pi), which is b at its maximum-likelihood estimate.
MEAN_ABSOLUTE_DEVIATION = math.sqrt(2 / math.pi)


class Laplace(Likelihood):
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

    _parameter_constraints = {
        "scale": [StrOptions({"learned"}), Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, scale="learned"):
        self.scale = scale

    def initial_parameters(self, noise_variance=1.0):
        """Return the logarithm of the scale, if that is learned."""
        if self.scale != "learned":
            return {}
        scale = math.sqrt(noise_variance) * MEAN_ABSOLUTE_DEVIATION
        return {"log_scale": math.log(max(scale, SMALLEST_SCALE))}

    def log_prob(self, params, X, log_scale=None):
        """Return log Laplace(x; params, scale) of every entry, in nats."""
        log_scale = self._log_scale(params, log_scale)
        return -(X - params).abs() * (-log_scale).exp() - log_scale - math.log(2)

    def mean(self, params):
        """Return the mean: the decoder's output itself."""
        return params

    def sample(self, params, rng, log_scale=None):
        """Return the mean plus a random sign times exponential noise."""
        scale = self._log_scale(params, log_scale).exp()
        sign = 2 * rng.keep_like(params, 0.5) - 1
        exponential = torch.empty_like(params)
        exponential.exponential_(generator=rng.generator(params.device))
        return params + scale * sign * exponential

    def surrogate(self, means):
        """Return a normal law with the same mean."""
        noise_variance = None if self.scale == "learned" else 2 * self.scale**2
        return Surrogate(np.asarray(means), gain=1.0, noise_variance=noise_variance)

    def _log_scale(self, params, log_scale):
        if log_scale is None:
            return params.new_tensor(math.log(self.scale))
        return log_scale.clamp(min=math.log(SMALLEST_SCALE))
