"""Searches in other processes and on clusters find what one process finds."""

from contextlib import contextmanager

import joblib
import numpy as np
import pytest
from sklearn import model_selection
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import VAETransformer
from skae.architectures import MLP
from skae.model_selection import GridSearchCV

X, Y = load_wine(return_X_y=True)


def search(cls=GridSearchCV):
    """Return a search that has been fitted: four candidates, two folds."""
    vae = VAETransformer(
        2, architecture=MLP((16,)), likelihood="gaussian", max_epochs=4, random_state=0
    )
    grid = {
        "vaetransformer__beta": [0.1, 1.0],
        "vaetransformer__n_components": [1, 2],
    }
    model = make_pipeline(vae, LogisticRegression())
    options = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    return cls(model, grid, **options).fit(X, Y)


@contextmanager
def dask():
    """Run what is parallel on a scheduler and two workers, each a process."""
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        yield


@contextmanager
def ray():
    """Run what is parallel on two workers of ray."""
    ray = pytest.importorskip("ray", reason="ray is large; pip install ray")
    from ray.util.joblib import register_ray

    ray.init(num_cpus=2, include_dashboard=False, logging_level="error")
    register_ray()
    try:
        with joblib.parallel_config("ray", n_jobs=2):
            yield
    finally:
        ray.shutdown()


def backend(name):
    return lambda: joblib.parallel_config(name, n_jobs=2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray", "ignore::FutureWarning")
@pytest.mark.parametrize(
    "place",
    [dask, ray, backend("loky"), backend("threading")],
    ids=["dask", "ray", "loky", "threading"],
)
def test_searches_find_elsewhere_what_they_find_here(place):
    """Ours, whose workers train stacks, and scikit-learn's."""
    alone = search().cv_results_["mean_test_score"]
    with place():
        for cls in (GridSearchCV, model_selection.GridSearchCV):
            found = search(cls).cv_results_["mean_test_score"]
            np.testing.assert_allclose(found, alone, atol=1e-3)
