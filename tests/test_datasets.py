"""make_shapes: pictures are what their factors say, and no two are the same."""

import random
from math import pi, sqrt

import numpy as np
import pytest

from skae.datasets import make_shapes

SHAPES = ("square", "ellipse", "heart")

# Areas in a circle of radius 1: a square with its corners on it, an ellipse half as
# high as wide, and a square of side 2 with two half discs, made smaller by how far its
# tip is from the center of area.
TIP = sqrt(2) * (1 + (pi / 2 + 2 / 3) / (pi + 4))
AREAS = {"square": 2.0, "ellipse": pi / 2, "heart": (pi + 4) / TIP**2}


def as_images(X):
    size = round(sqrt(X.shape[1]))
    return X.reshape(-1, size, size).astype(float)


def moments(X):
    """Return areas, centers and covariances of brightness, x before y, in pixels."""
    images = as_images(X)
    pixels = np.arange(images.shape[1]) + 0.5
    places = np.stack(np.meshgrid(pixels, pixels), axis=-1).reshape(-1, 2)
    weights = images.reshape(len(images), -1)
    areas = weights.sum(axis=1)
    centers = weights @ places / areas[:, None]
    off = places - centers[:, None]
    covariances = np.einsum("np,npi,npj->nij", weights, off, off)
    return areas, centers, covariances / areas[:, None, None]


# -- the factors -----------------------------------------------------------------------


def test_without_a_number_every_combination_comes_once():
    X, factors = make_shapes(size=8, n_scales=2, n_rotations=3, n_positions=4)
    assert X.shape == (3 * 2 * 3 * 4 * 4, 64)
    expected = [np.unravel_index(i, (3, 2, 3, 4, 4)) for i in range(len(X))]
    assert np.array_equal(factors, expected)


@pytest.mark.parametrize("shapes", [SHAPES, ("ellipse", "heart"), ("heart",)])
def test_no_two_combinations_look_the_same(shapes):
    X, _ = make_shapes(size=32, shapes=shapes, n_scales=3, n_rotations=5, n_positions=3)
    squares = np.square(X).sum(axis=1)
    apart = squares[:, None] + squares - 2 * X @ X.T
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 0.5


def test_the_center_is_at_the_x_and_the_y_position():
    size, n = 32, 5
    X, factors = make_shapes(size=size, n_scales=2, n_rotations=3, n_positions=n)
    _, centers, _ = moments(X)
    margin = size / 4 + 0.5
    expected = margin + factors[:, 3:] * (size - 2 * margin) / (n - 1)
    np.testing.assert_allclose(centers, expected, atol=0.1)


def test_one_position_is_the_middle_and_one_scale_the_largest():
    X, factors = make_shapes(size=32, n_scales=1, n_rotations=1, n_positions=1)
    areas, centers, _ = moments(X)
    np.testing.assert_allclose(centers, 16, atol=0.05)
    np.testing.assert_allclose(areas, [AREAS[s] * 8**2 for s in SHAPES], rtol=0.03)
    assert np.array_equal(factors, [[0] * 5, [1, 0, 0, 0, 0], [2, 0, 0, 0, 0]])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_area_grows_with_the_square_of_the_scale(shape):
    X, factors = make_shapes(
        size=64, shapes=(shape,), n_scales=3, n_rotations=3, n_positions=2
    )
    radii = 16 * np.array([0.5, 0.75, 1.0])[factors[:, 1]]
    np.testing.assert_allclose(moments(X)[0], AREAS[shape] * radii**2, rtol=0.01)


def test_the_ellipse_lies_along_its_rotation():
    X, factors = make_shapes(
        size=64, shapes=("ellipse",), n_scales=1, n_rotations=6, n_positions=1
    )
    _, _, covariances = moments(X)
    variances, axes = np.linalg.eigh(covariances)
    x, y = axes[..., -1].T
    angles = factors[:, 2] * pi / 6
    # y goes down, so that a turn by a positive angle is clockwise
    np.testing.assert_allclose(np.abs(x * np.cos(angles) + y * np.sin(angles)), 1,
                               atol=1e-3)  # fmt: skip
    np.testing.assert_allclose(np.sqrt(variances[:, 1] / variances[:, 0]), 2, rtol=0.02)


