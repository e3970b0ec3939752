"""Negative binomial law of counts."""

import numpy as np

from skae._storage import storable
from skae.likelihoods._base import Surrogate
from skae.likelihoods._counts import LARGEST_LOG_RATE, Counts

# The shape of each column learns so many times faster than the networks: it has only
# to follow what the networks leave.
PACE = 10.0

# Shapes: beyond the largest the law is the Poisson law to rounding.
SMALLEST_LOG_SHAPE, LARGEST_LOG_SHAPE = -7.0, 9.0


@storable
class NegativeBinomial(Counts):
    """Counts that vary by more than the mean; the decoder's output is its logarithm.

    The variance is `mean + mean ** 2 / shape`, with a shape of each column that is
    learned. X must be whole numbers from 0 on. Scores are log-probabilities, in nats.

    Examples
    --------
    >>> import torch
    >>> from skae.likelihoods import NegativeBinomial
    >>> law, zero = NegativeBinomial(), torch.zeros(1)  # of shape 1: geometric
    >>> law.log_prob(zero, torch.tensor([0.0, 1, 2]), shifts=zero).exp().numpy()
    array([0.5  , 0.25 , 0.125], dtype=float32)
    """

    per_feature = ("shifts",)

    def initial_parameters(self, noise_variance=1.0):
        """Return no shift: a shape of 1."""
        return {"shifts": 0.0}

    def log_prob(self, params, X, shifts):
        """Return the log-probability of every count, in nats."""
        from torch.nn.functional import softplus

        counts, log_rate = self.counts(X), params.clamp(max=LARGEST_LOG_RATE)
        log_shape = _log_shape(shifts)
        shape, log_odds = log_shape.exp(), log_rate - log_shape
        ways = (counts + shape).lgamma() - shape.lgamma() - (counts + 1).lgamma()
        return ways - shape * softplus(log_odds) - counts * softplus(-log_odds)

    def sample(self, params, rng, shifts):
        """Return one count of each entry, over the unit: Poisson of a gamma draw."""
        import torch

        shape = _log_shape(shifts).exp().expand_as(params).contiguous()
        generator = rng.generator(params.device)
        stretch = torch._standard_gamma(shape, generator=generator) / shape
        draws = torch.poisson(self.rate(params) * stretch, generator=generator)
        return draws / self._unit_like(params)

    def surrogate(self, means):
        """Return the quadratic law with slope and curvature at the mean counts."""
        rate = self._mean_counts(means)
        return Surrogate(
            np.log(rate), gain=self.unit / rate, noise_variance=(1 + rate) / rate
        )


def _log_shape(shifts):
    return (PACE * shifts).clamp(SMALLEST_LOG_SHAPE, LARGEST_LOG_SHAPE)
