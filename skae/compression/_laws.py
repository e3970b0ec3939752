"""Laws of whole numbers, as tables of whole numbers."""

import numpy as np
from scipy.special import gammainc, gammaln

# Shapes of the generalised normal law exp(-|x / scale| ** shape) to choose from: from
# heavy tails over Laplace's law and the normal one to nearly uniform.
SHAPES = (0.4, 0.5, 0.6, 0.75, 1.0, 1.3, 1.6, 2.0, 3.0)

# Scales have so many values to the octave, so that machines which differ in the last
# bits find the same one.
SCALES_PER_OCTAVE = 32

# Probabilities are multiples of 2 ** -PROBABILITY_BITS. Values farther out than the
# table escape: they cost 16 bits, and 32 more as they are.
PROBABILITY_BITS, ESCAPE_BITS, MOST_VALUES = 24, 16, 2**12

# A table reaches so many times as far as the farthest value that it was made from.
REACH = 2.0

# Points by which the mean of the law in an interval is found.
N_POINTS = 64


class AxisLaw:
    """The law of a value along an axis, in steps, rounded to whole numbers.

    Parameters
    ----------
    values : ndarray of shape (n_values,)
        Values like those to come, in steps.
    rounding : callable
        From values in steps to whole numbers.
    edge : float
        The size from which a value is rounded to 1 and not to 0.

    Attributes
    ----------
    most : int
        Size of the largest value in the table.
    probabilities : ndarray of shape (2 * most + 2,)
        Of the values from -most to most, and of an escape.
    middles : ndarray of shape (2 * most + 1,)
        Mean of the law among the values that become each whole number, in steps.
    """

    def __init__(self, values, rounding, edge):
        farthest = np.abs(rounding(values)).max(initial=0.0)
        self.most = int(min(np.ceil(REACH * farthest) + 1, MOST_VALUES // 2))
        shape, scale = _fit(values)
        # (most + 1,) bounds of the intervals of 1, 2, ... and of what lies beyond
        bounds = edge + np.arange(self.most + 1)
        upper = _share_within(bounds, shape, scale)
        shares = np.diff(upper) / 2  # of 1, 2, ..., most
        shares = np.concatenate([shares[::-1], upper[:1], shares])
        counts = np.rint(np.ldexp(shares, PROBABILITY_BITS)) + 2**4
        counts = np.append(counts, 2.0 ** (PROBABILITY_BITS - ESCAPE_BITS))
        self.probabilities = np.ldexp(counts, -PROBABILITY_BITS)
        ahead = _means_between(bounds, shape, scale)
        self.middles = np.concatenate([-ahead[::-1], [0.0], ahead])

    def digest_into(self, digest):
        """Feed the table to a hash."""
        digest.update(self.probabilities.tobytes())


def _fit(values):
    """Return shape and scale of the likeliest generalised normal law around zero."""
    sizes = np.abs(values[np.isfinite(values)])
    if not sizes.any():
        return 1.0, 2.0**-20
    best = None
    for shape in SHAPES:
        scale = (shape * np.mean(sizes**shape)) ** (1 / shape)
        log_density = np.log(shape / (2 * scale)) - gammaln(1 / shape) - 1 / shape
        if best is None or log_density > best[0] + 1e-6:  # no tie to the last bit
            best = log_density, shape, scale
    _, shape, scale = best
    octave = np.rint(SCALES_PER_OCTAVE * np.log2(scale)) / SCALES_PER_OCTAVE
    return shape, float(2.0 ** max(octave, -20.0))


def _share_within(sizes, shape, scale):
    """Return the probability of a value of at most these sizes."""
    return gammainc(1 / shape, (sizes / scale) ** shape)


def _means_between(bounds, shape, scale):
    """Return the mean of the law between each bound and the next."""
    points = (np.arange(N_POINTS) + 0.5) / N_POINTS
    sizes = bounds[:-1, None] + points * np.diff(bounds)[:, None]
    exponents = -((sizes / scale) ** shape)
    weights = np.exp(exponents - exponents.max(axis=1, keepdims=True))
    return (weights * sizes).sum(axis=1) / weights.sum(axis=1)
