"""Rectangular holes in images."""

from numbers import Integral as IntegralNumber

from skae._sklearn import (
    Integral,
    Interval,
    InvalidParameterError,
    Real,
    StrOptions,
)
from skae._storage import storable
from skae.corruptions._base import Corruption
from skae.corruptions._masking import filled


@storable
class Patch(Corruption):
    """Cut rectangular holes into images, each at a random place.

    Parameters
    ----------
    size : int or (int, int), default=8
        Height and width of a hole, in pixels.
    n_patches : int, default=1
        Holes in each image; they may overlap.
    fill : float or "center", default=0.0
        What is in them, in all channels; as in `Masking`.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import Patch
    >>> Patch((2, 3))(np.ones((1, 1, 4, 4)), random_state=0)
    array([[[[1., 1., 1., 1.],
             [0., 0., 0., 1.],
             [0., 0., 0., 1.],
             [1., 1., 1., 1.]]]])
    """

    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "n_patches": [Interval(Integral, 1, None, closed="left")],
        "fill": [Interval(Real, None, None, closed="neither"), StrOptions({"center"})],
    }

    needs_image = True

    def __init__(self, size=8, *, n_patches=1, fill=0.0):
        self.size = size
        self.n_patches = n_patches
        self.fill = fill

    def _validate_params(self):
        super()._validate_params()
        sizes = self._sizes()
        if not (
            len(sizes) == 2
            and all(isinstance(s, IntegralNumber) and s > 0 for s in sizes)
        ):
            raise InvalidParameterError(
                "The 'size' parameter of Patch must be a positive int, or a pair "
                f"(height, width) of them. Got {self.size!r} instead."
            )

    def _sizes(self):
        """Return height and width of a hole."""
        if isinstance(self.size, IntegralNumber):
            return self.size, self.size
        return tuple(self.size)

    def check_image(self, image_shape):
        """Raise ValueError unless holes fit into images of this shape."""
        super().check_image(image_shape)
        _, *extent = image_shape
        if any(s > e for s, e in zip(self._sizes(), extent, strict=True)):
            raise ValueError(
                f"{self!r} cuts holes of {self._sizes()} pixels, but "
                f"image_shape={tuple(image_shape)} has only {tuple(extent)}; use a "
                "smaller size"
            )

    def corrupt(self, X, rng, frame):
        """Return images with holes."""
        import torch

        channels, *extent = frame.image_shape
        holes = torch.zeros(len(X), *extent, dtype=torch.bool, device=X.device)
        for _ in range(self.n_patches):
            # (n_rows, height, 1) and (n_rows, 1, width)
            rows, columns = (
                _within(X, rng, size, whole)
                for size, whole in zip(self._sizes(), extent, strict=True)
            )
            holes |= rows[:, :, None] & columns[:, None, :]
        holes = holes[:, None].expand(-1, channels, -1, -1).reshape(X.shape)
        return filled(X, holes, self.fill, frame)


def _within(X, rng, size, whole):
    """Return which of `whole` positions a random stretch of each row covers."""
    import torch

    first = (rng.uniform_like(X[:, :1]) * (whole - size + 1)).floor()  # (n_rows, 1)
    positions = torch.arange(whole, device=X.device)
    return (positions >= first) & (positions < first + size)
