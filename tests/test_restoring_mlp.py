"""RestoringMLP: holes of tables are filled from the joint normal law of columns on."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_wine

from skae import AutoencoderTransformer, VAETransformer
from skae._modules._joint_normal import FURTHEST, PRIOR_ROWS, JointNormal
from skae._modules._steps import N_STEPS, Steps
from skae._random import Rng
from skae.architectures import RestoringMLP
from skae.corruptions import GaussianNoise, Masking

WINE = load_wine().data
HOLES = np.random.RandomState(0).uniform(size=WINE.shape) < 0.2
SEEN = np.where(HOLES, np.nan, WINE)

MEAN = np.array([1.0, -2.0, 0.5, 3.0])
ROOT = np.array([[2, 0, 0, 0], [1, 1, 0, 0], [0.5, -1, 1, 0], [0, 0.5, 0.3, 0.2]])
COVARIANCE = ROOT @ ROOT.T

QUICK = {
    "architecture": RestoringMLP((16,)),
    "corruption": Masking("random", fill="missing"),
    "max_epochs": 3,
    "random_state": 0,
}


def known_law():
    law = JointNormal(4).double()
    law.mean, law.covariance = torch.tensor(MEAN), torch.tensor(COVARIANCE)
    return law


def conditional(row):
    """Return mean and covariance of what is NaN in a row, as in any textbook."""
    m = np.isnan(row)
    gain = COVARIANCE[np.ix_(m, ~m)] @ np.linalg.inv(COVARIANCE[np.ix_(~m, ~m)])
    mean = MEAN[m] + gain @ (row[~m] - MEAN[~m])
    return mean, COVARIANCE[np.ix_(m, m)] - gain @ COVARIANCE[np.ix_(~m, m)]


# -- the law ---------------------------------------------------------------------------


def rows_with_holes(n_rows, share, seed=0):
    random = np.random.RandomState(seed)
    X = MEAN + random.normal(size=(n_rows, 4)) @ ROOT.T
    return np.where(random.uniform(size=X.shape) < share, np.nan, X)


def test_holes_are_filled_with_their_conditional_mean_and_deviation():
    X = rows_with_holes(50, 0.4)
    law, U = known_law(), torch.from_numpy(X)
    filled, deviations = law(U).numpy(), law.deviations(U).numpy()
    for row, result, deviation in zip(X, filled, deviations, strict=True):
        m = np.isnan(row)
        mean, covariance = conditional(row)
        np.testing.assert_allclose(result[m], mean)
        np.testing.assert_allclose(deviation[m], np.sqrt(np.diag(covariance)))
        np.testing.assert_array_equal(result[~m], row[~m])
        assert (deviation[~m] == 0).all()


def test_draws_have_the_conditional_covariance():
    row = np.array([np.nan, -1.0, np.nan, 3.2])
    U = torch.from_numpy(np.tile(row, (100_000, 1)))
    draws = known_law().draw(U, Rng(0)).numpy()
    assert (draws[:, [1, 3]] == 0).all()
    _, covariance = conditional(row)
    np.testing.assert_allclose(draws[:, [0, 2]].mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(np.cov(draws[:, [0, 2]].T), covariance, atol=0.03)


def test_the_law_is_found_in_rows_with_holes():
    X = rows_with_holes(4000, 0.3)
    law = JointNormal(4).double().fit(torch.from_numpy(X))
    np.testing.assert_allclose(law.mean, MEAN, atol=0.1)
    np.testing.assert_allclose(law.covariance, COVARIANCE, atol=0.2)


def test_correlations_of_whole_rows_are_shrunk_as_by_rows_without_any():
    X = rows_with_holes(60, 0.0)
    law = JointNormal(4).double().fit(torch.from_numpy(X))
    n_prior = 4 * PRIOR_ROWS
    covariance = np.cov(X.T, bias=True)
    expected = (60 * covariance + n_prior * np.diag(np.diag(covariance))) / (
        60 + n_prior
    )
    np.testing.assert_allclose(law.covariance, expected, rtol=1e-5)


def test_a_value_far_out_counts_as_one_less_far():
    far = MEAN[1] + FURTHEST * np.sqrt(COVARIANCE[1, 1])
    rows = torch.tensor([[np.nan, far, np.nan, 3.0], [np.nan, 1e6, np.nan, 3.0]])
    filled = known_law()(rows.double())
    torch.testing.assert_close(filled[0, [0, 2]], filled[1, [0, 2]])
    assert filled[1, 1] == 1e6


def test_constant_columns_and_fewer_rows_than_columns_do_no_harm():
    U = torch.randn(6, 20, generator=torch.Generator().manual_seed(0)).double()
    U[:, 3] = 7.0
    U[torch.arange(6), torch.arange(6)] = torch.nan
    law = JointNormal(20).fit(U)  # float32
    filled = law(U.float())
    assert filled.isfinite().all()
    assert filled[3, 3] == 7.0


# -- the network -----------------------------------------------------------------------


def test_training_starts_from_the_law():
    frozen = {"optimizer": "sgd", "lr": 1e-30, "schedule": "constant"}
    model = AutoencoderTransformer(
        **QUICK | {"max_epochs": 1}, **frozen, scale="standard", early_stopping=False
    ).fit(SEEN)
    U = (SEEN - np.nanmean(SEEN, axis=0)) / np.nanstd(SEEN, axis=0)
    law = JointNormal(13).double().fit(torch.from_numpy(U))
    expected = law(torch.from_numpy(U)).numpy() * np.nanstd(SEEN, axis=0)
    expected += np.nanmean(SEEN, axis=0)
    restored = model.reconstruct(SEEN)
    np.testing.assert_allclose(restored[HOLES], expected[HOLES], rtol=1e-4)
    np.testing.assert_allclose(restored[~HOLES], WINE[~HOLES], rtol=1e-12)


def test_held_out_rows_decide_what_the_network_may_add():
    model = AutoencoderTransformer(**QUICK | {"max_epochs": 20}).fit(SEEN)
    assert model.validation_curve_.min() <= model.history_["validation_loss"].iloc[0]
    assert (model.reconstruct(SEEN) != SEEN)[HOLES].all()


def test_what_stands_in_a_hole_does_not_matter_and_hidden_values_do():
    module = AutoencoderTransformer(**QUICK).fit(SEEN).module_
    module.corruption = None
    U, known = torch.randn(5, 13), torch.ones(5, 13)
    known[:, 2] = 0
    other = U.clone()
    other[:, 2] = 9.0
    rng = Rng(0)
    torch.testing.assert_close(
        module(module.corrupt(U, rng, known)).params,
        module(module.corrupt(other, rng, known)).params,
    )
    module.corruption = Masking("random", fill="missing")
    hidden = module.corrupt(U, rng, known).isnan()
    assert hidden[:, 2].all()
    assert 5 < hidden.sum() < 65


def test_noise_on_known_values_is_taken_off_where_it_is_to_be_undone():
    random = np.random.RandomState(0)
    X = random.normal(size=(400, 1)) @ np.ones((1, 6))
    noisy = X + 0.5 * random.normal(size=X.shape)
    model = AutoencoderTransformer(
        architecture=RestoringMLP((64,), dropout=0.0),
        corruption=GaussianNoise(0.5),
        max_epochs=30,
        random_state=0,
    ).fit(X)
    errors = [np.square(rows - X).mean() for rows in (model.reconstruct(noisy), noisy)]
    assert errors[0] < errors[1] / 2


def test_masks_of_a_random_share_leave_rows_of_every_kind():
    spoilt = Masking("random", fill="missing")(np.ones((2000, 50)), random_state=0)
    shares = np.isnan(spoilt).mean(axis=1)
    np.testing.assert_allclose(
        np.quantile(shares, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.05
    )


def test_there_must_be_a_layer_and_no_code():
    with pytest.raises(ValueError, match="must name at least one layer"):
        AutoencoderTransformer(architecture=RestoringMLP(())).fit(WINE)
    with pytest.raises(ValueError, match="has no bottleneck"):
        VAETransformer(architecture=RestoringMLP()).fit(WINE)


def test_a_column_that_only_held_out_rows_know_does_no_harm():
    rows = SEEN.copy()
    rows[:, 5] = np.nan
    rows[3, 5] = 1.0
    for seed in range(3):  # one of them at least holds row 3 out
        model = AutoencoderTransformer(**QUICK | {"random_state": seed}).fit(rows)
        assert np.isfinite(model.reconstruct(rows)).all()


# -- tables with categories ------------------------------------------------------------


def make_table(n_rows=200):
    """Return a table of which the last column tells the first two."""
    random = np.random.RandomState(0)
    number = random.normal(size=n_rows)
    kind = np.digitize(number, [-0.5, 0.5])
    table = pd.DataFrame({
        "three": pd.Categorical(np.array(list("abc"))[kind]),
        "two": pd.Categorical(np.array(["no", "yes"])[kind // 2]),
        "number": number,
    })  # fmt: skip
    return table.mask(random.uniform(size=table.shape) < 0.2).dropna(how="all")


def test_training_on_tables_starts_from_shares_by_the_law():
    table = make_table()
    frozen = {"optimizer": "sgd", "lr": 1e-30, "schedule": "constant"}
    model = AutoencoderTransformer(
        **QUICK | {"max_epochs": 1}, **frozen, early_stopping=False
    ).fit(table)
    number = (table["number"] - table["number"].mean()) / table["number"].std(ddof=0)
    yes = table["two"].map({"no": 0.0, "yes": 1.0}).astype(float)
    codes = [
        (table["three"] == c).where(table["three"].notna(), np.nan).astype(float)
        for c in "abc"
    ]
    U = torch.from_numpy(np.column_stack([number, yes, *codes]).astype(float))
    filled = JointNormal(5).double().fit(U)(U).numpy()
    shares = filled[:, 2:].clip(0.01, 0.99)
    probabilities = model.reconstruct_proba(table)
    np.testing.assert_allclose(
        probabilities["three"], shares / shares.sum(axis=1, keepdims=True), rtol=1e-3
    )
    np.testing.assert_allclose(
        probabilities["two"][:, 1], filled[:, 1].clip(0.01, 0.99), rtol=1e-3
    )
    holes = table["number"].isna()
    expected = filled[:, 0] * table["number"].std(ddof=0) + table["number"].mean()
    restored = model.reconstruct(table)["number"]
    np.testing.assert_allclose(restored[holes], expected[holes], rtol=1e-3, atol=1e-6)


def test_known_categories_are_restored_as_they_are_and_scored_as_such():
    table = make_table()
    model = AutoencoderTransformer(**QUICK).fit(table)
    restored = model.reconstruct(table)
    known = table.notna()
    pd.testing.assert_frame_equal(restored[known], table[known])
    assert model.transform(table).shape == (len(table), 5)
    pd.testing.assert_frame_equal(
        model.inverse_transform(model.transform(table)),
        restored.reset_index(drop=True),
    )
    assert model.score(table) > 0.99
    copy = pickle.loads(pickle.dumps(model))
    pd.testing.assert_frame_equal(copy.reconstruct(table), restored, check_exact=True)


def test_a_category_is_hidden_as_a_whole():
    module = AutoencoderTransformer(**QUICK).fit(make_table()).module_
    U = module.layout.expand(torch.tensor([[1.0, 0.0, 0.3]] * 400))
    hidden = module.corrupt(U, Rng(0)).isnan()
    three = hidden[:, module.layout.columns == 0]
    assert (three.all(dim=1) == three.any(dim=1)).all()
    assert 100 < three[:, 0].sum() < 300


def test_steps_are_climbed_one_after_the_other():
    column = np.append(np.repeat([0.0, 1.0, 3.0], 5), np.nan)
    steps = Steps(1).fit(torch.from_numpy(column[:, None]))
    climbed = steps(torch.tensor([[-1.0], [0.5], [1.0], [2.0], [9.0]]))
    assert climbed.shape == (5, N_STEPS)
    expected = [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1]]
    np.testing.assert_allclose(climbed[:, :2], expected)
    assert (climbed[:, 2:] == 0).all()
    many = Steps(1).fit(torch.arange(1601.0)[:, None])
    climbed = many(torch.tensor([[800.0], [850.0]])).sum(dim=1)
    np.testing.assert_allclose(climbed, [N_STEPS / 2, N_STEPS / 2 + 0.5])
