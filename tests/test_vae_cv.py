"""The VAE that chooses its width and beta by cross-validation."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import VAETransformer, VAETransformerCV
from skae.architectures import MLP

CV = KFold(2, shuffle=True, random_state=0)


def two_factors(n_rows=300, n_features=8):
    """Return rows of a linear-Gaussian model with two hidden numbers."""
    random = np.random.RandomState(0)
    loadings = 2 * random.randn(2, n_features)
    return random.randn(n_rows, 2) @ loadings + random.randn(n_rows, n_features)


def make(n_components=(1, 2, 5), **parameters):
    common = {"architecture": MLP(()), "max_epochs": 20, "random_state": 0, "cv": CV}
    common["likelihood"] = "gaussian"
    return VAETransformerCV(n_components, **common | parameters)


def test_it_finds_the_number_of_factors():
    chosen = make(betas=1.0).fit(two_factors(150))
    assert chosen.n_components_ == 2
    assert chosen.beta_ == 1.0


def test_scores_are_held_out_log_densities_by_importance_weighting():
    X = two_factors()
    chosen = make((1, 2), betas=(0.5, 1.0), n_draws_of_score=20).fit(X)
    assert chosen.scores_.shape == (2, 2, 2)
    vae = VAETransformer(
        2, beta=0.5, architecture=MLP(()), max_epochs=20, likelihood="gaussian",
        random_state=0,
    )  # fmt: skip
    for fold, (train, test) in enumerate(CV.split(X)):
        expected = clone(vae).fit(X[train]).log_likelihood(X[test], 20).mean()
        assert chosen.scores_[1, 0, fold] == pytest.approx(expected, abs=1e-3)
    best = chosen.scores_.mean(axis=2).max()
    assert chosen.best_score_ == pytest.approx(best)
    where = np.unravel_index(chosen.scores_.mean(axis=2).argmax(), (2, 2))
    assert (chosen.n_components_, chosen.beta_) == (
        (1, 2)[where[0]],
        (0.5, 1.0)[where[1]],
    )
    assert chosen.cv_results_["params"][0] == {"beta": 0.5, "n_components": 1}
    assert "param_beta" in chosen.cv_results_


def test_it_is_the_vae_of_the_best_pair_on_all_rows():
    X = two_factors()
    chosen = make((1, 2), betas=(0.5, 1.0)).fit(X)
    vae = VAETransformer(
        chosen.n_components_, beta=chosen.beta_, architecture=MLP(()), max_epochs=20,
        likelihood="gaussian", random_state=0,
    ).fit(X)  # fmt: skip
    assert (chosen.transform(X) == vae.transform(X)).all()
    assert (chosen.inverse_transform(chosen.transform(X)) == vae.reconstruct(X)).all()
    assert chosen.score(X) == vae.score(X)
    assert (chosen.sample(3, random_state=0) == vae.sample(3, random_state=0)).all()
    again = pickle.loads(pickle.dumps(chosen))
    assert (again.transform(X) == vae.transform(X)).all()


def test_a_classifier_may_decide():
    X, y = load_wine(return_X_y=True)
    decided = make(
        (1, 4), betas=0.1, downstream=LogisticRegression(), scoring="neg_log_loss"
    ).fit(X, y)
    for i, n_components in enumerate((1, 4)):
        vae = VAETransformer(
            n_components, beta=0.1, architecture=MLP(()), max_epochs=20,
            likelihood="gaussian", random_state=0,
        )  # fmt: skip
        expected = cross_val_score(
            make_pipeline(vae, LogisticRegression()), X, y,
            cv=CV, scoring="neg_log_loss",
        )  # fmt: skip
        np.testing.assert_allclose(decided.scores_[i, 0], expected, atol=1e-3)
    assert decided.n_components_ == 4
    assert decided.cv_results_["params"][0] == {"beta": 0.1, "n_components": 1}


def test_it_is_a_step_of_a_pipeline():
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(
        StandardScaler(), make((1, 4), betas=(0.1, 1.0)), LogisticRegression()
    )
    assert model.fit(X, y).score(X, y) > 0.9


def test_a_callable_of_ones_own_may_decide():
    def fewest(vae, X, y=None):
        return -vae.n_components_

    assert (
        make((2, 1, 3), betas=1.0, scoring=fewest).fit(two_factors()).n_components_ == 1
    )


def test_bad_input_is_told_by_name():
    X = two_factors()
    with pytest.raises(ValueError, match=r"'betas' parameter .* at least one value"):
        make(betas=()).fit(X)
    with pytest.raises(ValueError, match=r"'n_components' parameter .* at least one"):
        make([]).fit(X)
    with pytest.raises(ValueError, match="'beta' parameter of VAETransformer"):
        make(betas=(1.0, -2.0)).fit(X)
    with pytest.raises(
        ValueError, match="scoring='accuracy' is a score of predictions"
    ):
        make(scoring="accuracy").fit(X)
    with pytest.raises(ValueError, match="'downstream' parameter"):
        make(downstream=3).fit(X)
    with pytest.raises(AttributeError, match=r"no partial_fit; use VAETransformer"):
        make().partial_fit(X)
    failed = make((1, 2)).fit(X)
    before = failed.transform(X)
    with pytest.raises(ValueError, match="'beta' parameter"):
        failed.set_params(betas=(1.0, -2.0)).fit(X)
    assert (failed.transform(X) == before).all()
