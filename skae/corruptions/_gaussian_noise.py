"""Normal noise, of one level or of a range of levels."""

from numbers import Real as RealNumber

from skae._sklearn import Interval, InvalidParameterError, Real
from skae._storage import storable
from skae.corruptions._base import Corruption


@storable
class GaussianNoise(Corruption):
    """Add normal noise to every entry.

    Parameters
    ----------
    scale : float or (float, float), default=0.1
        Standard deviation of the noise. Of a pair, every row draws its own between
        the two, so that one network learns to take off weak and strong noise.
    relative : bool, default=False
        Whether `scale` is in units of the columns' own scale, as the estimator's
        `scale` finds it, instead of in those of X.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import GaussianNoise
    >>> X = GaussianNoise(0.5)(np.zeros((1000, 20)), random_state=0)
    >>> round(float(X.std()), 2)
    0.5
    """

    _parameter_constraints = {
        "scale": [Interval(Real, 0, None, closed="left"), tuple, list],
        "relative": ["boolean"],
    }

    def __init__(self, scale=0.1, *, relative=False):
        self.scale = scale
        self.relative = relative

    def _validate_params(self):
        super()._validate_params()
        if isinstance(self.scale, RealNumber):
            return
        numbers = [s for s in self.scale if isinstance(s, RealNumber)]
        if not (len(numbers) == len(self.scale) == 2 and 0 <= numbers[0] <= numbers[1]):
            raise InvalidParameterError(
                "The 'scale' parameter of GaussianNoise must be a float of at least 0, "
                f"or a pair (low, high) of them. Got {self.scale!r} instead."
            )

    def corrupt(self, X, rng, frame):
        """Return rows with noise."""
        level = self.scale
        if not isinstance(level, RealNumber):
            low, high = level
            level = low + (high - low) * rng.uniform_like(X[:, :1])  # (n_rows, 1)
        noise = rng.normal_like(X) * level
        return X + (noise * frame.scale.to(X) if self.relative else noise)
