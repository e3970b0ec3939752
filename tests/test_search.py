"""Searches are those of scikit-learn, but that networks train together."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import model_selection
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_wine
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoencoderTransformer, VAETransformer
from skae import _training as training
from skae._base import BaseAutoencoder
from skae._rehearsal import Recall, fingerprint
from skae.architectures import MLP
from skae.corruptions import GaussianNoise
from skae.model_selection import GridSearchCV, RandomizedSearchCV

ORDER = np.random.RandomState(0).permutation(178)
X, y = (part[ORDER] for part in load_wine(return_X_y=True))


def autoencoder(**parameters):
    common = {"n_components": 3, "max_epochs": 4, "random_state": 0}
    hidden = MLP((16,))
    return AutoencoderTransformer(architecture=hidden).set_params(**common | parameters)


def vae(**parameters):
    common = {"n_components": 3, "max_epochs": 4, "random_state": 0}
    common["likelihood"] = "gaussian"
    return VAETransformer(architecture=MLP((16,))).set_params(**common | parameters)


def classifier(network):
    return Pipeline(
        [
            ("scale", StandardScaler()),
            ("codes", network),
            ("classify", LogisticRegression()),
        ]
    )


@pytest.fixture
def fits(monkeypatch):
    """The networks that are trained one by one, and those that are in stacks."""
    counts = {"alone": 0, "stacked": 0}
    train, train_members = training.train, training.train_members

    def count_alone(*args, **kwargs):
        counts["alone"] += 1
        return train(*args, **kwargs)

    def count_stacked(members):
        counts["stacked"] += len(members)
        return train_members(members)

    monkeypatch.setattr(training, "train", count_alone)
    monkeypatch.setattr(training, "train_members", count_stacked)
    return counts


def assert_same_results(ours, theirs, atol=1e-3):
    """Compare everything but the times."""
    results, expected = ours.cv_results_, theirs.cv_results_
    assert list(results) == list(expected)
    assert results["params"] == expected["params"]
    for name, column in results.items():
        if "time" in name or "rank" in name or name == "params":
            continue
        if name.startswith("param_"):
            assert (column == expected[name]).all()
            assert (column.mask == expected[name].mask).all()
            continue
        np.testing.assert_allclose(column, expected[name], rtol=0, atol=atol)


SEARCHES = {
    "autoencoder": (
        autoencoder(), {"n_components": [2, 4], "lr": [1e-3, 4e-3]}, {}
    ),
    "VAE": (vae(), {"beta": [0.5, 1.0], "n_components": [1, 3]}, {}),
    "denoising": (
        autoencoder(corruption=GaussianNoise()),
        {"corruption__scale": [0.1, 0.5], "weight_decay": [0.0, 0.1]},
        {},
    ),
    "seeds": (autoencoder(), {"random_state": [0, 1, 2]}, {}),
    "networks of other sizes": (
        autoencoder(), {"architecture": [MLP((8,)), MLP((8, 8))], "lr": [1e-3]}, {}
    ),
    "a list of grids": (
        autoencoder(), [{"lr": [1e-3, 2e-3]}, {"n_components": [2]}], {}
    ),
    "training scores": (
        autoencoder(), {"lr": [1e-3, 4e-3]}, {"return_train_score": True}
    ),
    "pipeline": (
        classifier(vae()),
        {"codes__beta": [0.1, 1.0], "classify__C": [0.1, 1.0]},
        {"scoring": "neg_log_loss"},
    ),
    "what comes before": (
        classifier(vae()),
        {"scale__with_std": [True, False], "codes__n_components": [2, 3]},
        {"scoring": "neg_log_loss"},
    ),
    "a step that is replaced": (
        classifier(vae()),
        {"codes": [vae(beta=0.5), autoencoder(), "passthrough"]},
        {"scoring": "neg_log_loss"},
    ),
    "side by side": (
        Pipeline(
            [
                (
                    "both",
                    FeatureUnion([("as", StandardScaler()), ("codes", autoencoder())]),
                ),
                ("classify", LogisticRegression(max_iter=1000)),
            ]
        ),
        {"both__codes__lr": [1e-3, 4e-3]},
        {"scoring": "neg_log_loss"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEARCHES)
def test_results_are_those_of_scikit_learn(name):
    estimator, grid, options = SEARCHES[name]
    options = {"cv": 2, "refit": False} | options
    ours = GridSearchCV(estimator, grid, **options).fit(X, y)
    theirs = model_selection.GridSearchCV(estimator, grid, **options).fit(X, y)
    assert_same_results(ours, theirs, atol=2e-3)


def test_all_networks_of_a_search_are_in_stacks(fits):
    grid = {"lr": [1e-3, 2e-3], "n_components": [2, 3]}
    search = GridSearchCV(autoencoder(refit=False), grid, cv=2).fit(X)
    assert fits == {"alone": 1, "stacked": 8}  # alone is the refit of the best
    assert search.best_estimator_.callbacks is None
    assert search.estimator.callbacks is None
    assert (search.cv_results_["mean_fit_time"] > 0.001).all()


def test_what_differs_after_the_codes_alone_is_trained_once(fits):
    grid = {"classify__C": [0.1, 1.0, 10.0], "codes__beta": [0.5, 1.0]}
    model = classifier(vae(refit=False))
    GridSearchCV(model, grid, cv=2, refit=False).fit(X, y)
    assert fits == {"alone": 0, "stacked": 4}


def test_without_a_seed_every_fit_is_another(fits):
    grid = {"classify__C": [0.1, 1.0]}
    model = classifier(vae(refit=False, random_state=None))
    GridSearchCV(model, grid, cv=2, refit=False).fit(X, y)
    assert fits == {"alone": 0, "stacked": 4}


@pytest.mark.parametrize(
    "parameters", [{"callbacks": []}, {"warm_start": True}, {"optimizer": "sgd"}]
)
def test_what_cannot_be_stacked_is_fitted_alone(fits, parameters):
    estimator = autoencoder(refit=False, **parameters)
    grid = {"lr": [1e-3, 2e-3]}
    ours = GridSearchCV(estimator, grid, cv=2, refit=False).fit(X)
    theirs = model_selection.GridSearchCV(estimator, grid, cv=2, refit=False).fit(X)
    assert_same_results(ours, theirs)
    if "callbacks" not in parameters:  # an empty list is none
        assert fits["stacked"] == 0


def test_estimators_without_a_network_are_searched_as_ever():
    model, grid = classifier("passthrough"), {"classify__C": [0.1, 1.0, 10.0]}
    ours = GridSearchCV(model, grid, cv=3).fit(X, y)
    theirs = model_selection.GridSearchCV(model, grid, cv=3).fit(X, y)
    assert_same_results(ours, theirs, atol=0)
    assert ours.best_params_ == theirs.best_params_


def test_several_metrics_and_a_choice_of_ones_own():
    def choose(results):
        return int(np.argmin(results["mean_test_accuracy"]))

    options = {
        "cv": 2,
        "scoring": ["accuracy", "neg_log_loss"],
        "refit": choose,
        "return_train_score": True,
    }
    grid = {"codes__beta": [0.1, 4.0]}
    ours = GridSearchCV(classifier(vae()), grid, **options).fit(X, y)
    theirs = model_selection.GridSearchCV(classifier(vae()), grid, **options).fit(X, y)
    assert_same_results(ours, theirs, atol=2e-3)
    assert ours.best_index_ == theirs.best_index_
    assert ours.multimetric_


def test_a_callable_scores_the_fitted_network():
    def kept_variance(estimator, X, y=None):
        assert isinstance(estimator, BaseAutoencoder)
        return estimator.score(X) / estimator.n_components_

    grid = {"n_components": [2, 3]}
    options = {"cv": 2, "scoring": kept_variance, "refit": False}
    ours = GridSearchCV(autoencoder(), grid, **options).fit(X)
    theirs = model_selection.GridSearchCV(autoencoder(), grid, **options).fit(X)
    assert_same_results(ours, theirs)


@pytest.mark.parametrize(
    "cv",
    [
        KFold(3, shuffle=True, random_state=0),
        ShuffleSplit(2, random_state=1),
        [(np.arange(0, 100), np.arange(100, 178)), (np.arange(78, 178), np.arange(78))],
    ],
    ids=["KFold", "ShuffleSplit", "pairs"],
)
def test_splitters_are_those_of_scikit_learn(cv):
    grid = {"lr": [1e-3, 4e-3]}
    ours = GridSearchCV(autoencoder(), grid, cv=cv, refit=False).fit(X)
    theirs = model_selection.GridSearchCV(autoencoder(), grid, cv=cv, refit=False)
    assert_same_results(ours, theirs.fit(X))


def test_splits_of_a_random_splitter_are_made_once(fits):
    """Networks are recalled for the rows that they were trained on."""
    cv = ShuffleSplit(2, random_state=None)
    estimator = autoencoder(refit=False)
    GridSearchCV(estimator, {"lr": [1e-3, 4e-3]}, cv=cv, refit=False).fit(X)
    assert fits == {"alone": 0, "stacked": 4}


def test_groups_are_for_the_splitter():
    groups = np.arange(len(X)) % 4
    grid, cv = {"lr": [1e-3, 4e-3]}, GroupKFold(2)
    ours = GridSearchCV(autoencoder(), grid, cv=cv, refit=False)
    theirs = model_selection.GridSearchCV(autoencoder(), grid, cv=cv, refit=False)
    assert_same_results(ours.fit(X, groups=groups), theirs.fit(X, groups=groups))


@pytest.mark.parametrize("routing", [False, True])
def test_weights_are_split_with_the_rows(routing, fits):
    weights = np.random.RandomState(0).randint(1, 4, len(X))
    estimator, grid = autoencoder(refit=False), {"lr": [1e-3, 4e-3]}
    with sklearn.config_context(enable_metadata_routing=routing):
        if routing:
            estimator.set_fit_request(sample_weight=True)
            estimator.set_score_request(sample_weight=False)
        ours = GridSearchCV(estimator, grid, cv=2, refit=False)
        ours.fit(X, sample_weight=weights)
        assert fits == {"alone": 0, "stacked": 4}
        theirs = model_selection.GridSearchCV(estimator, grid, cv=2, refit=False)
        assert_same_results(ours, theirs.fit(X, sample_weight=weights))


def test_weights_reach_a_network_in_a_pipeline(fits):
    weights = np.random.RandomState(0).randint(1, 4, len(X))
    model = Pipeline([("scale", StandardScaler()), ("codes", autoencoder(refit=False))])
    grid = {"codes__lr": [1e-3, 4e-3]}
    ours = GridSearchCV(model, grid, cv=2, refit=False)
    ours.fit(X, codes__sample_weight=weights)
    theirs = model_selection.GridSearchCV(model, grid, cv=2, refit=False)
    assert fits == {"alone": 0, "stacked": 4}
    assert_same_results(ours, theirs.fit(X, codes__sample_weight=weights))


def test_frames_and_columns_of_them(fits):
    frame = load_wine(as_frame=True).data.iloc[ORDER]
    some = list(frame.columns[:6])
    network = autoencoder(refit=False)
    model = Pipeline(
        [
            (
                "columns",
                ColumnTransformer([("codes", network, some)], remainder="drop"),
            ),
            ("scale", StandardScaler()),
            ("classify", LogisticRegression()),
        ]
    )
    grid = {"columns__codes__lr": [1e-3, 4e-3]}
    options = {"cv": 2, "refit": False, "scoring": "neg_log_loss"}
    ours = GridSearchCV(model, grid, **options).fit(frame, y)
    assert fits == {"alone": 0, "stacked": 4}
    theirs = model_selection.GridSearchCV(model, grid, **options).fit(frame, y)
    assert_same_results(ours, theirs, atol=2e-3)


def test_tables_with_categories(fits):
    frame = pd.DataFrame(X[:, :4], columns=list("abcd"))
    frame["kind"] = pd.Categorical(y.astype(str))
    grid = {"beta": [0.5, 1.0]}
    estimator = vae(refit=False, n_components=2)
    ours = GridSearchCV(estimator, grid, cv=2, refit=False).fit(frame)
    assert fits == {"alone": 0, "stacked": 4}
    theirs = model_selection.GridSearchCV(estimator, grid, cv=2, refit=False)
    assert_same_results(ours, theirs.fit(frame), atol=5e-3)


def test_random_search_draws_the_same_candidates():
    grid = {"lr": [1e-4, 1e-3, 1e-2], "n_components": [1, 2, 3]}
    options = {"n_iter": 3, "random_state": 0, "cv": 2, "refit": False}
    ours = RandomizedSearchCV(autoencoder(), grid, **options).fit(X)
    theirs = model_selection.RandomizedSearchCV(autoencoder(), grid, **options).fit(X)
    assert_same_results(ours, theirs)


def test_the_same_search_finds_the_same_bits():
    grid = {"n_components": [1, 2, 3], "beta": [0.5, 1.0]}
    scores = [
        GridSearchCV(vae(), grid, cv=2, refit=False).fit(X.copy()).cv_results_
        for _ in range(2)
    ]
    assert (scores[0]["mean_test_score"] == scores[1]["mean_test_score"]).all()


def test_splits_of_a_large_table_are_trained_one_by_one(monkeypatch):
    from skae.model_selection import _pretraining

    sizes = []
    train_jobs = _pretraining.train_jobs

    def count(jobs):
        sizes.append(len(jobs))
        train_jobs(jobs)

    monkeypatch.setattr(_pretraining, "train_jobs", count)
    monkeypatch.setattr(_pretraining, "MOST_COPIED", 1)
    grid = {"lr": [1e-3, 4e-3]}
    GridSearchCV(autoencoder(), grid, cv=3, refit=False).fit(X)
    assert sizes == [2, 2, 2]


def test_processes_train_stacks_of_their_own():
    grid = {"codes__beta": [0.1, 1.0], "codes__n_components": [2, 3]}
    options = {"cv": 2, "scoring": "neg_log_loss", "refit": False}
    one = GridSearchCV(classifier(vae()), grid, **options).fit(X, y)
    two = GridSearchCV(classifier(vae()), grid, n_jobs=2, **options).fit(X, y)
    assert_same_results(two, one)


# -- bad input: what scikit-learn does -------------------------------------------------


def test_a_candidate_that_fails_scores_as_asked():
    grid = {"lr": [1e-3, -1.0]}
    search = GridSearchCV(autoencoder(), grid, cv=2, refit=False, error_score=-7.0)
    with pytest.warns(FitFailedWarning, match="'lr' parameter"):
        search.fit(X)
    assert search.cv_results_["mean_test_score"][1] == -7.0
    assert search.cv_results_["mean_test_score"][0] > 0
    search.set_params(error_score="raise")
    with pytest.raises(ValueError, match="'lr' parameter"):
        search.fit(X)


def test_bad_arguments_have_the_errors_of_scikit_learn():
    for grid, options in (
        ({"no_such": [1]}, {}),
        ({"lr": []}, {}),
        ({"lr": 1e-3}, {}),
        ({"lr": [1e-3]}, {"cv": 1}),
        ({"lr": [1e-3]}, {"cv": 500}),
        ({"lr": [1e-3]}, {"scoring": "no such score"}),
        ({"lr": [1e-3]}, {"scoring": ["r2"], "refit": True}),
        ({"lr": [1e-3]}, {"error_score": "no"}),
    ):
        errors = []
        for cls in (GridSearchCV, model_selection.GridSearchCV):
            with pytest.raises((ValueError, TypeError, KeyError)) as caught:
                cls(autoencoder(), grid, **options).fit(X)
            errors.append((caught.type, str(caught.value)))
        assert errors[0] == errors[1]


def test_rows_that_are_no_table_fail_as_ever():
    for cls in (GridSearchCV, model_selection.GridSearchCV):
        with pytest.raises(ValueError, match="infinity"):
            cls(autoencoder(), {"lr": [1e-3]}, cv=2, error_score="raise").fit(
                np.where(X > 1000, np.inf, X)
            )


# -- a search among other things -------------------------------------------------------


def test_a_search_can_be_cloned_pickled_and_nested():
    search = GridSearchCV(classifier(vae()), {"codes__beta": [0.1, 1.0]}, cv=2)
    assert clone(search).get_params()["cv"] == 2
    fitted = pickle.loads(pickle.dumps(search.fit(X, y)))
    assert (fitted.predict(X) == search.predict(X)).all()
    assert not [name for name in vars(fitted) if "given" in name]
    scores = cross_val_score(search, X, y, cv=2)
    theirs = model_selection.GridSearchCV(
        classifier(vae()), {"codes__beta": [0.1, 1.0]}, cv=2
    )
    np.testing.assert_allclose(scores, cross_val_score(theirs, X, y, cv=2), atol=0.02)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@parametrize_with_checks(
    [
        GridSearchCV(
            LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, error_score="raise"
        ),
        RandomizedSearchCV(
            Pipeline([("s", StandardScaler()), ("c", LogisticRegression())]),
            {"c__C": [0.1, 1.0]},
            n_iter=2,
            cv=2,
            error_score="raise",
        ),
    ]
)
def test_scikit_learn_checks_the_searches(estimator, check):
    check(estimator)


def test_callbacks_of_a_search_see_its_candidates(fits):
    """What has been trained beforehand is an evaluation to them, as any other."""
    grid, estimator = {"lr": [1e-3, 4e-3]}, autoencoder(refit=False)
    search = GridSearchCV(estimator, grid, cv=2, refit=False)
    seen = search.set_callbacks(ProgressBar(max_propagation_depth=2)).fit(X)
    plain = GridSearchCV(estimator, grid, cv=2, refit=False).fit(X)
    assert fits == {"alone": 0, "stacked": 8}
    assert_same_results(seen, plain, atol=0)


def test_networks_are_recalled_for_their_rows_alone():
    fitted = autoencoder().fit(X)
    data = fitted._check_training_data(X, None)
    recall = Recall({fingerprint(data): fitted})
    again = autoencoder(callbacks=recall).fit(X)
    assert again.net_ is fitted.net_
    assert again.callbacks is recall
    assert autoencoder(callbacks=recall).fit(X[:-1]).net_ is not fitted.net_
    weighted = autoencoder(callbacks=recall).fit(X, sample_weight=1.0 + np.arange(178))
    assert weighted.net_ is not fitted.net_
    assert clone(autoencoder(callbacks=recall)).callbacks is recall


def test_fingerprints_tell_data_apart():
    estimator = autoencoder()
    data = estimator._check_training_data(X, None)
    others = [
        data._replace(X=X + 1e-12),
        data._replace(X=X.astype(np.float32)),
        data._replace(X=X.reshape(-1, 1)),
        data._replace(weights=np.ones(len(X))),
        data._replace(names=np.array(list("abcdefghijklm"), dtype=object)),
    ]
    assert len({fingerprint(d) for d in (data, *others)}) == 6
    assert fingerprint(data._replace(X=np.asfortranarray(X))) == fingerprint(data)
