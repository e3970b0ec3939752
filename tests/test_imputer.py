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
from skae._sklearn import InvalidParameterError
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
    monkeypatch.setattr(
        "skae._imputation_defaults.STEPS", 100
    )  # the start is half of it
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
    (narrow,) = imputer._make_members(X, 0, [])
    assert narrow.architecture.is_shown_holes
    (wide,) = imputer._make_members(np.zeros((5, 129)), 0, [])
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


# -- tables with categories ------------------------------------------------------------

N_ROWS = 240


def make_frame(seed=0):
    """Return a table of all kinds of columns; the first three tell of each other."""
    random = np.random.RandomState(seed)
    kind = random.randint(3, size=N_ROWS)
    words = np.array(["b", "a", "c"], dtype=object)
    return pd.DataFrame(
        {
            "letter": pd.Categorical(words[kind], categories=["c", "b", "a", "unused"]),
            "size": pd.Categorical(
                np.array(["S", "M", "L"])[kind],
                categories=["S", "M", "L"],
                ordered=True,
            ),
            "number": kind + 0.1 * random.normal(size=N_ROWS),
            "large": 2**60 + np.arange(N_ROWS),
            "count": pd.array(kind, dtype="Int64"),
            "flag": kind > 0,
            "maybe": pd.array(kind > 1, dtype="boolean"),
            "small": (0.1 * kind).astype(np.float32),
        },
        index=pd.Index(np.arange(N_ROWS)[::-1] + 7, name="row"),
    )


HOLED = ["letter", "size", "number", "count", "maybe", "small"]


def with_holes(frame, seed=1):
    holes = np.random.RandomState(seed).uniform(size=frame.shape) < 0.2
    holes &= frame.columns.isin(HOLED)
    return frame.mask(holes), holes


FRAME = make_frame()
FRAME_HOLES, FRAME_IS_HOLE = with_holes(FRAME)


@pytest.fixture(scope="module")
def fitted():
    return quick().fit(FRAME_HOLES)


def as_polars(frame):
    polars = pytest.importorskip("polars")
    sizes = polars.col("size").cast(polars.Enum(["S", "M", "L", "XL"]))
    return polars.from_pandas(frame).with_columns(sizes)


def test_a_frame_of_pandas_comes_back_with_its_holes_filled(fitted):
    before = FRAME_HOLES.copy(deep=True)
    filled = fitted.transform(FRAME_HOLES)
    pd.testing.assert_frame_equal(FRAME_HOLES, before)
    pd.testing.assert_series_equal(filled.dtypes, FRAME.dtypes)
    pd.testing.assert_index_equal(filled.index, FRAME.index)
    assert not filled.isna().any(axis=None)
    pd.testing.assert_frame_equal(
        filled.mask(FRAME_IS_HOLE), FRAME.mask(FRAME_IS_HOLE), check_exact=True
    )
    pd.testing.assert_frame_equal(fitted.transform(FRAME), FRAME, check_exact=True)


def test_a_frame_of_polars_comes_back_with_its_holes_filled():
    frame = as_polars(FRAME.drop(columns="small"))
    seen, holes = frame.clone(), {}
    for name in ("letter", "size", "number", "count", "maybe"):
        holes[name] = FRAME_IS_HOLE[:, list(FRAME).index(name)]
        column = seen[name].scatter(np.flatnonzero(holes[name]), None)
        seen = seen.with_columns(column)
    filled = quick().fit_transform(seen)
    assert filled.schema == frame.schema
    for name in frame.columns:
        known = ~holes.get(name, np.zeros(N_ROWS, dtype=bool))
        assert filled[name].null_count() == 0
        assert filled[name].filter(known).equals(frame[name].filter(known))


def test_categories_that_others_tell_are_restored(fitted):
    filled = fitted.transform(FRAME_HOLES)
    told = FRAME_IS_HOLE & (FRAME_IS_HOLE.sum(axis=1) <= 4)[:, None]
    for name in ("letter", "size", "maybe", "count"):
        where = told[:, list(FRAME).index(name)]
        assert (filled[name] == FRAME[name])[where].mean() > 0.95


