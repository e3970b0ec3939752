"""A user's own function as a corruption."""

import numpy as np

from skae.corruptions._base import Corruption


class Function(Corruption):
    """Corrupt rows by a function of numpy arrays.

    Parameters
    ----------
    function : callable
        Takes rows, an ndarray of shape (n_rows, n_features) in the units of X, and a
        `numpy.random.Generator`; returns an array of the same shape. With a generator
        of its own in place of that one, fits are not repeatable.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import Function
    >>> def swap(X, rng):
    ...     return X[:, rng.permutation(X.shape[1])]
    >>> Function(swap)(np.arange(4.0)[None], random_state=0)
    array([[3., 0., 2., 1.]])
    """

    _parameter_constraints = {"function": [callable]}

    def __init__(self, function):
        self.function = function

    def corrupt(self, X, rng, frame):
        """Return what the function makes of rows."""
        import torch

        rows = X.cpu().numpy().copy()
        result = np.asarray(self.function(rows, rng.for_numpy()))
        if result.shape != rows.shape:
            raise ValueError(
                f"corruption={self.function!r} returned an array of shape "
                f"{result.shape} for rows of shape {rows.shape}; it must return one of "
                "the same shape"
            )
        return torch.from_numpy(result.astype(rows.dtype)).to(X.device)
