"""Normal law to learn by, Student's t law of each column to score by."""

from functools import partial

from skae._storage import storable
from skae.likelihoods._gaussian import Gaussian
from skae.likelihoods._location_scale import HALF_LOG_2_PI, LOG_SMALLEST_SCALE

# One over the degrees of freedom is called the tail: 0 is the normal law, and below a
# half the law has a variance.
HEAVIEST_TAIL = 0.5

# log_normaliser = log(2 pi) / 2 + tail / 4 + tail^3 (CUBIC + QUARTIC tail), by least
# squares to 3e-6 nats, in place of a difference of log-gamma functions that has lost
# its digits where the tail is light.
CUBIC, QUARTIC = -0.04449574, 0.02149236

# log1p(x) / x is taken from its series below this.
SERIES_BELOW = 1e-3

# Gradients without autograd divide by the tail, as if it were at least this.
SMALLEST_TAIL = 1e-5

# The scale of a column that no training row contradicts falls to the smallest there is.
# As a prior one row in a thousand is taken to be a standard deviation of the data away:
# then the column gets a tail, too, and a row that does contradict it is not impossible.
SURPRISE = 1e-3

# The laws of the columns learn so many times faster than the networks: they have only
# to follow what the networks leave.
PACE = 10.0


@storable
class Calibrated(Gaussian):
    """Normal law to learn by, Student's t law of each column to score by.

    Encoder and decoder learn under the normal law with one scale for all features, as
    with `Gaussian` [1]_: codes and reconstructions are those of squared error. What
    they leave is described by a law of its own for every column, Student's t with a
    scale and a tail [2]_, which are learned beside them by the gradient of their own
    likelihood. It makes log-likelihoods and samples those of the data: columns differ
    in how well a code tells them, and under a normal law that fits most rows closely a
    single one far out costs more nats than thousands gain. (The importance-weighted
    bound of several draws weighs the draws by it.)

    At the start the scales are equal and the tails zero: the normal law.

    References
    ----------
    .. [1] O. Rybkin, K. Daniilidis, S. Levine, "Simple and Effective VAE Training
       with Calibrated Decoders", ICML 2021, arXiv:2006.13202.
    .. [2] K. Lange, R. Little, J. Taylor, "Robust Statistical Modeling Using the t
       Distribution", JASA 84, 1989, doi:10.1080/01621459.1989.10478852.

    Examples
    --------
    >>> from functools import partial
    >>> import torch
    >>> from skae.likelihoods import Calibrated
    >>> X, zero = torch.tensor([0.0, 10.0]), torch.zeros(2)
    >>> log_prob = partial(Calibrated().log_prob, zero, X, log_scale=zero)
    >>> log_prob(log_ratios=zero, bends=zero).numpy().round(2)  # normal
    array([ -0.92, -50.92], dtype=float32)
    >>> log_prob(log_ratios=zero, bends=zero + 0.1).numpy().round(2)  # with a tail
    array([-1.  , -8.07], dtype=float32)
    """

    scale = "learned"
    per_feature = ("log_ratios", "bends")

    def __init__(self):
        pass  # no parameters, unlike the base class

    def initial_parameters(self, noise_variance=1.0):
        """Return the logarithm of the common scale, and no difference to it."""
        start = super().initial_parameters(noise_variance)
        return start | dict.fromkeys(self.per_feature, 0.0)

    def log_prob(self, params, X, log_scale, log_ratios, bends):
        """Return the log-density of every entry of X, in nats.

        Its gradient by `params` and `log_scale` is that of the normal law; its gradient
        by the others, which make the law of each column, is its own and that of the
        prior.
        """
        import torch

        log_scales, tails = _log_scales(log_scale, log_ratios), _tails(bends)
        squares = ((X - params.detach()) * (-log_scales).exp()).square()
        log_prob = student_t_log_prob(squares, tails) - log_scales
        if not torch.is_grad_enabled():
            return log_prob
        surprise = student_t_log_prob((-2 * log_scales).exp(), tails) - log_scales
        normal = super().log_prob(params, X, log_scale)
        objective = log_prob + SURPRISE * surprise + normal
        return log_prob.detach() + (objective - objective.detach())

    def backward(self, params, X, *, weight, out, parameters, gradients, known=None):
        """Return the operations from decoder outputs to the gradient by them."""
        import torch

        squares = torch.empty_like(params)
        moment = params.new_empty(len(params))  # (K,)
        columns = ColumnLaws(squares, weight, out, parameters, gradients, known)
        minus_count, count = self._weighed_count(params, known, -weight)
        return [
            *count,
            *self._deviations(params, X, known),
            partial(torch.mul, params, params, out=squares),
            partial(torch.sum, squares, (1, 2), out=moment),
            *self._backward_learned(
                params, moment, weight, minus_count, out,
                parameters["log_scale"], gradients["log_scale"],
            ),
            columns.step,
        ]  # fmt: skip

    def sample(self, params, rng, log_scale, log_ratios, bends):
        """Return the mean plus noise of each column's law."""
        noise = rng.normal_like(params)
        noise *= rng.t_stretch_like(_tails(bends).expand_as(params))
        return params + _log_scales(log_scale, log_ratios).exp() * noise


