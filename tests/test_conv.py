"""Convolutional networks: any size of image, the start at PCA, what they cost."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, VAETransformer
from skae._modules._footprint import footprint
from skae._random import Rng
from skae.architectures import MLP, Architecture, Conv
from skae.architectures._convolutions import Convolution, Doubling, Residual

SHAPES = [(1, 8, 8), (3, 9, 5), (2, 17, 30), (1, 64, 33), (4, 2, 2)]


def digits():
    X = load_digits().data
    return X[:300], X[300:400]


def build(shape, **parameters):
    architecture = Conv(image_shape=shape, **parameters)
    architecture._validate_params()
    n, rng = int(np.prod(shape)), Rng(0)
    return (
        architecture.build_encoder(n, 6, rng),
        architecture.build_decoder(3, n, rng),
    )


# -- networks --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("parameters", [{}, {"n_blocks": 1, "hidden_layer_sizes": ()}])
def test_every_pixel_of_any_image_is_read_and_drawn(shape, parameters):
    encoder, decoder = build(shape, **parameters)
    X = torch.rand(2, int(np.prod(shape)), requires_grad=True)
    encoder(X).square().sum().backward()
    assert (X.grad != 0).all()
    Z = torch.randn(50, 3)
    assert (decoder(Z).std(dim=0) > 0).all()


def test_pixels_are_in_the_order_of_channel_row_and_column():
    encoder, decoder = build((2, 6, 4), channels=(5,), hidden_layer_sizes=())
    X = torch.rand(1, 48)
    read = encoder.hidden[0](X.view(1, 2, 6, 4))
    expected = torch.nn.functional.conv2d(
        X.view(1, 2, 6, 4), encoder.hidden[0].weight, stride=2, padding=1
    )
    assert torch.allclose(read, expected, atol=1e-6)
    image = decoder(torch.randn(1, 3)).view(2, 6, 4)
    with torch.no_grad():  # the last two of four channels each: the second channel
        decoder.output.weight[4:] = 0
    drawn = decoder(torch.randn(1, 3)).view(2, 6, 4)
    assert image[1].abs().min() > 0
    assert (drawn[1] == 0).all()
    assert drawn[0].abs().min() > 0


def test_a_pixel_reaches_its_neighbourhood_only():
    layer = Convolution(1, 1, Rng(0))
    X = torch.zeros(1, 1, 7, 7)
    X[0, 0, 3, 4] = 1.0
    rows, columns = torch.nonzero(layer(X)[0, 0], as_tuple=True)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 4, 3, 5)


def test_doubling_reaches_every_pixel_as_often():
    layer = Doubling(1, 1, (12, 11), Rng(0))
    with torch.no_grad():
        layer.weight.fill_(1.0)
    inside = layer(torch.ones(1, 1, 6, 6))[0, 0, 1:-1, 1:-1]
    assert (inside == 4.0).all()


def test_a_residual_block_starts_as_nothing():
    X = torch.randn(2, 3, 4, 4)
    assert torch.equal(Residual(3, torch.nn.GELU, Rng(0))(X), X)


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((1, 8, 8), (16,)),
        ((1, 28, 28), (16, 32)),
        ((3, 32, 32), (16, 32)),
        ((1, 64, 64), (16, 32, 64)),
        ((3, 200, 300), (16, 32, 64, 128, 128)),
    ],
)
def test_there_are_as_many_stages_as_the_image_asks_for(shape, channels):
    assert Conv(image_shape=shape)._channels() == channels


# -- fits ------------------------------------------------------------------------------

QUICK = {"n_components": 8, "image_shape": (1, 8, 8), "random_state": 0}


def test_images_are_encoded_by_convolutions_and_tables_are_not():
    X, _ = digits()
    for image_shape, kind in ((None, MLP), ((1, 8, 8), Conv)):
        ae = AutoencoderTransformer(2, image_shape=image_shape, max_epochs=1).fit(X)
        assert type(ae.module_.architecture) is kind
        named = clone(ae).set_params(architecture="mlp").fit(X)
        assert type(named.module_.architecture) is MLP


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
def test_training_starts_at_pca(cls):
    X, X_test = digits()
    model = cls(**QUICK, max_epochs=1, lr=1e-12, early_stopping=False).fit(X)
    pca = PCA(8).fit(X)
    if cls is VAETransformer:
        scale = model.module_.scaler.scale[0].item()
        exact = PCA(8).fit(X / scale).score(X_test / scale) - 64 * np.log(scale)
        assert model.score(X_test) == pytest.approx(exact, abs=1e-3)
    else:
        expected = pca.inverse_transform(pca.transform(X_test))
        assert np.allclose(model.reconstruct(X_test), expected, atol=1e-4)


def test_convolutions_reconstruct_better_than_pca():
    X, X_test = digits()
    ae = AutoencoderTransformer(**QUICK, max_epochs=40).fit(X)
    pca = PCA(8).fit(X)
    error = np.square(X_test - pca.inverse_transform(pca.transform(X_test))).sum()
    assert np.square(X_test - ae.reconstruct(X_test)).sum() < 0.85 * error


def test_fits_repeat_to_the_bit_and_rows_do_not_depend_on_their_neighbours():
    X, X_test = digits()
    ae = AutoencoderTransformer(**QUICK, max_epochs=2).fit(X)
    Z = ae.transform(X_test)
    assert np.array_equal(Z, clone(ae).fit(X).transform(X_test))
    one_by_one = np.vstack([ae.transform(x[None]) for x in X_test[:10]])
    assert np.allclose(Z[:10], one_by_one, atol=1e-10)


class Own(Architecture):
    """A user's own network of torch's layers."""

    def build_encoder(self, n_features, n_outputs, rng):
        """Return a network whose last layer is `output`."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = torch.nn.Sequential()
            network.add_module("image", torch.nn.Unflatten(1, (1, 8, 8)))
            network.add_module("convolution", torch.nn.Conv2d(1, 4, 3))
            network.add_module("flat", torch.nn.Flatten())
            network.add_module("output", torch.nn.Linear(4 * 36, n_outputs))
        return network

    def build_decoder(self, n_components, n_outputs, rng):
        """Return no network: a linear decoder."""
        return


