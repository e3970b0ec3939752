"""Poisson law of counts."""

import numpy as np

from skae._storage import storable
from skae.likelihoods._base import Surrogate
from skae.likelihoods._counts import LARGEST_LOG_RATE, Counts


@storable
class Poisson(Counts):
    """Counts with the variance of their mean; the decoder's output is its logarithm.

    X must be whole numbers from 0 on. Scores are log-probabilities, in nats.

    Examples
    --------
    >>> import torch
    >>> from skae.likelihoods import Poisson
    >>> round(Poisson().log_prob(torch.zeros(1), torch.ones(1)).exp().item(), 4)
    0.3679
    """

    def log_prob(self, params, X):
        """Return the log-probability of every count, in nats."""
        return _log_prob(self.counts(X), params.clamp(max=LARGEST_LOG_RATE))

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them."""
        unit = self._unit_like(params)  # once: steps may be captured on a device

        def step():
            counts, log_rate = (X * unit).round(), params.clamp(max=LARGEST_LOG_RATE)
            log_prob = _log_prob(counts, log_rate)
            slope = counts.sub_(log_rate.exp_()).mul_(params < LARGEST_LOG_RATE)
            if known is not None:
                log_prob.mul_(known)
                slope.mul_(known)
            out.copy_(log_prob.sum(dim=(1, 2)).mul_(weight))
            params.copy_(slope.mul_(weight))

        return [step]

    def sample(self, params, rng):
        """Return one count of each entry, over the unit."""
        import torch

        draws = torch.poisson(self.rate(params), generator=rng.generator(params.device))
        return draws / self._unit_like(params)

    def surrogate(self, means):
        """Return the quadratic law with slope and curvature at the mean counts."""
        rate = self._mean_counts(means)
        return Surrogate(np.log(rate), gain=self.unit / rate, noise_variance=1 / rate)


def _log_prob(counts, log_rate):
    return counts * log_rate - log_rate.exp() - (counts + 1).lgamma()
