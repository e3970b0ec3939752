"""Corruptions do what they say, in the units of X, and only to what is encoded."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import skae
from skae import AutoencoderTransformer
from skae.architectures import MLP
from skae.corruptions import (
    Blur,
    Chain,
    Corruption,
    Function,
    GaussianNoise,
    Grayscale,
    Masking,
    Patch,
    SaltAndPepper,
)

IMAGES = np.random.RandomState(0).uniform(0.1, 0.9, size=(200, 3, 6, 7))
ROWS = np.random.RandomState(1).normal(3.0, [0.5, 2.0, 8.0], size=(20_000, 3))
EACH = [
    GaussianNoise((0.1, 0.3)),
    Masking(0.3),
    SaltAndPepper(0.2),
    Patch((2, 3)),
    Grayscale(),
    Blur(0.8),
    Chain([Masking(0.3), GaussianNoise(0.1)]),
    Function(lambda X, rng: X + rng.normal(size=X.shape)),
]


# -- each by itself --------------------------------------------------------------------


@pytest.mark.parametrize("corruption", EACH, ids=lambda c: type(c).__name__)
def test_a_call_is_a_function_of_rows_and_seed_and_changes_neither(corruption):
    before = IMAGES.copy()
    first = corruption(IMAGES, random_state=3)
    assert first.shape == IMAGES.shape
    assert not np.array_equal(first, IMAGES)
    assert np.array_equal(first, corruption(IMAGES, random_state=3))
    rows = IMAGES.reshape(len(IMAGES), -1)
    flat = corruption(rows, image_shape=(3, 6, 7), random_state=3)
    assert np.array_equal(first.reshape(rows.shape), flat)
    assert np.array_equal(IMAGES, before)
    assert corruption(IMAGES.astype(np.float32)).dtype == np.float32


def test_gaussian_noise_has_its_standard_deviation():
    noise = GaussianNoise(0.5)(ROWS, random_state=0) - ROWS
    assert np.allclose(noise.mean(axis=0), 0, atol=5 * 0.5 / np.sqrt(len(ROWS)))
    assert np.allclose(noise.std(axis=0), 0.5, rtol=0.03)


def test_relative_gaussian_noise_is_in_units_of_the_columns():
    noise = GaussianNoise(0.5, relative=True)(ROWS, random_state=0) - ROWS
    assert np.allclose(noise.std(axis=0) / ROWS.std(axis=0), 0.5, rtol=0.03)


def test_a_range_of_noise_gives_every_row_a_level_of_its_own():
    X = np.zeros((2000, 1000))
    levels = GaussianNoise((0.2, 0.6))(X, random_state=0).std(axis=1)
    assert np.allclose(np.quantile(levels, [0.25, 0.5, 0.75]), [0.3, 0.4, 0.5], 0.05)
    assert 0.18 < levels.min() < 0.22
    assert 0.58 < levels.max() < 0.66


def test_masking_overwrites_a_share_and_leaves_the_rest_alone():
    for fill in (-1.0, "center"):
        result = Masking(0.3, fill=fill)(ROWS, random_state=0)
        holes = result != ROWS
        assert np.isclose(holes.mean(), 0.3, atol=0.01)
        value = ROWS.mean(axis=0) if fill == "center" else np.full(3, fill)
        assert np.allclose(result[holes], np.broadcast_to(value, ROWS.shape)[holes])


def test_salt_and_pepper_are_as_frequent():
    result = SaltAndPepper(0.2, low=-7, high=99)(ROWS, random_state=0)
    assert np.isclose((result == -7).mean(), 0.1, atol=0.01)
    assert np.isclose((result == 99).mean(), 0.1, atol=0.01)
    kept = (result != -7) & (result != 99)
    assert np.array_equal(result[kept], ROWS[kept])


def test_patches_are_rectangles_anywhere_in_the_image_in_all_channels():
    holes = Patch((2, 3), fill=-1.0)(IMAGES, random_state=0) == -1.0
    assert (holes == holes[:, :1]).all()
    corners = set()
    for hole in holes[:, 0]:
        rows, columns = np.nonzero(hole)
        i, j = rows.min(), columns.min()
        assert hole.sum() == hole[i : i + 2, j : j + 3].sum() == 6
        corners.add((i, j))
    assert len(corners) == (6 - 2 + 1) * (7 - 3 + 1)


def test_several_patches_cut_several_holes():
    holes = Patch(1, n_patches=4, fill=-1.0)(IMAGES, random_state=0) == -1.0
    sizes = holes[:, 0].sum(axis=(1, 2))
    assert sizes.max() == 4
    assert sizes.min() >= 1


def test_grayscale_is_the_luma_of_bt601_in_three_equal_channels():
    grey = Grayscale()(IMAGES)
    luma = np.einsum("c,nchw->nhw", [0.299, 0.587, 0.114], IMAGES)
    assert np.allclose(grey, luma[:, None])
    assert np.allclose(Grayscale()(grey), grey)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 5.0])
def test_blur_agrees_with_scipy(sigma):
    reach = math.ceil(4 * sigma)
    expected = gaussian_filter(IMAGES, sigma, axes=(2, 3), radius=reach)
    assert np.allclose(Blur(sigma)(IMAGES), expected)


def test_a_chain_goes_through_its_parts_in_turn():
    both = Chain([Masking(1.0, fill=2.0), lambda X, rng: X * 3])
    assert (both(ROWS) == 6.0).all()


# -- in training -----------------------------------------------------------------------


def digits():
    X = load_digits().data
    return X[:400], X[400:600]


QUICK = {"n_components": 8, "max_epochs": 5, "random_state": 0}


def test_the_corruption_sees_rows_in_the_units_of_x():
    X = np.random.RandomState(0).normal(100.0, [1.0, 50.0, 9.0], size=(64, 3))
    seen = []

    def note(rows, rng):
        seen.append(rows)
        return rows

    ae = AutoencoderTransformer(2, corruption=note, max_epochs=1, random_state=0)
    ae.fit(X)
    rows = np.concatenate(seen)
    distance = np.abs(rows[:, None] - X).max(axis=2).min(axis=1)  # to the nearest row
    assert distance.max() < 1e-4


def test_fits_with_a_corruption_repeat_to_the_bit():
    X, X_test = digits()
    ae = AutoencoderTransformer(**QUICK, corruption=[Masking(0.2), GaussianNoise(2.0)])
    first = ae.fit(X).transform(X_test)
    assert np.array_equal(first, clone(ae).fit(X).transform(X_test))
    other = clone(ae).set_params(corruption=Masking(0.2)).fit(X).transform(X_test)
    assert not np.allclose(first, other)


def test_gradients_by_hand_are_those_of_autograd():
    X, X_test = digits()
    ae = AutoencoderTransformer(**QUICK, corruption=GaussianNoise(3.0))
    codes = []
    for engine in ("auto", "autograd"):
        with skae.config_context(engine=engine):
            codes.append(clone(ae).fit(X).transform(X_test))
    assert np.allclose(*codes, atol=1e-3)


def test_a_linear_denoiser_becomes_the_wiener_filter():
    # the best linear map from x + noise to x is C (C + s^2 I)^-1 (Vincent 2011)
    rng = np.random.RandomState(0)
    X = rng.normal(size=(4000, 3)) @ np.diag([2.0, 1.0, 0.5])
    X = X - X.mean(axis=0)
    ae = AutoencoderTransformer(
        3,
        architecture=MLP(()),
        corruption=GaussianNoise(1.0),
        scale=None,
        max_epochs=150,
        early_stopping=False,
        random_state=0,
    ).fit(X)
    ours = ae.reconstruct(np.eye(3)) - ae.reconstruct(np.zeros((1, 3)))
    C = np.cov(X.T, bias=True)
    # the noise that every fit adds at first falls to zero
    assert np.allclose(ours.T, C @ np.linalg.inv(C + np.eye(3)), atol=0.03)


def test_a_denoiser_restores_noisy_rows_better_than_a_plain_autoencoder_and_pca():
    X = load_digits().data
    X, X_test = X[:1200], X[1200:]
    noise = GaussianNoise(6.0)
    noisy = noise(X_test, random_state=0)
    settings = {"n_components": 16, "max_epochs": 60, "random_state": 0}
    plain = AutoencoderTransformer(**settings).fit(X)
    denoiser = clone(plain).set_params(corruption=noise).fit(X)
    pca = PCA(16).fit(X)
    restored = [
        denoiser.reconstruct(noisy),
        plain.reconstruct(noisy),
        pca.inverse_transform(pca.transform(noisy)),
    ]
    errors = [np.square(rows - X_test).mean() for rows in restored]
    assert errors[0] < 0.85 * min(errors[1:])


def test_warm_start_and_partial_fit_go_on_with_the_corruption_of_now():
    X, X_test = digits()
    ae = AutoencoderTransformer(**QUICK, warm_start=True, early_stopping=False).fit(X)
    twin = clone(ae).fit(X)
    ae.set_params(corruption=GaussianNoise(8.0)).fit(X)
    twin.fit(X)
    assert not np.allclose(ae.transform(X_test), twin.transform(X_test))
    assert isinstance(ae.module_.corruption, Corruption)
    ae.partial_fit(X)


# -- errors ----------------------------------------------------------------------------

BAD = {
    "no corruption": (3, TypeError, "corruption"),
    "a class": (Masking, TypeError, "instance of a class"),
    "a class in a list": ([Masking], TypeError, "instance of a class"),
    "negative noise": (GaussianNoise(-1.0), ValueError, "'scale' parameter of Gauss"),
    "noise of three levels": (GaussianNoise((1, 2, 3)), ValueError, r"pair \(low, hi"),
    "noise from high to low": (GaussianNoise((2, 1)), ValueError, r"pair \(low, high"),
    "share above one": (Masking(1.5), ValueError, "'share' parameter of Masking"),
    "share in a list": ([Masking(1.5)], ValueError, "'share' parameter of Masking"),
    "fill of text": (Masking(fill="mean"), ValueError, "'fill' parameter of Masking"),
    "patch of size zero": (Patch(0), ValueError, "'size' parameter of Patch"),
    "patch too large": (Patch((9, 2)), ValueError, "holes of .* use a smaller size"),
    "grey images": (Grayscale(), ValueError, "3 channels"),
    "another shape": (lambda X, rng: X[:1], ValueError, "one of the same shape"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_corruptions_are_refused(case):
    corruption, error, message = BAD[case]
    X, _ = digits()
    ae = AutoencoderTransformer(2, corruption=corruption, image_shape=(1, 8, 8))
    with pytest.raises(error, match=message):
        ae.fit(X)
    assert not hasattr(ae, "net_")


def test_corruptions_of_images_ask_for_the_shape_of_the_image():
    X, _ = digits()
    with pytest.raises(ValueError, match=r"image_shape=None; pass image_shape"):
        AutoencoderTransformer(2, corruption=Patch(2)).fit(X)
    with pytest.raises(ValueError, match=r"image_shape=None; pass image_shape"):
        Patch(2)(X)
    with pytest.raises(ValueError, match="means 60 features, but X has 64"):
        Patch(2)(X, image_shape=(1, 6, 10))
