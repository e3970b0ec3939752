"""Nested states: what an optimiser or a module keeps."""


def map_leaves(function, value):
    """Return a nested dict or list with `function` applied to what it holds."""
    if isinstance(value, dict):
        return {k: map_leaves(function, v) for k, v in value.items()}
    if isinstance(value, list):
        return [map_leaves(function, v) for v in value]
    return function(value)
