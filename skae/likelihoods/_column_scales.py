"""A law with a location and a learned scale of each column."""

import numpy as np

from skae._storage import storable
from skae.likelihoods._base import Likelihood
from skae.likelihoods._location_scale import LOG_SMALLEST_SCALE, SMALLEST_SCALE


@storable
class ColumnScales(Likelihood):
    """A `LocationScale` law whose scale is learned for each column.

    Parameters
    ----------
    law : LocationScale
        With `scale="learned"`.
    """

    per_feature = ("log_scales",)

    def __init__(self, law):
        self.law = law

    def initial_parameters(self, noise_variance=1.0):
        """Return the logarithms of the scales, for one variance or one of each."""
        scales = np.sqrt(noise_variance) * self.law.scale_per_deviation
        return {"log_scales": np.log(np.maximum(scales, SMALLEST_SCALE))}

    def log_prob(self, params, X, log_scales):
        """Return the log-density of every entry of X, in nats."""
        return self.law.log_prob(params, X, log_scales)

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them."""
        import torch

        law, n_rows = self.law, X.shape[1]
        log_scales, gradient = parameters["log_scales"], gradients["log_scales"]

        def step():
            torch.sub(X, params, out=params)
            if known is not None:
                params.mul_(known)
            count = n_rows if known is None else known.sum(1)  # (K, m)
            log = log_scales.clamp(min=LOG_SMALLEST_SCALE)
            factor = (-law.power * log).exp_().mul_(weight)
            moment = params.abs().pow_(law.power).sum(1).mul_(factor)
            if law.power == 1:
                params.sign_()
            params.mul_(factor.unsqueeze(1))
            gradient.copy_(moment - weight * count)
            gradient.mul_(log_scales >= LOG_SMALLEST_SCALE)  # at the floor: no slope
            nats = (log + law.log_normaliser).mul_(-weight * count)
            out.copy_(nats.sub_(moment / law.power).sum(1))

        return [step]

    def mean(self, params):
        """Return the mean: the decoder's output itself."""
        return params

    def sample(self, params, rng, log_scales):
        """Return the mean plus noise of each column's scale."""
        return self.law.sample(params, rng, log_scales)

    def surrogate(self, means):
        """Return the surrogate of the law."""
        return self.law.surrogate(means)
