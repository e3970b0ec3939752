"""Tables with categories: from a DataFrame to codes, and back to the same columns."""

import itertools
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, VAETransformer
from skae._sklearn import InvalidParameterError
from skae.architectures import MLP
from skae.compression import LosslessCodec, LossyCodec
from skae.corruptions import Masking
from skae.likelihoods import Gaussian, NegativeBinomial, PerColumn, Poisson
from skae.penalties import Contractive, Sparse

AE, VAE = AutoencoderTransformer, VAETransformer
BOTH = pytest.mark.parametrize("cls", [AE, VAE])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CITIES = pd.CategoricalDtype(["Oslo", "Rome", "Lima", "Nuuk"])  # nobody is from Nuuk
GRADES = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)


def people(n=200, seed=0, *, holes=True):
    """Return a table of columns of every kind, of which the city tells the others."""
    noise = np.random.RandomState(seed)
    city = noise.randint(3, size=n)
    table = pd.DataFrame(
        {
            "city": pd.Categorical.from_codes(city, dtype=CITIES),
            "height": (170 + 5 * city + noise.randn(n)).astype("float32"),
            "grade": pd.Categorical.from_codes(
                (city + (noise.uniform(size=n) < 0.1)) % 3, dtype=GRADES
            ),
            "children": pd.array(noise.poisson(1 + 2 * city), dtype="Int64"),
            "age": (20 + 20 * city + noise.randint(10, size=n)).astype("int16"),
            "smokes": city == 1,
            "plan": np.array(["a", "b", "b"], dtype=object)[city],
        },
        index=np.arange(1000, 1000 + n),
    ).astype({"plan": "category"})
    if holes:
        table.loc[1003, ["city", "height", "children", "plan"]] = None
        table.loc[1005, ["grade", "plan"]] = None
    return table


TABLE = people()


def make(cls, **parameters):
    """Return an estimator that is small, quick to fit, and reproducible."""
    defaults = {
        "n_components": 2,
        "architecture": MLP((16,)),
        "max_epochs": 20 if cls is AE else 60,
        "batch_size": 32,
        "refit": False,
        "random_state": 0,
    }
    return cls(**defaults | parameters)


@pytest.fixture(scope="module", params=[AE, VAE], ids=["AE", "VAE"])
def fitted(request):
    return make(request.param).fit(TABLE)


# -- there and back --------------------------------------------------------------------


def test_rows_come_back_as_the_same_columns(fitted):
    for rows in (fitted.reconstruct(TABLE), fitted.sample(50, random_state=0)):
        pd.testing.assert_series_equal(rows.dtypes, TABLE.dtypes)
        assert rows.notna().all(axis=None)
    back = fitted.inverse_transform(fitted.transform(TABLE))
    pd.testing.assert_frame_equal(
        back, fitted.reconstruct(TABLE).reset_index(drop=True)
    )


def test_the_index_goes_along(fitted):
    assert (fitted.reconstruct(TABLE).index == TABLE.index).all()
    codes = clone(fitted).set_output(transform="pandas").fit_transform(TABLE)
    assert (codes.index == TABLE.index).all()
    assert (fitted.inverse_transform(codes).index == TABLE.index).all()


def test_what_depends_on_the_city_is_learned(fitted):
    known = TABLE.dropna()
    back = fitted.reconstruct(known)
    for name in ("city", "plan", "smokes"):
        assert (back[name] == known[name]).mean() > 0.85
    # noise in one row of ten
    assert (back["grade"] == known["grade"]).mean() > 0.85
    errors = back["age"].astype(float) - known["age"]
    assert errors.std() < 0.4 * known["age"].std()


def test_a_missing_category_is_filled_from_the_rest(fitted):
    rows = people(holes=False)
    holed = rows.assign(city=rows["city"].where(np.arange(len(rows)) % 2 == 0))
    filled = fitted.reconstruct(holed)
    assert (filled["city"] == rows["city"]).mean() > 0.95


