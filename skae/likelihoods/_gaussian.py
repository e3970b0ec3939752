"""Normal law with one scale."""

import math

import numpy as np

from skae._sklearn import Interval, Real, StrOptions
from skae.likelihoods._base import Likelihood, Surrogate

# Rows that lie exactly in a low-dimensional space would drive a learned scale to
# zero and the likelihood to infinity; in network space the data has variance 1.
SMALLEST_SCALE = 1e-3
HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


class Gaussian(Likelihood):
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

    _parameter_constraints = {
        "scale": [StrOptions({"learned"}), Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, scale="learned"):
        self.scale = scale

    def initial_parameters(self, noise_variance=1.0):
        """Return the logarithm of the scale, if that is learned."""
        if self.scale != "learned":
            return {}
        return {"log_scale": 0.5 * math.log(max(noise_variance, SMALLEST_SCALE**2))}

    def log_prob(self, params, X, log_scale=None):
        """Return log N(x; params, scale) of every entry, in nats."""
        log_scale = self._log_scale(params, log_scale)
        standardised = (X - params) * (-log_scale).exp()
        return -0.5 * standardised.square() - log_scale - HALF_LOG_2_PI

    def mean(self, params):
        """Return the mean: the decoder's output itself."""
        return params

    def sample(self, params, rng, log_scale=None):
        """Return the mean plus normal noise of the scale."""
        scale = self._log_scale(params, log_scale).exp()
        return params + scale * rng.normal_like(params)

    def surrogate(self, means):
        """Return the law itself: it is Gaussian already."""
        noise_variance = None if self.scale == "learned" else float(self.scale) ** 2
        return Surrogate(np.asarray(means), gain=1.0, noise_variance=noise_variance)

    def _log_scale(self, params, log_scale):
        if log_scale is None:
            return params.new_tensor(math.log(self.scale))
        return log_scale.clamp(min=math.log(SMALLEST_SCALE))
