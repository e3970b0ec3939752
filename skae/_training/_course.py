"""The course of training: what happens around a step, besides gradient and optimiser.

examples/benchmarks/recipe.py measures what each part gives.
"""

import math

import torch

# Share of the steps in which the step size rises from zero.
WARMUP_SHARE = 0.05

# Standard deviation of the noise on the input, as a share of the data's.
JITTER = 0.4

# A gradient longer than this many times the usual length is shortened to that.
LONGEST_GRADIENT = 2.0

# How much of the usual length each step renews.
RENEWAL = 0.05

# Weights enter the average with (steps so far) ** AVERAGE_POWER as their weight, so
# that it reaches back over about a tenth of the steps so far.
AVERAGE_POWER = 7.0

# They enter it about this many times, because each time costs.
MOST_AVERAGED = 1000

TINY = torch.finfo(torch.float32).tiny


class Warmup:
    """Raise the share of what training phases in, step by step.

    Parameters
    ----------
    module : AutoencoderModule
        That is told: a VAE's KL term grows so, and active components become fewer.
    n_steps : float
        Steps until the share is 1.
    """

    def __init__(self, module, n_steps):
        self.module, self.n_steps = module, n_steps
        self.n_taken, self.due = 0, None

    def step(self):
        """Set the share that is due at the next step."""
        due = 1.0 if self.is_over else self.n_taken / self.n_steps
        if due != self.due:
            self.module.set_warmup(due)
            self.due = due
        self.n_taken += 1

    @property
    def is_over(self):
        """Whether the share has reached 1."""
        return self.n_taken >= self.n_steps


class ConstantCourse:
    """A fixed step size and nothing else.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Its steps are taken as they are.
    """

    #: Whether what is encoded differs from what is to be reconstructed.
    jitters = False

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def begin_step(self, U):
        """Return what to encode for the rows U."""
        return U

    def before_update(self):
        """Do nothing to the gradient."""

    def after_update(self):
        """Do nothing to the weights."""

    def begin_epoch(self):
        """Do nothing to the weights."""

    def end_epoch(self):
        """Do nothing to the weights."""

    def follow(self, flat):
        """Do nothing: the weights that train are others from now on."""

    def retry(self, factor):
        """Take back the last epoch, whose weights are gone, with smaller steps."""
        for group in self.optimizer.param_groups:
            group["lr"] *= factor


class Course(ConstantCourse):
    """Warm-up and decay of the step size, input noise, clipping, and averaging.

    - The step size rises linearly from zero, because the moments of an adaptive
      optimiser know little at first and the start is worth keeping, and then falls
      linearly to zero.
    - What is encoded has noise added, which falls with the step size: a small table
      is fitted less closely [1]_, a large one in the end without noise.
    - A gradient that is much longer than usual is shortened. What is usual is
      measured, because the length of a gradient depends on the data.
    - Between epochs the network has an average of the weights of the last steps [2]_.
      So any epoch can be judged and kept as if the step size had fallen by then.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Whose step sizes to set.
    flat : FlatParameters
        Its weights and their gradients.
    n_steps : int
        How many steps there will be at most.
    spread : float or Tensor of shape (n_features,)
        Standard deviation of the data in network space; 0 for no noise.
    rng : Rng
        Source of the noise.

    References
    ----------
    .. [1] C. Bishop, "Training with Noise is Equivalent to Tikhonov Regularization",
       Neural Computation 7, 1995, doi:10.1162/neco.1995.7.1.108.
    .. [2] T. Karras et al., "Analyzing and Improving the Training Dynamics of
       Diffusion Models", CVPR 2024, arXiv:2312.02696, section 3.
    """

    jitters = True

    def __init__(self, optimizer, flat, n_steps, spread, rng):
        super().__init__(optimizer)
        self.n_steps, self.spread, self.rng = n_steps, spread, rng
        self.n_taken = self.n_taken_before = 0
        self.n_between = self.between(n_steps)
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self.follow(flat)

    @staticmethod
    def between(n_steps):
        """Return how many steps there are from one that is averaged to the next."""
        return max(1, n_steps // MOST_AVERAGED)

    def follow(self, flat):
        """Look after the weights of a `FlatParameters` from now on."""
        self.flat = flat
        self._forget()

    def _forget(self):
        """Forget the weights and gradients so far."""
        self.n_averaged, self.average, self.last, self.usual = 0, None, None, None

    @property
    def share(self):
        """The step size now, as a share of the highest."""
        n_rising = WARMUP_SHARE * self.n_steps
        rising = (self.n_taken + 1) / n_rising
        falling = (self.n_steps - self.n_taken) / (self.n_steps - n_rising)
        return max(0.0, min(1.0, rising, falling))

    def begin_step(self, U):
        """Set the step size; return the rows with noise."""
        share = self.share
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * share
        self.n_taken += 1
        return jittered(U, self.spread, share, self.rng)

    def before_update(self):
        """Shorten the gradient if it is much longer than usual.

        Usual is the geometric mean: a giant moves it little.
        """
        gradient = self.flat.gradient
        length = torch.linalg.vector_norm(gradient).add_(TINY).log_()
        if self.usual is None:
            self.usual = kept(length)
        excess = length - self.usual - math.log(LONGEST_GRADIENT)
        gradient.mul_(excess.clamp_(min=0).neg_().exp_())
        self.usual.lerp_(length, RENEWAL)

    def after_update(self):
        """Take the weights into the average, every now and then."""
        if self.n_taken % self.n_between:
            return
        self.n_averaged += 1
        vector = self.flat.vector.data
        if self.average is None:
            self.average = kept(vector)
            return
        share = (AVERAGE_POWER + 1) / (AVERAGE_POWER + self.n_averaged)
        self.average.lerp_(vector, share)

    def begin_epoch(self):
        """Put the last weights back, unless somebody has changed the average."""
        self.n_taken_before = self.n_taken
        if self.last is None:
            return
        if torch.equal(self.flat.vector.data, self.average):
            self.flat.vector.data.copy_(self.last)
            self.last = None
        else:
            self._forget()

    def end_epoch(self):
        """Give the network the average of its weights."""
        if self.average is not None:
            self.last = self.flat.vector.data.clone()
            self.flat.vector.data.copy_(self.average)

    def retry(self, factor):
        """Take back the last epoch, whose weights are gone, with smaller steps."""
        self.peaks = [peak * factor for peak in self.peaks]
        self.n_taken = self.n_taken_before
        self._forget()


def jittered(U, spread, share, rng):
    """Return rows with the noise that goes with a share of the highest step size."""
    if torch.is_tensor(spread):
        return torch.add(U, rng.normal_like(U).mul_(spread), alpha=JITTER * share)
    if not spread:
        return U
    return torch.add(U, rng.normal_like(U), alpha=JITTER * spread * share)


def kept(tensor):
    """Return a copy that outlives torch's inference mode."""
    with torch.inference_mode(False):
        return tensor.clone()
