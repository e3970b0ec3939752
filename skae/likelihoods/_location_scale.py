"""What the laws with a location and one scale share."""

import math
from abc import abstractmethod

import numpy as np

from skae._sklearn import Interval, Real, StrOptions
from skae.likelihoods._base import Likelihood, Surrogate

# Rows that lie exactly in a low-dimensional space would drive a learned scale to
# zero and the likelihood to infinity; in network space the data has variance 1.
SMALLEST_SCALE = 1e-3


class LocationScale(Likelihood):
    """Base class of the laws around the decoder's output with one scale for all.

    Parameters
    ----------
    scale : "learned" or float, default="learned"
        The scale in network space (after the estimator's scaling).
    """

    _parameter_constraints = {
        "scale": [StrOptions({"learned"}), Interval(Real, 0, None, closed="neither")]
    }

    #: Scale of the law over the standard deviation of a normal law, both fitted to
    #: the same normal residuals by maximum likelihood.
    scale_per_deviation = 1.0

    #: Variance of the law of scale 1.
    unit_variance = 1.0

    def __init__(self, scale="learned"):
        self.scale = scale

    def initial_parameters(self, noise_variance=1.0):
        """Return the logarithm of the scale, if that is learned."""
        if self.scale != "learned":
            return {}
        scale = math.sqrt(noise_variance) * self.scale_per_deviation
        return {"log_scale": math.log(max(scale, SMALLEST_SCALE))}

    @abstractmethod
    def unit_log_prob(self, deviations):
        """Return the log-density of the law of location 0 and scale 1, in nats."""

    @abstractmethod
    def unit_sample(self, params, rng):
        """Return draws from the law of location 0 and scale 1, shaped as `params`."""

    def log_prob(self, params, X, log_scale=None):
        """Return the log-density of every entry of X, in nats."""
        log_scale = self._log_scale(params, log_scale)
        return self.unit_log_prob((X - params) * (-log_scale).exp()) - log_scale

    def mean(self, params):
        """Return the mean: the decoder's output itself."""
        return params

    def sample(self, params, rng, log_scale=None):
        """Return the mean plus noise of the scale."""
        scale = self._log_scale(params, log_scale).exp()
        return params + scale * self.unit_sample(params, rng)

    def surrogate(self, means):
        """Return the normal law of the same mean and variance."""
        if self.scale == "learned":
            noise_variance = None
        else:
            noise_variance = self.unit_variance * float(self.scale) ** 2
        return Surrogate(np.asarray(means), gain=1.0, noise_variance=noise_variance)

    def _log_scale(self, params, log_scale):
        if log_scale is None:
            return params.new_tensor(math.log(self.scale))
        return log_scale.clamp(min=math.log(SMALLEST_SCALE))