def test_a_network_of_the_users_own_is_trained_beside_the_linear_path():
    X, _ = digits()
    ae = AutoencoderTransformer(4, architecture=Own(), max_epochs=5, random_state=0)
    ae.fit(X)
    assert ae.module_.decoder.network is None
    assert ae.history_["train_loss"].iloc[-1] < ae.history_["train_loss"].iloc[1]
    assert ae.module_.n_operations == (
        9 * 4 * 36 + 4 * 36 + 144 * 4 + 4 + 2 * 64 * 4 + 4 + 64
    )


def test_a_line_of_pixels_is_left_to_dense_layers():
    X, _ = digits()
    for image_shape in ((64, 1, 1), (1, 1, 64), (2, 32, 1)):
        ae = AutoencoderTransformer(2, image_shape=image_shape, max_epochs=1).fit(X)
        assert type(ae.module_.architecture) is MLP


def test_images_go_in_and_come_out():
    X, _ = digits()
    images = np.concatenate([X, X[:, ::-1]], axis=1).reshape(300, 2, 8, 8)
    ae = AutoencoderTransformer(8, image_shape=(2, 8, 8), max_epochs=2, random_state=0)
    ae.fit(images)
    rows = ae.reconstruct(images[:5])
    assert np.array_equal(rows, ae.reconstruct(images[:5].reshape(5, -1)))
    assert np.array_equal(ae.as_images(rows)[:, 1, 2], rows[:, 64 + 16 : 64 + 24])
    assert np.shares_memory(ae.as_images(rows), rows)
    ways = ae.interpolate(images[:3], images[3:6], n_steps=4)
    assert ae.as_images(ways).shape == (3, 4, 2, 8, 8)


@pytest.mark.parametrize(
    ("image_shape", "shape", "message"),
    [
        (None, (3, 64), "as_images needs image_shape="),
        ((1, 8, 8), (3, 63), r"64 features, but X has shape \(3, 63\)"),
        ((1, 8, 8), (), r"64 features, but X has shape \(\)"),
        ((8, 8), (3, 64), "must be three positive ints"),
    ],
)
def test_rows_of_another_size_are_no_images(image_shape, shape, message):
    ae = AutoencoderTransformer(2, image_shape=image_shape)
    with pytest.raises(ValueError, match=message):
        ae.as_images(np.zeros(shape))


# -- what they cost --------------------------------------------------------------------


def test_the_footprint_of_convolutions_counts_pixels():
    rng = Rng(0)
    layer = torch.nn.Sequential(
        torch.nn.Unflatten(1, (2, 6, 6)), Convolution(2, 5, rng)
    )
    cost = footprint(layer, 72, rng)
    assert cost.n_operations == (2 * 9 * 5 + 5) * 36
    assert cost.widest == 5 * 36


def test_the_footprint_of_dense_layers_counts_weights():
    network = MLP((7, 5)).build_encoder(3, 2, Rng(0))
    assert footprint(network, 3, Rng(0)) == (3 * 7 + 7 + 7 * 5 + 5 + 5 * 2, 7)


# -- errors ----------------------------------------------------------------------------

BAD = {
    "no shape": (Conv(), None, "is for images, but image_shape=None; pass"),
    "no channels": (Conv(()), (1, 8, 8), "'channels' parameter of Conv must be a tup"),
    "no numbers": (Conv((3, "a")), (1, 8, 8), "'channels' parameter of Conv must be"),
    "too deep": (Conv((4,) * 5), (1, 8, 8), "too small to be halved 5 times"),
    "one pixel": (Conv((4,)), (64, 1, 1), "too small to be halved 1 times"),
    "no blocks": (Conv(n_blocks=-1), (1, 8, 8), "'n_blocks' parameter of Conv must"),
    "shape of text": ("conv", "188", "'image_shape' parameter"),
    "shape of two": ("conv", (8, 8), "must be three positive ints"),
    "other shape": ("conv", (1, 8, 9), "means 72 features, but X has 64"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_images_are_refused(case):
    architecture, image_shape, message = BAD[case]
    ae = AutoencoderTransformer(2, architecture=architecture, image_shape=image_shape)
    with pytest.raises(ValueError, match=message):
        ae.fit(digits()[0])
    assert not hasattr(ae, "net_")