def test_categories_that_nothing_tells_become_the_most_frequent_ones():
    random = np.random.RandomState(0)
    frame = pd.DataFrame({
        "often b": pd.Categorical(random.choice(list("abc"), 400, p=[0.2, 0.6, 0.2])),
        "often no": pd.Categorical(random.choice(["no", "yes"], 400, p=[0.7, 0.3])),
        "number": random.normal(5, 2, size=400),
    })  # fmt: skip
    seen, holes = with_holes(frame.set_axis(HOLED[:3], axis=1))
    filled = quick().fit_transform(seen)
    assert (filled["letter"][holes[:, 0]] == "b").all()
    assert (filled["size"][holes[:, 1]] == "no").all()
    mean, std = seen["number"].mean(), seen["number"].std()
    assert (filled["number"][holes[:, 2]] - mean).abs().max() < 0.5 * std


def test_rows_of_nothing_get_means_and_modes(fitted):
    rows = FRAME_HOLES.drop(columns=["large", "flag"])
    rows.iloc[5] = np.nan
    for parameters in ({}, {"sample_posterior": True, "n_imputations": 1}):
        filled = quick(**parameters).fit_transform(rows)
        assert not filled.isna().any(axis=None)
        if not parameters:
            assert filled["letter"].iloc[5] == rows["letter"].mode()[0]
            assert filled["number"].iloc[5] == pytest.approx(rows["number"].mean())


def test_unknown_categories_are_refused_or_left_as_they_are(fitted):
    rows = FRAME_HOLES.copy()
    rows["letter"] = rows["letter"].cat.rename_categories({"unused": "new"})
    rows.iloc[3, 0] = "new"
    with pytest.raises(ValueError, match=r"unknown categories \['new'\] in column 'le"):
        fitted.transform(rows)
    ignoring = quick(handle_unknown="ignore").fit(FRAME_HOLES)
    filled = ignoring.transform(rows)
    assert filled["letter"].iloc[3] == "new"
    assert list(filled["letter"].cat.categories) == ["c", "b", "a", "unused", "new"]
    assert not filled.isna().any(axis=None)
    like_missing = rows.copy()
    like_missing.iloc[3, 0] = np.nan
    expected = ignoring.transform(like_missing).iloc[3, 1:]
    pd.testing.assert_series_equal(filled.iloc[3, 1:], expected)
    ours = AutoencoderImputer(clone(QUICK).set_params(handle_unknown="ignore"))
    assert ours.fit(FRAME_HOLES).transform(rows)["letter"].iloc[3] == "new"


def test_a_later_frame_may_have_fewer_categories(fitted):
    rows = FRAME_HOLES[FRAME_HOLES["letter"].isin(["a"]) | FRAME_IS_HOLE[:, 0]].copy()
    rows["letter"] = rows["letter"].cat.remove_unused_categories()
    assert list(rows["letter"].cat.categories) == ["a"]
    filled = fitted.transform(rows)
    assert filled["letter"].dtype == FRAME["letter"].dtype
    whole = fitted.transform(FRAME_HOLES).loc[rows.index]
    pd.testing.assert_series_equal(filled["letter"], whole["letter"])


def test_columns_of_a_frame_without_a_known_value():
    frame = FRAME_HOLES.assign(
        nothing=np.nan, none=pd.Categorical([None] * N_ROWS, categories=["x", "y"])
    )
    out = quick(add_indicator=True).fit(frame)
    filled = out.transform(frame)
    assert list(filled.columns[: FRAME.shape[1]]) == list(FRAME)
    assert list(filled.columns) == list(out.get_feature_names_out())
    assert {"nothing", "none"}.isdisjoint(filled.columns)
    kept = quick(keep_empty_features=True).fit(frame)
    filled = kept.transform(frame)
    assert list(filled.columns) == list(frame.columns)
    assert (filled["nothing"] == 0).all()
    assert filled["none"].isna().all()  # there is no category to fill it with
    assert list(filled["none"].cat.categories) == ["x", "y"]
    later = kept.transform(frame.assign(none=frame["none"].fillna("y")))
    assert (later["none"] == "y").all()


