"""Rows to bytes and back: exact numbers, exact rows, and refusal of all other bytes."""

import hashlib
import struct
import sys
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from torch import nn

from skae import AutoencoderTransformer, VAETransformer
from skae._random import Rng
from skae.architectures import MLP, Conv
from skae.architectures._mlp import ACTIVATIONS
from skae.compression import CompressedDataError, LosslessCodec
from skae.compression._container import MAGIC, Container
from skae.compression._entries import probabilities, shares_below
from skae.compression._integers import (
    ACTIVATION_BITS,
    AFFINE_BITS,
    CUT_OFF,
    WEIGHT_BITS,
    IntegerNetwork,
    Table,
    activation_table,
)
from skae.compression._lossless import posterior_stds
from skae.likelihoods import Ordinal

X = load_digits().data > 8
X_TRAIN, X_TEST = X[:1000], X[1000:]


def make_vae(**options):
    options = {
        "likelihood": "bernoulli",
        "max_epochs": 10,
        "random_state": 0,
        "architecture": MLP((32,)),
    } | options
    return VAETransformer(6, **options)


@pytest.fixture(scope="module")
def vae():
    return make_vae(max_epochs=30).fit(X_TRAIN)


@pytest.fixture(scope="module")
def codec(vae):
    return LosslessCodec(vae)


GREY = load_digits().data
GREY_TRAIN, GREY_TEST = GREY[:1000], GREY[1000:]


def make_grey(**options):
    return make_vae(**{"likelihood": Ordinal(17)} | options)


@pytest.fixture(scope="module")
def grey_vae():
    return make_grey(max_epochs=30).fit(GREY_TRAIN)


@pytest.fixture(scope="module")
def grey_codec(grey_vae):
    return LosslessCodec(grey_vae)


# -- tables ----------------------------------------------------------------------------


def test_a_table_has_the_value_in_the_middle_of_each_step():
    table = Table(np.square, -1, 1, entry_bits=2, bits=6)
    middles = np.array([-7, -5, -3, -1, 1, 3, 5, 7]) / 8
    assert table.values.tolist() == (middles**2 * 64).tolist()
    whole = np.array([-9.0, -8.0, -7.0, -1.0, 0.0, 7.0, 8.0])  # eighths
    assert table(whole, 3).tolist() == [49.0, 49.0, 49.0, 1.0, 1.0, 49.0, 49.0]


def test_between_the_values_of_a_table_there_are_straight_lines():
    table = Table(np.square, 0, 2, entry_bits=1, bits=8)
    assert table.values.tolist() == [16.0, 144.0, 400.0, 784.0]  # at 1/4, 3/4, ...
    whole = np.array([-64, 0, 16, 17, 24, 48, 64, 111, 112, 127])  # with 6 bits
    expected = [16, 16, 16, 20, 48, 144, 272, 772, 784, 784]
    assert table.between(whole.astype(float), 6).tolist() == expected


TABLES = {
    "probabilities": probabilities,
    "shares_below": shares_below,
    "posterior_stds": posterior_stds,
} | {
    name: lambda kind=kind: activation_table(getattr(nn, kind)())
    for name, kind in ACTIVATIONS.items()
}


@pytest.mark.parametrize("name", TABLES)
def test_no_value_is_near_to_being_rounded_the_other_way(name):
    table = TABLES[name]()
    # in units of the last bit of the largest value; libraries differ by a few
    assert table.margin() > 100 * np.spacing(np.abs(table.exact).max())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_tables_of_activations_are_near_them(name):
    layer = getattr(nn, ACTIVATIONS[name])()
    points = torch.linspace(-20, 20, 1001, dtype=torch.float64)
    whole = np.round(np.ldexp(points.numpy(), AFFINE_BITS))
    values = np.ldexp(activation_table(layer)(whole, AFFINE_BITS), -ACTIVATION_BITS)
    np.testing.assert_allclose(values, layer(points).numpy(), atol=2e-3)


