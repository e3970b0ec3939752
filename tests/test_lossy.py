"""Rows to a few bits and about back: axes, laws, rates, and refusal of other bytes."""

import pickle
import struct
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gennorm
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from skae import AutoencoderTransformer, VAETransformer
from skae.architectures import MLP, UNet
from skae.compression import CompressedDataError, LosslessCodec, LossyCodec
from skae.compression._axes import code_axes
from skae.compression._container import MAGIC
from skae.compression._laws import AxisLaw
from skae.compression._lossy import EDGE, rounded
from skae.corruptions import GaussianNoise

X = load_digits().data
X_TRAIN, X_TEST = X[:1000], X[1000:]


def make_linear(n_components=12):
    """Return an autoencoder that is PCA."""
    return AutoencoderTransformer(
        n_components,
        architecture=MLP(()),
        scale="global",
        max_epochs=1,
        lr=1e-12,
        early_stopping=False,
        random_state=0,
    ).fit(X_TRAIN)


@pytest.fixture(scope="module")
def linear():
    return make_linear()


@pytest.fixture(scope="module")
def deep():
    ae = AutoencoderTransformer(12, architecture=MLP((32,)), random_state=0)
    return ae.set_params(max_epochs=20).fit(X_TRAIN)


@pytest.fixture(scope="module")
def codec(deep):
    return LossyCodec(deep, step=4.0)


# -- axes ------------------------------------------------------------------------------


def test_axes_of_a_linear_decoder_are_principal_axes_whatever_its_codes_are():
    rng = np.random.default_rng(0)
    pca = PCA(5).fit(X_TRAIN)
    mixing = rng.normal(size=(5, 5))  # codes are mixed, and the decoder unmixes them
    codes = pca.transform(X_TRAIN) @ mixing

    def decode(Z):
        return pca.inverse_transform(Z @ np.linalg.inv(mixing))

    axes = code_axes(decode, codes)
    values = axes.to_axes(codes)
    np.testing.assert_allclose(
        np.abs(values), np.abs(pca.transform(X_TRAIN)), rtol=1e-6
    )
    np.testing.assert_allclose(axes.to_codes(values), codes, atol=1e-8)


def test_a_step_along_any_axis_changes_the_row_by_one(linear):
    axes = code_axes(linear.inverse_transform, linear.transform(X_TRAIN))
    origin = linear.inverse_transform(axes.center[None])
    moved = linear.inverse_transform(axes.to_codes(np.eye(12)))
    np.testing.assert_allclose(np.linalg.norm(moved - origin, axis=1), 1.0, rtol=1e-5)


def test_directions_that_decode_to_nothing_are_no_axes():
    codes = np.random.default_rng(0).normal(size=(100, 3))
    axes = code_axes(lambda Z: Z[:, :2] * [3.0, 1.0], codes)
    assert axes.forward.shape == (2, 3)
    np.testing.assert_allclose(axes.forward[:, 2], 0.0, atol=1e-12)


# -- laws ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.6, 1.0, 2.0])
def test_a_law_has_the_probabilities_of_a_generalised_normal_one(shape):
    values = gennorm.rvs(shape, scale=3, size=200_000, random_state=0)
    law = AxisLaw(values, rounded, EDGE)
    assert law.probabilities.sum() == pytest.approx(1, abs=2e-3)
    found = [np.mean(rounded(values) == i) for i in range(-5, 6)]
    expected = law.probabilities[law.most - 5 : law.most + 6]
    np.testing.assert_allclose(found, expected, atol=0.005)
    # what comes back for a number is the mean of the values that became it
    means = [values[rounded(values) == i].mean() for i in (1, 2, 3)]
    np.testing.assert_allclose(law.middles[law.most + 1 :][:3], means, atol=0.02)


def test_probabilities_are_whole_numbers_and_none_is_zero():
    for values in (np.zeros(10), np.array([1e6, 0.0, 0.0]), np.full(4, 1e-30)):
        law = AxisLaw(values, rounded, EDGE)
        counts = law.probabilities * 2**24
        assert np.array_equal(counts, np.rint(counts))
        assert counts.min() >= 1
        assert len(law.middles) == 2 * law.most + 1 <= 2**12 + 1


