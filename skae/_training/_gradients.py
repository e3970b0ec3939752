"""The two ways to the gradients of a batch: by hand where that is known, or autograd.

Both take rows in network space and which entries of them are known, fill the gradients
of `FlatParameters`, and return the loss and its terms.
"""

from contextlib import nullcontext

import torch

from skae._config import get_config
from skae._training._cuda import CapturedGradients
from skae._training._dense import DenseStep, is_dense


def gradients_for(flat, *, device, precision, corrupted=False, has_holes=False):
    """Return the faster way to the gradients of a module.

    Parameters
    ----------
    flat : FlatParameters
        The weights of the module.
    device : torch.device
        Where it lives.
    precision : {"float32", "bf16"}
        Of its arithmetic in training.
    corrupted : bool, default=False
        Whether what is encoded is not what is to be reconstructed.
    has_holes : bool, default=False
        Whether some entries are not known.
    """
    by_hand = get_config()["engine"] == "auto" and precision == "float32"
    if not (by_hand and is_dense(flat.modules[0])):
        return AutogradGradients(flat, device, precision)
    gradients = DenseGradients(flat, corrupted, has_holes)
    return CapturedGradients(gradients) if device.type == "cuda" else gradients


def stack_terms(module, loss, terms):
    """Return the loss and its terms, as a module has them, as (1 + n_terms, 1)."""
    return torch.stack([loss, *(terms[name] for name in module.terms)])[:, None]


class DenseGradients:
    """Gradients by hand, with buffers for each size of a batch."""

    #: Whether autograd may be off altogether.
    without_autograd = True

    def __init__(self, flat, corrupted=False, has_holes=False):
        self.flat, self.corrupted, self.has_holes = flat, corrupted, has_holes
        self.steps = {}

    def run(self, U, target, known=None, *, keep_output=False):
        """Fill the gradients; return the loss and its terms, (1 + n_terms, 1)."""
        self.step = self.step_for(len(U))
        return self.step.run(U, target, known, keep_output=keep_output)

    def step_for(self, n_rows):
        """Return the `DenseStep` for batches of a size."""
        if n_rows not in self.steps:
            with torch.inference_mode(False):  # the buffers outlive that mode
                self.steps[n_rows] = DenseStep(
                    self.flat,
                    n_rows,
                    corrupted=self.corrupted,
                    has_holes=self.has_holes,
                )
        return self.steps[n_rows]

    def output(self):
        """Return what the module returned in the last run."""
        return self.step.output()


class AutogradGradients:
    """Gradients by autograd, of any module."""

    without_autograd = False

    def __init__(self, flat, device, precision):
        self.flat = flat
        (self.module,) = flat.modules
        self.precision = nullcontext()
        if precision == "bf16":
            self.precision = torch.autocast(device.type, torch.bfloat16)

    def run(self, U, target, known=None, *, keep_output=False):
        """Fill the gradients; return the loss and its terms, (1 + n_terms, 1)."""
        self.flat.gradient.zero_()
        with torch.enable_grad():
            with self.precision:
                output = self.module(U)
            output = type(output)(*(tensor.to(U.dtype) for tensor in output))
            loss, terms = self.module.loss(output, target, known)
            loss.backward()
        self.last = type(output)(*(t.detach() for t in output)) if keep_output else None
        return stack_terms(self.module, loss.detach(), terms)

    def output(self):
        """Return what the module returned in the last run."""
        return self.last
