"""Pictures of one shape each, drawn from five factors."""

from math import pi, sqrt
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, check_scalar

# Radius of the circle around the largest shape, in sizes of the picture.
LARGEST_RADIUS = 0.25

# The smallest scale; the largest is 1.
SMALLEST_SCALE = 0.5

# Below this many pixels there is no telling shapes apart.
SMALLEST_SIZE = 8

# Pictures drawn at once: their arrays fit into a processor's cache.
ROWS_AT_ONCE = 64


# -- outlines: how far outside a point is, in units of the circle around the shape -----
# `right` and `down` are coordinates from the shape's center of area. Distances are
# exact near the outline, where pixels are partly covered; signs are right everywhere.


def outside_square(right, down):
    """Return the distances of points from a square, negative inside."""
    return np.maximum(np.abs(right), np.abs(down)) - np.float32(1 / sqrt(2))


def outside_ellipse(right, down):
    """Return the distances of points from an ellipse twice as wide as high."""
    excess = right**2 + 4 * down**2 - 1
    slope = 2 * np.sqrt(right**2 + 16 * down**2)
    return excess / np.maximum(slope, np.float32(1e-6))


# A heart is a square on its corner with half a disc on each of its upper sides. In
# units of half a side: how far its center of area is above that of the square, and how
# far the lower corner is from it.
HEART_SHIFT = sqrt(2) * (pi / 2 + 2 / 3) / (pi + 4)
HEART_RADIUS = sqrt(2) + HEART_SHIFT


def outside_heart(right, down):
    """Return the distances of points from a heart, negative inside."""
    right = right * np.float32(HEART_RADIUS)
    down = down * np.float32(HEART_RADIUS) - np.float32(HEART_SHIFT)
    half = np.float32(1 / sqrt(2))
    square = (np.abs(right) + np.abs(down)) * half - 1
    disc = np.sqrt((np.abs(right) - half) ** 2 + (down + half) ** 2) - 1
    return np.minimum(square, disc) / np.float32(HEART_RADIUS)


OUTLINES = {
    "square": outside_square,
    "ellipse": outside_ellipse,
    "heart": outside_heart,
}

# The turn after which a shape looks as before.
TURNS = {"square": pi / 2, "ellipse": pi, "heart": 2 * pi}


