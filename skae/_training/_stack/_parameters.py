"""The weights of K networks whose codes may differ in width, in one vector."""

import torch

from skae._training._flat import split_vector


class StackedParameters:
    """One vector behind the weights of K modules, and one behind their gradients.

    Unlike `FlatParameters` it has copies. A code that is narrower than the widest has
    weights of zero for the components that it lacks, and stays so: what is zero on both
    sides of the code has a gradient of zero.

    Parameters
    ----------
    modules : list of AutoencoderModule
        Modules that agree in all but the widths of their codes.
    rngs : list of Rng
        The source of noise of each.
    shapes : dict of str to torch.Size or None, default=None
        Of the parameters, none smaller than a module's; None for the smallest such.
    """

    def __init__(self, modules, rngs, shapes=None):
        self.modules, self.rngs = modules, rngs
        self.shapes = largest_shapes(modules) if shapes is None else shapes
        n_values = len(modules) * sum(shape.numel() for shape in self.shapes.values())
        like = next(modules[0].parameters())
        self.vector, self.gradient = like.new_zeros(2, n_values, requires_grad=False)
        self.values = self.split(self.vector)  # (K, *shape) by name
        self.gradients = self.split(self.gradient)
        for k in range(len(modules)):
            for parameter, own in self._pairs(self.values, k):
                own.copy_(parameter.data.view(own.shape))

    def split(self, vector):
        """Return the stack (K, *shape) of each parameter by name: views."""
        return split_vector(vector, len(self.modules), self.shapes)

    def _pairs(self, stacks, k):
        """Yield the parameters of a module, each with its own part of the stacks."""
        module = self.modules[k]
        for name, parameter in module.named_parameters():
            n_blocks = module.n_outputs_per_component
            yield parameter, own_part(stacks[name][k], parameter.shape, n_blocks)

    def restore(self, k, vector):
        """Set the weights of a module to what a vector like `vector` has."""
        for parameter, own in self._pairs(self.split(vector), k):
            parameter.data.copy_(own.reshape(parameter.shape))

    def each(self, statistic):
        """Return a sum over the weights of each member, (K,).

        Parameters
        ----------
        statistic : callable
            From values and gradients (K, n_values) of a parameter to numbers (K,).
        """
        K = len(self.modules)
        pairs = zip(self.values.values(), self.gradients.values(), strict=True)
        return sum(statistic(v.view(K, -1), g.view(K, -1)) for v, g in pairs)

    def spread(self, numbers):
        """Return numbers of the members, (K,), for each entry of the vector."""
        vector = torch.empty_like(self.vector)
        for stack in self.split(vector).values():
            stack.copy_(numbers.view(-1, *[1] * (stack.dim() - 1)))
        return vector

    def select(self, vector, members):
        """Return of a vector like `vector` what belongs to some of the members."""
        stacks = self.split(vector).values()
        return torch.cat([stack[members].flatten() for stack in stacks])


def largest_shapes(modules):
    """Return the shape of the widest module for each parameter."""
    named = [dict(module.named_parameters()) for module in modules]
    return {
        name: torch.Size(map(max, *(p[name].shape for p in (named[0], *named))))
        for name in named[0]
    }


def own_part(whole, shape, n_blocks):
    """Return the part of a stacked parameter that a narrower module has: a view.

    Parameters
    ----------
    whole : Tensor
        Of the shape of the widest module.
    shape : torch.Size
        Of the narrower module.
    n_blocks : int
        How many blocks the first axis has where it counts outputs of an encoder, each
        as long as the code.

    Returns
    -------
    Tensor
        With an axis for the blocks if the first axes differ in length.
    """
    if whole.shape == shape:
        return whole
    if len(shape) > 1 and whole.shape[1] != shape[1]:
        whole = whole[:, : shape[1]]
    if whole.shape[0] != shape[0]:
        whole = whole.view(n_blocks, -1, *whole.shape[1:])
        whole = whole[:, : shape[0] // n_blocks]
    return whole
