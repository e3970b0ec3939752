"""Law of whole numbers in an order: cumulative logits."""

import numpy as np

from skae._sklearn import Integral, Interval
from skae._storage import storable
from skae.likelihoods._base import Likelihood, Surrogate

# The cut points learn so many times faster than the networks: they have only to follow
# what the networks leave.
PACE = 10.0

# Widths of a level, in logits. One that no training row has would be driven to nothing,
# and a row that has it to an infinite cost.
NARROWEST, WIDEST = 1e-5, 30.0

# The mean is a smooth function of the logit: it is computed at so many points a logit,
# out to so many beyond the cut points, and by cubics between them.
POINTS, BEYOND = 64, 40.0

# A column that is constant at the lowest or highest level has an infinite logit.
SMALLEST_SHARE = 1e-3


@storable
class Ordinal(Likelihood):
    """Whole numbers from 0 to `n_levels - 1`, by cumulative logits: grey levels, say.

    The decoder's output is the location of a logistic law, and learned cut points,
    which all features share, say where one level ends and the next begins: the
    proportional-odds model [1]_. The levels need not be evenly spaced, nor equally
    frequent. Two levels are the Bernoulli law. Scores are log-probabilities, in nats.

    The networks see X divided by its highest level.

    Parameters
    ----------
    n_levels : int, default=256
        Number of levels, at most 4096; X must be whole numbers below it.

    References
    ----------
    .. [1] P. McCullagh, "Regression Models for Ordinal Data", Journal of the Royal
       Statistical Society B 42, 1980, doi:10.1111/j.2517-6161.1980.tb01109.x.

    Examples
    --------
    >>> import torch
    >>> from skae.likelihoods import Ordinal
    >>> law = Ordinal(n_levels=4)
    >>> levels = torch.arange(4) / 3  # in network space
    >>> offsets = torch.zeros(3)  # cut points where training starts: all alike
    >>> law.log_prob(torch.zeros(1), levels, offsets=offsets).exp().numpy()
    array([0.25, 0.25, 0.25, 0.25], dtype=float32)
    """

    _parameter_constraints = {"n_levels": [Interval(Integral, 2, 2**12, closed="both")]}

    scalable = False
    whole = True
    mean_parameters = ("offsets",)

    def __init__(self, n_levels=256):
        self.n_levels = n_levels

    @property
    def support(self):
        """Lowest and highest level."""
        return (0.0, self.n_levels - 1.0)

    @property
    def unit(self):
        """The highest level, which X is divided by."""
        return self.n_levels - 1.0

    def initial_parameters(self, noise_variance=1.0):
        """Return offsets of zero: levels of one share each at the logit 0."""
        return {"offsets": np.zeros(self.n_levels - 1)}

    def cut_points(self, offsets):
        """Return the logits at which one level ends and the next begins.

        Parameters
        ----------
        offsets : Tensor of shape (n_levels - 1,)
            Of the first cut point, and of the logarithms of the widths between them.

        Returns
        -------
        cuts : Tensor of shape (n_levels - 1,)
            Increasing.
        widths : Tensor of shape (n_levels - 2,)
            Of the levels between them.
        """
        import torch

        start = torch.from_numpy(_even_cuts(self.n_levels)).to(offsets)
        log_widths = start.diff().log() + PACE * offsets[1:]
        widths = log_widths.clamp(np.log(NARROWEST), np.log(WIDEST)).exp()
        first = start[:1] + PACE * offsets[:1]
        return torch.cat([first, first + widths.cumsum(0)]), widths

    def levels(self, X):
        """Return the levels of entries in network space, int64."""
        return (X * self.unit).round().long().clamp(0, self.n_levels - 1)

    def log_prob(self, params, X, offsets):
        """Return the log-probability of the level of every entry, in nats."""
        import torch
        from torch.nn.functional import logsigmoid

        cuts, widths = self.cut_points(offsets)
        end = cuts.new_full((1,), torch.inf)
        levels = self.levels(X)
        below = torch.cat([-end, cuts])[levels] - params
        above = torch.cat([cuts, end])[levels] - params
        # s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)) of the logistic function s: no
        # digits are lost however narrow the level, and however far away
        nothing = torch.zeros_like(end)
        inside = torch.cat([nothing, (-torch.expm1(-widths)).log(), nothing])[levels]
        return logsigmoid(above) + logsigmoid(-below) + inside

    def mean(self, params, offsets):
        """Return the mean level divided by the highest, shaped as `params`."""
        import torch

        cuts = self.cut_points(offsets.double())[0]
        low, high = cuts[0].item() - BEYOND, cuts[-1].item() + BEYOND
        n_points = int((high - low) * POINTS) + 2
        points = low + torch.arange(n_points).to(cuts) / POINTS
        values, slopes = torch.zeros(2, n_points, dtype=cuts.dtype, device=cuts.device)
        for cut in cuts:
            above = (points - cut).sigmoid()  # P(level > this one)
            values += above
            slopes += above * (1 - above)
        # cubics with these values and slopes at their ends
        t = (params.double().clamp(low, high) - low) * POINTS
        i = t.long().clamp(max=n_points - 2)
        t = t - i
        left, right = values[i], values[i + 1]
        left_slope, right_slope = slopes[i] / POINTS, slopes[i + 1] / POINTS
        rise = right - left
        bend = t * (1 - t) * ((1 - t) * (left_slope - rise) - t * (right_slope - rise))
        return ((left + t * rise + bend) / self.unit).to(params.dtype)

    def sample(self, params, rng, offsets):
        """Return one level of each entry, divided by the highest."""
        import torch

        uniform = torch.empty_like(params)
        uniform.uniform_(generator=rng.generator(params.device))
        cuts = self.cut_points(offsets)[0]
        levels = torch.searchsorted(cuts, (params + uniform.logit()).contiguous())
        return levels.to(params.dtype) / self.unit

    def surrogate(self, means):
        """Return the quadratic law with the slope and curvature bound at logit 0.

        There the gradient by the logit is linear in the level. For two levels it is
        the surrogate of `Bernoulli`.
        """
        cuts = _even_cuts(self.n_levels)
        logits = np.linspace(-12, 12, 24 * POINTS + 1)
        above = sum(1 / (1 + np.exp(cut - logits)) for cut in cuts)
        shares = np.clip(means, SMALLEST_SHARE, 1 - SMALLEST_SHARE)
        bias = np.interp(shares, above / self.unit, logits)
        noise_variance = 2 * self.n_levels / (self.n_levels - 1)
        return Surrogate(bias=bias, gain=4.0, noise_variance=noise_variance)


def _even_cuts(n_levels):
    """Return cut points between levels of one share each at the logit 0."""
    shares = np.arange(1, n_levels) / n_levels
    return np.log(shares) - np.log1p(-shares)
