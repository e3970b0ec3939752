"""AutoencoderOutlierDetector: thresholds are honest, and anomalies are found."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import NearestNeighbors

import skae
from skae import AutoencoderOutlierDetector, AutoencoderTransformer, VAETransformer
from skae._anomaly_model import folds_of, share_to_repeat
from skae._columns import Columns
from skae._conformal import benjamini_hochberg, conformal_p_values
from skae._outlier_detector import offset_of_share
from skae._random import draw_seed
from skae._sklearn import InvalidParameterError
from skae._strangeness import ResidualMeasure, Unit, soft_maximum
from skae._table_units import TableUnits
from skae._weights import row_hashes
from skae.architectures import MLP, DenoisingMLP

LINEAR = AutoencoderTransformer(2, architecture=MLP(()), max_epochs=1)


def usual_rows(n_samples, seed):
    """Return rows of six columns that hang together by two hidden ones."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(0).normal(size=(2, 6))
    return rng.normal(size=(n_samples, 2)) @ loadings + 0.3 * rng.normal(
        size=(n_samples, 6)
    )


def broken_rows(n_samples, seed):
    """Return rows with the same columns, each in another order."""
    rng = np.random.default_rng(seed)
    return rng.permuted(usual_rows(n_samples, seed + 1), axis=0)


X_TRAIN = usual_rows(600, 1)


@pytest.fixture(scope="module")
def detector():
    return AutoencoderOutlierDetector(LINEAR, random_state=0).fit(X_TRAIN)


# -- p-values --------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.33])
def test_a_share_of_new_rows_is_below_its_threshold_whatever_the_ranks(share):
    """Sixty scores have ranks of 1.6 %, and thresholds lie between them."""
    random = np.random.RandomState(0)
    below = [
        (random.uniform(size=500) < offset_of_share(share, np.sort(scores))).mean()
        for scores in random.uniform(size=(3000, 60))
    ]
    assert np.mean(below) == pytest.approx(share, abs=0.003)


def test_p_value_is_the_share_of_scores_as_low_with_the_row_itself():
    calibration = np.array([-3.0, -1.0, -1.0, 2.0])
    p = conformal_p_values(np.array([-4.0, -3.0, -1.0, 0.0, 2.0]), calibration)
    np.testing.assert_array_equal(p, np.array([1, 2, 4, 4, 5]) / 5)


@pytest.mark.parametrize("seed", range(5))
def test_rejections_are_those_of_scipy(seed):
    p = np.random.default_rng(seed).uniform(size=50) ** 3
    expected = false_discovery_control(p, method="bh") <= 0.2
    np.testing.assert_array_equal(benjamini_hochberg(p, 0.2), expected)
    assert expected.any()


def test_nothing_is_rejected_when_no_p_value_is_low():
    assert not benjamini_hochberg(np.array([0.5, 0.9]), 0.1).any()


def test_new_rows_of_the_usual_kind_have_uniform_p_values(detector):
    p = detector.p_values(usual_rows(20_000, 2))
    for level in (0.02, 0.05, 0.1, 0.5):
        # calibration on 600 rows has a standard error of its own
        error = 3 * np.sqrt(level * (1 - level) / len(X_TRAIN))
        assert abs((p <= level).mean() - level) < error


def test_default_threshold_calls_one_usual_row_in_twenty_an_outlier(detector):
    flagged = detector.predict(usual_rows(20_000, 2)) == -1
    assert abs(flagged.mean() - 0.05) < 0.02
    np.testing.assert_array_equal(
        flagged, detector.p_values(usual_rows(20_000, 2)) <= 0.05
    )


def test_false_discoveries_are_few(detector):
    shares, found = [], []
    for seed in range(40):
        X = np.concatenate([usual_rows(180, seed + 100), broken_rows(20, seed + 500)])
        selected = detector.select_outliers(X, fdr=0.2)
        shares.append(selected[:180].sum() / max(1, selected.sum()))
        found.append(selected[180:].mean())
    assert np.mean(shares) < 0.2 + 0.05
    assert np.mean(found) > 0.3


# -- thresholds ------------------------------------------------------------------------


