"""SimilarRows: what an imputer is off by in rows alike is added where it belongs."""

import pickle
import pickletools

import numpy as np
import pandas as pd
import pytest

from skae import AutoencoderImputer, AutoencoderTransformer
from skae._similar_rows import PRIOR, SimilarRows, _Column, shares_of
from skae.architectures import RestoringMLP
from skae.corruptions import Masking

QUICK = AutoencoderTransformer(
    architecture=RestoringMLP((16,)),
    corruption=Masking("random", fill="missing"),
    max_epochs=3,
)


def quick(**parameters):
    parameters = {"similar_rows": True, "random_state": 0} | parameters
    return AutoencoderImputer(QUICK, **parameters)


def make_table():
    kinds = pd.Categorical(["a", "b"] * 200)
    return pd.DataFrame(SEEN, columns=list("stuvwxyz")).assign(kind=kinds)


def rows_with_holes(X, share=0.2):
    holes = np.random.RandomState(1).uniform(size=X.shape) < share
    return np.where(holes, np.nan, X), holes


# Rows that nothing tells but others like them: 40 of them, ten times each.
PATTERNS = np.random.RandomState(0).normal(size=(40, 8))
REPEATED = PATTERNS[np.random.RandomState(2).permutation(400) % 40]
SEEN, HOLES = rows_with_holes(REPEATED)


# -- how alike values are --------------------------------------------------------------


def test_values_are_the_more_alike_the_fewer_lie_between_them():
    column = _Column(np.array([0.0, 0.0, 0.0, 1.0, 5.0, np.nan]))
    nats = column.likeness(np.array([0.0, 5.0, 0.5]))
    shares = np.array([
        [3, 3, 3, 4, 5],  # of the five known ones from 0 to each, both included
        [5, 5, 5, 2, 1],
        [3, 3, 3, 1, 2],
    ]) / 5  # fmt: skip
    expected = -np.log(shares + 1 / 5)
    expected -= expected.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(nats[:, :5], expected, rtol=1e-5)
    assert (nats[:, 5] == 0).all()


def test_units_and_bends_of_a_column_do_not_matter():
    values = np.random.RandomState(0).normal(size=50)
    nats = [_Column(v).likeness(v) for v in (values, np.exp(3 * values))]
    np.testing.assert_array_equal(*nats)


# -- how much of it is added -----------------------------------------------------------


def test_shares_are_those_of_least_squares_and_nothing_for_chance():
    random = np.random.RandomState(0)
    added = random.normal(size=(20_000, 3))
    noise = random.normal(size=added.shape)
    np.testing.assert_allclose(
        shares_of(added, noise + added * [0.2, 0.5, 0.9]), [0.2, 0.5, 0.9], atol=0.05
    )
    assert shares_of(added, noise).max() < 0.02
    assert (shares_of(added, -added) == 0).all()
    assert (shares_of(added, 9 * added) == 1).all()


def test_a_column_in_which_nothing_was_hidden_has_the_share_of_all():
    added = np.random.RandomState(0).normal(size=(20_000, 3))
    added[:, 2] = 0
    np.testing.assert_allclose(shares_of(added, 0.6 * added), 0.6, atol=0.01)