class ColumnLaws:
    """The laws of the columns of K networks: likelihood and gradient, without autograd.

    Parameters
    ----------
    squares : Tensor of shape (K, n_rows, n_features)
        Where the squared deviations will be; overwritten.
    weight : float
        Factor of everything that is set.
    out : Tensor of shape (..., K)
        Where to put the log-likelihood of each network, in nats.
    parameters, gradients : dict of str to Tensor
        What is learned, and where to put the gradients by it.
    known : Tensor like squares or None, default=None
        Which of them count, as for `Likelihood.backward`; the others are 0.
    """

    def __init__(self, squares, weight, out, parameters, gradients, known=None):
        self.squares, self.spare = squares, squares.new_empty(squares.shape)
        self.weight, self.out, self.known = weight, out, known
        self.log_scale = parameters["log_scale"].unsqueeze(1)  # (K, 1)
        self.log_ratios, self.bends = parameters["log_ratios"], parameters["bends"]
        self.log_ratios_grad, self.bends_grad = (
            gradients["log_ratios"], gradients["bends"]
        )  # fmt: skip

    def step(self):
        """Set the log-likelihood and the gradients."""
        import torch

        # log p of an entry: -log_normaliser - log_scale - pull / 2 * log1p(x) with
        # x = tail * deviation^2 and pull = (1 + tail) / tail
        raw = self.log_scale + PACE * self.log_ratios  # (K, n_features)
        log_scales = raw.clamp(min=LOG_SMALLEST_SCALE)
        tails = _tails(self.bends)
        safe = tails.clamp(min=SMALLEST_TAIL)
        pull = (1 + tails) / safe
        factor = (-2 * log_scales).exp_().mul_(safe)

        n_rows = self._n_rows()
        x = self.squares.mul_(factor.unsqueeze(1))
        logs = torch.log1p(x, out=self.spare).sum(1, dtype=torch.float64)
        # d log1p(x) / d log(x); the sums cancel each other where the tail is light
        shares = x.div_(torch.add(x, 1, out=self.spare)).sum(1, dtype=torch.float64)

        nats = (_log_normaliser(tails) + log_scales).mul_(-n_rows)
        nats.addcmul_(pull, logs, value=-0.5)
        self.out.copy_(nats.sum(1).mul_(self.weight))

        self._add_prior(logs, factor.log1p(), n_rows)
        self._add_prior(shares, factor.div_(1 + factor), n_rows)
        n_rows = n_rows * (1 + SURPRISE)
        by_log_scale = (pull * shares).sub_(n_rows)
        by_log_scale.mul_(raw >= LOG_SMALLEST_SCALE)
        torch.mul(by_log_scale, PACE * self.weight, out=self.log_ratios_grad)

        by_tail = _normaliser_slope(tails).mul_(-n_rows)
        by_tail.addcdiv_(logs, safe, value=-0.5)
        by_tail.addcmul_(pull, shares.sub_(logs).div_(safe), value=-0.5)
        by_tail.mul_(self.weight).mul_(_tail_slopes(self.bends))
        self.bends_grad.copy_(by_tail)

    def _add_prior(self, sums, values, n_rows):
        """Add what a share of `SURPRISE` more rows would, each with the value."""
        if self.known is None:
            sums.add_(values, alpha=n_rows * SURPRISE)
        else:
            sums.addcmul_(values.to(sums.dtype), n_rows.to(sums.dtype), value=SURPRISE)

    def _n_rows(self):
        """Return how many rows know each column: an int, or (K, n_features)."""
        return self.squares.shape[1] if self.known is None else self.known.sum(1)


def _log_scales(log_scale, log_ratios):
    """Return the logarithm of each column's scale."""
    return (log_scale.detach() + PACE * log_ratios).clamp(min=LOG_SMALLEST_SCALE)


def _tails(bends):
    """Return tails in [0, HEAVIEST_TAIL), which rise from 0 on either side of 0."""
    # the absolute value, but with a slope at 0: that is where training starts
    size = PACE * bends * _signs(bends)
    return size / (1 + size / HEAVIEST_TAIL)


def _tail_slopes(bends):
    return PACE * _signs(bends) / (1 + PACE / HEAVIEST_TAIL * bends.abs()).square()


def _signs(values):
    """Return 1 for values from 0 on, and -1 for others."""
    return values.detach().ge(0).to(values.dtype).mul_(2).sub_(1)


def _log_normaliser(tails):
    return HALF_LOG_2_PI + tails / 4 + tails**3 * (CUBIC + QUARTIC * tails)


def _normaliser_slope(tails):
    return 0.25 + tails.square() * (3 * CUBIC + 4 * QUARTIC * tails)


def student_t_log_prob(squares, tails):
    """Return log-densities of Student's t law of scale 1, in nats.

    Parameters
    ----------
    squares : Tensor
        Squared deviations.
    tails : Tensor
        One over the degrees of freedom, at most `HEAVIEST_TAIL`.
    """
    import torch

    x = squares * tails
    small = x.clamp(max=SERIES_BELOW)  # or its powers overflow where it is not used
    series = 1 - small * (1 / 2 - small * (1 / 3 - small / 4))
    safe = x.clamp(min=SERIES_BELOW)
    ratio = torch.where(x < SERIES_BELOW, series, safe.log1p() / safe)
    return -_log_normaliser(tails) - 0.5 * (1 + tails) * squares * ratio