# -- networks --------------------------------------------------------------------------


def sequence(*sizes):
    rng = Rng(0)
    return MLP(sizes[1:-1]).build_encoder(sizes[0], sizes[-1], rng)


def test_networks_of_whole_numbers_agree_with_pythons_own():
    network = sequence(3, 5, 2)
    whole = IntegerNetwork(network, largest=2)
    inputs = np.random.default_rng(0).integers(-(2**12), 2**12, (4, 3))
    table = activation_table(nn.GELU())
    first, last = network.hidden[0], network.output
    expected = []
    for row in inputs.tolist():
        hidden = []
        for weights, bias in zip(
            first.weight.tolist(), first.bias.tolist(), strict=True
        ):
            total = round(bias * 2**AFFINE_BITS)
            for w, x in zip(weights, row, strict=True):
                total += round(w * 2**WEIGHT_BITS) * x
            entry = (total >> (AFFINE_BITS - 9)) + (CUT_OFF << 9)
            hidden.append(int(table.values[entry]))
        outputs = np.round(last.weight.detach().numpy() * 2**WEIGHT_BITS).astype(int)
        expected.append((outputs @ hidden).tolist())
    assert whole(inputs.astype(float)).tolist() == expected


ARCHITECTURES = {
    "MLP": MLP((40, 20), activation="tanh", dropout=0.1),
    "linear": MLP(()),
    "Conv": Conv((4, 6), hidden_layer_sizes=(30,), image_shape=(1, 8, 8)),
    "residual": Conv((4,), n_blocks=2, image_shape=(1, 8, 8), activation="silu"),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_of_whole_numbers_are_near_those_of_floats(name):
    module = make_vae(architecture=ARCHITECTURES[name], image_shape=(1, 8, 8))
    module = module.fit(X_TRAIN).module_
    rows = X_TEST[:200].astype(np.float64)
    whole = IntegerNetwork(module.encoder, largest=1)
    outputs = whole(np.ldexp(rows, ACTIVATION_BITS))
    assert np.array_equal(outputs, np.rint(outputs))
    with torch.inference_mode():
        expected = module.encoder(torch.from_numpy(rows).float()).numpy()
    np.testing.assert_allclose(np.ldexp(outputs, -AFFINE_BITS), expected, atol=0.02)
    # one by one, and with the other rows: to the bit
    one_by_one = [whole(np.ldexp(row[None], ACTIVATION_BITS))[0] for row in rows[:20]]
    assert np.array_equal(one_by_one, outputs[:20])


def test_sums_do_not_depend_on_their_order():
    network = sequence(50, 300, 300, 7)
    inputs = np.ldexp(np.random.default_rng(0).random((9, 50)), ACTIVATION_BITS).round()
    before = IntegerNetwork(network, largest=1)(inputs)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        first, second = network.hidden[0], network.hidden[2]
        first.weight.copy_(first.weight[order])
        first.bias.copy_(first.bias[order])
        second.weight.copy_(second.weight[:, order])
    assert np.array_equal(IntegerNetwork(network, largest=1)(inputs), before)


def test_layers_without_a_form_in_whole_numbers_are_refused():
    with pytest.raises(ValueError, match=r"BatchNorm1d.* in whole numbers"):
        LosslessCodec(
            make_vae(architecture=MLP((8,), normalization="batch")).fit(X_TRAIN)
        )
    with pytest.raises(ValueError, match=r"layer '0' of the network is GLU"):
        IntegerNetwork(nn.Sequential(nn.GLU()), largest=1)


def test_weights_that_sums_would_not_hold_are_refused():
    layer = nn.Linear(4, 1)
    with torch.no_grad():
        layer.weight.fill_(2.0**15)
        assert IntegerNetwork(nn.Sequential(layer), largest=1) is not None
        layer.weight.fill_(2.0**16)
    with pytest.raises(ValueError, match=r"may sum up to 2 \*\* 50, beyond"):
        IntegerNetwork(nn.Sequential(layer), largest=1)


# -- rows ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_rows_come_back_bit_for_bit(codec, dtype):
    rows = X_TEST[:50].astype(dtype)
    back = codec.decompress(codec.compress(rows))
    assert back.dtype == rows.dtype
    np.testing.assert_array_equal(back, rows)


@pytest.mark.parametrize("n_rows", [1, 2, 499, 501, 797])
def test_any_number_of_rows_comes_back(codec, n_rows):
    np.testing.assert_array_equal(
        codec.decompress(codec.compress(X_TEST[:n_rows])), X_TEST[:n_rows]
    )


def test_rows_that_the_model_has_never_seen_the_like_of_come_back(codec):
    noise = np.random.default_rng(0).random((300, 64)) < 0.5
    for rows in (noise, np.zeros((3, 64), bool), np.ones((3, 64), bool)):
        np.testing.assert_array_equal(codec.decompress(codec.compress(rows)), rows)


def test_images_and_frames_are_taken():
    images = X_TEST[:20].reshape(-1, 1, 8, 8)
    codec = LosslessCodec(
        make_vae(image_shape=(1, 8, 8), architecture="auto").fit(X_TRAIN)
    )
    np.testing.assert_array_equal(codec.decompress(codec.compress(images)), X_TEST[:20])
    frame = pd.DataFrame(X_TRAIN, columns=[f"p{j}" for j in range(64)]).astype(int)
    codec = LosslessCodec(make_vae().fit(frame))
    np.testing.assert_array_equal(
        codec.decompress(codec.compress(frame[:20])), frame[:20]
    )


def test_rows_cost_their_elbo(vae, codec):
    n_bits = 8 * len(codec.compress(X_TEST))
    elbo = -vae.score_samples(X_TEST.astype(float)).sum() / np.log(2)
    # one row of each of two stacks has no bits to get back
    kl = 2 * vae.kl_per_component_.sum() / np.log(2)
    assert elbo < n_bits < 1.01 * elbo + 8 * kl + 8 * 60


def test_a_row_is_worth_less_than_its_bits_in_a_file(codec):
    packed = np.packbits(X_TEST).tobytes()
    assert len(codec.compress(X_TEST)) < 0.9 * len(zlib.compress(packed, 9))


# -- levels ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_levels_come_back_bit_for_bit(grey_codec, dtype):
    rows = GREY_TEST[:50].astype(dtype)
    back = grey_codec.decompress(grey_codec.compress(rows))
    assert back.dtype == rows.dtype
    np.testing.assert_array_equal(back, rows)


@pytest.mark.parametrize("n_rows", [1, 2, 501, 797])
def test_any_number_of_rows_of_levels_comes_back(grey_codec, n_rows):
    data = grey_codec.compress(GREY_TEST[:n_rows])
    np.testing.assert_array_equal(grey_codec.decompress(data), GREY_TEST[:n_rows])


def test_levels_that_the_model_has_never_seen_the_like_of_come_back(grey_codec):
    noise = np.random.default_rng(0).integers(0, 17, (300, 64))
    for rows in (noise, np.zeros((3, 64), int), np.full((3, 64), 16)):
        back = grey_codec.decompress(grey_codec.compress(rows))
        np.testing.assert_array_equal(back, rows)


@pytest.mark.parametrize("n_levels", [2, 3, 256, 1000])
def test_any_number_of_levels_comes_back(n_levels):
    rng = np.random.default_rng(0)
    shares = np.clip(rng.random((60, 1)) + 0.1 * rng.normal(size=(60, 5)), 0, 0.999)
    rows = (n_levels * shares).astype(np.int16)
    vae = VAETransformer(1, likelihood=Ordinal(n_levels), max_epochs=9, random_state=0)
    codec = LosslessCodec(vae.fit(rows))
    few = (rows % 2).astype(bool)
    for X in (rows, few, few.astype("i1"), few.astype("u1")):
        back = codec.decompress(codec.compress(X))
        assert back.dtype == X.dtype
        np.testing.assert_array_equal(back, X)


def test_rows_of_levels_cost_their_elbo(grey_vae, grey_codec):
    n_bits = 8 * len(grey_codec.compress(GREY_TEST))
    elbo = -grey_vae.score_samples(GREY_TEST).sum() / np.log(2)
    kl = 2 * grey_vae.kl_per_component_.sum() / np.log(2)
    assert elbo < n_bits < 1.01 * elbo + 8 * kl + 8 * 60
    # and less than in a file
    assert n_bits < 8 * 0.9 * len(zlib.compress(GREY_TEST.astype(np.uint8), 9))


def test_bytes_of_levels_are_the_same_everywhere():
    codec = LosslessCodec(with_weights_of_no_training(make_grey(), GREY_TRAIN))
    data = codec.compress(GREY_TEST[:100])
    np.testing.assert_array_equal(codec.decompress(data), GREY_TEST[:100])
    assert hashlib.sha256(data).hexdigest()[:16] == "1f7e35c1e7b0377b"


def test_bytes_of_other_cut_points_or_another_law_are_refused(codec, grey_vae):
    import copy

    other = copy.deepcopy(grey_vae)
    with torch.no_grad():
        other.module_.likelihood_parameters["offsets"][3] += 1e-6
    other = LosslessCodec(other)
    for data in (LosslessCodec(grey_vae), codec):
        data = data.compress(X_TEST[:3])
        with pytest.raises(CompressedDataError, match="compressed with the model"):
            other.decompress(data)


def test_every_flipped_bit_and_every_cut_of_levels_is_noticed(grey_codec):
    data = grey_codec.compress(GREY_TEST[:3])
    for i in range(8 * len(data)):
        spoilt = bytearray(data)
        spoilt[i // 8] ^= 1 << i % 8
        with pytest.raises(CompressedDataError, match=r"damaged|begins with"):
            grey_codec.decompress(bytes(spoilt))
    for n in range(len(data)):
        with pytest.raises(CompressedDataError, match=r"damaged|begins with"):
            grey_codec.decompress(data[:n])


def test_levels_that_their_dtype_cannot_hold_are_refused(grey_codec):
    data = forged(grey_codec.compress(GREY_TEST[:5]), HEAD + 2, b"b1")
    with pytest.raises(CompressedDataError, match="not what its own header says"):
        grey_codec.decompress(data)


@pytest.mark.parametrize("value", [17, -1, 0.5])
def test_rows_that_are_no_levels_are_not_compressed(grey_codec, value):
    rows = GREY_TEST[:3].copy()
    rows[2, 5] = value
    message = f"must be whole numbers from 0 to 16, but column 5 has {value}.* in row 2"
    with pytest.raises(ValueError, match=message):
        grey_codec.compress(rows)


# -- another machine, another model ----------------------------------------------------


def with_weights_of_no_training(vae, rows):
    """Return a fitted VAE whose weights are the same on any machine."""
    vae.fit(rows)
    numbers = np.random.RandomState(0)
    with torch.no_grad():
        for parameter in vae.module_.parameters():
            values = 0.2 * numbers.standard_normal(parameter.shape)
            parameter.copy_(torch.from_numpy(np.round(values, 3)))
    return vae


def test_bytes_are_the_same_everywhere():
    codec = LosslessCodec(with_weights_of_no_training(make_vae(), X_TRAIN))
    data = codec.compress(X_TEST[:100])
    np.testing.assert_array_equal(codec.decompress(data), X_TEST[:100])
    assert hashlib.sha256(data).hexdigest()[:16] == "af075a16712ed885"


def test_the_model_is_known_again_and_others_are_not(vae, codec):
    import pickle

    again = LosslessCodec(pickle.loads(pickle.dumps(vae)))
    assert again.fingerprint == codec.fingerprint
    data = codec.compress(X_TEST[:10])
    np.testing.assert_array_equal(again.decompress(data), X_TEST[:10])
    other = LosslessCodec(make_vae(random_state=1).fit(X_TRAIN))
    with pytest.raises(CompressedDataError, match="compressed with the model"):
        other.decompress(data)


# -- bytes that are no such rows -------------------------------------------------------


def test_every_flipped_bit_is_noticed(codec):
    data = codec.compress(X_TEST[:5])
    for i in range(8 * len(data)):
        spoilt = bytearray(data)
        spoilt[i // 8] ^= 1 << i % 8
        with pytest.raises(CompressedDataError, match=r"damaged|begins with"):
            codec.decompress(bytes(spoilt))


def test_every_cut_is_noticed(codec):
    data = codec.compress(X_TEST[:5])
    for n in range(len(data)):
        with pytest.raises(CompressedDataError, match=r"damaged|begins with"):
            codec.decompress(data[:n])
    with pytest.raises(CompressedDataError, match="damaged"):
        codec.decompress(data + b"\0")


def forged(data, offset, part):
    """Return bytes with another part, and a checksum that agrees."""
    body = bytearray(data[:-4])
    body[offset : offset + len(part)] = part
    return bytes(body) + struct.pack("<I", zlib.crc32(body))


HEAD = len(MAGIC)


@pytest.mark.parametrize(
    ("offset", "part", "message"),
    [
        (HEAD, b"\2", "format version 2, and this skae reads version 1"),
        (HEAD + 1, b"\7", "codec of kind 7"),
        (HEAD + 2, b"O8", "not what its own header says"),
        (HEAD + 4, b"\5\0", "not what its own header says"),
        (HEAD + 4, b"\0\0", "not what its own header says"),
        (HEAD + 6, b"\4", "not what its own header says"),
        (HEAD + 6, b"\xff\xff\xff\xff", "not what its own header says"),
        (HEAD + 10, b"12345678", "with the model 3132333435363738"),
        (HEAD + 18, b"\xff\xff", "not what its own header says"),
        (HEAD + 20, b"\1", "not what its own header says"),
    ],
)
def test_forged_headers_are_refused(codec, offset, part, message):
    data = codec.compress(X_TEST[:5])
    with pytest.raises(CompressedDataError, match=message):
        codec.decompress(forged(data, offset, part))


def test_foreign_bytes_are_refused(codec):
    for data in (b"", b"PK\3\4" * 20, MAGIC):
        with pytest.raises(CompressedDataError, match=r"begins with|damaged"):
            codec.decompress(data)
    with pytest.raises(TypeError, match="data must be bytes, got str"):
        codec.decompress("text")


def test_the_content_survives_its_bytes():
    content = Container(3, "f4", 7, b"12345678", [])
    data = content.to_bytes()
    assert Container.from_bytes(data, kind=3, fingerprint=b"12345678") == content


# -- bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (X_TEST[:3] * 2, "X must be zeros and ones, but column 3 has 2 in row 0"),
        (X_TEST[:3] * np.nan, "contains NaN"),
        (X_TEST[:3, :63], "63 features"),
        (X_TEST[:0], "0 sample"),
    ],
)
def test_rows_that_it_cannot_code_are_refused(codec, rows, message):
    with pytest.raises(ValueError, match=message):
        codec.compress(rows)


def test_estimators_that_it_cannot_code_by_are_refused():
    with pytest.raises(TypeError, match="must be a VAETransformer, got Autoencoder"):
        LosslessCodec(AutoencoderTransformer())
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        LosslessCodec(make_vae())
    fitted = VAETransformer(2, max_epochs=1, random_state=0).fit(X_TRAIN)
    with pytest.raises(
        ValueError, match="likelihood='calibrated' gives no probability"
    ):
        LosslessCodec(fitted)


def test_the_way_to_the_entropy_coder_is_told(vae, monkeypatch):
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[compression\]"'):
        LosslessCodec(vae)