def test_indicator_columns_of_frames_are_bools():
    imputer = quick(add_indicator=True).fit(FRAME_HOLES)
    filled = imputer.transform(FRAME_HOLES)
    names = [f"missingindicator_{name}" for name in HOLED]
    assert list(filled.columns) == list(FRAME) + names
    assert list(imputer.get_feature_names_out()) == list(filled.columns)
    assert (filled[names].dtypes == "bool").all()
    holes = FRAME_IS_HOLE[:, FRAME.columns.isin(HOLED)]
    np.testing.assert_array_equal(filled[names], holes)
    whole = imputer.set_output(transform="pandas").transform(FRAME_HOLES)
    pd.testing.assert_frame_equal(whole, filled)
    flags = imputer.transform(as_polars(FRAME_HOLES)).select(names)
    np.testing.assert_array_equal(flags.to_numpy(), holes)


def test_tables_of_objects_are_filled_where_categories_are_named():
    table = FRAME_HOLES[["letter", "number", "flag", "size"]].astype(object)
    table = table.where(table.notna(), None)
    frame = quick(categorical_features=["letter", "size", "flag"]).fit_transform(table)
    rows = quick(categorical_features=[0, 2, 3]).fit_transform(table.to_numpy())
    assert rows.dtype == object
    np.testing.assert_array_equal(frame.to_numpy(), rows)
    known = table.notna().to_numpy()
    np.testing.assert_array_equal(rows[known], table.to_numpy()[known])
    assert set(rows[:, 0]) == set("abc")
    own = clone(QUICK).set_params(categorical_features=["letter", "size", "flag"])
    of_estimator = AutoencoderImputer(own, random_state=0).fit_transform(table)
    pd.testing.assert_frame_equal(of_estimator, frame)


def test_an_estimator_of_numbers_takes_no_categories():
    class Means(SimpleImputer):
        def reconstruct(self, X):
            return self.transform(X)

    AutoencoderImputer(Means()).fit(X_HOLES)
    with pytest.raises(ValueError, match="takes numbers alone, but X has columns with"):
        AutoencoderImputer(Means()).fit(FRAME_HOLES)


@pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
def test_any_autoencoder_fills_tables_with_categories(cls):
    imputer = make(cls, max_iter=5).fit(FRAME_HOLES)
    filled = imputer.transform(FRAME_HOLES)
    assert not filled.isna().any(axis=None)
    assert 1 < imputer.n_iter_ <= 5
    assert list(imputer.estimator_.is_categorical_[:3]) == [True, True, False]


def test_fits_to_frames_agree_to_the_bit_and_go_through_pickles(fitted):
    filled = fitted.transform(FRAME_HOLES)
    again = quick().fit(FRAME_HOLES)
    pd.testing.assert_frame_equal(
        again.transform(FRAME_HOLES), filled, check_exact=True
    )
    copy = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(copy.transform(FRAME_HOLES), filled, check_exact=True)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.transform(FRAME_HOLES.iloc[:, ::-1])
    numbers = again.fit(X_HOLES).transform(X_HOLES)  # nothing is left of the frame
    np.testing.assert_array_equal(numbers, quick().fit_transform(X_HOLES))


def test_default_of_many_categories_is_an_autoencoder():
    codes = np.arange(400.0)[:, None] % [130, 3]
    imputer = AutoencoderImputer()
    (few,) = imputer._make_members(codes, 0, np.array([1]))
    assert few.architecture != "auto"
    (many,) = imputer._make_members(codes, 0, np.array([0, 1]))
    assert many.architecture == "auto"