def test_draws_have_the_shares_of_the_training_rows():
    model = make(VAE, max_epochs=100).fit(TABLE)
    drawn = model.sample(4000, random_state=0)
    for name in ("city", "plan", "smokes"):
        shares = TABLE[name].value_counts(normalize=True)
        of_draws = drawn[name].value_counts(normalize=True)
        assert (of_draws - shares).abs().max() < 0.08
    assert drawn["children"].min() >= 0 or drawn["children"].std() > 0
    joint = pd.crosstab(drawn["city"], drawn["plan"], normalize="index")
    assert joint.loc["Oslo", "a"] > 0.8
    assert joint.loc["Rome", "b"] > 0.8


@pytest.mark.parametrize("kind", [pl.Categorical, pl.Enum(["x", "y", "z"])], ids=str)
@BOTH
def test_a_table_of_polars_comes_back_as_one(cls, kind):
    noise = np.random.RandomState(0)
    codes = noise.randint(3, size=60)
    table = pl.DataFrame(
        {
            "kind": pl.Series([["x", "y", "z"][c] for c in codes]).cast(kind),
            "size": pl.Series(10 * codes + noise.randn(60), dtype=pl.Float32),
            "count": pl.Series(codes, dtype=pl.Int8),
            "ok": pl.Series(codes == 0),
        }
    )
    table[2, "kind"] = None
    table[3, "size"] = None
    model = make(cls).fit(table)
    for rows in (model.reconstruct(table), model.sample(9, random_state=0)):
        assert rows.schema == table.schema
        assert sum(rows.null_count().row(0)) == 0
    back = model.reconstruct(table)
    same = back["kind"].cast(pl.String) == table["kind"].cast(pl.String)
    assert same.mean() > 0.95
    assert model.set_output(transform="polars").transform(table).shape == (60, 2)


@BOTH
def test_integers_come_back_rounded_and_within_their_dtype(cls):
    column = np.tile([0, 255], 30).astype("uint8")
    table = pd.DataFrame({"a": column, "b": pd.Categorical(column > 0)})
    model = make(cls, n_components=1).fit(table)
    far = np.array([[1e3], [-1e3]])
    assert set(model.inverse_transform(far)["a"]) <= set(range(256))


@BOTH
def test_a_column_of_one_category_comes_back(cls):
    table = people(holes=False)[["city", "height"]].assign(
        country=pd.Categorical(["Peru"] * 200)
    )
    model = make(cls, max_epochs=2).fit(table)
    assert (model.sample(9, random_state=0)["country"] == "Peru").all()
    assert np.isfinite(model.score(table))


@BOTH
def test_named_columns_of_polars_keep_their_dtypes(cls):
    table = pl.DataFrame(
        {"kind": ["x", "y", None, "y"] * 10, "code": [3, 3, 8, 8] * 10, "size": 1.5}
    ).with_columns(size=pl.col("code") + pl.Series(np.arange(40.0)))
    model = make(cls, categorical_features=["kind", "code"], max_epochs=2).fit(table)
    back = model.reconstruct(table)
    assert back.schema == table.schema
    assert set(back["code"]) <= {3, 8}


# -- which columns have categories -----------------------------------------------------


@BOTH
def test_a_table_of_numbers_is_what_it_was_before(cls):
    table = TABLE[["height", "age"]].dropna()
    model = make(cls, n_components=1).fit(table)
    assert model.is_categorical_ is None
    assert model.categories_ == [None, None]
    of_array = make(cls, n_components=1).fit(table.to_numpy())
    np.testing.assert_array_equal(
        model.reconstruct(table), of_array.reconstruct(table.to_numpy())
    )


def test_categories_are_those_of_the_rows_in_the_order_of_the_dtype():
    model = make(AE, max_epochs=1).fit(TABLE)
    assert model.is_categorical_.tolist() == [
        True,
        False,
        True,
        False,
        False,
        True,
        True,
    ]
    categories = model.categories_
    assert categories[0].tolist() == ["Oslo", "Rome", "Lima"]
    assert categories[1] is None
    assert categories[2].tolist() == ["low", "mid", "high"]
    assert categories[5].tolist() == [False, True]


@BOTH
@pytest.mark.parametrize(
    "features",
    [["city", "plan"], [0, 2], np.array([True, False, True])],
    ids=["names", "positions", "mask"],
)
def test_categories_may_be_named(cls, features):
    text = TABLE[["city", "age", "plan"]].astype({"city": object, "plan": "str"})
    text.iloc[9, 0] = pd.NA
    of_dtype = make(cls).fit(text.astype({"city": "category", "plan": "category"}))
    named = make(cls, categorical_features=features).fit(text)
    np.testing.assert_array_equal(
        named.transform(text),
        of_dtype.transform(text.astype({"city": "category", "plan": "category"})),
    )
    back = named.reconstruct(text)
    pd.testing.assert_series_equal(back.dtypes, text.dtypes)