def test_numbers_are_rounded_towards_zero_a_little():
    values = np.array([-1.7, -1.6, -0.6, -0.59, 0.0, 0.59, 0.6, 1.59, 1.6])
    assert rounded(values).tolist() == [-2, -2, -1, 0, 0, 0, 1, 1, 2]


# -- rows ------------------------------------------------------------------------------


def test_no_axis_is_off_by_more_than_the_edge_of_a_step(linear):
    codec = LossyCodec(linear, step=2.0)
    decoded = codec.decompress(codec.compress(X_TEST))
    lost = np.linalg.norm(decoded - linear.reconstruct(X_TEST), axis=1)
    assert lost.max() <= 2.0 * np.sqrt(12)  # a whole step on each axis at the very most
    assert np.sqrt(np.mean(lost**2)) < 2.0 * EDGE * np.sqrt(12)


def test_larger_steps_take_fewer_bytes_and_lose_more(deep):
    sizes, errors = [], []
    for step in (0.5, 2.0, 8.0, 32.0):
        codec = LossyCodec(deep, step=step)
        data = codec.compress(X_TEST)
        sizes.append(len(data))
        errors.append(np.square(codec.decompress(data) - X_TEST).mean())
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)
    finest = np.square(deep.reconstruct(X_TEST) - X_TEST).mean()
    assert errors[0] == pytest.approx(finest, rel=0.01)


def test_rows_cost_what_the_laws_say(codec, deep):
    numbers = rounded(codec._axes.to_axes(deep.transform(X_TEST)) / codec.step)
    n_bits = 0.0
    for column, law in zip(numbers.T.astype(int), codec._laws, strict=True):
        assert np.abs(column).max() <= law.most
        n_bits -= np.log2(law.probabilities[column + law.most]).sum()
    assert n_bits < 8 * len(codec.compress(X_TEST)) < 1.01 * n_bits + 8 * 60


def test_fewer_bits_are_needed_than_for_numbers_of_one_width(codec, deep):
    numbers = rounded(codec._axes.to_axes(deep.transform(X_TEST)) / codec.step)
    packed = zlib.compress(numbers.astype(np.int8).tobytes(), 9)
    assert len(codec.compress(X_TEST)) < 0.9 * len(packed)


def test_a_row_far_out_comes_back_as_well(linear):
    far = X_TEST[:3] + 1e5 * linear.module_.decoder.linear.weight.detach().numpy()[:, 0]
    codec = LossyCodec(linear, step=0.5)
    decoded = codec.decompress(codec.compress(far))
    np.testing.assert_allclose(decoded, linear.reconstruct(far), atol=0.5 * np.sqrt(12))


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "?"])
def test_rows_come_back_in_their_dtype(deep, dtype):
    rows = (X_TEST[:50] > 8 if dtype == "?" else X_TEST[:50]).astype(dtype)
    codec = LossyCodec(deep, step=0.1)
    back = codec.decompress(codec.compress(rows))
    assert back.dtype == rows.dtype
    expected = deep.reconstruct(rows)
    if dtype in ("u1", "i2"):
        expected = np.rint(expected).clip(0 if dtype == "u1" else None)
    if dtype != "?":
        assert np.abs(back - expected).mean() < 0.1


def test_any_number_of_rows_comes_back_alike(codec):
    whole = codec.decompress(codec.compress(X_TEST))
    for n_rows in (1, 2, 100):
        part = codec.decompress(codec.compress(X_TEST[:n_rows]))
        np.testing.assert_allclose(part, whole[:n_rows], atol=1e-9)


