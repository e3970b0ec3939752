"""Large layers by oneDNN, where MKL leaves half of the processor unused.

torch multiplies float32 matrices by MKL, which on AMD processors with AVX-512 works at
half the speed of oneDNN. What decides is the processor, not a timing: the same machine
always takes the same way. The operation is private to torch; without it, or elsewhere,
there is `Linear`.
"""

import platform
from functools import cache
from pathlib import Path

import torch

from skae._config import get_config
from skae._training._dense._layers import Linear

# Below this many weights the call of oneDNN costs more than it saves.
FEWEST_WEIGHTS = 128 * 128


def linear_layer(flat, name, inputs, **options):
    """Return the layer of an `nn.Linear`, see `Linear` for the arguments."""
    is_large = flat.shapes[f"{name}.weight"].numel() >= FEWEST_WEIGHTS
    fits = len(flat.modules) == 1 and inputs.dtype == torch.float32
    if is_large and fits and inputs.device.type == "cpu" and onednn_is_wanted():
        return OneDNNLinear(flat, name, inputs, **options)
    return Linear(flat, name, inputs, **options)


def onednn_is_wanted():
    """Return whether large layers go through oneDNN here, see `skae.set_config`."""
    switch = get_config()["onednn"]
    wanted = switch == "on" or (switch == "auto" and mkl_is_slow())
    return wanted and _operation() is not None


@cache
def mkl_is_slow():
    """Return whether this is an AMD processor with AVX-512."""
    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return has_avx512 and "AuthenticAMD" in _processor()


def _processor():
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:  # no Linux
        return platform.processor()


def _operation():
    """Return torch's linear layer by oneDNN; None if this torch has none."""
    if not torch.backends.mkldnn.is_available():
        return None
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


class OneDNNLinear(Linear):
    """A single linear or affine map whose products oneDNN computes."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        operation = _operation()
        # product(a, b) is a @ b.T
        self.product = lambda a, b, bias=None: operation(a, b, bias, "none", [], "")

    def forward(self):
        """Return the operation that fills the outputs, or adds to them."""
        inputs, weight, outputs = self.inputs[0], self.weight[0], self.outputs[0]
        if self.add_to is not None:
            return [lambda: outputs.add_(self.product(inputs, weight))]
        return [lambda: outputs.copy_(self.product(inputs, weight, self.bias[0]))]

    def backward_weight(self):
        """Return the operation that fills the gradient by the weight."""
        grad_T, inputs_T, out = self.grad[0].mT, self.inputs[0].mT, self.weight_grad[0]
        return lambda: out.copy_(self.product(grad_T, inputs_T))

    def backward_inputs(self):
        """Return the operation that fills the gradient by the inputs, or adds to it."""
        grad, weight_T, out = self.grad[0], self.weight[0].mT, self.inputs_grad[0]
        if self.add_grad_to is not None:
            return [lambda: out.add_(self.product(grad, weight_T))]
        return [lambda: out.copy_(self.product(grad, weight_T))]