def test_contamination_is_the_share_of_training_rows_called_outliers():
    detector = AutoencoderOutlierDetector(LINEAR, contamination=0.1, random_state=0)
    assert (detector.fit_predict(X_TRAIN) == -1).sum() == 60


def test_threshold_moves_without_another_fit(detector):
    detector = pickle.loads(pickle.dumps(detector))
    scores = detector.score_samples(X_TRAIN)
    assert (
        detector.set_threshold(contamination=0.2).predict(X_TRAIN) == -1
    ).sum() == 120
    assert (detector.set_threshold(quantile=0.8).predict(X_TRAIN) == -1).sum() == 480
    np.testing.assert_array_equal(detector.score_samples(X_TRAIN), scores)
    X = np.concatenate([usual_rows(300, 5), broken_rows(300, 5)])
    outliers = detector.set_threshold(p_value=0.01).predict(X) == -1
    np.testing.assert_array_equal(outliers, detector.p_values(X) <= 0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one of contamination, quantile and p_value, got none"),
        ({"quantile": 0.1, "p_value": 0.1}, "got ['quantile', 'p_value']"),
        ({"contamination": 0.6}, "contamination must be a float in (0, 0.5], got 0.6"),
        ({"p_value": 1e-4}, "below the lowest there is with 600 scored training rows"),
    ],
)
def test_bad_threshold_is_refused(detector, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        detector.set_threshold(**arguments)


# -- scores ----------------------------------------------------------------------------


def test_training_rows_have_scores_of_models_that_have_not_seen_them(detector):
    scores = detector.score_samples(X_TRAIN)
    np.testing.assert_array_equal(np.sort(scores), np.sort(detector.training_scores_))
    # also one by one, in another order, and as another dtype that holds the same
    np.testing.assert_array_equal(detector.score_samples(X_TRAIN[[7]]), scores[[7]])
    rounded = X_TRAIN.astype(np.float32)
    again = AutoencoderOutlierDetector(LINEAR, random_state=0).fit(rounded)
    np.testing.assert_array_equal(
        again.score_samples(rounded), again.score_samples(rounded.astype(np.float64))
    )


def scores_by(detector, estimator, X):
    """Return scores by one of the detector's estimators, as of new rows."""
    member = copy.copy(detector._model.members[0])
    member.estimators, member.hashes = [estimator], None
    return member.score(detector._as_rows(X, None, None))


def test_new_rows_are_scored_by_the_mean_of_the_models_that_scored_training_rows():
    detector = AutoencoderOutlierDetector(LINEAR, n_neighbors=0, random_state=0)
    detector.fit(X_TRAIN)
    X = usual_rows(50, 9)
    of_each = [scores_by(detector, e, X) for e in detector.estimators_]
    np.testing.assert_allclose(detector.score_samples(X), np.mean(of_each, axis=0))
    of_each = np.stack([scores_by(detector, e, X_TRAIN) for e in detector.estimators_])
    off = np.abs(of_each - detector.score_samples(X_TRAIN))
    assert (off.min(axis=0) < 1e-9).all()
    # each has scored the part of the rows that it was not fitted to
    np.testing.assert_array_equal(np.bincount(off.argmin(axis=0)), [150] * 4)


def test_an_estimator_of_the_user_is_fitted_to_all_rows_for_the_user(detector):
    expected = clone(LINEAR).set_params(random_state=detector.estimator_.random_state)
    X = usual_rows(5, 9)
    np.testing.assert_array_equal(
        detector.estimator_.transform(X), expected.fit(X_TRAIN).transform(X)
    )
    assert len(detector.estimators_) == 4


def test_only_models_that_score_are_kept_of_the_default(monkeypatch):
    monkeypatch.setattr("skae._restorers.STEPS", 3)
    detector = AutoencoderOutlierDetector(LINEAR, cv=2, random_state=0)
    detector.fit(X_TRAIN[:100])
    detector.set_params(estimator=None).fit(X_TRAIN[:100])
    assert len(detector.estimators_) == 2
    assert not hasattr(detector, "estimator_")


def test_another_fit_gives_the_same_bits(detector):
    again = clone(detector).fit(X_TRAIN)
    X = usual_rows(50, 9)
    np.testing.assert_array_equal(again.score_samples(X), detector.score_samples(X))
    np.testing.assert_array_equal(again.training_scores_, detector.training_scores_)
    assert again.offset_ == detector.offset_


class MeanOfNearest(BaseEstimator):
    """Restores rows as the mean of the nearest ones: the more rows, the better."""

    def fit(self, X, y=None):
        self.index_ = NearestNeighbors(n_neighbors=5).fit(X)
        self.rows_ = X
        return self

    def reconstruct(self, X):
        return self.rows_[self.index_.kneighbors(X, return_distance=False)].mean(axis=1)


def test_shares_of_new_rows_are_those_asked_for_where_more_rows_restore_better():
    shares, of_all_rows = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, X_new = rng.normal(size=(100, 5)), rng.normal(size=(500, 5))
        detector = AutoencoderOutlierDetector(
            MeanOfNearest(), n_neighbors=0, random_state=seed
        ).fit(X)
        offset = detector.set_threshold(contamination=0.1).offset_
        shares.append((detector.score_samples(X_new) < offset).mean())
        scores = scores_by(detector, detector.estimator_, X_new)
        of_all_rows.append((scores < offset).mean())
    assert abs(np.mean(shares) - 0.1) < 0.01
    # an estimator of all rows restores new ones better than others did training rows
    assert np.mean(of_all_rows) < 0.085


def test_a_network_that_knows_its_rows_by_heart_does_not_deceive_the_threshold():
    # half as many components as columns that are noise: what is learned is chance
    rng = np.random.default_rng(0)
    X, X_new = rng.normal(size=(2, 60, 30))
    detector = AutoencoderOutlierDetector(
        AutoencoderTransformer(15, architecture=MLP(()), max_epochs=1),
        n_neighbors=0,
        contamination=0.2,
        random_state=0,
    ).fit(X)
    estimator = clone(detector.estimator).set_params(random_state=0).fit(X)
    naive = np.quantile(estimator.score_samples(X), 0.2)
    assert (estimator.score_samples(X_new) < naive).mean() > 0.5
    assert (detector.predict(X_new) == -1).mean() < 0.35


def test_columns_that_no_longer_hang_together_are_found(detector):
    X = np.concatenate([usual_rows(300, 3), broken_rows(300, 3)])
    assert roc_auc_score(np.repeat([0, 1], 300), -detector.score_samples(X)) > 0.93


def test_outliers_among_the_training_rows_do_not_speak_for_each_other():
    cluster = 4 + 0.1 * np.random.default_rng(0).normal(size=(30, 6))
    X = np.concatenate([X_TRAIN, cluster])
    is_outlier = np.repeat([0, 1], [600, 30])

    def area(contamination):
        detector = AutoencoderOutlierDetector(
            LINEAR, contamination=contamination, random_state=0
        )
        return roc_auc_score(is_outlier, -detector.fit(X).score_samples(X))

    assert area(0.1) > 0.99 > area("auto")


def test_a_large_table_is_learned_from_as_many_rows_as_the_steps_see(monkeypatch):
    monkeypatch.setattr("skae._restorers.STEPS", 3)
    monkeypatch.setattr("skae._restorers.BATCH_SIZE", 16)
    learned_from = []
    measure = TableUnits.measure

    def record(units, X, which):
        learned_from.append(which)
        return measure(units, X, which)

    monkeypatch.setattr(TableUnits, "measure", record)
    detector = AutoencoderOutlierDetector(cv=2, random_state=0).fit(X_TRAIN[:100])
    # two folds
    assert [len(np.unique(which)) for which in learned_from] == [48, 48]
    assert detector.predict(X_TRAIN[:100]).shape == (100,)


def test_rows_less_noise_are_seen_among_many(monkeypatch):
    # outliers are close to each other, and the default network draws them apart
    monkeypatch.setattr("skae._restorers.STEPS", 300)
    cluster = 3 + 0.1 * np.random.default_rng(0).normal(size=(20, 6))
    X = np.concatenate([X_TRAIN[:300], cluster])
    detector = AutoencoderOutlierDetector(contamination=0.1, cv=2, random_state=0)
    scores = detector.fit(X).score_samples(X)
    assert roc_auc_score(np.repeat([0, 1], [300, 20]), -scores) > 0.99
    (member,) = detector._model.members
    as_they_are, denoised = member.measures
    V = member.units.measure(X, np.arange(len(X)))
    (drawn, _) = denoised.look(None, V, detector.estimators_)
    moved = np.linalg.norm(drawn, axis=1)
    assert (moved[:300] < np.linalg.norm(V[:300], axis=1)).mean() > 0.95
    (same,) = as_they_are.look(None, V, detector.estimators_)
    np.testing.assert_array_equal(same, V)


def test_elbo_counts_in_place_of_residuals():
    vae = VAETransformer(2, architecture=MLP(()), max_epochs=1, random_state=0)
    detector = AutoencoderOutlierDetector(vae, n_neighbors=0, random_state=0)
    X = usual_rows(50, 9)
    scores = detector.fit(X_TRAIN).score_samples(X)
    elbo = np.mean([e.score_samples(X) for e in detector.estimators_], axis=0)
    np.testing.assert_allclose(np.corrcoef(scores, elbo)[0, 1], 1)


def test_unit_is_zero_in_the_median_and_one_in_the_tail():
    values = np.exp(np.linspace(0, 10, 101))
    measured = Unit.of(values).measure(values[[50, 90]])
    np.testing.assert_allclose(measured, [0, 1], atol=1e-9)


def test_soft_maximum_lies_between_mean_and_maximum():
    measures = np.random.default_rng(0).normal(size=(3, 100))
    soft = soft_maximum(measures)
    assert (soft >= measures.mean(axis=0)).all()
    assert (soft <= measures.max(axis=0)).all()
    np.testing.assert_allclose(soft_maximum(np.ones((4, 2))), 1)


def test_residuals_do_not_depend_on_units_of_columns():
    squares = np.random.default_rng(0).exponential(size=(2, 50, 3))
    units = np.array([1.0, 1e4, 1e-4])
    np.testing.assert_allclose(
        ResidualMeasure(None).fit(squares, None),
        ResidualMeasure(None).fit(squares * units, None),
        rtol=1e-6,
    )


def test_holes_are_not_strange(detector):
    X = usual_rows(400, 11)
    X[:, 3] = np.nan
    assert (detector.predict(X) == -1).mean() < 0.15
    assert np.isfinite(detector.score_samples(X)).all()
    assert (detector.explain(X)[3].abs() < 0.5).all()


def test_rows_that_repeat_are_scored_as_new_ones():
    # where rows of training are often equal, one that comes again may be a new one
    X, X_new = np.random.default_rng(0).binomial(9, 0.5, size=(2, 500, 3)) * 1.0
    detector = AutoencoderOutlierDetector(LINEAR, random_state=0).fit(X)
    assert abs((detector.p_values(X_new) <= 0.1).mean() - 0.1) < 0.04
    assert share_to_repeat(row_hashes(X)) > 0.01 > share_to_repeat(row_hashes(X_TRAIN))


def test_share_of_new_rows_that_repeat_is_that_of_rows_seen_twice():
    np.testing.assert_allclose(share_to_repeat(np.array([1, 2, 2, 3, 3, 4, 4, 4])), 0.5)
    # each of 1000 contents is equally likely
    rng = np.random.default_rng(0)
    seen, new = rng.integers(0, 1000, size=(2, 1000))
    once = np.flatnonzero(np.bincount(seen) == 1)
    assert abs(share_to_repeat(seen) - np.isin(new, once).mean()) < 0.05


# -- categories ------------------------------------------------------------------------


def mixed_rows(n_samples, seed, library=pd):
    """Return a number, a category that goes by its sign, and a rare category."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=n_samples)
    kind = np.where(size > 0, "large", "small")
    rare = np.where(rng.uniform(size=n_samples) < 0.01, "seldom", "often")
    frame = library.DataFrame({"size": size, "kind": kind, "rare": rare})
    if library is pd:
        return frame.astype({"kind": "category", "rare": "category"})
    return frame.with_columns(
        library.col("kind").cast(library.Categorical),
        library.col("rare").cast(library.Categorical),
    )


SHORT_DENOISER = AutoencoderOutlierDetector(cv=2, random_state=0)


@pytest.fixture(scope="module")
def mixed_detector():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae._restorers.STEPS", 300)
        return clone(SHORT_DENOISER).fit(mixed_rows(500, 0))


def test_category_that_contradicts_a_number_is_strange(mixed_detector):
    X = mixed_rows(200, 1)
    X = X[X["size"].abs() > 0.5]
    wrong = X.assign(kind=X["kind"].cat.rename_categories(["small", "large"]))
    wrong["kind"] = wrong["kind"].cat.set_categories(["large", "small"])
    is_wrong = np.repeat([0, 1], len(X))
    scores = mixed_detector.score_samples(pd.concat([X, wrong], ignore_index=True))
    assert roc_auc_score(is_wrong, -scores) > 0.95
    parts = mixed_detector.explain(wrong).abs()
    assert (parts["rare"] < parts[["size", "kind"]].sum(axis=1)).mean() > 0.9


def test_rare_category_is_strange_and_explained(mixed_detector):
    X = mixed_rows(100, 2)
    often, seldom = X.assign(rare="often"), X.assign(rare="seldom")
    dtype = X["rare"].dtype
    often, seldom = (U.astype({"rare": dtype}) for U in (often, seldom))
    scores = mixed_detector.score_samples
    assert (scores(seldom) < scores(often)).all()
    parts = mixed_detector.explain(seldom)
    assert (parts.idxmax(axis=1) == "rare").mean() > 0.75  # a category counts upwards
    assert (parts.abs().sum(axis=1) <= 1 + 1e-9).all()


def test_new_category_is_refused_or_strange(mixed_detector):
    X = mixed_rows(50, 3).astype({"rare": object})
    new = X.assign(rare="never").astype({"rare": "category"})
    with pytest.raises(ValueError, match=r"unknown categories \['never'\] in .*'rare'"):
        mixed_detector.predict(new)
    ignoring = pickle.loads(pickle.dumps(mixed_detector))
    ignoring.set_params(handle_unknown="ignore")
    often = X.assign(rare="often").astype({"rare": "category"})
    missing = X.assign(rare=None).astype({"rare": "category"})
    scores = ignoring.score_samples
    assert (scores(new) < scores(often)).all()
    assert (scores(new) < scores(missing)).all()


def test_tables_of_both_libraries_and_of_objects_are_one(mixed_detector, monkeypatch):
    pl = pytest.importorskip("polars")
    monkeypatch.setattr("skae._restorers.STEPS", 300)
    X = mixed_rows(80, 4)
    scores = mixed_detector.score_samples(X)
    for train, new, features in [
        (mixed_rows(500, 0, pl), mixed_rows(80, 4, pl), "from_dtype"),
        (mixed_rows(500, 0).to_numpy(), X.to_numpy(), [1, 2]),
    ]:
        other = clone(SHORT_DENOISER).set_params(categorical_features=features)
        np.testing.assert_array_equal(other.fit(train).score_samples(new), scores)


@pytest.mark.parametrize(
    "estimator", [LINEAR, VAETransformer(2, architecture=MLP(()), max_epochs=1)]
)
def test_estimators_are_given_the_table_itself(estimator):
    detector = AutoencoderOutlierDetector(
        estimator, cv=2, handle_unknown="ignore", random_state=0
    ).fit(mixed_rows(300, 0))
    assert list(detector.estimator_.is_categorical_) == [False, True, True]
    assert [None if c is None else list(c) for c in detector.categories_] == [
        None,
        ["large", "small"],
        ["often", "seldom"],
    ]
    X = mixed_rows(60, 1)
    X.loc[:29, "size"] = 30.0
    scores = detector.score_samples(X)
    assert scores[:30].max() < scores[30:].min()
    assert (detector.explain(X).loc[:29, "size"] > 0.5).all()
    X["rare"] = pd.Categorical(["never"] * 60)
    assert np.isfinite(detector.score_samples(X)).all()


@pytest.mark.parametrize(
    "estimator", [LINEAR, VAETransformer(2, architecture=MLP(()), max_epochs=1)]
)
def test_category_of_one_row_is_unknown_to_the_model_that_scores_it(estimator):
    X = mixed_rows(60, 0)
    X["rare"] = pd.Categorical(["single"] + ["often"] * 59)
    detector = AutoencoderOutlierDetector(estimator, cv=2, random_state=0).fit(X)
    scores = detector.score_samples(X)
    assert (scores < scores[0]).sum() <= 1
    assert detector.explain(X).loc[0].idxmax() == "rare"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator", [LINEAR, VAETransformer(2, architecture=MLP(()), max_epochs=1)]
)
def test_rows_of_unknown_categories_alone_are_the_strangest(estimator):
    X = pd.DataFrame({"kind": pd.Categorical([*"ab" * 20, *"cdefgh"])})
    estimator = clone(estimator).set_params(n_components=1)
    detector = AutoencoderOutlierDetector(estimator, cv=2, random_state=0).fit(X)
    scores = detector.score_samples(X)
    assert scores[40:].max() < scores[:40].min()


def test_estimator_without_categories_is_refused_with_a_way_out():
    class Plain:
        def fit(self, X):
            return self

        reconstruct = fit

    detector = AutoencoderOutlierDetector(Plain())
    with pytest.raises(ValueError, match=r"no reconstruct_proba, .*column 'kind'"):
        detector.fit(mixed_rows(20, 0))


def test_rows_that_differ_in_a_category_are_as_far_apart_as_random_numbers():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "number": rng.normal(size=4000) * 100,
            "kind": pd.Categorical(rng.integers(0, 5, 4000)),
        }
    )
    columns = Columns(table, "from_dtype").fit(table)
    X = columns.encode(table, handle_unknown="error", estimator=None)
    units, order = TableUnits(X, columns), rng.permutation(4000)
    V = units.fill(X)
    squares = units.sum_columns(np.square(V - V[order]))
    np.testing.assert_allclose(squares[:, 0].mean(), 2, rtol=0.1)
    np.testing.assert_allclose(squares[:, 1], 2 * (X[:, 1] != X[order, 1]))


def test_surprise_of_a_category_is_minus_twice_its_log_probability():
    X = np.array([[0.0], [1.0], [1.0], [2.0], [np.nan], [3.0]])
    table = pd.DataFrame({"kind": pd.Categorical([0, 1, 1, 2])})
    units = TableUnits(X[:4], Columns(table, "from_dtype").fit(table))
    residuals = units.residuals(X, units.fill(X), np.zeros((1, 6, 3)))
    # zero in units is how frequent the categories are
    found = units.surprises(X, residuals)[0, :, 0]
    expected = -2 * np.log([1 / 4, 1 / 2, 1 / 2, 1 / 4, 1, 1 / 5])
    np.testing.assert_allclose(found, expected)


# -- explanations ----------------------------------------------------------------------


def test_feature_that_was_changed_is_named_with_its_direction():
    X = pd.DataFrame(X_TRAIN, columns=list("abcdef"))
    detector = AutoencoderOutlierDetector(LINEAR, random_state=0).fit(X)
    new = pd.DataFrame(usual_rows(40, 4), columns=X.columns, index=np.arange(40) + 1000)
    new.loc[:1019, "c"] += 5
    new.loc[1020:, "e"] -= 5
    parts = detector.explain(new)
    assert (parts.index == new.index).all()
    assert (parts.abs().sum(axis=1) <= 1 + 1e-9).all()
    assert (parts.loc[:1019].idxmax(axis=1) == "c").mean() > 0.9
    assert (parts.loc[1020:].idxmin(axis=1) == "e").mean() > 0.9


# -- scikit-learn ----------------------------------------------------------------------


def test_search_reaches_the_estimator_inside():
    X = np.concatenate([usual_rows(200, 5), broken_rows(20, 5)])
    y = np.repeat([1, -1], [200, 20])
    search = GridSearchCV(
        AutoencoderOutlierDetector(LINEAR, n_neighbors=0, cv=2, random_state=0),
        {"estimator__n_components": [2, 5]},
        scoring="roc_auc",
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
    ).fit(X, y)
    assert search.best_params_ == {"estimator__n_components": 2}


def test_many_rows_are_scored_once_in_place_of_folds(monkeypatch):
    monkeypatch.setattr("skae._anomaly_model.MOST_FOLDED", 500)
    monkeypatch.setattr("skae._anomaly_model.ENOUGH_UNSEEN", 200)
    monkeypatch.setattr("skae._strangeness.MOST_REFERENCES", 300)
    detector = AutoencoderOutlierDetector(LINEAR, random_state=0).fit(X_TRAIN)
    assert len(detector.training_scores_) == 200
    flagged = detector.predict(usual_rows(5000, 2)) == -1
    assert abs(flagged.mean() - 0.05) < 0.045


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": 3}, "The 'estimator' parameter of AutoencoderOutlierDetector"),
        ({"contamination": 0.7}, "The 'contamination' parameter"),
        ({"n_neighbors": []}, "must be 'auto', an int of at least 0, or a list"),
        ({"n_neighbors": [1, 0]}, r"Got \[1, 0\] instead"),
        ({"cv": 1}, "The 'cv' parameter"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderOutlierDetector(**parameters).fit(X_TRAIN)


def test_one_row_is_refused():
    with pytest.raises(ValueError, match=r"n_samples=1: .* needs at least 2 rows"):
        AutoencoderOutlierDetector(LINEAR).fit(np.ones((1, 3)))


# -- the denoiser ----------------------------------------------------------------------


def test_denoiser_learns_the_mean_of_normal_rows_given_noisy_ones():
    covariance = np.array([[1, 0.9], [0.9, 1]])
    rng = np.random.default_rng(0)
    X = rng.multivariate_normal([3, 5], covariance, size=3000) * [1, 10]
    denoiser = AutoencoderTransformer(
        architecture=DenoisingMLP((64, 64)),
        scale="standard",
        max_epochs=30,
        batch_size=128,
        early_stopping=False,
        random_state=0,
    ).fit(X)
    center, scale = X.mean(axis=0), X.std(axis=0)
    U = (X - center) / scale
    C = np.cov(U.T)
    for noise in (0.3, 1.0, 3.0):
        expected = U @ np.linalg.solve(C + noise**2 * np.eye(2), C)
        found = (denoiser.reconstruct(X, noise=noise) - center) / scale
        off = np.square(found - expected).mean() / np.square(U - expected).mean()
        assert off < 0.1**2


def test_denoiser_starts_at_what_columns_can_do_on_their_own():
    X = np.random.default_rng(0).normal(size=(8000, 5))
    denoiser = AutoencoderTransformer(
        architecture=DenoisingMLP((8,)),
        scale="standard",
        max_epochs=1,
        validation_fraction=0.5,
        random_state=0,
    ).fit(X)
    # half a nat for each column without noise's own share of the error
    start = denoiser.history_["validation_loss"][0]
    np.testing.assert_allclose(start, 5 / 2, rtol=0.05)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": ()}, "must name at least one layer"),
        ({"noise": (0.0, 1.0)}, "must be a pair .low, high. of positive floats"),
        ({"noise": (2.0, 1.0)}, "must be a pair .low, high. of positive floats"),
    ],
)
def test_bad_denoiser_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(architecture=DenoisingMLP(**parameters)).fit(X_TRAIN)


def test_noise_is_refused_where_it_is_not_told():
    estimator = clone(LINEAR).fit(X_TRAIN)
    with pytest.raises(ValueError, match=r"noise=0.5, but .* is not told how strong"):
        estimator.reconstruct(X_TRAIN, noise=0.5)
    denoiser = AutoencoderTransformer(
        architecture=DenoisingMLP((8,)), max_epochs=1, random_state=0
    ).fit(X_TRAIN)
    with pytest.raises(ValueError, match="noise must be a positive float, got -1"):
        denoiser.reconstruct(X_TRAIN, noise=-1)
    np.testing.assert_allclose(
        denoiser.reconstruct(X_TRAIN), denoiser.reconstruct(X_TRAIN, noise=0.05)
    )


# -- members ---------------------------------------------------------------------------

SMALL = AutoencoderTransformer(2, architecture=MLP((8,)), max_epochs=5)


@pytest.fixture(scope="module")
def ensemble():
    return AutoencoderOutlierDetector(SMALL, n_members=3, random_state=0).fit(X_TRAIN)


def test_scores_are_the_mean_of_members_and_their_spread_is_known(ensemble):
    X = np.concatenate([usual_rows(30, 9), broken_rows(30, 9)])
    rows = ensemble._as_rows(X, None, None)
    of_each = np.stack([m.score(rows) for m in ensemble._model.members])
    score, std = ensemble.score_samples(X, return_std=True)
    np.testing.assert_array_equal(score, of_each.mean(axis=0))
    np.testing.assert_array_equal(score, ensemble.score_samples(X))
    np.testing.assert_allclose(std, of_each.std(axis=0, ddof=1))
    assert (std > 0).all()
    # those of training too, whose mean thresholds go by
    seen = ensemble.score_samples(X_TRAIN)
    np.testing.assert_allclose(np.sort(seen), np.sort(ensemble.training_scores_))
    np.testing.assert_allclose(
        ensemble.explain(X).to_numpy(),
        np.mean([m.explain(rows) for m in ensemble._model.members], axis=0),
    )


def test_members_are_detectors_of_their_own_on_the_same_parts(ensemble):
    alone = AutoencoderOutlierDetector(SMALL, random_state=0).fit(X_TRAIN)
    X = broken_rows(30, 9)
    first = ensemble._model.members[0].score(ensemble._as_rows(X, None, None))
    np.testing.assert_allclose(first, alone.score_samples(X), rtol=1e-3, atol=1e-3)
    assert len(ensemble.estimators_) == 12
    seeds = [e.random_state for e in ensemble.estimators_]
    assert len(set(seeds)) == 3
    assert seeds == list(np.repeat(seeds[::4], 4))  # those of a member side by side


def test_fits_of_all_parts_and_members_are_one_stack_and_equal_single_fits(monkeypatch):
    sizes, train = [], skae._training.train_members
    monkeypatch.setattr(
        skae._training, "train_members", lambda m: (sizes.append(len(m)), train(m))
    )
    detector = AutoencoderOutlierDetector(SMALL, n_members=3, cv=3, random_state=1)
    detector.fit(X_TRAIN)
    # of parts, and of parts with the rows that were held out; the whole table is alone
    assert sizes == [9, 9]
    folds = folds_of(len(X_TRAIN), 3, np.random.RandomState(draw_seed(1)))
    for i in (0, 4, 8):
        estimator, (fitted_to, _) = detector.estimators_[i], folds[i % 3]
        alone = clone(estimator).fit(X_TRAIN[fitted_to])
        for name in ("train_loss", "validation_loss"):
            losses = [e.history_[name] for e in (estimator, alone)]
            np.testing.assert_allclose(*losses, rtol=1e-4)


def test_an_ensemble_depends_less_on_the_seed():
    X = broken_rows(50, 3)
    off = {}
    for n_members in (1, 6):
        scores = [
            AutoencoderOutlierDetector(
                SMALL, n_members=n_members, cv=8, n_neighbors=0, random_state=seed
            )
            .fit(X_TRAIN)
            .score_samples(X)
            for seed in range(6)
        ]
        off[n_members] = np.std(scores, axis=0).mean()
    assert off[6] < 0.8 * off[1]


def test_members_need_seeds_and_a_spread_needs_members(detector):
    with pytest.raises(ValueError, match="return_std=True: scores of one member"):
        detector.score_samples(X_TRAIN, return_std=True)
    with pytest.raises(ValueError, match="n_members=2: members differ by their seed"):
        AutoencoderOutlierDetector(MeanOfNearest(), n_members=2).fit(X_TRAIN)
    AutoencoderOutlierDetector(MeanOfNearest(), n_members=1).fit(X_TRAIN)
    with pytest.raises(InvalidParameterError, match="'n_members' parameter of"):
        AutoencoderOutlierDetector(n_members=0).fit(X_TRAIN)