def test_what_rows_alike_are_off_by_is_added_as_far_as_they_are_alike():
    X = np.array([[0.0, 3.0], [0.0, np.nan], [1.0, 7.0], [1.0, 7.0], [2.0, 9.0]])
    similar = SimilarRows(X, np.nan_to_num, np.ones(2), seed=0)
    np.testing.assert_array_equal(similar.off, np.nan_to_num(X))  # filled with zeros
    similar.power, similar.shares = 1.0, np.array([1.0, 0.5])
    below = np.array([0.0, 0.0, 0.4, 0.4, 0.8])
    up_to = np.array([0.4, 0.4, 0.8, 0.8, 1.0])
    between = np.maximum(up_to, 0.8) - np.minimum(below, 0.4)  # from each row to 1
    knows = [0, 2, 3, 4]
    weights = (1 / (between + 0.2))[knows]
    weights /= weights.max()
    average = weights @ X[knows, 1] / (weights.sum() + PRIOR)
    filled = similar.add(np.array([[1.0, np.nan]]), np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(filled, [[1.0, 2.0 + 0.5 * average]], rtol=1e-5)


# -- in the imputer --------------------------------------------------------------------


def deviation(filled):
    return np.sqrt(np.square(filled - REPEATED)[HOLES].mean())


def test_rows_that_repeat_others_are_restored():
    with_them, without = (
        quick(similar_rows=s).fit_transform(SEEN) for s in (True, False)
    )
    assert deviation(with_them) < 0.2 < 0.8 < deviation(without)
    np.testing.assert_array_equal(with_them[~HOLES], REPEATED[~HOLES])


def test_new_rows_are_compared_with_those_of_fit():
    imputer = quick().fit(SEEN)
    new = PATTERNS.copy()
    new[:, 3] = np.nan
    filled = imputer.transform(new)
    assert np.sqrt(np.square(filled - PATTERNS)[:, 3].mean()) < 0.2


def test_rows_that_have_nothing_to_do_with_others_are_left_as_they_were():
    X, holes = rows_with_holes(np.random.RandomState(0).normal(size=(400, 8)))
    with_them, without = (quick(similar_rows=s).fit_transform(X) for s in (True, False))
    assert np.square(with_them - without)[holes].mean() < 0.01


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_row_is_filled_alike_beside_whatever_rows(dtype):
    rows = SEEN.astype(dtype)
    imputer = quick().fit(rows)
    filled = imputer.transform(rows)
    assert filled.dtype == dtype
    order = np.random.RandomState(0).permutation(len(rows))
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {}
    np.testing.assert_allclose(
        imputer.transform(rows[order]), filled[order], **tolerance
    )
    one_by_one = [imputer.transform(row[None])[0] for row in rows[:20]]
    np.testing.assert_allclose(one_by_one, filled[:20], **tolerance)


def test_a_row_without_a_known_value_gets_the_means():
    rows = np.vstack([SEEN, np.full((1, 8), np.nan)])
    filled = quick().fit(rows).transform(rows)
    np.testing.assert_allclose(filled[-1], np.nanmean(SEEN, axis=0))


def test_random_state_decides_and_pickles_hold_plain_arrays():
    imputer = quick().fit(SEEN)
    filled = imputer.transform(SEEN)
    np.testing.assert_array_equal(quick().fit_transform(SEEN), filled)
    pickled = pickle.dumps(imputer)
    np.testing.assert_array_equal(pickle.loads(pickled).transform(SEEN), filled)
    strings = [arg for _, arg, _ in pickletools.genops(pickled) if isinstance(arg, str)]
    assert not any(s.split(".")[0] in ("torch", "skorch") for s in strings)
    seeded = AutoencoderImputer(
        QUICK.set_params(random_state=3), similar_rows=True
    )  # its seed decides where the imputer has none
    np.testing.assert_array_equal(*(seeded.fit_transform(SEEN) for _ in range(2)))
    QUICK.set_params(random_state=None)


def test_draws_are_around_what_similar_rows_say_and_not_far():
    spreads, offs = [], []
    for similar_rows in (True, False):
        imputer = quick(
            similar_rows=similar_rows, sample_posterior=True, n_imputations=4
        ).fit(SEEN)
        draws = imputer.sample_imputations(SEEN, 12, random_state=0)
        assert (draws[:, ~HOLES] == REPEATED[~HOLES]).all()
        spreads.append(draws.std(axis=0)[HOLES].mean())
        offs.append(deviation(draws.mean(axis=0)))
    assert spreads[0] < spreads[1] / 2
    assert offs[0] < offs[1] / 2


# -- when ------------------------------------------------------------------------------


def test_the_default_compares_rows_of_numbers_and_other_estimators_are_left_alone(
    monkeypatch,
):
    monkeypatch.setattr("skae._imputation_defaults.STEPS", 20)
    compared = []
    monkeypatch.setattr(
        SimilarRows, "add", lambda self, X, filled: compared.append(1) or filled
    )
    AutoencoderImputer(random_state=0).fit_transform(SEEN)
    assert len(compared) == 1
    AutoencoderImputer(QUICK, random_state=0).fit_transform(SEEN)
    wide = np.random.RandomState(0).normal(size=(30, 130))
    wide[0, 0] = np.nan
    small = AutoencoderTransformer(2, max_epochs=1)
    AutoencoderImputer(small, similar_rows=False).fit_transform(wide)
    table = make_table()
    AutoencoderImputer(random_state=0).fit_transform(table)
    assert len(compared) == 1


def test_tables_with_categories_are_refused_where_rows_are_to_be_compared():
    table = make_table()
    with pytest.raises(ValueError, match="similar_rows=True takes tables of numbers"):
        quick().fit(table)