def make_shapes(
    n_samples=None,
    *,
    size=32,
    shapes=("square", "ellipse", "heart"),
    n_scales=4,
    n_rotations=4,
    n_positions=8,
    random_state=None,
):
    """Return pictures of white shapes on black, and the factors that made them.

    Five factors vary on their own, in the manner of dSprites [1]_: which shape it is,
    how large, how far turned, and where. Edges are smooth: a pixel is about as bright
    as the share of it that the shape covers.

    Parameters
    ----------
    n_samples : int or None, default=None
        How many pictures to draw, each with factors of its own, independent and
        uniform, so that a picture may come twice. None is every combination once, the
        last factor varying fastest.
    size : int, default=32
        Height and width of a picture, in pixels; at least 8.
    shapes : sequence of {"square", "ellipse", "heart"}
        The shapes; by default all three.
    n_scales : int, default=4
        Number of scales, evenly spaced from 1/2 to 1; one is 1.
    n_rotations : int, default=4
        Number of angles, evenly spaced, from 0 up to the turn after which one of the
        `shapes` looks as before, that turn left out: 90 degrees if there are squares,
        else 180 if there are ellipses, else 360. So angles are the same for all shapes,
        and no two make the same picture.
    n_positions : int, default=8
        Number of places across, and as many down, evenly spaced between those at which
        the largest shape touches the border; one is the middle.
    random_state : int, RandomState or None, default=None
        Source of the factors, if `n_samples` is given.

    Returns
    -------
    X : ndarray of float32 of shape (n_samples, size * size)
        Pictures as rows, of values in [0, 1].
    factors : ndarray of int of shape (n_samples, 5)
        Number of the shape, the scale, the rotation, the x and the y position, from 0
        on. Shapes count as in `shapes`; rotations go clockwise, x to the right, y down.

    Raises
    ------
    ValueError
        If a parameter is out of range, or a shape is not known or comes twice.

    Notes
    -----
    The largest shape lies in a circle of radius `size / 4`, its center of area in the
    middle of that. With `margin = size / 4 + 0.5`, position `i` of `n_positions` is
    `margin + i * (size - 2 * margin) / (n_positions - 1)` pixels from the left or upper
    border.

    References
    ----------
    .. [1] L. Matthey, I. Higgins, D. Hassabis, A. Lerchner, "dSprites: Disentanglement
       testing Sprites dataset", 2017, https://github.com/deepmind/dsprites-dataset.

    Examples
    --------
    >>> from skae.datasets import make_shapes
    >>> X, factors = make_shapes(1000, size=16, random_state=0)
    >>> X.shape, factors[0]
    ((1000, 256), array([0, 3, 1, 0, 3]))
    >>> make_shapes()[0].shape  # 3 shapes, 4 scales, 4 rotations, 8 x 8 positions
    (3072, 1024)
    """
    _check_shapes(shapes)
    check_scalar(size, "size", Integral, min_val=SMALLEST_SIZE)
    counts = {
        "n_scales": n_scales, "n_rotations": n_rotations, "n_positions": n_positions,
    }  # fmt: skip
    for name, count in counts.items():
        check_scalar(count, name, Integral, min_val=1)
    n_values = (len(shapes), n_scales, n_rotations, n_positions, n_positions)
    if n_samples is None:
        factors = np.indices(n_values).reshape(5, -1).T
    else:
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        rng = check_random_state(random_state)
        factors = rng.randint(n_values, size=(n_samples, 5))

    scales = np.linspace(1, SMALLEST_SCALE, n_scales)[::-1]
    turn = min(TURNS[shape] for shape in shapes)
    angles = np.arange(n_rotations) * turn / n_rotations
    margin = LARGEST_RADIUS * size + 0.5  # the half is the edge's
    positions = np.linspace(margin, size - margin, n_positions)
    if n_positions == 1:
        positions = np.array([size / 2])

    X = np.empty((len(factors), size * size), dtype=np.float32)
    for number, shape in enumerate(shapes):
        rows = np.flatnonzero(factors[:, 0] == number)
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start : start + ROWS_AT_ONCE]
            _, scale, rotation, x, y = factors[some].T
            radii = LARGEST_RADIUS * size * scales[scale]
            places = positions[x], positions[y]
            X[some] = _draw(OUTLINES[shape], size, radii, angles[rotation], places)
    return X, factors


def _check_shapes(shapes):
    """Raise ValueError unless shapes are known, and different."""
    if np.ndim(shapes) != 1 or not len(shapes):
        raise ValueError(
            f"shapes={shapes!r}, expected a sequence of some of {list(OUTLINES)}, such "
            "as ('heart',)"
        )
    for shape in shapes:
        if shape not in OUTLINES:
            raise ValueError(f"shapes has {shape!r}, expected some of {list(OUTLINES)}")
    if len(set(shapes)) < len(shapes):
        raise ValueError(f"shapes={shapes!r} has a shape twice; name each once")


def _draw(outside, size, radii, angles, places):
    """Return pictures of one shape, one row for each radius, angle and place."""
    pixels = np.arange(size, dtype=np.float32) + np.float32(0.5)
    column = (-1, 1, 1)  # a number for each row, beside those for each pixel
    radii, angles = radii.reshape(column), angles.reshape(column)
    x, y = (np.reshape(place, column) for place in places)
    cos, sin = (f(angles).astype(np.float32) for f in (np.cos, np.sin))
    # Coordinates from the center, in radii: (n_rows, 1, size), (n_rows, size, 1)
    across = ((pixels - x) / radii).astype(np.float32)
    along = ((pixels[:, None] - y) / radii).astype(np.float32)
    # and turned back, so that the shape stands upright: (n_rows, size, size)
    right = cos * across + sin * along
    down = cos * along - sin * across
    covered = np.float32(0.5) - outside(right, down) * radii.astype(np.float32)
    return np.clip(covered, 0, 1).reshape(-1, size * size)
