"""AutoencoderImputer: holes are filled, and nothing else is touched."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer, AutoencoderTransformer, VAETransformer
from skae.architectures import MLP, RestoringMLP
from skae.corruptions import Masking

NAMES, (X, Y) = load_wine().feature_names, load_wine(return_X_y=True)
HOLES = np.random.RandomState(0).uniform(size=X.shape) < 0.2
X_HOLES = np.where(HOLES, np.nan, X)

FAST = {"max_epochs": 3, "random_state": 0}
# Training that changes nothing: what is left is the start.
NO_TRAINING = {
    "optimizer": "sgd",
    "lr": 1e-30,
    "schedule": "constant",
    "max_epochs": 1,
    "early_stopping": False,
}


def make(cls=AutoencoderTransformer, n_components=3, **parameters):
    return AutoencoderImputer(cls(n_components, **FAST), **parameters)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("max_iter", [1, 5])
def test_known_values_are_kept_to_the_bit_and_none_is_missing(cls, dtype, max_iter):
    rows = X_HOLES.astype(dtype)
    before = rows.copy()
    filled = make(cls, max_iter=max_iter).fit_transform(rows)
    assert filled.dtype == dtype
    np.testing.assert_array_equal(filled[~HOLES], rows[~HOLES])
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(rows, before)


def test_rows_without_holes_come_back_as_they_are():
    imputer = make().fit(X_HOLES)
    for rows in (X, X.astype(np.float32), X.astype(int)):
        filled = imputer.transform(rows)
        assert filled.dtype == rows.dtype
        assert not np.shares_memory(filled, rows)
        np.testing.assert_array_equal(filled, rows)


def test_one_round_is_one_reconstruction():
    imputer = make(max_iter=1).fit(X_HOLES)
    expected = imputer.estimator_.reconstruct(X_HOLES)
    np.testing.assert_allclose(imputer.transform(X_HOLES)[HOLES], expected[HOLES])


def test_rounds_of_a_plane_end_where_least_squares_do():
    pca = AutoencoderTransformer(
        2, architecture=MLP(()), scale="standard", **NO_TRAINING
    )
    imputer = AutoencoderImputer(pca, max_iter=2000, tol=1e-9).fit(X)
    scaler = StandardScaler().fit(X)
    axes = PCA(2).fit(scaler.transform(X)).components_
    given = scaler.transform(imputer.transform(X_HOLES))
    for row, known, target in zip(given, ~HOLES, scaler.transform(X), strict=True):
        code = np.linalg.lstsq(axes[:, known].T, target[known], rcond=None)[0]
        np.testing.assert_allclose(row[~known], (code @ axes)[~known], atol=1e-4)


def test_a_row_stops_when_it_changes_by_less_than_tol():
    rounds = []

    class Counting(AutoencoderTransformer):
        def reconstruct(self, X):
            rounds.append(len(X))
            return super().reconstruct(X)

    imputer = AutoencoderImputer(Counting(3, **FAST), max_iter=50, tol=1e-3)
    imputer.fit(X).transform(X_HOLES)
    assert rounds[0] == HOLES.any(axis=1).sum()
    assert rounds == sorted(rounds, reverse=True)
    assert rounds[-1] < rounds[0]


@pytest.mark.parametrize("max_iter", [1, 5])
def test_a_row_is_filled_alike_beside_whatever_rows(max_iter):
    imputer = make(max_iter=max_iter).fit(X_HOLES)
    filled = imputer.transform(X_HOLES)
    order = np.random.RandomState(0).permutation(len(X))
    np.testing.assert_allclose(imputer.transform(X_HOLES[order]), filled[order])
    one_by_one = [imputer.transform(row[None])[0] for row in X_HOLES[:20]]
    np.testing.assert_allclose(one_by_one, filled[:20])


def test_random_state_decides_and_the_global_generator_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    base = AutoencoderTransformer(2, max_epochs=2)
    one, two, other = (
        AutoencoderImputer(base, random_state=seed).fit_transform(X_HOLES)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).any()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    again = pickle.loads(pickle.dumps(make().fit(X_HOLES))).transform(X_HOLES)
    np.testing.assert_array_equal(again, make().fit(X_HOLES).transform(X_HOLES))


def test_the_estimator_is_cloned():
    imputer = make().fit(X_HOLES)
    assert not hasattr(imputer.estimator, "net_")
    assert isinstance(imputer.estimator_, AutoencoderTransformer)
    assert clone(imputer).get_params()["estimator__n_components"] == 3


def test_default_comes_nearer_to_the_truth_than_the_mean(monkeypatch):
    monkeypatch.setattr("skae._imputer.STEPS", 100)  # the start is half of it
    rows = load_digits().data[:600]
    holes = np.random.RandomState(0).uniform(size=rows.shape) < 0.2
    seen = np.where(holes, np.nan, rows)
    errors = [
        np.square(imputer.fit(seen[:400]).transform(seen[400:]) - rows[400:]).sum()
        for imputer in (
            AutoencoderImputer(random_state=0),
            SimpleImputer(keep_empty_features=True),
        )
    ]
    assert errors[0] < errors[1] / 2


def test_names_and_containers_go_through():
    frame = pd.DataFrame(X_HOLES, columns=NAMES)
    imputer = make().set_output(transform="pandas").fit(frame)
    filled = imputer.transform(frame)
    assert list(filled.columns) == NAMES
    assert list(imputer.feature_names_in_) == NAMES
    assert list(imputer.get_feature_names_out()) == NAMES
    assert imputer.n_features_in_ == 13
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(frame[NAMES[::-1]])
    imputer.fit(X_HOLES)
    assert not hasattr(imputer, "feature_names_in_")


def test_a_grid_search_reaches_the_estimator():
    model = Pipeline([
        ("impute", make()),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression()),
    ])  # fmt: skip
    grid = {"impute__estimator__n_components": [1, 4], "impute__max_iter": [1, 3]}
    search = GridSearchCV(model, grid, cv=2).fit(X_HOLES, Y)
    assert search.best_score_ > 0.85


def test_images_have_holes_of_any_shape():
    images = load_digits().images[:200, None]
    holes = np.zeros(images.shape, dtype=bool)
    holes[::3, :, 2:5, 3:6] = True
    holes[1::3, :, ::2, 1::2] = True
    seen = np.where(holes, np.nan, images)
    base = AutoencoderTransformer(4, image_shape=(1, 8, 8), **FAST)
    filled = AutoencoderImputer(base).fit_transform(seen)
    assert filled.shape == (200, 64)
    known = ~holes.reshape(200, -1)
    np.testing.assert_array_equal(filled[known], images.reshape(200, -1)[known])
    assert np.isfinite(filled).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": PCA(2)}, "The 'estimator' parameter of AutoencoderImputer"),
        ({"max_iter": 0}, "The 'max_iter' parameter"),
        ({"tol": -1.0}, "The 'tol' parameter"),
        ({"max_iter": True}, "The 'max_iter' parameter"),
    ],
)
def test_invalid_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderImputer(**parameters).fit(X_HOLES)


def test_a_table_without_a_known_value_is_refused():
    with pytest.raises(ValueError, match="column 0 of X has no known value"):
        make().fit(X_HOLES * np.nan)
    images = AutoencoderTransformer(2, image_shape=(1, 1, 13), **FAST)
    seen = X_HOLES.copy()
    seen[:, 4] = np.nan  # an image cannot do without a pixel
    with pytest.raises(ValueError, match="column 4 of X has no known value"):
        AutoencoderImputer(images).fit(seen)


def test_infinities_and_other_widths_are_refused():
    rows = X_HOLES.copy()
    rows[3, 1] = np.inf
    imputer = make().fit(X_HOLES)
    for door in (make().fit, imputer.transform):
        with pytest.raises(ValueError, match="column 1 has inf in row 3"):
            door(rows)
    with pytest.raises(ValueError, match="X has 12 features, but AutoencoderImputer"):
        imputer.transform(X_HOLES[:, 1:])
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        make().transform(X_HOLES)


def test_a_failed_fit_leaves_the_imputer_as_it_was():
    imputer = make().fit(X_HOLES)
    before = imputer.transform(X_HOLES)
    with pytest.raises(ValueError, match="no known value"):
        imputer.fit(X_HOLES * np.nan)
    np.testing.assert_array_equal(imputer.transform(X_HOLES), before)


# -- the default, and what comes beside filled columns ---------------------------------

QUICK = AutoencoderTransformer(
    architecture=RestoringMLP((16,)),
    corruption=Masking("random", fill="missing"),
    max_epochs=3,
)


def quick(**parameters):
    return AutoencoderImputer(QUICK, **{"random_state": 0} | parameters)


def test_default_is_a_restorer_of_tables_and_of_wide_ones_an_autoencoder():
    imputer = AutoencoderImputer(random_state=0)
    assert imputer._make_estimator(X, 0).architecture.is_shown_holes
    wide = imputer._make_estimator(np.zeros((5, 129)), 0)
    assert wide.architecture == "auto"


def test_rows_without_a_known_value_get_the_means():
    rows = X_HOLES.copy()
    rows[7] = np.nan
    for imputer in (quick(), make(), quick(sample_posterior=True, n_imputations=2)):
        filled = imputer.fit(rows).transform(rows)
        assert np.isfinite(filled).all()
        if not imputer.sample_posterior:
            np.testing.assert_allclose(filled[7], np.nanmean(rows, axis=0))


def test_columns_without_a_known_value_are_left_out_or_zero():
    frame = pd.DataFrame(X_HOLES, columns=NAMES)
    frame.insert(3, "empty", np.nan)
    out = quick().set_output(transform="pandas").fit(frame)
    assert list(out.transform(frame).columns) == NAMES
    kept = quick(keep_empty_features=True).set_output(transform="pandas").fit(frame)
    filled = kept.transform(frame)
    assert list(filled.columns) == list(frame.columns)
    assert (filled["empty"] == 0).all()
    pd.testing.assert_frame_equal(filled[NAMES], out.transform(frame))
    later = kept.transform(frame.assign(empty=2.0))
    assert (later["empty"] == 2.0).all()


def test_indicator_columns_say_where_a_value_was_missing():
    seen = X_HOLES.copy()
    seen[:, 4] = X[:, 4]
    frame = pd.DataFrame(seen, columns=NAMES)
    imputer = quick(add_indicator=True).set_output(transform="pandas").fit(frame)
    filled = imputer.transform(frame)
    holed = [name for name in NAMES if name != NAMES[4]]
    names = NAMES + [f"missingindicator_{name}" for name in holed]
    assert list(filled.columns) == list(imputer.get_feature_names_out()) == names
    flags = filled[names[13:]].to_numpy()
    np.testing.assert_array_equal(flags, frame[holed].isna())
    assert quick(add_indicator=True).fit(X).transform(X).shape == X.shape


# -- several imputations ---------------------------------------------------------------


def test_draws_leave_known_values_and_differ_in_holes():
    imputer = quick(sample_posterior=True, n_imputations=3).fit(X_HOLES)
    draws = imputer.sample_imputations(X_HOLES, random_state=0)
    assert draws.shape == (3, *X.shape)
    assert (draws[:, ~HOLES] == X[~HOLES]).all()
    assert (draws[:, HOLES].std(axis=0) > 0).mean() > 0.99
    again = imputer.sample_imputations(X_HOLES, 7, random_state=0)
    np.testing.assert_array_equal(again[:3], draws)
    assert (again[3:6, HOLES] != draws[:, HOLES]).mean() > 0.99
    one = imputer.transform(X_HOLES)
    np.testing.assert_array_equal(one, imputer.transform(X_HOLES))
    assert (one[HOLES] != draws[0][HOLES]).mean() > 0.99
    copy = pickle.loads(pickle.dumps(imputer))
    np.testing.assert_array_equal(copy.transform(X_HOLES), one)
    np.testing.assert_array_equal(imputer.sample_imputations(X, 1)[0], X)


def test_draws_are_as_far_apart_as_the_truth_is_from_what_is_expected():
    random = np.random.RandomState(0)
    rows = random.normal(size=(1500, 1)) + random.normal(size=(1500, 3))
    holes = random.uniform(size=rows.shape) < 0.3
    seen = np.where(holes, np.nan, rows)
    imputer = quick(sample_posterior=True, n_imputations=4).fit(seen)
    draws = imputer.sample_imputations(seen, 60, random_state=0)[:, holes]
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    inside = ((rows[holes] > low) & (rows[holes] < high)).mean()
    assert 0.86 < inside < 0.93
    # the covariance of filled rows is that of the rows, where expectations have less
    filled = imputer.sample_imputations(seen, 1, random_state=0)[0]
    np.testing.assert_allclose(np.cov(filled.T), np.cov(rows.T), atol=0.25)
    expected = imputer.set_params(sample_posterior=False).transform(seen)
    assert (expected.var(axis=0) < 0.95 * filled.var(axis=0)).all()


def test_draws_need_the_parameter_and_any_estimator_makes_them():
    assert not hasattr(quick(), "sample_imputations")
    for cls in (AutoencoderTransformer, VAETransformer):
        imputer = make(cls, sample_posterior=True, n_imputations=2).fit(X_HOLES)
        assert np.isfinite(imputer.sample_imputations(X_HOLES)).all()
    with pytest.raises(ValueError, match="n_imputations must be a positive int"):
        imputer.sample_imputations(X_HOLES, 0)


def test_rows_too_wide_for_a_joint_law_are_drawn_column_by_column():
    wide = np.random.RandomState(0).normal(size=(60, 130))
    seen = np.where(
        np.random.RandomState(1).uniform(size=wide.shape) < 0.2, np.nan, wide
    )
    imputer = make(sample_posterior=True, n_imputations=2).fit(seen)
    draws = imputer.sample_imputations(seen, 8, random_state=0)[:, np.isnan(seen)]
    assert 0.7 < draws.std() < 1.6
