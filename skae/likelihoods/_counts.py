"""What the laws of counts share."""

import numpy as np

from skae.likelihoods._base import Likelihood

# exp of a larger logarithm is no count of anything, and soon overflows float32.
LARGEST_LOG_RATE = 30.0

# A column of zeros has the logarithm of zero as its mean's.
SMALLEST_RATE = 1e-3


class Counts(Likelihood):
    """Base class of the laws of whole numbers from 0 on, whose mean is exp(params).

    The networks see counts divided by the standard deviation of the column, which
    `fitted_to` says; the law and its scores are those of the counts.
    """

    support = (0.0, np.inf)
    scalable = False
    whole = True
    goes_by_column = True

    _units = None

    @property
    def unit(self):
        """What counts are divided by, 1 until `fitted_to` has said."""
        return 1.0 if self._units is None else self._units

    def fitted_to(self, statistics):
        """Return this law with the units of its columns."""
        law = type(self)(**self.get_params())
        law._units = np.maximum(statistics.std, 1.0)
        return law

    def rate(self, params):
        """Return the mean count."""
        return params.clamp(max=LARGEST_LOG_RATE).exp()

    def counts(self, X):
        """Return the counts of entries in network space."""
        # rounded: float32 has lost the last digits
        return (X * self._unit_like(X)).round()

    def mean(self, params, **learned):
        """Return the mean count over the unit."""
        return self.rate(params) / self._unit_like(params)

    def _unit_like(self, tensor):
        import torch

        return torch.as_tensor(self.unit, dtype=tensor.dtype, device=tensor.device)

    def _mean_counts(self, means):
        return np.maximum(np.asarray(means) * self.unit, SMALLEST_RATE)
