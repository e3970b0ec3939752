"""Rows of images side by side, as one picture."""

import numpy as np

from skae._sklearn import InvalidParameterError


def find_image_shape(image_shape, estimator=None):
    """Return (channels, height, width): what is given, or the estimator's, or None."""
    if image_shape is None:
        last = estimator[-1] if hasattr(estimator, "steps") else estimator
        image_shape = getattr(last, "image_shape", None)
    if image_shape is None:
        return None
    shape = tuple(image_shape)
    if len(shape) == 2:
        shape = (1, *shape)
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InvalidParameterError(
            "image_shape must be (height, width) or (channels, height, width) with 1 "
            f"or 3 channels to be drawn, got {image_shape!r}"
        )
    return shape


def as_images(X, image_shape):
    """Return rows as images, (..., height, width, channels)."""
    if X.shape[-1] != np.prod(image_shape):
        raise ValueError(
            f"image_shape={image_shape} means {np.prod(image_shape)} features, but "
            f"there are {X.shape[-1]}"
        )
    return np.moveaxis(X.reshape(*X.shape[:-1], *image_shape), -3, -1)


def value_range(X):
    """Return the lowest and highest value of X but for NaN: black and white."""
    low, high = np.nanmin(X), np.nanmax(X)
    return low, high if high > low else low + 1


def mosaic(images, *, low, high, padding=1):
    """Return a grid of images (n_rows, n_columns, height, width, channels) as one.

    Values become 0 to 1 between `low` and `high`; NaN stays. What is between the images
    is NaN too, and drawn in the colour of what is missing.
    """
    n_rows, n_columns, height, width, n_channels = images.shape
    step_y, step_x = height + padding, width + padding
    picture = np.full(
        (n_rows * step_y - padding, n_columns * step_x - padding, n_channels), np.nan
    )
    for i, j in np.ndindex(n_rows, n_columns):
        picture[i * step_y : i * step_y + height, j * step_x : j * step_x + width] = (
            np.clip((images[i, j] - low) / (high - low), 0, 1)
        )
    return picture


def show_mosaic(ax, picture, cmap, background="white"):
    """Draw a mosaic, and return its image.

    One of grey levels takes a colour map; in colour, what is missing becomes the
    background.
    """
    import matplotlib as mpl
    from matplotlib.colors import to_rgb

    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    if picture.shape[-1] == 1:
        cmap = mpl.colormaps[cmap] if isinstance(cmap, str) else cmap
        cmap = cmap.with_extremes(bad=background)
        picture = picture[..., 0]
        return ax.imshow(picture, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
    picture = np.where(np.isnan(picture), to_rgb(background), picture)
    return ax.imshow(picture, interpolation="nearest")


def middles(n, size, padding=1):
    """Return where the middles of images are along one side of a mosaic."""
    return np.arange(n) * (size + padding) + (size - 1) / 2