@BOTH
def test_numbers_of_an_array_may_be_categories(cls):
    noise = np.random.RandomState(0)
    codes = noise.randint(3, size=80)
    values = np.array([2.5, 7.0, 100.0])[codes]
    X = np.column_stack([values, codes + 0.1 * noise.randn(80)])
    X[4, 0] = np.nan
    model = make(cls, categorical_features=[0]).fit(X)
    back = model.reconstruct(X)
    assert back.dtype == np.float64
    assert set(back[:, 0]) <= {2.5, 7.0, 100.0}
    assert (back[:, 0] == values).mean() > (0.95 if cls is AE else 0.6)
    ways = model.interpolate(X[:1], X[1:2], n_steps=4)
    # to rounding: four rows may be multiplied by another routine than eighty
    np.testing.assert_allclose(ways[0, [0, -1]], back[:2], rtol=1e-12)


@BOTH
def test_an_array_of_objects_comes_back_as_one(cls):
    rows = [["red", 1.0], ["blue", -1.0], [None, 0.5], ["red", None]] * 20
    model = make(cls, n_components=1, categorical_features=[0]).fit(rows)
    back = model.reconstruct(np.array(rows, dtype=object))
    assert back.dtype == object
    assert back[0, 0] == "red"
    assert back[1, 0] == "blue"


def test_arrays_have_no_dtype_to_go_by():
    X = np.random.RandomState(0).randint(3, size=(40, 3)).astype(float)
    assert make(AE, max_epochs=1).fit(X).is_categorical_ is None


# -- what is refused -------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("door", ["fit", "partial_fit"])
def test_a_column_of_text_is_refused_with_both_ways_out(cls, door):
    table = TABLE.assign(plan=["a", "b"] * 100)
    match = (
        r"(?s)could not convert string to float: 'a' in column 'plan'"
        r".*astype\('category'\).*categorical_features=\['plan'\]"
    )
    with pytest.raises(ValueError, match=match):
        getattr(make(cls), door)(table)


@BOTH
def test_a_category_is_no_number_where_none_is_declared(cls):
    match = r"column 'city' of X has dtype category, expected numbers.*categorical_fe"
    with pytest.raises(ValueError, match=match):
        make(cls, categorical_features=None).fit(TABLE)


@BOTH
@pytest.mark.parametrize(
    ("features", "error", "match"),
    [
        (["town"], ValueError, r"categorical_features has 'town', but X has no such"),
        (
            [7],
            ValueError,
            r"position 7, but X has 7 features: .* from 0 to 6",
        ),
        ([-1], ValueError, r"position -1, but X has 7 features"),
        ([True], ValueError, r"a mask of 1 columns, but X has 7 features"),
        ([0.5], ValueError, r"has 0\.5, expected names or positions"),
        (
            "all",
            InvalidParameterError,
            r"'categorical_features' parameter of .* must",
        ),
    ],
    ids=str,
)
def test_categorical_features_must_be_columns_of_X(cls, features, error, match):
    with pytest.raises(error, match=match):
        make(cls, categorical_features=features).fit(TABLE)


def test_names_need_a_table_that_has_some():
    with pytest.raises(ValueError, match="'a', but the columns of X have no names"):
        make(AE, categorical_features=["a"]).fit(np.ones((9, 2)))


@BOTH
def test_an_unknown_category_is_refused_or_missing(cls, fitted):
    strange = TABLE.copy()
    strange["city"] = strange["city"].astype(object)
    strange.iloc[4, 0] = "Paris"
    match = r"unknown categories \['Paris'\] in column 'city'.*'Lima'\].*handle_unknown"
    with pytest.raises(ValueError, match=match):
        fitted.transform(strange)
    tolerant = clone(fitted).set_params(handle_unknown="ignore").fit(TABLE)
    missing = strange.assign(city=strange["city"].where(strange["city"] != "Paris"))
    np.testing.assert_array_equal(
        tolerant.transform(strange), tolerant.transform(missing)
    )


