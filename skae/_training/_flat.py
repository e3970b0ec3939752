"""The weights of a network as views of one vector: one operation reaches them all."""

import math

import torch
from torch import nn


class FlatParameters:
    """One vector behind the parameters of one or several modules of the same shape.

    The parameters of the modules become views of `vector`, and their gradients views
    of `gradient`, until `release`. The vector holds parameter after parameter, and of
    each the values of the K modules.

    Parameters
    ----------
    *modules : nn.Module
        K modules whose parameters agree in names and shapes, all of one dtype.
    """

    def __init__(self, *modules):
        self.modules = modules
        named = [dict(module.named_parameters()) for module in modules]
        self.shapes = {name: p.shape for name, p in named[0].items() if p.requires_grad}
        if not self.shapes:
            raise ValueError(
                "no parameter of the network has requires_grad=True, so there is "
                "nothing to train; freeze fewer of them"
            )
        stacks = {
            name: torch.stack([p[name].data for p in named]) for name in self.shapes
        }
        self.gradient = torch.cat(
            [torch.zeros_like(s).flatten() for s in stacks.values()]
        )
        self.vector = nn.Parameter(torch.zeros_like(self.gradient))
        self.values = self._split(self.vector.data)  # (K, *shape) by name
        for name, stack in stacks.items():
            self.values[name].copy_(stack)
        self.gradients = self._split(self.gradient)
        for k, parameters in enumerate(named):
            for name, parameter in parameters.items():
                parameter.grad = None
                if name in self.shapes:
                    parameter.data = self.values[name][k]
                    parameter.grad = self.gradients[name][k]
        self.vector.grad = self.gradient
        self._trains = [(p, p.requires_grad) for m in modules for p in m.parameters()]
        # what else may change: buffers, and parameters that a callback sets free
        self._others = [
            tensor
            for module in modules
            for name, tensor in (*module.named_parameters(), *module.named_buffers())
            if name not in self.shapes and not name.startswith("scaler.")
        ]

    @property
    def rngs(self):
        """The source of noise of each module."""
        return [module.rng for module in self.modules]

    def _split(self, vector):
        return split_vector(vector, len(self.modules), self.shapes)

    def copy(self):
        """Return a function that sets everything back to what it is now."""
        vector = self.vector.data.clone()
        others = [(tensor, tensor.clone()) for tensor in self._others]

        def restore():
            for name, stack in self._split(vector).items():
                for module, value in zip(self.modules, stack, strict=True):
                    module.get_parameter(name).data.copy_(value)
            for tensor, value in others:
                tensor.data.copy_(value)

        return restore

    def is_current(self):
        """Return whether the parameters that train are still the same."""
        return all(p.requires_grad == trains for p, trains in self._trains)

    def are_finite(self):
        """Return whether every weight is a finite number, and no giant."""
        return math.isfinite(self.vector.data.sum().item())

    def release(self):
        """Give the parameters memory of their own, and drop the gradients."""
        for module in self.modules:
            for parameter in module.parameters():
                parameter.data = parameter.data.clone(
                    memory_format=torch.contiguous_format
                )
                parameter.grad = None
        self.vector.data, self.vector.grad = self.vector.data[:0].clone(), None
        self.values = self.gradients = self.gradient = None


def split_vector(vector, K, shapes):
    """Return the stack (K, *shape) of each parameter by name: views.

    Parameters
    ----------
    vector : Tensor
        Holds parameter after parameter, and of each the values of K modules.
    K : int
        How many modules.
    shapes : dict of str to torch.Size
        Shapes of the parameters, in their order.
    """
    stacks, start = {}, 0
    for name, shape in shapes.items():
        stop = start + K * shape.numel()
        stacks[name] = _as_parameters(vector[start:stop], K, shape)
        start = stop
    return stacks


def _as_parameters(vector, K, shape):
    """Return a vector as K parameters of a shape, (K, *shape): a view.

    Kernels of images have their channels last in memory. That makes torch do so with
    the images, too, which takes less time.
    """
    if len(shape) != 4:
        return vector.view(K, *shape)
    n_outputs, n_inputs, height, width = shape
    kernels = vector.view(K, n_outputs, height, width, n_inputs)
    return kernels.permute(0, 1, 4, 2, 3)
