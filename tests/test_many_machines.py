"""Searches on a cluster: a scheduler and two workers, each a process of its own."""

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

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        yield client


def test_a_cluster_finds_what_one_process_finds(cluster):
    """Its workers train stacks; scikit-learn's search works there, too."""
    X, y = load_wine(return_X_y=True)
    vae = VAETransformer(
        2, architecture=MLP((16,)), likelihood="gaussian", max_epochs=4, random_state=0
    )
    model = make_pipeline(vae, LogisticRegression())
    grid = {
        "vaetransformer__beta": [0.1, 1.0],
        "vaetransformer__n_components": [1, 2],
    }
    options = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    ours = GridSearchCV(model, grid, **options).fit(X, y)
    theirs = model_selection.GridSearchCV(model, grid, **options).fit(X, y)
    with joblib.parallel_config(backend="sequential"):
        alone = GridSearchCV(model, grid, **options).fit(X, y)
    for search in (ours, theirs):
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"],
            alone.cv_results_["mean_test_score"],
            atol=1e-3,
        )
