"""Exported graphs answer as the estimators do, run by another program."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skae import AutoencoderTransformer, VAETransformer, VAETransformerCV
from skae._sklearn import InvalidParameterError
from skae.architectures import MLP, Architecture, Conv, DenoisingMLP, RestoringMLP, UNet
from skae.architectures._mlp import ACTIVATIONS
from skae.corruptions import GaussianNoise, Masking
from skae.likelihoods import Ordinal, PerColumn
from skae.penalties import Contractive, Sparse
from skae.persistence import register_onnx_converters

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

RANDOM = np.random.default_rng(0)
X = 1000 + 10 * (RANDOM.normal(size=(120, 3)) @ RANDOM.normal(size=(3, 8)))
X += RANDOM.normal(size=X.shape)
HOLED = np.where(RANDOM.random(X.shape) < 0.1, np.nan, X)
ONES = (np.median(X) < X).astype(float)
IMAGES = RANDOM.random((60, 49))

AE, VAE = AutoencoderTransformer, VAETransformer
# long enough that no part of a network is what it was at the start
FIT = {"max_epochs": 15, "early_stopping": False, "batch_size": 20, "random_state": 0}
IMAGE = FIT | {"image_shape": (1, 7, 7), "max_epochs": 4}

MODELS = {
    **{
        f"AE, {name}": (AE(3, architecture=MLP((16,), activation=name), **FIT), X)
        for name in ACTIVATIONS
    },
    "AE, linear": (AE(3, architecture=MLP(()), **FIT), X),
    "AE, unscaled": (AE(3, scale=None, **FIT), ONES),
    "AE, binary cross-entropy": (AE(3, loss="binary_cross_entropy", **FIT), ONES),
    "AE, sparse": (AE(4, penalty=Sparse("kl"), **FIT), X),
    "AE, l1": (AE(4, penalty=Sparse("l1"), **FIT), X),
    "AE, contractive": (AE(4, penalty=Contractive(activation="sigmoid"), **FIT), X),
    "VAE": (VAE(3, **FIT), X),
    "VAE, holes": (VAE(3, **FIT), HOLED),
    "VAE, batch norm, dropout": (
        VAE(3, architecture=MLP((16, 8), normalization="batch", dropout=0.1), **FIT),
        X,
    ),
    "VAE, layer norm": (
        VAE(3, architecture=MLP((16, 8), normalization="layer"), **FIT),
        X,
    ),
    "VAE, bernoulli": (VAE(3, likelihood="bernoulli", **FIT), ONES),
    "VAE, laplace": (VAE(3, likelihood="laplace", **FIT), X),
    "VAE, chosen": (VAETransformerCV((1, 2), betas=1.0, cv=2, **FIT), X),
    "AE, images": (AE(3, architecture=Conv((4, 8), n_blocks=1), **IMAGE), IMAGES),
    "VAE, images": (VAE(3, architecture=Conv((4,)), **IMAGE), IMAGES),
}


@pytest.fixture(scope="module")
def fitted():
    made = {}

    def fit(name):
        if name not in made:
            model, rows = MODELS[name]
            made[name] = clone(model).fit(rows)
        return made[name], MODELS[name][1].astype(np.float32)

    return fit


def run(model, rows):
    """Return what onnxruntime makes of rows."""
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (source,), (target,) = session.get_inputs(), session.get_outputs()
    return session.run([target.name], {source.name: rows})[0]


def assert_close(found, expected):
    """Raise unless results agree within 1e-5 of their largest."""
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", MODELS)
def test_every_way_through_the_network_is_that_of_the_estimator(fitted, name):
    model, rows = fitted(name)
    codes = model.transform(rows)
    assert_close(run(model.to_onnx(), rows), codes)
    assert_close(run(model.to_onnx("decoder"), codes), model.inverse_transform(codes))
    assert_close(run(model.to_onnx("reconstruction"), rows), model.reconstruct(rows))
    # one row, and none of them known
    assert_close(run(model.to_onnx(), rows[:1]), model.transform(rows[:1]))


def test_networks_without_a_bottleneck_restore():
    unet = AE(
        architecture=UNet((4, 8), n_frequencies=2), corruption=GaussianNoise(0.1),
        **IMAGE,
    ).fit(IMAGES)  # fmt: skip
    rows = IMAGES.astype(np.float32)
    assert_close(run(unet.to_onnx("reconstruction"), rows), unet.reconstruct(rows))
    for which in ("encoder", "decoder"):
        with pytest.raises(ValueError, match="the network has no bottleneck; use"):
            unet.to_onnx(which)


def test_models_say_what_goes_in_and_out(fitted):
    model = fitted("VAE")[0].to_onnx("decoder")
    onnx.checker.check_model(model, full_check=True)
    (source,), (target,) = model.graph.input, model.graph.output
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (source, target)
    ]
    assert [source.name, target.name] == ["Z", "X_reconstructed"]
    assert shapes == [["n_samples", 3], ["n_samples", 8]]


def test_a_whole_pipeline_is_exported(fitted):
    skl2onnx = pytest.importorskip("skl2onnx")
    register_onnx_converters()
    labels = (X[:, 0] > np.median(X[:, 0])).astype(int)
    rows = X.astype(np.float32)
    for name in ("AE, gelu", "VAE, batch norm, dropout", "VAE, chosen", "AE, sparse"):
        pipeline = make_pipeline(
            StandardScaler(), clone(MODELS[name][0]), LogisticRegression()
        ).fit(rows, labels)
        model = skl2onnx.to_onnx(
            pipeline, rows[:1], options={"zipmap": False}, target_opset=20
        )
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        classes, probabilities = session.run(None, {"X": rows})
        np.testing.assert_array_equal(classes, pipeline.predict(rows))
        np.testing.assert_allclose(
            probabilities, pipeline.predict_proba(rows), atol=1e-5
        )


class Told(nn.Module):
    """A network that looks at its input."""

    def __init__(self, layer):
        super().__init__()
        self.output = layer

    def forward(self, U):
        return self.output(U.abs().cumsum(dim=1))


class Own(Architecture):
    """A user's architecture, with an operation of few networks."""

    def build_encoder(self, n_features, n_outputs, rng):
        return Told(nn.Linear(n_features, n_outputs, bias=False))

    def build_decoder(self, n_components, n_outputs, rng):
        return Told(nn.Linear(n_components, n_outputs, bias=False))


