"""`diagnose` names a fault that was planted, and finds none in ordinary fits."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
)
from sklearn.exceptions import NotFittedError

from skae import AutoencoderTransformer, VAETransformer, _training
from skae._training import _inference
from skae.architectures import MLP, Conv, UNet
from skae.corruptions import GaussianNoise

rng = np.random.RandomState(0)
PLANE = rng.randn(400, 2) @ rng.randn(2, 10) + 0.1 * rng.randn(400, 10)
EXACT_PLANE = PLANE[:, :2] @ rng.randn(2, 10)
NOISE, MORE_NOISE = rng.randn(80, 30), rng.randn(100, 30)
WIDE = PLANE * np.r_[1000, np.ones(9)]
SPIKE = PLANE.copy()
SPIKE[3, 4] = 1e4
DIGITS = load_digits().data
DYING = MLP((64, 32), activation="relu")

collapses = pytest.mark.filterwarnings("ignore:the posterior has collapsed")


def name_all(diagnosis):
    return [finding.name for finding in diagnosis]


@pytest.mark.parametrize(
    ("name", "parameter", "estimator", "X", "seen"),
    [
        pytest.param(
            *("collapse", "beta"),
            *(VAETransformer(4, beta=200, max_epochs=30), PLANE, PLANE),
            marks=collapses,
        ),
        (
            *("dead units", "n_components"),
            *(VAETransformer(8, beta=3, max_epochs=60), PLANE, PLANE),
        ),
        (
            *("dead units", "n_components"),
            *(AutoencoderTransformer(5, max_epochs=2), EXACT_PLANE, EXACT_PLANE),
        ),
        (
            *("codes far from the prior", "beta"),
            VAETransformer(2, beta=1e-3, max_epochs=200, init="random"),
            *(PLANE, PLANE),
        ),
        (
            *("codes far from the prior", "beta"),
            *(VAETransformer(2, max_epochs=30), PLANE, PLANE + 5),
        ),
        (
            *("underfitting", "init='pca'"),
            AutoencoderTransformer(2, init="random", lr=1e-6, max_epochs=10),
            *(PLANE, PLANE),
        ),
        (
            *("underfitting", "init='pca'"),
            VAETransformer(2, init="random", lr=1e-6, max_epochs=10),
            *(PLANE, PLANE),
        ),
        (
            *("stopped too early", "max_epochs"),
            *(VAETransformer(10, max_epochs=8), DIGITS[:900], DIGITS[900:]),
        ),
        (
            *("overfitting", "architecture=MLP"),
            *(AutoencoderTransformer(3, max_epochs=300), NOISE, MORE_NOISE),
        ),
        (
            *("overfitting", "early_stopping=True"),
            VAETransformer(3, early_stopping=False, max_epochs=200),
            *(NOISE, MORE_NOISE),
        ),
        *(
            (
                *("dead hidden layers", "activation='gelu'"),
                kind(8, architecture=DYING, lr=0.1, init="random", max_epochs=20),
                *(DIGITS[:900], DIGITS[900:]),
            )
            for kind in (AutoencoderTransformer, VAETransformer)
        ),
        (
            *("unscaled inputs", "scale='standard'"),
            *(AutoencoderTransformer(2, scale=None, max_epochs=30), WIDE, WIDE),
        ),
        (
            *("heavy tails", "log1p"),
            *(AutoencoderTransformer(2, max_epochs=30), SPIKE, SPIKE),
        ),
    ],
)
def test_a_planted_fault_is_named(name, parameter, estimator, X, seen):
    diagnosis = estimator.set_params(random_state=0).fit(X).diagnose(seen)
    assert name_all(diagnosis) == [name]
    (finding,) = diagnosis
    assert parameter in finding.change
    assert finding.what in repr(diagnosis)
    assert finding.effect in repr(diagnosis)


@pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize(
    "X",
    [load_wine().data, load_breast_cancer().data, load_diabetes().data, PLANE],
    ids=["wine", "breast cancer", "diabetes", "plane"],
)
def test_ordinary_fits_have_no_finding(kind, X):
    order = np.random.RandomState(1).permutation(len(X))
    train, test = X[order[::2]], X[order[1::2]]
    estimator = kind(2, random_state=0).fit(train)
    assert name_all(estimator.diagnose(test)) == []
    assert name_all(estimator.diagnose(train)) == []


def test_digits_have_no_finding():
    vae = VAETransformer(10, max_epochs=60, random_state=0).fit(DIGITS[:900])
    text = repr(vae.diagnose(DIGITS[900:]))
    assert text == "VAETransformer on 897 rows: nothing found"
    assert not vae.diagnose(DIGITS[:900])


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [
        (MLP((6, 5), activation="relu"), None),
        (Conv((3, 5), activation="relu"), (1, 8, 8)),
    ],
    ids=["dense", "conv"],
)
@pytest.mark.parametrize("rows_at_once", [1, 7, 100])
def test_units_that_do_the_same_for_all_rows_are_known(
    architecture, shape, rows_at_once, monkeypatch
):
    monkeypatch.setattr(_inference, "MOST_ROWS", rows_at_once)
    ae = AutoencoderTransformer(
        2, architecture=architecture, image_shape=shape, max_epochs=1, random_state=0
    ).fit(DIGITS[:100])
    first, second = [
        layer
        for layer in ae.module_.encoder.network.hidden
        if getattr(layer, "bias", None) is not None
    ][:2]
    with torch.no_grad():
        first.bias += 5.0  # alive
        second.bias += 5.0
        second.bias[1:3] = -1e4  # dead: of the rows nothing gets through
    _, units = _training.losses_and_constant_units(ae.module_, DIGITS[:100])
    layers = list(units.values())
    assert layers[0].tolist() == [False] * len(first.bias)
    assert layers[1].tolist() == [False, True, True, False, False]
    assert not ae.module_.encoder.network.hidden[1]._forward_hooks
    assert name_all(ae.diagnose(DIGITS[:100])) == []  # two of five are not most
    with torch.no_grad():
        second.bias[3] = -1e4
    (finding,) = ae.diagnose(DIGITS[:100])
    assert finding.name == "dead hidden layers"
    assert "in 3 of 5" in finding.what


def test_holes_categories_and_networks_without_a_code_are_no_obstacle():
    X = PLANE.copy()
    X[::3, 2] = np.nan
    ae = AutoencoderTransformer(2, max_epochs=10, random_state=0)
    assert not ae.fit(X).diagnose(X)
    table = pd.DataFrame(PLANE[:, :4], columns=list("abcd"))
    table["kind"] = pd.Categorical(np.where(PLANE[:, 0] > 0, "up", "down"))
    table.loc[0, "b"] = 1e5
    found = VAETransformer(2, max_epochs=10, random_state=0).fit(table).diagnose(table)
    assert name_all(found) == ["heavy tails"]
    assert "'b'" in found.findings[0].what
    unet = AutoencoderTransformer(
        architecture=UNet((4, 4)), corruption=GaussianNoise(1.0), image_shape=(1, 8, 8),
        max_epochs=1, random_state=0,
    ).fit(DIGITS[:100])  # fmt: skip
    assert not unet.diagnose(DIGITS[100:200])
    assert not ae.fit(PLANE).diagnose(PLANE[:1])


def test_a_diagnosis_is_a_table_in_a_notebook_and_escapes_what_it_shows():
    table = pd.DataFrame(SPIKE, columns=[f"<{j}>" for j in range(10)])
    ae = AutoencoderTransformer(2, max_epochs=10, random_state=0).fit(table)
    html = ae.diagnose(table)._repr_html_()
    assert "<th>heavy tails</th>" in html
    assert "column &#x27;&lt;4&gt;&#x27;" in html
    assert "<4>" not in html
    assert "nothing found" in ae.fit(PLANE).diagnose(PLANE)._repr_html_()


def test_it_leaves_the_estimator_and_the_rows_alone():
    X = PLANE.copy()
    vae = VAETransformer(2, max_epochs=10, random_state=0).fit(X)
    before = vae.transform(X)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = vae.diagnose(X), vae.diagnose(X)
    assert repr(first) == repr(second)
    assert np.array_equal(vae.transform(X), before)
    assert np.array_equal(X, PLANE)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_bad_input_is_told():
    with pytest.raises(NotFittedError):
        VAETransformer().diagnose(PLANE)
    ae = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(PLANE)
    with pytest.raises(ValueError, match=r"9 features, but .* expecting 10"):
        ae.diagnose(PLANE[:, :9])
    with pytest.raises(ValueError, match="infinity"):
        ae.diagnose(np.where(PLANE > 3, np.inf, PLANE))
