"""Stacks of K dense networks of one shape: forward, and backward by hand.

Layers work on fixed tensors for K members of n rows each, so a step is a list of
operations that is made once and run again and again. A layer is made with the tensor
where its inputs will be, and says where its `outputs` will be. `connect` tells it where
the gradient by the outputs will be, and returns where that by the inputs will be. The
other methods return operations that fill these: functions without arguments.
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from skae.architectures._layers import Dropout


class DensePaths:
    """K linear maps with a network beside each: K `LinearPath` of dense layers.

    Parameters
    ----------
    flat : FlatParameters
        The weights of all members.
    name : str
        Name of the `LinearPath` in the modules.
    inputs : Tensor of shape (K, n, n_inputs)
        Where the inputs will be.
    linear : callable
        Makes the layer of an `nn.Linear`: `Linear` or another with its methods.
    drops : bool, default=True
        Whether dropout layers do something.
    """

    def __init__(self, flat, name, inputs, linear, *, drops=True):
        path = flat.modules[0].get_submodule(name)
        self.linear = linear(flat, f"{name}.linear", inputs)
        self.outputs = self.linear.outputs
        self.layers = []
        if path.network is None:
            return
        for i, layer in enumerate(path.network.hidden):
            if isinstance(layer, nn.Linear):
                self.layers.append(linear(flat, f"{name}.network.hidden.{i}", inputs))
            elif isinstance(layer, Dropout):
                if not drops:
                    continue
                self.layers.append(Dropouts(layer.probability, flat.rngs, inputs))
            else:
                self.layers.append(Activation(layer, inputs))
            inputs = self.layers[-1].outputs
        output = linear(flat, f"{name}.network.output", inputs, add_to=self.outputs)
        self.layers.append(output)

    def connect(self, grad):
        """Take the place of the gradient by the outputs; return that by the inputs."""
        inputs_grad = self.linear.connect(grad)
        for layer in self.layers[:0:-1]:
            grad = layer.connect(grad)
        if self.layers:
            self.layers[0].connect(grad, add_to=inputs_grad)
        return inputs_grad

    def forward(self):
        """Return the operations that fill the outputs."""
        return [op for layer in (self.linear, *self.layers) for op in layer.forward()]

    def backward(self):
        """Return the operations that fill the gradients by the weights."""
        operations = self.linear.backward_weights()
        for layer in self.layers[:0:-1]:
            operations += layer.backward()
        for layer in self.layers[:1]:
            operations += layer.backward_weights()
        return operations

    def backward_inputs(self):
        """Return those that fill the gradient by the inputs, after `backward`."""
        first = [self.linear, *self.layers[:1]]
        return [op for layer in first for op in layer.backward_inputs()]


def draw_for_each(tensor, rngs, draw, *args, widths=None):
    """Return the operations that fill the parts of K members with random numbers.

    Members in a row that have one `Rng` get the same numbers, which are drawn once.

    Parameters
    ----------
    tensor : Tensor of shape (K, ..., width)
        What to fill.
    rngs : list of Rng
        Their sources.
    draw : str
        Name of the method that fills a tensor.
    *args : object
        Its arguments before the generator.
    widths : list of int or None, default=None
        How many of the last axis each has, the same for all that share a source; what
        is beyond stays as it is. None for all.
    """
    operations, start = [], 0
    for _, same in groupby(rngs, key=id):
        rng, *others = same
        stop = start + 1 + len(others)
        width = tensor.shape[-1] if widths is None else widths[start]
        first, rest = tensor[start, ..., :width], tensor[start + 1 : stop, ..., :width]
        drawn = first if first.is_contiguous() else first.contiguous()
        generator = rng.generator(tensor.device)
        operations.append(partial(getattr(drawn, draw), *args, generator=generator))
        if drawn is not first:
            operations.append(partial(first.copy_, drawn))
        if others:
            operations.append(partial(rest.copy_, drawn))
        start = stop
    return operations


class Linear:
    """K linear maps `inputs @ weight.T`, plus a bias if there is one.

    Parameters
    ----------
    flat : FlatParameters
        The weights of all members.
    name : str
        Name of the `nn.Linear` in the modules.
    inputs : Tensor of shape (K, n, n_in)
        Where the inputs will be.
    add_to : Tensor of shape (K, n, n_out) or None, default=None
        What to add the outputs to, in place.
    """

    def __init__(self, flat, name, inputs, add_to=None):
        self.inputs = inputs
        self.weight = flat.values[f"{name}.weight"]  # (K, n_out, n_in)
        self.weight_grad = flat.gradients[f"{name}.weight"]
        self.bias = flat.values.get(f"{name}.bias")  # (K, n_out)
        self.bias_grad = flat.gradients.get(f"{name}.bias")
        self.add_to = add_to
        shape = (*inputs.shape[:2], self.weight.shape[1])
        self.outputs = inputs.new_empty(shape) if add_to is None else add_to

    def connect(self, grad, add_to=None):
        """Take the place of the gradient by the outputs; return that by the inputs."""
        self.grad, self.add_grad_to = grad, add_to
        self.inputs_grad = torch.empty_like(self.inputs) if add_to is None else add_to
        return self.inputs_grad

    def forward(self):
        """Return the operation that fills the outputs, or adds to them."""
        start = self.bias.unsqueeze(1) if self.add_to is None else self.add_to
        weight_T = self.weight.mT
        return [partial(torch.baddbmm, start, self.inputs, weight_T, out=self.outputs)]

    def backward(self):
        """Return the operations that fill all gradients."""
        return self.backward_weights() + self.backward_inputs()

    def backward_weights(self):
        """Return the operations that fill the gradients by weight and bias."""
        if self.bias is None:
            return [self.backward_weight()]
        sum_rows = partial(torch.sum, self.grad, 1, out=self.bias_grad)
        return [self.backward_weight(), sum_rows]

    def backward_weight(self):
        """Return the operation that fills the gradient by the weight."""
        return partial(torch.bmm, self.grad.mT, self.inputs, out=self.weight_grad)

    def backward_inputs(self):
        """Return the operation that fills the gradient by the inputs."""
        if self.add_grad_to is not None:
            return [partial(self.add_grad_to.baddbmm_, self.grad, self.weight)]
        return [partial(torch.bmm, self.grad, self.weight, out=self.inputs_grad)]


class Elementwise:
    """A layer that turns the gradient by its outputs into that by its inputs."""

    def connect(self, grad):
        """Take the place of the gradient by the outputs: that by the inputs too."""
        self.grad = grad
        return grad


class Dropouts(Elementwise):
    """K dropout layers, each with the noise of its own member."""

    def __init__(self, probability, rngs, inputs):
        self.keep, self.rngs = 1 - probability, rngs
        self.inputs = inputs
        self.mask, self.outputs = torch.empty_like(inputs), torch.empty_like(inputs)

    def forward(self):
        """Return the operations that fill the outputs."""
        draws = draw_for_each(self.mask, self.rngs, "bernoulli_", self.keep)
        drop = partial(torch.mul, self.inputs, self.mask, out=self.outputs)
        return [*draws, drop, partial(self.outputs.div_, self.keep)]

    def backward(self):
        """Return the operations from the gradient by the outputs to that by inputs."""
        return [partial(self.grad.mul_, self.mask), partial(self.grad.div_, self.keep)]


class Rule(NamedTuple):
    """An activation in place, or out of place if its derivative needs the inputs.

    Both functions return an operation; that of `backward` turns the gradient by the
    outputs into that by the inputs.
    """

    in_place: bool
    forward: Callable  # of inputs and outputs, the same tensor if in place
    backward: Callable | None  # of gradient, and of outputs, or inputs if out of place


def _in_place(function):
    return lambda inputs, outputs: partial(function, inputs)


def _out_of_place(name):
    op = getattr(getattr(torch.ops.aten, name, None), "out", None)
    if op is not None:
        return lambda inputs, outputs: partial(op, inputs, out=outputs)
    function = getattr(F, name)
    return lambda inputs, outputs: lambda: outputs.copy_(function(inputs))


def _derivative(name, *first, last=()):
    """Return the `backward` that autograd itself calls; None if torch lacks it.

    Such operations are no part of torch's documented interface.
    """
    op = getattr(getattr(torch.ops.aten, name, None), "grad_input", None)
    if op is None:
        return None
    return lambda grad, tensor: partial(
        op, grad, *first, tensor, *last, grad_input=grad
    )


def _rules():
    """Return the `Rule` of every activation, by its type."""
    elu = _derivative("elu_backward", 1.0, 1.0, 1.0, True)
    leaky_relu = _derivative("leaky_relu_backward", last=(0.01, True))
    softplus = _derivative("softplus_backward", last=(1.0, 20.0))
    return {
        nn.ELU: Rule(True, _in_place(F.elu_), elu),
        nn.GELU: Rule(False, _out_of_place("gelu"), _derivative("gelu_backward")),
        nn.LeakyReLU: Rule(True, _in_place(F.leaky_relu_), leaky_relu),
        nn.ReLU: Rule(
            True, _in_place(torch.relu_), _derivative("threshold_backward", last=(0.0,))
        ),
        nn.Sigmoid: Rule(
            True, _in_place(torch.sigmoid_), _derivative("sigmoid_backward")
        ),
        nn.SiLU: Rule(False, _out_of_place("silu"), _derivative("silu_backward")),
        nn.Softplus: Rule(False, _out_of_place("softplus"), softplus),
        nn.Tanh: Rule(True, _in_place(torch.tanh_), _derivative("tanh_backward")),
    }


RULES = _rules()


class Activation(Elementwise):
    """An elementwise function: a module whose type is a key of `RULES`."""

    def __init__(self, function, inputs):
        self.function, self.rule = function, RULES[type(function)]
        self.by_hand = self.rule.backward is not None
        in_place = self.rule.in_place and self.by_hand
        self.inputs = inputs
        self.outputs = inputs if in_place else torch.empty_like(inputs)

    def forward(self):
        """Return the operation that fills the outputs."""
        if self.by_hand:
            return [self.rule.forward(self.inputs, self.outputs)]
        return [lambda: self.outputs.copy_(self.function(self.inputs))]

    def backward(self):
        """Return the operation from the gradient by the outputs to that by inputs."""
        if self.by_hand:
            return [self.rule.backward(self.grad, self.inputs)]
        return [self._backward_by_autograd]

    def _backward_by_autograd(self):
        with torch.inference_mode(False), torch.enable_grad():
            inputs = self.inputs.clone().requires_grad_()
            outputs = self.function(inputs)
            (gradient,) = torch.autograd.grad(outputs, inputs, self.grad.clone())
        self.grad.copy_(gradient)
