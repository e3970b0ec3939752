"""The same seed gives the same bits, and the global generators are left alone."""

import gc
import hashlib
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine

from skae import AutoencoderTransformer, VAETransformer
from skae._random import Rng, draw_seed
from skae.architectures import MLP

X = load_wine().data
BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])


def make(estimator, **options):
    """Return an estimator that draws every kind of random number there is."""
    defaults = {
        "n_components": 3,
        "architecture": MLP((16,), dropout=0.2, normalization="batch"),
        "early_stopping": True,
        "max_epochs": 5,
        "random_state": 0,
    }
    return estimator(**defaults | options)


def weights(estimator):
    arrays = estimator.module_.state_dict().values()
    return [array.numpy().tobytes() for array in arrays]


def global_state():
    name, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return (
        (name, keys.tobytes(), position, has_gauss, cached),
        random.getstate(),
        torch.get_rng_state().numpy().tobytes(),
    )


def spoil_global_state(seed):
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    torch.manual_seed(seed)


@BOTH
@pytest.mark.parametrize("init", ["pca", "random"])
def test_the_same_seed_gives_the_same_weights(estimator, init):
    one = make(estimator, init=init).fit(X)
    spoil_global_state(7)
    two = make(estimator, init=init).fit(X)
    assert weights(one) == weights(two)
    other = make(estimator, init=init, random_state=1).fit(X)
    assert weights(one) != weights(other)


def test_the_same_seed_gives_the_same_weights_in_another_process():
    script = (
        "import sys\n"
        "sys.path.insert(0, 'tests')\n"
        "import torch\n"
        "from test_determinism import digests\n"
        f"torch.set_num_threads({torch.get_num_threads()})\n"
        "print(*digests())\n"
    )
    there = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert there == [digests()] * 2


def digests():
    """Return what stands for the weights of a fit of either estimator."""
    return [
        hashlib.sha256(b"".join(weights(make(estimator).fit(X)))).hexdigest()
        for estimator in (AutoencoderTransformer, VAETransformer)
    ]


@BOTH
def test_fits_in_four_threads_give_the_bits_of_a_fit_alone(estimator):
    before = global_state()
    alone = weights(make(estimator).fit(X))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: weights(make(estimator).fit(X)), range(8)))
    assert all(bits == alone for bits in together)
    assert global_state() == before


def methods_of(estimator):
    yield "fit", lambda e: e.fit(X)
    yield "fit_transform", lambda e: e.fit_transform(X)
    yield "partial_fit", lambda e: e.set_params(early_stopping=False).partial_fit(X)
    for name in ("transform", "reconstruct", "reconstruction_error", "score"):
        yield name, lambda e, name=name: getattr(e, name)(X)
    yield "score_samples", lambda e: e.score_samples(X)
    yield "inverse_transform", lambda e: e.inverse_transform(np.zeros((2, 3)))
    yield "sample", lambda e: e.sample(3, random_state=0)
    yield "sample_codes", lambda e: e.sample_codes(3, 0, "mixture")
    yield "interpolate", lambda e: e.interpolate(X, X)
    yield "traverse", lambda e: e.traverse()
    yield "get_feature_names_out", lambda e: e.get_feature_names_out()
    yield "pickle", lambda e: pickle.loads(pickle.dumps(e))
    if estimator is VAETransformer:
        yield "encode_distribution", lambda e: e.encode_distribution(X)
        yield "log_likelihood", lambda e: e.log_likelihood(X)
        yield "sample_posterior", lambda e: e.sample_posterior(X, 2, random_state=0)


PUBLIC = [
    pytest.param(estimator, call, id=f"{estimator.__name__}.{name}")
    for estimator in (AutoencoderTransformer, VAETransformer)
    for name, call in methods_of(estimator)
]


@pytest.mark.parametrize(("estimator", "call"), PUBLIC)
def test_the_global_generators_are_left_alone(estimator, call):
    fitted = make(estimator).fit(X)
    spoil_global_state(3)
    before = global_state()
    call(fitted)
    assert global_state() == before


@BOTH
@pytest.mark.parametrize("method", ["transform", "reconstruct", "score_samples"])
def test_inference_after_an_unseeded_fit_draws_nothing(estimator, method):
    fitted = make(estimator, random_state=None).fit(X)
    before = global_state()
    getattr(fitted, method)(X)
    assert global_state() == before


@BOTH
def test_without_a_seed_fit_draws_one_number_from_numpy_alone(estimator):
    spoil_global_state(3)
    draw_seed(None)
    one_draw = global_state()
    spoil_global_state(3)
    make(estimator, random_state=None).fit(X)
    assert global_state() == one_draw


@BOTH
def test_a_random_state_instance_is_used_up_by_fit(estimator):
    stream = np.random.RandomState(0)
    one, two = make(estimator), make(estimator)
    one.random_state = two.random_state = stream
    assert weights(one.fit(X)) != weights(two.fit(X))


def test_samples_follow_their_random_state():
    vae = make(VAETransformer).fit(X)
    same = [vae.sample(5, random_state=1) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert np.abs(same[0] - vae.sample(5, random_state=2)).max() > 0


# -- the stream itself ---------------------------------------------------------


def test_a_copied_or_pickled_stream_goes_on_where_the_original_was():
    rng = Rng(0)
    rng.permutation(10)
    copy = pickle.loads(pickle.dumps(rng))
    assert rng.permutation(100).tolist() == copy.permutation(100).tolist()


def test_copies_of_a_fitted_estimator_do_not_leak_references_to_none():
    # deepcopy and pickle of a torch.Generator would each steal one
    vae = make(VAETransformer).fit(X)
    pickle.loads(pickle.dumps(vae))
    gc.collect()
    before = sys.getrefcount(None)
    for _ in range(100):
        pickle.loads(pickle.dumps(vae))
    gc.collect()
    assert abs(sys.getrefcount(None) - before) < 20
