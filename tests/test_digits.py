"""On real digits, default settings, the codes are worth more than PCA's."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer


def squared_error(pipeline, X):
    return np.square(X - pipeline[0].inverse_transform(pipeline[:1].transform(X))).sum()


@pytest.fixture(scope="module")
def scores():
    """Return accuracy and error on rows that were held out, by class."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    found = {}
    for kind in (PCA, AutoencoderTransformer, VAETransformer):
        pipeline = make_pipeline(
            kind(8, random_state=0),
            StandardScaler(),
            LogisticRegression(max_iter=5000),
        ).fit(X, y)
        found[kind] = pipeline.score(X_test, y_test), squared_error(pipeline, X_test)
    return found


KINDS = pytest.mark.parametrize("kind", [AutoencoderTransformer, VAETransformer])


@KINDS
def test_a_classifier_on_the_codes_beats_one_on_the_codes_of_pca(scores, kind):
    assert scores[kind][0] > scores[PCA][0]


@KINDS
def test_reconstruction_is_better_than_by_pca(scores, kind):
    assert scores[kind][1] < 0.75 * scores[PCA][1]