def test_a_category_that_only_the_dtype_has_is_unknown(fitted):
    strange = TABLE.copy()
    strange.iloc[4, 0] = "Nuuk"
    with pytest.raises(ValueError, match=r"unknown categories \['Nuuk'\]"):
        fitted.score(strange)


def test_a_column_without_a_known_category_is_refused():
    with pytest.raises(ValueError, match="column 'city' of X has no known value"):
        make(AE).fit(TABLE.assign(city=pd.Categorical([None] * 200, dtype=CITIES)))


def test_a_row_without_a_known_value_is_refused(fitted):
    empty = TABLE.astype({"age": "Int16", "smokes": "boolean"})
    empty.iloc[4] = None
    with pytest.raises(ValueError, match="row 4 of X has no known value"):
        fitted.transform(empty)


@pytest.mark.parametrize("door", ["fit", "partial_fit", "transform", "score"])
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda t: t[:0], ValueError, r"0 sample\(s\)"),
        (lambda t: t[["city", "city"]], ValueError, "(?i)duplicate|unique"),
        (lambda t: t.rename(columns={"age": 4}), TypeError, "only supported if all in"),
        (
            lambda t: t.assign(age=np.inf),
            ValueError,
            r"infinity(?s:.*)'age' has inf in",
        ),
        (
            lambda t: t.assign(age=1e200),
            ValueError,
            r"beyond 1e\+150(?s:.*)column 'age'",
        ),
        (lambda t: t.assign(age=1j), ValueError, "Complex data not .* column 'age'"),
        (
            lambda t: t.assign(age=pd.date_range("2020", periods=len(t))),
            ValueError,
            "column 'age' of X has dtype datetime64.*expected numbers",
        ),
    ],
    ids=["empty", "twice", "types", "inf", "huge", "complex", "dates"],
)
def test_a_bad_table_is_refused_at_every_door(fitted, door, change, error, match):
    model = clone(fitted) if door == "fit" else fitted
    with pytest.raises(error, match=match):
        getattr(model, door)(change(TABLE))


@pytest.mark.parametrize("door", ["partial_fit", "transform", "score"])
@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.rename(columns={"age": "old"}),
        lambda t: t[t.columns[::-1]],
        lambda t: t.drop(columns="age"),
    ],
    ids=["renamed", "reordered", "missing"],
)
def test_other_columns_than_those_of_fit_are_refused(fitted, door, change):
    with pytest.raises(ValueError, match="feature names should match"):
        getattr(fitted, door)(change(TABLE))


@BOTH
def test_a_table_is_no_image(cls):
    with pytest.raises(
        ValueError, match=r"image_shape=.* is for images, or for tables"
    ):
        make(cls, architecture="auto", image_shape=(1, 1, 7)).fit(TABLE)


@pytest.mark.parametrize(
    ("laws", "match"),
    [
        (
            PerColumn({"city": Poisson()}),
            "for column 'city', but it has categories",
        ),
        (PerColumn({"town": Poisson()}), "likelihood has 'town', but X has no such"),
        (PerColumn({"age": "cauchy"}), "law 'cauchy', expected a Likelihood or a name"),
        (PerColumn({"age": 3}), "law of 'age' in PerColumn must be a Likelihood"),
        (PerColumn({"height": Poisson()}), "whole numbers, but column 'height' has"),
        (PerColumn(rest="bernoulli"), r"X in \[0, 1\], but column 'height' spans"),
    ],
    ids=str,
)
def test_laws_must_suit_the_columns(laws, match):
    with pytest.raises(ValueError, match=match):
        make(VAE, likelihood=laws).fit(TABLE)


def test_codecs_take_rows_of_numbers(fitted):
    with pytest.raises(ValueError, match="a table with categories, and LossyCodec"):
        LossyCodec(fitted, step=1.0)
    if isinstance(fitted, VAE):
        with pytest.raises(ValueError, match="gives no probability of whole numbers"):
            LosslessCodec(fitted)


# -- scores ----------------------------------------------------------------------------