def test_vaes_images_and_frames_are_taken():
    vae = VAETransformer(
        6, architecture=MLP((16,)), image_shape=(1, 8, 8), max_epochs=5, random_state=0
    ).fit(X_TRAIN)
    codec = LossyCodec(vae, step=4.0)
    images = X_TEST[:20].reshape(-1, 1, 8, 8)
    data = codec.compress(images)
    assert data == codec.compress(X_TEST[:20])
    names = [f"p{j}" for j in range(64)]
    frame = pd.DataFrame(X_TRAIN, columns=names)
    framed = LossyCodec(make_linear().fit(frame), step=4.0)
    assert framed.decompress(framed.compress(frame[:5])).shape == (5, 64)


# -- other models, other bytes ---------------------------------------------------------


def test_a_pickled_model_reads_the_bytes_and_others_do_not(deep, codec):
    data = codec.compress(X_TEST[:10])
    again = LossyCodec(pickle.loads(pickle.dumps(deep)), step=4.0)
    assert again.fingerprint == codec.fingerprint
    np.testing.assert_array_equal(again.decompress(data), codec.decompress(data))
    for other in (LossyCodec(deep, step=4.1), LossyCodec(make_linear(), step=4.0)):
        with pytest.raises(CompressedDataError, match="compressed with the model"):
            other.decompress(data)


def test_bytes_of_the_other_codec_are_refused(codec):
    vae = VAETransformer(2, likelihood="bernoulli", max_epochs=1, random_state=0)
    lossless = LosslessCodec(vae.fit(X_TRAIN > 8))
    with pytest.raises(CompressedDataError, match="codec of kind 1"):
        codec.decompress(lossless.compress(X_TEST[:3] > 8))
    with pytest.raises(CompressedDataError, match="codec of kind 2"):
        lossless.decompress(codec.compress(X_TEST[:3]))


def test_every_flipped_bit_and_every_cut_is_noticed(codec):
    data = codec.compress(X_TEST[:5])
    for i in range(8 * len(data)):
        spoilt = bytearray(data)
        spoilt[i // 8] ^= 1 << i % 8
        with pytest.raises(CompressedDataError, match=r"damaged|begins with"):
            codec.decompress(bytes(spoilt))
    for n in range(len(data)):
        with pytest.raises(CompressedDataError, match=r"damaged|begins with"):
            codec.decompress(data[:n])


@pytest.mark.parametrize("n_rows", [4, 6, 2**32 - 1])
def test_a_forged_number_of_rows_is_noticed(codec, n_rows):
    body = bytearray(codec.compress(X_TEST[:5])[:-4])
    at = len(MAGIC) + 6
    body[at : at + 4] = struct.pack("<I", n_rows)
    forged = bytes(body) + struct.pack("<I", zlib.crc32(body))
    with pytest.raises(CompressedDataError, match="not what its own header says"):
        codec.decompress(forged)


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, -1.0, np.inf, np.nan, True, "fine", None])
def test_steps_that_are_no_length_are_refused(deep, step):
    with pytest.raises(ValueError, match="step must be a positive float"):
        LossyCodec(deep, step=step)


def test_estimators_without_a_code_are_refused():
    with pytest.raises(TypeError, match="must be an AutoencoderTransformer or a VAE"):
        LossyCodec(PCA(), step=1.0)
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        LossyCodec(AutoencoderTransformer(), step=1.0)
    restorer = AutoencoderTransformer(
        architecture=UNet((4, 8), n_blocks=1), corruption=GaussianNoise(1.0),
        image_shape=(1, 8, 8), max_epochs=1, random_state=0,
    ).fit(X_TRAIN[:50])  # fmt: skip
    with pytest.raises(ValueError, match="has no bottleneck, and so no code"):
        LossyCodec(restorer, step=1.0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X_TEST[:3, :63], "63 features"),
        (X_TEST[:0], "0 sample"),
        (X_TEST[:3] + np.inf, "contains infinity"),
        (X_TEST[:3] * 1e12, "overflows the network"),
    ],
)
def test_rows_that_it_cannot_code_are_refused(codec, rows, message):
    with pytest.raises(ValueError, match=message):
        codec.compress(rows)


def test_the_way_to_the_entropy_coder_is_told(deep, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[compression\]"'):
        LossyCodec(deep, step=1.0)
