"""On real digits, default settings, the codes are worth more than PCA's."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer


def squared_error(pipeline, X, y):
    return np.square(X - pipeline[0].inverse_transform(pipeline[:1].transform(X))).sum()


@pytest.fixture(scope="module")
def folds():
    X, y = load_digits(return_X_y=True)
    reducers = (
        PCA(8),
        AutoencoderTransformer(8, random_state=0),
        VAETransformer(8, random_state=0),
    )
    return {
        type(reducer).__name__: cross_validate(
            make_pipeline(reducer, StandardScaler(), LogisticRegression(max_iter=5000)),
            X,
            y,
            cv=2,
            scoring={"accuracy": "accuracy", "error": squared_error},
        )
        for reducer in reducers
    }


@pytest.mark.parametrize("name", ["AutoencoderTransformer", "VAETransformer"])
def test_a_classifier_on_the_codes_beats_one_on_the_codes_of_pca(folds, name):
    assert folds[name]["test_accuracy"].mean() > folds["PCA"]["test_accuracy"].mean()


@pytest.mark.parametrize("name", ["AutoencoderTransformer", "VAETransformer"])
def test_reconstruction_is_better_than_by_pca_on_every_fold(folds, name):
    assert (folds[name]["test_error"] < 0.75 * folds["PCA"]["test_error"]).all()