def test_probabilities_of_all_rows_add_up():
    rows = itertools.product(["x", "y", "z"], ["u", "v"])
    every = pd.DataFrame(rows, columns=["a", "b"], dtype="category")
    table = every.iloc[np.repeat(range(6), [30, 2, 3, 20, 10, 10])]
    model = make(VAE).fit(table)
    log_likelihood = model.log_likelihood(every, n_draws=2000)
    assert np.exp(log_likelihood).sum() == pytest.approx(1, abs=0.02)
    assert (model.score_samples(every) <= log_likelihood + 0.05).all()


@pytest.mark.parametrize("likelihood", ["calibrated", "gaussian", "laplace"])
def test_a_unit_of_measure_changes_the_score_by_its_logarithm(likelihood):
    table = people(holes=False)[["city", "height", "age"]].astype({"age": float})
    scores = [
        make(VAE, likelihood=likelihood, max_epochs=5).fit(rows).score(rows)
        for rows in (table, table.assign(height=16 * table["height"]))
    ]
    assert scores[1] == pytest.approx(scores[0] - np.log(16), abs=1e-3)


@BOTH
@pytest.mark.parametrize("law", [Poisson(), NegativeBinomial()])
def test_one_law_of_counts_is_that_of_each_column(cls, law):
    rows = np.random.default_rng(0).poisson(4, size=(60, 4)) * (
        np.arange(60)[:, None] % 3
    )
    scores = [
        cls(2, max_epochs=2, random_state=0, **{cls._likelihood_parameter: laws})
        .fit(rows)
        .score(rows)
        for laws in (law, PerColumn(rest=law))
    ]
    assert scores[0] == scores[1]


@BOTH
def test_training_starts_no_worse_than_at_the_means(cls):
    laws = PerColumn({"children": Poisson()})
    for law in ({}, {cls._likelihood_parameter: laws}):
        start = {"max_epochs": 1, "lr": 1e-12, "schedule": "constant"}
        model = make(cls, **start, **law).fit(TABLE)
        with torch.no_grad():
            model.module_.decoder.linear.weight.zero_()
        of_means = make(cls, **start, **law, init="random").fit(TABLE)
        start_loss = model.validation_curve_[0]
        module = model.module_
        module.train()
        U, known = module.open_rows(torch.tensor(model._check_rows(TABLE)))
        _, terms = module.loss(module(U), U, known)
        assert start_loss < terms["reconstruction"].item()
        assert start_loss < of_means.validation_curve_[0]


def test_errors_of_categories_are_those_of_their_probabilities(fitted):
    errors = fitted.reconstruction_error(TABLE, per_feature=True)
    assert errors.shape == TABLE.shape
    assert (np.isnan(errors) == TABLE.isna().to_numpy()).all()
    np.testing.assert_allclose(
        fitted.reconstruction_error(TABLE), np.nansum(errors, axis=1)
    )
    probabilities = fitted.reconstruct_proba(TABLE)
    assert list(probabilities) == ["city", "grade", "smokes", "plan"]
    for name, shares in probabilities.items():
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        j = TABLE.columns.get_loc(name)
        is_it = TABLE[name].to_numpy()[:, None] == fitted.categories_[j]
        brier = np.square(is_it - shares).sum(axis=1)
        known = TABLE[name].notna()
        np.testing.assert_allclose(errors[known, j], brier[known])
        best = fitted.categories_[j][shares.argmax(axis=1)]
        assert (fitted.reconstruct(TABLE)[name] == best).all()


def test_probabilities_need_categories():
    model = make(AE, max_epochs=1).fit(np.random.RandomState(0).randn(30, 3))
    with pytest.raises(ValueError, match="about categories, but X of fit had none"):
        model.reconstruct_proba(np.zeros((1, 3)))


def test_the_share_explained_is_that_of_scaled_numbers_and_one_hot_codes():
    table = people(holes=False)[["city", "height"]]
    model = make(AE).fit(table)
    errors = model.reconstruction_error(table)
    one_hot = pd.get_dummies(table["city"]).to_numpy(float)
    variance = 1 + one_hot.var(axis=0).sum()
    height = table["height"].std(ddof=0)
    scale = model.module_.scaler.scale[0].item()  # of the training rows
    variance += (height / scale) ** 2 - 1
    assert model.score(table) == pytest.approx(1 - errors.mean() / variance)
    assert model.score(table) > 0.9


# -- the rest of an estimator's life ---------------------------------------------------