def test_draws_of_categories_are_as_frequent_as_these_and_belong_together():
    random = np.random.RandomState(0)
    kind = random.choice(3, 900, p=[0.5, 0.3, 0.2])
    frame = pd.DataFrame({
        "letter": pd.Categorical(np.array(list("abc"))[kind]),
        "size": pd.Categorical(np.array(list("xyz"))[kind]),
        "number": random.normal(size=900),
    })  # fmt: skip
    holes = random.uniform(size=900) < 0.5
    seen = frame.copy()
    seen.loc[holes, ["letter", "size"]] = None  # together
    imputer = quick(sample_posterior=True, n_imputations=2).fit(seen)
    tables = imputer.sample_imputations(seen, 6, random_state=0)
    drawn = pd.concat([table[holes] for table in tables])
    shares = drawn["letter"].value_counts(normalize=True)[list("abc")]
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=0.05)
    same = drawn["letter"].cat.codes == drawn["size"].cat.codes
    assert same.mean() > 0.85  # of independent draws 0.38
    pd.testing.assert_frame_equal(tables[0][~holes], seen[~holes], check_exact=True)
    assert not tables[0].equals(tables[2])
    pd.testing.assert_frame_equal(imputer.transform(seen), imputer.transform(seen))


def test_draws_of_numbers_beside_categories_spread_as_these_do():
    random = np.random.RandomState(0)
    kind = random.randint(2, size=900)
    frame = pd.DataFrame({
        "kind": pd.Categorical(np.array(["no", "yes"])[kind]),
        "number": 3.0 * kind + random.normal(size=900),
    })  # fmt: skip
    holes = random.uniform(size=900) < 0.3
    seen = frame.assign(number=frame["number"].mask(holes))
    imputer = quick(sample_posterior=True, n_imputations=2).fit(seen)
    drawn = pd.concat(imputer.sample_imputations(seen, 8, random_state=0))
    of_kind = drawn[np.tile(holes, 8)].groupby("kind", observed=True)["number"]
    np.testing.assert_allclose(of_kind.mean(), [0, 3], atol=0.2)
    np.testing.assert_allclose(of_kind.std(), 1, atol=0.15)


# -- members ---------------------------------------------------------------------------


def test_holes_are_filled_with_the_mean_of_members_and_their_spread_is_known():
    imputer = make(n_members=3, random_state=0).fit(X_HOLES)
    assert len({e.random_state for e in imputer.estimators_}) == 3
    made = np.stack([e.reconstruct(X_HOLES) for e in imputer.estimators_])
    filled, spread = imputer.transform(X_HOLES), imputer.imputation_spread(X_HOLES)
    np.testing.assert_allclose(filled[HOLES], made.mean(axis=0)[HOLES])
    np.testing.assert_allclose(spread[HOLES], made.std(axis=0, ddof=1)[HOLES])
    assert (spread[HOLES] > 0).all()
    np.testing.assert_array_equal(spread[~HOLES], 0.0)
    np.testing.assert_array_equal(filled[~HOLES], X_HOLES[~HOLES])


def test_members_are_fits_of_their_own():
    imputer = make(n_members=3, random_state=0).fit(X_HOLES)
    for estimator in imputer.estimators_:
        alone = clone(estimator).fit(X_HOLES)
        np.testing.assert_allclose(
            alone.reconstruct(X_HOLES), estimator.reconstruct(X_HOLES), rtol=1e-3
        )
    first = make(random_state=0).fit(X_HOLES)
    assert first.estimator_.random_state == imputer.estimator_.random_state
    assert imputer.estimator_ is imputer.estimators_[0]


def test_more_members_are_nearer_to_what_was_hidden():
    estimator = AutoencoderTransformer(
        3,
        corruption=Masking(0.3, fill="missing"),
        max_epochs=15,
        early_stopping=False,
    )
    rmse = {}
    for n_members in (1, 4):
        imputer = AutoencoderImputer(estimator, n_members=n_members)
        filled = [
            clone(imputer).set_params(random_state=seed).fit_transform(X_HOLES)
            for seed in range(2)
        ]
        off = (np.stack(filled) - X) / X.std(axis=0)
        rmse[n_members] = np.sqrt(np.square(off[:, HOLES]).mean())
    assert rmse[4] < rmse[1]