@pytest.mark.parametrize(
    ("model", "rows", "which", "message"),
    [
        (
            AE(
                architecture=RestoringMLP((8,)),
                corruption=Masking("random", fill="missing"),
            ),
            X, "reconstruction", r"architecture=RestoringMLP\(\), which is told of",
        ),
        (
            AE(architecture=DenoisingMLP((8,))),
            X, "reconstruction", r"architecture=DenoisingMLP\(\), which is told of",
        ),
        (AE(2, ordered=True), X, "decoder", "needs one decoder, but ordered=True"),
        (VAE(2, likelihood=Ordinal(2)), ONES, "decoder", "no counterpart of Ordinal"),
        (VAE(2, likelihood=PerColumn(rest="gaussian")), X, "encoder", "laws of colum"),
        (AE(2, architecture=Own()), X, "encoder", "no counterpart of abs"),
        (AE(4, penalty=Sparse("top_k", n_active=2)), X, "encoder", "to_onnx"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_said(model, rows, which, message):
    model.set_params(max_epochs=1, random_state=0).fit(rows)
    with pytest.raises(ValueError, match=message):
        model.to_onnx(which)


def test_ordered_codes_are_exported():
    model = AE(3, ordered=True, **FIT).fit(X)
    rows = X.astype(np.float32)
    assert_close(run(model.to_onnx(), rows), model.transform(rows))


def test_which_is_one_of_three(fitted):
    with pytest.raises(InvalidParameterError, match="which must be 'encoder', 'deco"):
        fitted("VAE")[0].to_onnx("codes")


def test_without_onnx_the_error_names_the_extra():
    script = (
        "import sys; sys.modules['onnx'] = sys.modules['skl2onnx'] = None\n"
        "import numpy as np, skae\n"
        "from skae.persistence import register_onnx_converters\n"
        "X = np.random.default_rng(0).normal(size=(20, 3))\n"
        "model = skae.AutoencoderTransformer(1, max_epochs=1).fit(X)\n"
        "for call in (model.to_onnx, register_onnx_converters):\n"
        "    try:\n"
        "        call()\n"
        "    except ImportError as error:\n"
        "        assert 'pip install \"skae[onnx]\"' in str(error), error\n"
        "    else:\n"
        "        raise AssertionError\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
