"""Images without their colours."""

from skae._storage import storable
from skae.corruptions._base import Corruption

# Luma of red, green and blue, ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)


@storable
class Grayscale(Corruption):
    """Replace red, green and blue by their luma: what is left to colourise.

    The image keeps its three channels, which are equal. Weights are those of ITU-R
    BT.601: 0.299, 0.587, 0.114.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import Grayscale
    >>> red = np.array([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)
    >>> Grayscale()(red).round(3).ravel()
    array([0.299, 0.299, 0.299])
    """

    needs_image = True

    def check_image(self, image_shape):
        """Raise ValueError unless images of this shape have three channels."""
        super().check_image(image_shape)
        if image_shape[0] != 3:
            raise ValueError(
                f"{self!r} needs images of 3 channels (red, green, blue), but "
                f"image_shape={tuple(image_shape)} has {image_shape[0]}; image_shape "
                "is (channels, height, width)"
            )

    def corrupt(self, X, rng, frame):
        """Return grey images."""
        channels = X.view(len(X), 3, -1)  # (n_rows, 3, height * width)
        luma = (channels * X.new_tensor(LUMA)[:, None]).sum(dim=1, keepdim=True)
        return luma.expand(-1, 3, -1).reshape(X.shape)
