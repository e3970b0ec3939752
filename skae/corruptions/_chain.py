"""Several corruptions, one after the other."""

from skae._storage import storable
from skae.corruptions._base import Corruption
from skae.corruptions._function import Function


@storable
class Chain(Corruption):
    """Corrupt rows by several corruptions, in their order.

    Parameters
    ----------
    corruptions : list of Corruption or callable
        As for the parameter `corruption` of an estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import Chain, Masking, SaltAndPepper
    >>> Chain([Masking(1.0), SaltAndPepper(0.0)])(np.ones((1, 3)))
    array([[0., 0., 0.]])
    """

    _parameter_constraints = {"corruptions": [list, tuple]}

    def __init__(self, corruptions):
        self.corruptions = corruptions

    def _validate_params(self):
        super()._validate_params()
        for part in self._parts():
            part._validate_params()

    def _parts(self):
        return [as_corruption(part) for part in self.corruptions]

    def check_image(self, image_shape):
        """Raise ValueError unless all of them can corrupt images of this shape."""
        for part in self._parts():
            part.check_image(image_shape)

    def corrupt(self, X, rng, frame):
        """Return rows that have gone through all of them."""
        for part in self._parts():
            X = part.corrupt(X, rng, frame)
        return X


def as_corruption(value):
    """Return the `Corruption` that a user's value stands for, or None for None.

    Raises
    ------
    TypeError
        If it stands for none.
    """
    if value is None or isinstance(value, Corruption):
        return value
    if isinstance(value, list | tuple):
        return Chain([as_corruption(part) for part in value])
    if callable(value) and not isinstance(value, type):
        return Function(value)
    raise TypeError(
        "corruption must be None, an instance of a class of skae.corruptions, a "
        f"callable (X, rng) -> X, or a list of those, got {value!r}"
    )
