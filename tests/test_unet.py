"""A network without a bottleneck: restored rows in place of codes."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, VAETransformer
from skae._random import Rng
from skae.architectures import UNet
from skae.architectures._convolutions import with_waves
from skae.corruptions import GaussianNoise
from skae.penalties import Sparse

QUICK = {
    "architecture": UNet((8, 16), n_blocks=1),
    "corruption": GaussianNoise(0.3),
    "image_shape": (1, 8, 8),
    "random_state": 0,
}


def digits():
    X = load_digits().data / 16
    return X[:300], X[300:400]


def build(shape, **parameters):
    architecture = UNet(image_shape=shape, **parameters)
    architecture._validate_params()
    return architecture.build_restorer(int(np.prod(shape)), Rng(0))


# -- networks --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 5), (2, 17, 30), (4, 2, 2)])
def test_every_pixel_of_any_image_is_read_and_drawn(shape):
    network = build(shape, n_frequencies=1)
    X = torch.rand(2, int(np.prod(shape)), requires_grad=True)
    result = network(X)
    assert result.shape == X.shape
    result.square().sum().backward()
    assert (X.grad != 0).all()
    assert (network(torch.randn(20, X.shape[1])).std(dim=0) > 0).all()


@pytest.mark.parametrize(
    ("shape", "channels"),
    [
        ((1, 4, 4), (32, 64)),
        ((1, 8, 8), (32, 64)),
        ((1, 28, 28), (32, 64, 64)),
        ((3, 64, 40), (32, 64, 64, 64)),
    ],
)
def test_there_are_as_many_stages_as_the_image_asks_for(shape, channels):
    assert UNet(image_shape=shape)._channels() == channels


def test_fine_detail_comes_from_the_way_down():
    """A pixel is drawn by what is around it at full size, not by the halves alone."""
    network = build((1, 16, 16), channels=(4, 4), n_blocks=1)
    with torch.no_grad():
        for doubling, _ in network.up:
            doubling.weight.zero_()
    X = torch.zeros(1, 256)
    moved = X.clone()
    moved[0, 8 * 16 + 8] = 1.0
    changed = (network(moved) - network(X)).view(16, 16).abs() > 0
    rows, columns = torch.nonzero(changed, as_tuple=True)
    # the first and the last convolution reach a pixel each, and blocks start as nothing
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 10, 6, 10)


def test_waves_are_sines_and_cosines_of_doubling_frequencies():
    images = torch.tensor([[[[0.0, 0.5, 1.0]]]])
    waves = with_waves(images, 2)[0, :, 0]  # (5, 3)
    phases = math.pi / 2 * images[0, 0, 0]
    expected = [images[0, 0, 0], phases.sin(), phases.cos()]
    expected += [(2 * phases).sin(), (2 * phases).cos()]
    assert torch.allclose(waves, torch.stack(expected))
    assert with_waves(images, 0) is images


# -- fits ------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
@pytest.mark.parametrize("scale", ["auto", "standard", None])
def test_training_starts_at_the_rows_as_they_are(loss, scale):
    X, X_test = digits()
    model = AutoencoderTransformer(**QUICK, loss=loss, scale=scale)
    model.set_params(max_epochs=1, lr=1e-12, early_stopping=False).fit(X)
    assert np.allclose(model.reconstruct(X_test), X_test, atol=1e-5)


def test_the_start_of_cross_entropy_is_the_column_means_at_the_mean_row():
    X, _ = digits()
    X = X.clip(0.01, 0.99)
    model = AutoencoderTransformer(**QUICK, loss="binary_cross_entropy")
    model.set_params(max_epochs=1, lr=1e-12, early_stopping=False).fit(X)
    mean = X.mean(axis=0)
    assert np.allclose(model.reconstruct(mean[None]), mean, atol=1e-5)


def test_convolutions_see_the_image_with_its_mean():
    """Scaling takes a mean off each pixel; the network gets it back, but for a shift.

    So what it adds to an image depends on the image, not on the mean of the others.
    """
    X, X_test = digits()
    model = AutoencoderTransformer(**QUICK, max_epochs=1).fit(X)
    module = model.module_
    seen = []
    hook = module.encoder.network.entry.register_forward_pre_hook(
        lambda layer, inputs: seen.append(inputs[0])
    )
    module.transform(torch.from_numpy(X_test.astype(np.float32)))
    hook.remove()
    scale = module.scaler.scale[0].item()
    ratio = seen[0].flatten(1).numpy() - X_test / scale
    assert np.ptp(ratio) < 1e-5


def test_denoising_beats_pca_and_the_median_filter():
    X, X_test = digits()
    noisy = GaussianNoise(0.3)(X_test, random_state=1)
    model = AutoencoderTransformer(**QUICK, max_epochs=25).fit(X)
    pca = PCA(12).fit(X)
    others = (
        pca.inverse_transform(pca.transform(noisy)),
        median_filter(noisy.reshape(-1, 8, 8), (1, 3, 3)).reshape(-1, 64),
        noisy,
    )
    error = np.square(model.reconstruct(noisy) - X_test).mean()
    assert error < 0.8 * min(np.square(other - X_test).mean() for other in others)


def test_the_code_is_the_restored_row():
    X, X_test = digits()
    model = AutoencoderTransformer(**QUICK, max_epochs=2).fit(X)
    assert model.n_components_ == 64
    Z = model.transform(X_test)
    assert np.array_equal(Z, model.reconstruct(X_test))
    assert np.array_equal(model.inverse_transform(Z), Z)


def test_fits_repeat_to_the_bit_in_a_pickle_too():
    X, X_test = digits()
    model = AutoencoderTransformer(**QUICK, max_epochs=2).fit(X)
    expected = model.reconstruct(X_test)
    for twin in (clone(model).fit(X), pickle.loads(pickle.dumps(model))):
        assert np.array_equal(twin.reconstruct(X_test), expected)
    one_by_one = np.vstack([model.reconstruct(x[None]) for x in X_test[:5]])
    assert np.allclose(expected[:5], one_by_one, atol=1e-10)


# -- errors ----------------------------------------------------------------------------

BAD = {
    "a code": ({"n_components": 3}, "n_components=3 is about a code, but architecture"),
    "a penalty": ({"penalty": Sparse()}, "is about a code, but architecture"),
    "no shape": ({"image_shape": None, "corruption": None}, "but image_shape=None"),
    "no blocks": ({"architecture": UNet(n_blocks=0)}, "'n_blocks' parameter of UNet"),
    "too deep": ({"architecture": UNet((4,) * 5)}, "too small to be halved 4 times"),
    "frequencies": ({"architecture": UNet(n_frequencies=-1)}, "'n_frequencies' param"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_makes_no_sense_without_a_bottleneck_is_refused(case):
    parameters, message = BAD[case]
    model = AutoencoderTransformer(**QUICK).set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(digits()[0])


def test_a_vae_needs_a_bottleneck():
    vae = VAETransformer(architecture=UNet(), image_shape=(1, 8, 8))
    match = "no code to be a random .* VAETransformer has it; use Auto.*, or an archit"
    with pytest.raises(ValueError, match=match):
        vae.fit(digits()[0])


def test_restored_rows_are_no_codes_to_draw_or_vary():
    X, X_test = digits()
    model = AutoencoderTransformer(**QUICK, max_epochs=1).fit(X)
    for call in (
        model.sample,
        model.traverse,
        lambda: model.interpolate(X_test[:1], X_test[1:2]),
    ):
        with pytest.raises(ValueError, match="has no bottleneck, and so no codes"):
            call()


def test_nothing_to_undo_is_warned_of():
    model = AutoencoderTransformer(**QUICK | {"corruption": None}, max_epochs=1)
    with pytest.warns(UserWarning, match="can copy its input and learn nothing"):
        model.fit(digits()[0])
