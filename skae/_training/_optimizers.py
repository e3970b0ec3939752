"""The optimisers of torch, without an import and an overhead that they do not need."""

from inspect import signature, unwrap

import torch
from torch.optim import Optimizer

from skae._training._optimizer_names import OPTIMIZERS

# One call of these updates all weights, where torch's default makes several.
ADAMS = ("adam", "adamw")
FUSED = ("adagrad", *ADAMS, "sgd")

ONE = torch.ones(())  # torch would make a tensor of a number at every step


class WithoutCompiler:
    """Mixin: an optimiser that does not import torch's compiler.

    torch shields these methods from `torch.compile`, and imports all of it, for a
    second or more, when the first of them is called.
    """

    add_param_group = unwrap(Optimizer.add_param_group)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    state_dict = unwrap(Optimizer.state_dict)
    zero_grad = unwrap(Optimizer.zero_grad)


def _step_without_compiler(cls):
    """Return the `step` of an optimiser without what torch wraps around it."""
    step = unwrap(cls.step)

    def without_autograd(self, closure=None):
        with torch.no_grad():
            return step(self, closure)

    return without_autograd


class FusedStep(WithoutCompiler):
    """Mixin for Adam and AdamW on one vector: a step is one operation, and little else.

    For a small network `torch.optim` needs ten times as long around the operation as
    in it. The state is that of `torch.optim` with `fused=True`; hooks on steps are not
    called.
    """

    def step(self, closure=None):
        """Update the weights; a closure computes the gradients first."""
        loss = None if closure is None else closure()
        (group,) = self.param_groups
        (vector,) = group["params"]
        state = self.state[vector] or self._first_state(vector)
        state["step"].add_(ONE)
        self.operation(
            [vector.data], [vector.grad], [state["exp_avg"]], [state["exp_avg_sq"]],
            [], [state["step"]],
            lr=group["lr"], beta1=group["betas"][0], beta2=group["betas"][1],
            weight_decay=group["weight_decay"], eps=group["eps"],
            amsgrad=False, maximize=False,
        )  # fmt: skip
        return loss

    step.hooked = True  # torch wraps what is not, for its profiler

    def _first_state(self, vector):
        with torch.inference_mode(False):  # the state outlives that mode
            self.state[vector] = {
                "step": torch.zeros((), device=vector.device),
                "exp_avg": torch.zeros_like(vector.data),
                "exp_avg_sq": torch.zeros_like(vector.data),
            }
        return self.state[vector]


def optimizer_class(optimizer):
    """Return the class that a name, or the class or partial itself, stands for."""
    if not isinstance(optimizer, str):
        return optimizer
    cls = getattr(torch.optim, OPTIMIZERS[optimizer])
    operation = getattr(torch, f"_fused_{optimizer}_", None)
    if optimizer not in ADAMS or operation is None:
        step = _step_without_compiler(cls)
        return type(cls.__name__, (WithoutCompiler, cls), {"step": step})
    return type(cls.__name__, (FusedStep, cls), {"operation": staticmethod(operation)})


def optimizer_options(optimizer, cls, weight_decay):
    """Return the keyword arguments of an optimiser, but for its step size."""
    options = {}
    if optimizer in FUSED and not issubclass(cls, FusedStep):
        options["fused"] = True
    # Some optimisers know no weight decay; others have one by default.
    if weight_decay or "weight_decay" in signature(cls).parameters:
        options["weight_decay"] = weight_decay
    return options


def is_state_of(vector, state):
    """Return whether the state of an optimiser on one vector has its length.

    torch does not look, and a fused operation would read beyond the end of what is too
    short.
    """
    return all(
        value.shape in ((), vector.shape)
        for values in state["state"].values()
        for value in values.values()
        if isinstance(value, torch.Tensor)
    )
