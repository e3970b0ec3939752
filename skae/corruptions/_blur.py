"""Images out of focus."""

import math

from skae._sklearn import Interval, Real
from skae._storage import storable
from skae.corruptions._base import Corruption

# The kernel ends at this many standard deviations.
REACH = 4.0


@storable
class Blur(Corruption):
    """Blur images by a normal kernel.

    Beyond its edge an image goes on as its mirror image, as in
    `scipy.ndimage.gaussian_filter`.

    Parameters
    ----------
    sigma : float, default=1.0
        Standard deviation of the kernel, in pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import Blur
    >>> line = np.array([0.0, 0.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 5)
    >>> Blur(0.5)(line).round(2).ravel()
    array([0.  , 0.11, 0.79, 0.11, 0.  ])
    """

    _parameter_constraints = {"sigma": [Interval(Real, 0, None, closed="neither")]}

    needs_image = True

    def __init__(self, sigma=1.0):
        self.sigma = sigma

    def corrupt(self, X, rng, frame):
        """Return blurred images."""
        images = X.view(len(X), *frame.image_shape)
        _, height, width = frame.image_shape
        images = self._matrix(height, X) @ images @ self._matrix(width, X).T
        return images.reshape(X.shape)

    def _matrix(self, n_pixels, X):
        """Return the blur of a line of pixels as a matrix, (n_pixels, n_pixels)."""
        import torch

        reach = math.ceil(REACH * self.sigma)
        offsets = torch.arange(-reach, reach + 1, device=X.device)
        kernel = (-0.5 * (offsets / self.sigma).square()).exp().to(X)
        pixels = torch.arange(n_pixels, device=X.device)
        # where in the image, mirrored on and on, a pixel's neighbours are
        seen = (pixels[:, None] + offsets) % (2 * n_pixels)
        seen = torch.minimum(seen, 2 * n_pixels - 1 - seen)
        matrix = X.new_zeros(n_pixels, n_pixels)
        weights = (kernel / kernel.sum()).expand(n_pixels, -1)
        return matrix.scatter_add_(1, seen, weights)
