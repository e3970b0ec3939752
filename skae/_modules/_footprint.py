"""What a row costs a network: operations, and numbers in its widest layer."""

from typing import NamedTuple

import torch


class Footprint(NamedTuple):
    """Of one row, on its way forward."""

    n_operations: int  # multiplications, and as many additions
    widest: int  # numbers in the widest layer


def footprint(network, n_inputs, rng):
    """Return the `Footprint` of a network for rows of so many numbers.

    A dense layer has its weights to multiply by. Any other kind is watched on the way
    of one row: a weight of a convolution is used once for each pixel.

    Parameters
    ----------
    network : nn.Module
        In no other thread's hands yet.
    n_inputs : int
        Width of a row.
    rng : Rng
        Its source of noise, which is left as it was.
    """
    parameters = list(network.parameters())
    if all(p.dim() <= 2 for p in parameters):
        widths = [n_inputs, *(max(p.shape) for p in parameters if p.dim() == 2)]
        return Footprint(sum(p.numel() for p in parameters), max(widths))
    counts = []

    def count(layer, inputs, output):
        if not torch.is_tensor(output):
            return
        n_weights = sum(p.numel() for p in layer.parameters(recurse=False))
        counts.append((n_weights * output.shape[2:].numel(), output.numel()))

    hooks = [layer.register_forward_hook(count) for layer in network.modules()]
    state, was_training = rng.get_state(), network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, n_inputs))
    network.train(was_training)
    rng.set_state(state)
    for hook in hooks:
        hook.remove()
    operations, cells = zip(*counts, strict=True)
    return Footprint(sum(operations), max([n_inputs, *cells]))
