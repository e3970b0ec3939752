"""The questions of the comparison tell estimators that keep a contract from others."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

FOLDER = Path(__file__).parent.parent / "examples" / "benchmarks"


@pytest.fixture
def comparison(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("comparison")


class Reducer(TransformerMixin, BaseEstimator):
    """The first principal components; keeps every contract."""

    def __init__(self, n_components=2, beta=1.0, random_state=None):
        self.n_components = n_components
        self.beta = beta
        self.random_state = random_state

    def fit(self, X, y=None):
        X = np.asarray(X)
        self.mean_ = np.nanmean(X, axis=0)
        centred = np.nan_to_num(X - self.mean_)
        self.axes_ = np.linalg.svd(centred, full_matrices=False)[2][: self.n_components]
        return self

    def transform(self, X):
        return np.nan_to_num(np.asarray(X) - self.mean_) @ self.axes_.T / self.beta

    def inverse_transform(self, Z):
        return self.beta * Z @ self.axes_ + self.mean_

    def get_feature_names_out(self, input_features=None):
        return np.array([f"reducer{i}" for i in range(len(self.axes_))])


class ChangesParameters(Reducer):
    def __init__(self, n_components=2, beta=1.0, random_state=None):
        super().__init__(n_components, [beta], random_state)


class TurnsLabelsIntoNumbers(Reducer):
    def fit(self, X, y=None):
        if y is not None:
            torch.as_tensor(y)
        return super().fit(X)


class HasAnotherName(Reducer):
    def __init__(self, width=2, beta=1.0, random_state=None):
        super().__init__(width, beta, random_state)
        self.width = width


class HasNoNames(Reducer):
    set_output = None


class ForgetsTheMean(Reducer):
    def inverse_transform(self, Z):
        return -super().inverse_transform(Z)


class RefusesMissingValues(Reducer):
    def fit(self, X, y=None):
        assert np.isfinite(X).all()
        return super().fit(X)


class NeedsManyRows(Reducer):
    def fit(self, X, y=None):
        super().fit(X)
        self.mean_ = self.mean_ / (len(X) > 32)
        return self


class DrawsItsStart(Reducer):
    def fit(self, X, y=None):
        super().fit(X)
        self.mean_ = self.mean_ + np.random.default_rng().standard_normal()
        return self


class DrawsItsAnswer(Reducer):
    def transform(self, X):
        return super().transform(X) + np.random.default_rng().standard_normal()


class SeesTheBatch(Reducer):
    def transform(self, X):
        return super().transform(X) - np.asarray(X).mean()


class SeedsAll(Reducer):
    def fit(self, X, y=None):
        np.random.seed(3)  # noqa: NPY002
        return super().fit(X)


class SeedsTorch(Reducer):
    def fit(self, X, y=None):
        torch.manual_seed(3)
        return super().fit(X)


class HasLambdas(Reducer):
    def fit(self, X, y=None):
        self.activation_ = lambda Z: Z
        return super().fit(X)


class IgnoresBeta(Reducer):
    def fit(self, X, y=None):
        super().fit(X)
        self.beta = 1.0
        return self


class DrawsByTheGlobalGenerator(Reducer):
    """Its answers vary, but pickle and beta are not to blame."""

    def transform(self, X):
        noise = torch.randn(len(X), self.n_components).numpy()
        return super().transform(X) + noise + np.random.normal()  # noqa: NPY002


FAULTS = {
    "is_cloned": ChangesParameters,
    "stands_in_a_pipeline": TurnsLabelsIntoNumbers,
    "is_searched": HasAnotherName,
    "has_names": HasNoNames,
    "goes_back": ForgetsTheMean,
    "takes_missing_values": RefusesMissingValues,
    "fits_few_rows": NeedsManyRows,
    "repeats_a_fit": DrawsItsStart,
    "repeats_an_answer": DrawsItsAnswer,
    "answers_by_row": SeesTheBatch,
    "leaves_generators_alone": SeedsAll,
    "is_pickled": HasLambdas,
    "is_ruled_by_beta": IgnoresBeta,
}


def ask(comparison, question, kind):
    contender = comparison.Contender("x", kind, {"n_components": [2, 4]}, beta="beta")
    table = comparison.load_table()
    return comparison.question(getattr(comparison, question), contender, table)


@pytest.mark.parametrize("question", FAULTS)
def test_an_estimator_that_keeps_all_contracts_has_a_yes(comparison, question):
    assert ask(comparison, question, Reducer) == ("yes", None)


@pytest.mark.parametrize(
    ("question", "kind"), [*FAULTS.items(), ("leaves_generators_alone", SeedsTorch)]
)
def test_the_one_that_is_broken_has_a_no(comparison, question, kind):
    cell, _ = ask(comparison, question, kind)
    assert cell == "no"


def test_answers_that_are_drawn_do_not_hide_what_is_asked(comparison):
    class IgnoresBetaAndDraws(IgnoresBeta, DrawsByTheGlobalGenerator):
        pass

    drawn = DrawsByTheGlobalGenerator
    assert ask(comparison, "repeats_an_answer", drawn)[0] == "no"
    assert ask(comparison, "is_pickled", drawn)[0] == "yes"
    assert ask(comparison, "is_ruled_by_beta", drawn)[0] == "yes"
    assert ask(comparison, "is_ruled_by_beta", IgnoresBetaAndDraws)[0] == "no"


def test_every_question_is_asked_and_can_be_answered_no(comparison):
    asked = [question.__name__ for question in comparison.QUESTIONS]
    assert set(asked) == {*FAULTS, "passes_checks"}


def test_an_error_is_the_reason_of_a_no(comparison):
    cell, reason = ask(comparison, "takes_missing_values", RefusesMissingValues)
    assert cell == "no"
    assert reason.startswith("AssertionError: ")
    contender = comparison.Contender("x", Reducer, {})
    assert comparison.question(comparison.is_ruled_by_beta, contender, None) == (
        "",
        None,
    )


def test_codes_of_digits_are_worth_more_than_nothing(comparison, monkeypatch):
    chosen = {name: comparison.CODES[name] for name in ("`PCA`", "`ENCDR`")}
    absent = ("encdr", lambda X, quick: import_module("no_such_library"))
    monkeypatch.setattr(comparison, "CODES", chosen | {"`ENCDR`": absent})
    table, missing = comparison.compare_codes(quick=True)
    assert missing == ["encdr"]
    assert list(table.index) == ["`PCA`"]
    assert 0.8 < float(table.loc["`PCA`", "accuracy"]) < 0.95
    assert 300 < float(table.loc["`PCA`", "squared error"]) < 500


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_middle_layer_of_a_regressor_is_the_code_it_decodes(
    comparison, monkeypatch
):
    fitted = []

    class Recorded(MLPRegressor):
        def fit(self, X, y):
            fitted.append(super().fit(X, y))
            return self

    monkeypatch.setattr(comparison, "MLPRegressor", Recorded)
    X = comparison.load_table().X
    encode, decode = comparison.train_regressor(X, True)
    Z = encode(X)
    assert Z.shape == (200, comparison.N_COMPONENTS)
    scaler = StandardScaler().fit(X)
    expected = scaler.inverse_transform(fitted[0].predict(scaler.transform(X)))
    np.testing.assert_allclose(decode(Z), expected)