def test_a_heart_turns_clockwise_by_its_rotation():
    X, _ = make_shapes(
        size=32, shapes=("heart",), n_scales=1, n_rotations=4, n_positions=1
    )
    upright, *turned = as_images(X)
    for quarters, image in enumerate(turned, start=1):
        np.testing.assert_allclose(image, np.rot90(upright, -quarters), atol=1e-4)
    lines = np.flatnonzero(upright.any(axis=1))
    assert lines[-1] == 23  # the tip is below, 8 pixels from the middle
    assert lines[0] == 10  # and what is round nearer to it
    np.testing.assert_allclose(upright, upright[:, ::-1], atol=1e-4)


@pytest.mark.parametrize(
    ("shapes", "turn"), [(("square", "heart"), 90), (("ellipse", "heart"), 180)]
)
def test_the_most_symmetric_shape_sets_how_far_all_turn(shapes, turn):
    given = {"size": 32, "n_scales": 1, "n_positions": 1}
    X, factors = make_shapes(shapes=shapes, n_rotations=2, **given)
    heart = X[factors[:, 0] == 1][1]
    alone, _ = make_shapes(shapes=("heart",), n_rotations=720 // turn, **given)
    np.testing.assert_allclose(heart, alone[1], atol=1e-5)


# -- the pictures ----------------------------------------------------------------------


def test_a_pixel_is_as_bright_as_the_share_of_it_that_is_covered():
    given = {"n_scales": 2, "n_rotations": 5, "n_positions": 1}
    X, _ = make_shapes(size=32, **given)
    fine, _ = make_shapes(size=512, **given)
    covered = as_images(fine).reshape(-1, 32, 16, 32, 16).mean(axis=(2, 4))
    off = np.abs(as_images(X) - covered)
    assert off.max() < 0.35  # at tips
    assert np.sqrt(np.square(off).mean()) < 0.01


def test_values_are_float32_in_the_unit_interval_black_at_the_border():
    X, _ = make_shapes(size=16, n_rotations=8)
    assert X.dtype == np.float32
    assert X.min() == 0
    assert X.max() == 1
    images = as_images(X)
    for border in (images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]):
        assert border.max() < 0.6  # a tip or a corner at most


# -- draws -----------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits():
    first, again, other = (make_shapes(50, random_state=seed) for seed in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(first[1], other[1])


def test_a_drawn_row_is_that_of_the_grid():
    given = {"size": 16, "n_scales": 2, "n_rotations": 3, "n_positions": 4}
    X, factors = make_shapes(500, random_state=0, **given)
    grid, _ = make_shapes(**given)
    assert np.array_equal(X, grid[np.ravel_multi_index(factors.T, (3, 2, 3, 4, 4))])


def test_drawn_factors_are_uniform_and_independent():
    _, factors = make_shapes(20_000, size=8, random_state=0)
    for column, n_values in zip(factors.T, (3, 4, 4, 8, 8), strict=True):
        shares = np.bincount(column) / len(column)
        np.testing.assert_allclose(shares, 1 / n_values, atol=0.015)
    correlations = np.corrcoef(factors.T) - np.eye(5)
    assert np.abs(correlations).max() < 0.03


def test_global_generators_are_left_alone():
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    make_shapes(10, random_state=0)
    make_shapes(size=8)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert random.getstate() == before[1]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"shapes": "heart"}, ValueError, r"shapes='heart', expected a sequence .*"),
        ({"shapes": ()}, ValueError, r"shapes=\(\), expected a sequence of some of"),
        ({"shapes": ("star",)}, ValueError, "shapes has 'star', expected some of"),
        ({"shapes": ("heart",) * 2}, ValueError, "has a shape twice; name each once"),
        ({"size": 7}, ValueError, "size == 7, must be >= 8"),
        ({"size": 8.5}, TypeError, "size must be an instance of .*int"),
        ({"n_scales": 0}, ValueError, "n_scales == 0, must be >= 1"),
        ({"n_rotations": 0}, ValueError, "n_rotations == 0, must be >= 1"),
        ({"n_positions": -1}, ValueError, "n_positions == -1, must be >= 1"),
        ({"n_samples": 0}, ValueError, "n_samples == 0, must be >= 1"),
        ({"n_samples": 3, "random_state": "a"}, ValueError, "cannot be used to seed"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        make_shapes(**parameters)