def test_rounds_of_members_are_rounds_of_their_mean():
    imputer = make(n_members=2, max_iter=500, tol=1e-6, random_state=0).fit(X_HOLES)
    filled = imputer.transform(X_HOLES)
    made = np.mean([e.reconstruct(filled) for e in imputer.estimators_], axis=0)
    off = np.abs(made - filled)[HOLES] / np.broadcast_to(X.std(axis=0), X.shape)[HOLES]
    assert off.max() < 1e-3
    assert imputer.n_iter_ > 2
    own = np.stack([e.reconstruct(filled) for e in imputer.estimators_])
    np.testing.assert_allclose(
        imputer.imputation_spread(X_HOLES)[HOLES], own.std(axis=0, ddof=1)[HOLES]
    )


def test_members_agree_on_the_category_that_is_most_probable_to_all_of_them():
    imputer = make(n_members=3, random_state=0).fit(FRAME_HOLES)
    filled = imputer.transform(FRAME_HOLES)
    spread = imputer.imputation_spread(FRAME_HOLES)
    rows = imputer._check_rows(FRAME_HOLES)
    j = FRAME_HOLES.columns.get_loc("letter")
    of_each = [e.reconstruct_proba(rows)[j] for e in imputer.estimators_]
    letters = FRAME_HOLES["letter"].cat.categories.to_numpy()
    holes = FRAME_HOLES["letter"].isna().to_numpy()
    expected = letters[np.mean(of_each, axis=0).argmax(axis=1)][holes]
    np.testing.assert_array_equal(filled["letter"].to_numpy()[holes], expected)
    own = np.stack([letters[probabilities.argmax(axis=1)] for probabilities in of_each])
    others = (own[:, holes] != expected).mean(axis=0)
    assert 0 < others.mean() < 0.5
    np.testing.assert_allclose(spread[holes, j], others)
    np.testing.assert_array_equal(spread[~holes, j], 0.0)


def test_draws_are_around_the_mean_of_members():
    imputer = make(
        n_members=2, n_imputations=2, sample_posterior=True, random_state=0
    ).fit(X_HOLES)
    assert [len(model.filler.estimators) for model in imputer._models] == [2, 2]
    draws = imputer.sample_imputations(X_HOLES, 200, random_state=0)
    middle = np.mean([m.filler.fill(X_HOLES)[0] for m in imputer._models], axis=0)
    off = (draws.mean(axis=0) - middle)[HOLES] / draws.std(axis=0)[HOLES]
    assert np.abs(off).mean() < 0.5
    table = make(n_members=2, n_imputations=2, sample_posterior=True, random_state=0)
    drawn = table.fit_transform(FRAME_HOLES)
    assert not drawn.isna().any(axis=None)


def test_columns_without_a_known_value_have_no_spread():
    rows = X_HOLES.copy()
    rows[:, 3] = np.nan
    rows[5] = np.nan
    imputer = make(n_members=2, random_state=0).fit(rows)
    without = imputer.imputation_spread(rows)
    assert without.shape == (len(X), X.shape[1] - 1)
    np.testing.assert_array_equal(without[5], 0.0)
    imputer.set_params(keep_empty_features=True).fit(rows)
    spread = imputer.imputation_spread(rows)
    np.testing.assert_array_equal(spread[:, 3], 0.0)
    np.testing.assert_array_equal(np.delete(spread, 3, axis=1), without)


def test_members_need_seeds_and_a_spread_needs_members():
    class Means(SimpleImputer):
        def reconstruct(self, X):
            return self.transform(X)

    with pytest.raises(ValueError, match="n_members=2: members differ by their seed"):
        AutoencoderImputer(Means(), n_members=2).fit(X_HOLES)
    with pytest.raises(ValueError, match="imputation_spread is about members"):
        make().fit(X_HOLES).imputation_spread(X_HOLES)
    with pytest.raises(NotFittedError):
        make(n_members=2).imputation_spread(X_HOLES)
    with pytest.raises(InvalidParameterError, match="'n_members' parameter of"):
        make(n_members=1.5).fit(X_HOLES)
