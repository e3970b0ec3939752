"""What holds for any table: properties, looked for by hypothesis."""

import pickle
import random
import tempfile
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.base import clone

import skae
from skae import (
    AutoencoderImputer,
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VAETransformer,
)
from skae.architectures import MLP

STRESS = Path(__file__).parent / "stress"

FINITE = st.one_of(
    st.floats(-(2.0**100), 2.0**100, width=32),
    st.sampled_from([0.0, 1.0, -1.0, 1e-40, 5e-324, 1e30, -1e30, 3.0]),
)
TABLES = st.sampled_from([np.float64, np.float32]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        st.tuples(st.integers(2, 12), st.integers(1, 5)),
        elements=FINITE.map(lambda value: float(dtype(value))),
        fill=st.sampled_from([0.0, 2.5]),
    )
)
NAMES = st.text(min_size=1, max_size=4)

SMALL = {"architecture": MLP((4,)), "max_epochs": 1, "random_state": 0}
PARAMETERS = st.fixed_dictionaries(
    {
        "n_components": st.sampled_from([1, 2, 7, 0.5, 1.0]),
        "scale": st.sampled_from(["auto", "standard", "global"]),
        "init": st.sampled_from(["pca", "random"]),
        "optimizer": st.sampled_from(["adamw", "adam", "sgd", "rmsprop"]),
        "batch_size": st.sampled_from([1, 3, 100, "auto"]),
        "schedule": st.sampled_from(["auto", "constant"]),
        "early_stopping": st.sampled_from(["auto", False]),
    }
)
CLASSES = st.sampled_from([AutoencoderTransformer, VAETransformer])

# what a fit may say of a table, in words
SAID = ValueError, FloatingPointError

quietly = pytest.mark.filterwarnings("ignore")
few = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def global_states():
    return (
        random.getstate(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002 (it must not change)
        torch.get_rng_state().numpy().tobytes(),
    )


def fitted(model, X):
    """Return a fitted clone of a model, or None if it says why there is none."""
    try:
        return clone(model).fit(X)
    except SAID:
        return None


@quietly
@few
@given(cls=CLASSES, parameters=PARAMETERS, X=TABLES)
def test_a_table_is_answered_with_finite_numbers_or_an_error_in_words(
    cls, parameters, X
):
    before, states = X.copy(), global_states()
    model = fitted(cls(**SMALL | parameters), X)
    if model is not None:
        Z, back = model.transform(X), model.reconstruct(X)
        assert np.isfinite(Z).all()
        assert np.isfinite(back).all()
        assert Z.dtype == back.dtype == X.dtype
        assert Z.shape == (len(X), model.n_components_)
        assert back.shape == X.shape
    np.testing.assert_array_equal(X, before)
    assert global_states() == states


@quietly
@few
@given(cls=CLASSES, parameters=PARAMETERS, X=TABLES, seed=st.integers(0, 9))
def test_a_row_is_answered_as_in_company_and_in_any_order(cls, parameters, X, seed):
    X = X.astype(np.float64)
    model = fitted(cls(**SMALL | parameters), X)
    if model is None:
        return
    Z = model.transform(X)
    unit = np.abs(Z).max() + np.finfo(float).tiny
    order = np.random.default_rng(seed).permutation(len(X))
    alone = np.vstack([model.transform(row[None]) for row in X])
    np.testing.assert_allclose(alone / unit, Z / unit, atol=1e-9)
    np.testing.assert_allclose(
        model.transform(X[order]) / unit, Z[order] / unit, atol=1e-9
    )


@quietly
@few
@given(cls=CLASSES, parameters=PARAMETERS, X=TABLES)
def test_a_clone_a_pickle_and_a_file_are_the_same_to_the_bit(cls, parameters, X):
    model = fitted(cls(**SMALL | parameters), X)
    if model is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.skae")
        loaded = skae.load(f"{folder}/model.skae")
    twins = [clone(model).fit(X), pickle.loads(pickle.dumps(model)), loaded]
    Z = model.transform(X)
    for twin in twins:
        np.testing.assert_array_equal(twin.transform(X), Z)


@quietly
@few
@given(
    data=TABLES,
    names=st.lists(NAMES, min_size=5, max_size=5, unique=True),
    holes=st.integers(0, 2**16),
)
def test_frames_of_any_names_are_tables_with_holes(data, names, holes):
    frame = pd.DataFrame(data, columns=names[: data.shape[1]]).astype(float)
    where = np.random.default_rng(holes).random(data.shape) < 0.2
    frame = frame.mask(where)
    model = fitted(VAETransformer(1, **SMALL), frame)
    if model is not None:
        assert list(model.feature_names_in_) == list(frame.columns)
        assert np.isfinite(model.transform(frame)).all()
    imputer = fitted(AutoencoderImputer(AutoencoderTransformer(1, **SMALL)), frame)
    if imputer is not None:
        filled = imputer.transform(frame)
        known = ~where[:, imputer._kept]
        assert np.isfinite(np.asarray(filled)).all()
        kept = frame.to_numpy()[:, imputer._kept]
        np.testing.assert_array_equal(np.asarray(filled)[known], kept[known])


@quietly
@few
@given(X=TABLES)
def test_p_values_are_shares_and_scores_finite(X):
    detector = AutoencoderOutlierDetector(
        AutoencoderTransformer(1, **SMALL), cv=2, random_state=0
    )
    detector = fitted(detector, X)
    if detector is None:
        return
    p = detector.p_values(X)
    assert ((p > 0) & (p <= 1)).all()
    assert np.isfinite(detector.score_samples(X)).all()
    assert set(detector.predict(X)) <= {-1, 1}


def test_memory_and_threads(monkeypatch):
    """The short form of tests/stress/leaks.py."""
    monkeypatch.syspath_prepend(STRESS)
    leaks = import_module("leaks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert max(leaks.grown(60, 600).values()) < 2**20
        n_answers, n_of_states, n_seen = leaks.concurrent_answers(4, 20, 8)
    assert n_answers == n_of_states >= 80
    assert n_seen > 1