def test_a_pickle_gives_the_same_rows(fitted):
    copied = pickle.loads(pickle.dumps(fitted))
    pd.testing.assert_frame_equal(copied.reconstruct(TABLE), fitted.reconstruct(TABLE))
    again = clone(fitted).fit(TABLE)
    again._history["seconds"] = fitted._history["seconds"]
    assert pickle.dumps(again) == pickle.dumps(fitted)


def test_float32_is_scored_like_float64(fitted):
    single = people(holes=False)[["city", "height"]]
    model = clone(fitted).fit(single)
    assert model.transform(single).dtype == np.float32
    double = single.astype({"height": "float64"})
    np.testing.assert_allclose(
        model.score_samples(single), model.score_samples(double), rtol=1e-4, atol=1e-4
    )


@BOTH
def test_a_pipeline_with_categories_is_searched(cls):
    parameter = cls._likelihood_parameter
    rest = "absolute_error" if cls is AE else "laplace"
    steps = make_pipeline(
        make(cls, max_epochs=3, **{parameter: PerColumn({"children": Poisson()})}),
        LogisticRegression(),
    )
    step = steps.steps[0][0]
    grid = {
        f"{step}__n_components": [1, 2],
        f"{step}__{parameter}__rest": [None, rest],
    }
    search = GridSearchCV(steps, grid, cv=2).fit(TABLE, TABLE["age"] > 40)
    assert search.best_score_ > 0.6
    clone(search).fit(TABLE, TABLE["age"] > 40)


@BOTH
def test_training_goes_on_with_the_same_columns(cls):
    model = make(cls, max_epochs=1)
    for seed in range(3):
        model.partial_fit(people(seed=seed).reset_index(drop=True))
    model.set_params(warm_start=True).fit(TABLE)
    pd.testing.assert_series_equal(model.reconstruct(TABLE).dtypes, TABLE.dtypes)
    with pytest.raises(ValueError, match="unknown categories"):
        model.partial_fit(TABLE.assign(plan="c").astype({"plan": "category"}))


@pytest.mark.parametrize("penalty", [Sparse("kl"), Contractive()], ids=str)
def test_penalties_suit_a_table(penalty):
    model = make(AE, penalty=penalty, max_epochs=5).fit(TABLE)
    assert model.score(TABLE) > 0.2
    assert model.validation_curve_[-1] < model.history_["validation_loss"][0]


@BOTH
def test_another_table_forgets_the_first(cls):
    model = make(cls, max_epochs=1).fit(TABLE)
    model.fit(np.random.RandomState(0).randn(30, 3))
    assert model.is_categorical_ is None
    assert isinstance(model.sample(2, random_state=0), np.ndarray)


class Scoring:
    """A callback of scikit-learn that scores the table at every epoch."""

    def __init__(self):
        self.scores = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        assert X is TABLE
        self.scores.append(fitted_estimator.score(X))


def test_callbacks_see_the_table():
    callback = Scoring()
    model = make(AE, max_epochs=2).set_callbacks(callback).fit(TABLE)
    assert len(callback.scores) == 3
    assert callback.scores[-1] == model.score(TABLE)


def test_a_category_is_masked_as_a_whole():
    model = make(AE, corruption=Masking(0.5, fill="center"), max_epochs=1).fit(TABLE)
    module = model.module_
    U, _ = module.open_rows(torch.tensor(model._check_rows(TABLE)))
    masked = module.corrupt(U, module.rng) != U
    of_city = masked[:, module.layout.columns == 0]  # one entry each
    changed = of_city.any(dim=1)
    assert 0.3 < changed.double().mean() < 0.7
    assert (of_city.all(dim=1) == changed).all()


@BOTH
def test_laws_by_position_suit_an_array(cls):
    noise = np.random.RandomState(0)
    rate = noise.randint(1, 9, size=200)
    X = np.column_stack([noise.poisson(rate), rate + noise.randn(200)]).astype(float)
    law = PerColumn({0: Poisson()}, rest=Gaussian())
    model = make(cls, n_components=1, **{cls._likelihood_parameter: law}).fit(X)
    back = model.reconstruct(X)
    assert isinstance(back, np.ndarray)
    assert (back[:, 0] > 0).all()
    assert np.corrcoef(back[:, 0], rate)[0, 1] > 0.8
    assert model.score(X) > (0.5 if cls is AE else -6)
