"""Steps of Adam, and the course around them, for K members at once."""

import math

import torch

from skae._training._course import (
    LONGEST_GRADIENT,
    RENEWAL,
    TINY,
    Course,
    kept,
)
from skae._training._optimizers import ONE

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


class StackedAdam:
    """Adam or AdamW for members with step sizes and weight decays of their own.

    Parameters
    ----------
    weights : StackedParameters
        Weights and gradients.
    name : {"adam", "adamw"}
        Which of the two.
    lrs, weight_decays : list of float
        Of each member.
    moments : tuple of Tensor or None, default=None
        The state to go on from: number of steps, first and second moments.
    """

    def __init__(self, weights, name, lrs, weight_decays, moments=None):
        self.weights, self.name = weights, name
        self.lrs, self.weight_decays = lrs, weight_decays
        vector = weights.vector
        if moments is None:
            moments = torch.zeros(()), *torch.zeros_like(vector.expand(2, -1))
        self.n_steps, self.mean, self.square = moments
        self.is_uniform = len(set(lrs)) == len(set(weight_decays)) == 1
        if self.is_uniform:
            self.operation = getattr(torch, f"_fused_{name}_")
            return
        self.operation = torch._fused_adamw_
        self.change = torch.zeros_like(vector)
        self.lr = weights.spread(vector.new_tensor(lrs))
        decays = vector.new_tensor(weight_decays)
        self.decay = None
        if any(weight_decays):
            decays = decays * vector.new_tensor(lrs) if name == "adamw" else decays
            self.decay = weights.spread(decays)

    def step(self, share):
        """Update the weights, with a share of the step sizes."""
        if self.is_uniform:
            self._apply(self.weights.vector, self.lrs[0] * share, self.weight_decays[0])
            return
        vector, gradient = self.weights.vector, self.weights.gradient
        if self.decay is not None and self.name == "adam":
            gradient.addcmul_(vector, self.decay)
        # what a step of size 1 would change: all of the change before decays
        self._apply(self.change, 1.0, 1.0)
        if self.decay is not None and self.name == "adamw":
            vector.addcmul_(vector, self.decay, value=-share)
        vector.addcmul_(self.change, self.lr, value=share)

    def _apply(self, vector, lr, weight_decay):
        self.n_steps.add_(ONE)
        self.operation(
            [vector], [self.weights.gradient], [self.mean], [self.square], [],
            [self.n_steps],
            lr=lr, beta1=BETA1, beta2=BETA2, weight_decay=weight_decay, eps=EPS,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    def of(self, weights, members):
        """Return the optimiser of some of the members, with the state of these."""
        take = self.weights.select
        moments = self.n_steps, take(self.mean, members), take(self.square, members)
        lrs = [self.lrs[k] for k in members]
        decays = [self.weight_decays[k] for k in members]
        return StackedAdam(weights, self.name, lrs, decays, moments)


class StackedCourse(Course):
    """The course of every member: `Course`, with gradients shortened one by one.

    Parameters
    ----------
    weights : StackedParameters
        Weights and gradients.
    n_steps : int
        How many steps there will be at most.
    """

    def __init__(self, weights, n_steps):
        self.n_steps, self.n_taken = n_steps, 0
        self.n_between = self.between(n_steps)
        self.follow(weights)

    def advance(self):
        """Begin a step; return its size as a share of the highest."""
        share = self.share
        self.n_taken += 1
        return share

    def before_update(self):
        """Shorten the gradients that are much longer than usual."""
        squares = self.flat.each(lambda _, gradient: gradient.square().sum(1))
        length = squares.sqrt_().add_(TINY).log_()  # (K,)
        if self.usual is None:
            self.usual = kept(length)
        excess = length - self.usual - math.log(LONGEST_GRADIENT)
        if (excess > 0).any():
            factor = excess.clamp_(min=0).neg_().exp_()
            for gradient in self.flat.gradients.values():
                gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))
        self.usual.lerp_(length, RENEWAL)

    def keep(self, weights, members):
        """Go on with some of the members, whose weights are `weights` from now on."""
        take = self.flat.select
        if self.average is not None:
            self.average = take(self.average, members)
        if self.last is not None:
            self.last = take(self.last, members)
        if self.usual is not None:
            self.usual = self.usual[members]
        self.flat = weights


class StackedConstantCourse:
    """Fixed step sizes and nothing else."""

    def advance(self):
        """Return the share of the step size: all of it."""
        return 1.0

    def before_update(self):
        """Do nothing to the gradients."""

    def after_update(self):
        """Do nothing to the weights."""

    def begin_epoch(self):
        """Do nothing to the weights."""

    def end_epoch(self):
        """Do nothing to the weights."""

    def keep(self, weights, members):
        """Do nothing: there is no state."""
