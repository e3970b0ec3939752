"""What the laws with a location and one scale share."""

import math
from abc import abstractmethod
from functools import partial

import numpy as np

from skae._sklearn import Interval, Real, StrOptions
from skae.likelihoods._base import Likelihood, Surrogate

# Rows that lie exactly in a low-dimensional space would drive a learned scale to
# zero and the likelihood to infinity; in network space the data has variance 1.
SMALLEST_SCALE = 1e-3
LOG_SMALLEST_SCALE = math.log(SMALLEST_SCALE)

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


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

    #: The law of scale 1 has log-density `-|x| ** power / power - log_normaliser`.
    power = 2
    log_normaliser = HALF_LOG_2_PI

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
    def slope_operations(self, deviations, moment):
        """Return the operations that set the `moment` and then the slope.

        The moment is the sum of |deviation| ** power over the entries of each network,
        (K,); the slope, its derivative divided by `power`, takes the place of the
        deviations (K, n_rows, n_features).
        """

    @abstractmethod
    def unit_sample(self, params, rng):
        """Return draws from the law of location 0 and scale 1, shaped as `params`."""

    def log_prob(self, params, X, log_scale=None):
        """Return the log-density of every entry of X, in nats."""
        log_scale = self._log_scale(params, log_scale)
        return self.unit_log_prob((X - params) * (-log_scale).exp()) - log_scale

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them."""
        import torch

        # log p of an entry: -|deviation|^power * precision / power - log_scale - const
        moment = params.new_empty(len(params))  # (K,)
        minus_count, count = self._weighed_count(params, known, -weight)
        operations = [
            *count,
            *self._deviations(params, X, known),
            *self.slope_operations(params, moment),
        ]
        if parameters:
            return operations + self._backward_learned(
                params, moment, weight, minus_count, out, *parameters.values(),
                *gradients.values(),
            )  # fmt: skip
        factor = weight * self.scale**-self.power
        nats = math.log(self.scale) + self.log_normaliser
        volume = out.new_empty(out.shape)
        if known is None:
            volume.fill_(minus_count * nats)
        else:
            operations.append(lambda: volume.copy_(minus_count).mul_(nats))
        return [
            *operations,
            # a tensor, because torch would make one of a number at every call
            partial(params.mul_, params.new_tensor(factor)),
            partial(torch.add, volume, moment, out=out, alpha=-factor / self.power),
        ]

    def _deviations(self, params, X, known):
        """Return the operations that set what X deviates by, nothing in holes."""
        import torch

        operations = [partial(torch.sub, X, params, out=params)]
        return (
            operations if known is None else [*operations, partial(params.mul_, known)]
        )

    def _weighed_count(self, params, known, weight):
        """Return the weight times the number of entries, and operations that set it."""
        import torch

        if known is None:
            return weight * params[0].numel(), []
        count = params.new_empty(len(params))  # (K,)
        return count, [
            partial(torch.sum, known, (1, 2), out=count),
            partial(count.mul_, weight),
        ]

    def _backward_learned(
        self, params, moment, weight, minus_count, out, log_scale, grad
    ):
        import torch

        log, factor, volume, mask = params.new_empty(4, len(params))  # (K,) each
        return [
            partial(torch.clamp, log_scale, LOG_SMALLEST_SCALE, out=log),
            partial(torch.mul, log, -self.power, out=factor),
            factor.exp_,
            partial(factor.mul_, weight),
            partial(params.mul_, factor[:, None, None]),
            partial(moment.mul_, factor),
            partial(torch.add, moment, minus_count, out=grad),
            partial(torch.ge, log_scale, LOG_SMALLEST_SCALE, out=mask),
            partial(grad.mul_, mask),  # at the floor: no slope
            partial(torch.add, log, self.log_normaliser, out=volume),
            partial(volume.mul_, minus_count),
            partial(
                torch.add, volume.expand_as(out), moment, alpha=-1 / self.power, out=out
            ),
        ]

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
        return log_scale.clamp(min=LOG_SMALLEST_SCALE)
