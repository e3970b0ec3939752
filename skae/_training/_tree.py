"""Nested states: what an optimiser or a module keeps, as tensors and as arrays."""

import numpy as np
import torch


def map_leaves(function, value):
    """Return a nested dict or list with `function` applied to what it holds."""
    if isinstance(value, dict):
        return {k: map_leaves(function, v) for k, v in value.items()}
    if isinstance(value, list):
        return [map_leaves(function, v) for v in value]
    return function(value)


def as_arrays(value):
    """Return a nested state with copies of its tensors as arrays."""
    return map_leaves(_as_array, value)


def as_tensors(value):
    """Return a nested state with copies of its arrays as tensors."""
    return map_leaves(_as_tensor, value)


def _as_array(value):
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().copy()
    return value


def _as_tensor(value):
    # np.array: the arrays may be read-only memory maps
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
