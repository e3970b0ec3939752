"""Pixels that are stuck at the lowest or the highest value."""

from skae._sklearn import Interval, Real
from skae._storage import storable
from skae.corruptions._base import Corruption


@storable
class SaltAndPepper(Corruption):
    """Set a random share of the entries to the lowest or the highest value.

    Parameters
    ----------
    share : float, default=0.1
        Probability of an entry to be overwritten, in [0, 1]; by either value as often.
    low, high : float, default=0.0, 1.0
        The two values, in the units of X.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import SaltAndPepper
    >>> SaltAndPepper(0.5)(np.full((1, 6), 0.5), random_state=0)
    array([[0.5, 0.5, 0.5, 0.5, 1. , 0. ]])
    """

    _parameter_constraints = {
        "share": [Interval(Real, 0, 1, closed="both")],
        "low": [Interval(Real, None, None, closed="neither")],
        "high": [Interval(Real, None, None, closed="neither")],
    }

    def __init__(self, share=0.1, *, low=0.0, high=1.0):
        self.share = share
        self.low = low
        self.high = high

    def corrupt(self, X, rng, frame):
        """Return rows with salt and pepper."""
        uniform = rng.uniform_like(X)
        X = X.masked_fill(uniform < self.share / 2, self.low)
        return X.masked_fill(uniform >= 1 - self.share / 2, self.high)
