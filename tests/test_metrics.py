"""Metrics on cases whose answers are known."""

import random
from itertools import combinations, permutations, product
from math import log

import numpy as np
import pytest
from scipy.linalg import hadamard, sqrtm
from scipy.stats import fisher_exact, kstest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skae.metrics import (
    active_units,
    beta_vae_score,
    bjontegaard_rate,
    classifier_two_sample_test,
    disentanglement_completeness_informativeness,
    factor_vae_score,
    frechet_distance,
    maximum_mean_discrepancy,
    mutual_information_gap,
    peak_signal_to_noise_ratio,
    separated_attribute_predictability,
)
from skae.metrics._dci import _concentration
from skae.metrics._halves import draw_halves
from skae.metrics._rows_by_value import RowsByValue

# Four factors of 2 to 5 values, every combination five times.
N_VALUES = (2, 3, 4, 5)
FACTORS = np.tile(list(product(*map(range, N_VALUES))), (5, 1))
CENTERED = (FACTORS - FACTORS.mean(axis=0)) / FACTORS.std(axis=0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


# A perfect code of which every component is a bit noisy, and one whose components have
# as much of each factor.
CLEAR = CENTERED + 0.02 * noise(*CENTERED.shape)
ROTATION = hadamard(4) / 2
MIXED = CLEAR @ ROTATION


def beta(Z, factors, random_state=0):
    return beta_vae_score(Z, factors, random_state=random_state)


def factor(Z, factors, random_state=0):
    return factor_vae_score(Z, factors, random_state=random_state)


def mig(Z, factors, random_state=0):
    return mutual_information_gap(Z, factors)


def sap(Z, factors, random_state=0):
    return separated_attribute_predictability(Z, factors, random_state=random_state)


def dci(Z, factors, random_state=0):
    return disentanglement_completeness_informativeness(
        Z, factors, classifier=DecisionTreeClassifier(), random_state=random_state
    )


def disentanglement(Z, factors, random_state=0):
    return dci(Z, factors, random_state).disentanglement


def completeness(Z, factors, random_state=0):
    return dci(Z, factors, random_state).completeness


SCORES = [beta, factor, mig, sap, disentanglement, completeness]
# SAP of a perfect code: chance is right in one of so many cases.
BEST = dict.fromkeys(SCORES, 1.0) | {sap: 1 - np.mean([1 / n for n in N_VALUES])}
WORST = dict.fromkeys(SCORES, 0.0) | {beta: 1 / 4, factor: 1 / 4}

each_score = pytest.mark.parametrize("score", SCORES, ids=lambda f: f.__name__)


# -- disentanglement, all scores -------------------------------------------------------


@each_score
def test_perfect_codes_have_the_best_score(score):
    assert score(CLEAR, FACTORS) == pytest.approx(BEST[score], abs=0.02)


@each_score
def test_noise_has_the_worst_score(score):
    codes = noise(*FACTORS.shape, seed=2)
    assert score(codes, FACTORS) == pytest.approx(WORST[score], abs=0.06)


@each_score
def test_constant_codes_have_the_worst_score(score):
    codes = np.zeros((len(FACTORS), 3))
    assert score(codes, FACTORS) == pytest.approx(WORST[score], abs=1e-12)


@each_score
def test_components_of_noise_beside_perfect_ones_do_not_matter(score):
    codes = np.hstack([CLEAR, noise(len(CLEAR), 3, seed=3)])
    assert score(codes, FACTORS) == pytest.approx(BEST[score], abs=0.05)


@each_score
def test_mixed_codes_are_worse(score):
    assert score(MIXED, FACTORS) < BEST[score] - 0.4


def test_mixed_codes_are_as_informative():
    for codes in (CLEAR, MIXED):
        assert dci(codes, FACTORS).informativeness > 0.9


@each_score
def test_order_sign_scale_and_shift_of_components_do_not_matter(score):
    codes = CENTERED @ ROTATION + 0.5 * noise(*CENTERED.shape, seed=4)
    other = codes[:, [2, 0, 3, 1]] * [1.0, -4.0, 0.25, -1.0] + [0.0, 5.0, -1.0, 2.0]
    distance = 0.05 if score in (disentanglement, completeness) else 0.03
    assert score(codes, FACTORS) == pytest.approx(score(other, FACTORS), abs=distance)


@each_score
def test_names_of_values_and_order_of_factors_do_not_matter(score):
    names = FACTORS[:, ::-1] * 3.0 - 7
    assert score(CLEAR, names) == pytest.approx(score(CLEAR, FACTORS), abs=0.02)


@each_score
def test_one_seed_has_one_score(score):
    codes = MIXED + noise(*MIXED.shape)
    assert score(codes, FACTORS) == score(codes, FACTORS)
    if score is not mig:
        assert score(codes, FACTORS) != score(codes, FACTORS, random_state=1)


def test_a_component_for_two_factors_is_complete_but_not_disentangled():
    both = FACTORS[:, [0]] + 2 * FACTORS[:, [1]]
    codes = np.hstack([both, FACTORS[:, [2]]])
    scores = dci(codes, FACTORS[:, :3])
    assert scores.completeness == pytest.approx(1)
    assert scores.disentanglement == pytest.approx(1 - 2 / 3 * log(2) / log(3))


# -- each score: closed forms ----------------------------------------------------------


def entropy_of(p):
    return -p * log(p) - (1 - p) * log(1 - p)


def test_the_gap_of_a_small_table_is_the_difference_of_informations():
    # a fair coin, a copy that is wrong in 2 of 8 cases, another one wrong in 3
    coin, case, other = (a.ravel() for a in np.indices((2, 8, 8)))
    copies = np.stack([coin ^ (case < 2), coin ^ (other < 3)], axis=1)
    gap = (entropy_of(3 / 8) - entropy_of(2 / 8)) / log(2)
    assert mig(copies, coin[:, None]) == pytest.approx(gap)
    copies[:, 1] = other & 1  # knows nothing
    gap = 1 - entropy_of(2 / 8) / log(2)
    assert mig(copies, coin[:, None]) == pytest.approx(gap)


def test_the_gap_is_averaged_over_factors():
    a, b = (i.ravel() for i in np.indices((3, 4)))
    factors = np.stack([a, b], axis=1)
    assert mig(factors, factors) == pytest.approx(1)
    codes = np.stack([a, a * 0], axis=1)
    assert mig(codes, factors) == pytest.approx(1 / 2)
    codes = np.stack([a, a], axis=1)
    assert mig(codes, factors) == pytest.approx(0)


def test_bins_are_of_equal_width():
    # 0.09 is in the first of ten bins from 0 to 1, like 0; 0.11 is not
    factors = np.array([[0], [1], [0], [1]])
    for edge, gap in ((0.09, 0.0), (0.11, 0.5)):
        codes = np.array([[0.0, 0], [edge, 0], [1.0, 0], [1.0, 0]])
        found = mutual_information_gap(codes, factors, n_bins=10)
        assert found == pytest.approx(gap, abs=1e-12)


@pytest.mark.parametrize("n_values", [2, 3, 7])
def test_predictability_is_over_that_of_chance(n_values):
    values = np.arange(70 * n_values) % n_values
    codes = np.stack([values * 0.1, values * 0], axis=1)
    assert sap(codes, values[:, None]) == pytest.approx(1 - 1 / n_values)


def test_predictability_counts_rare_values_as_much_as_others():
    values = np.r_[np.zeros(900), np.ones(100)]
    codes = np.stack([values, noise(1000)], axis=1)
    assert sap(codes, values[:, None]) == pytest.approx(1 / 2, abs=0.06)


def test_concentration_of_a_table():
    importance = np.array([[1.0, 0.0], [0.0, 0.5], [0.0, 0.5], [0.0, 0.0]])
    found, complete = _concentration(importance)
    assert found == pytest.approx(1)
    assert complete == pytest.approx((1 + 1 - log(2) / log(4)) / 2)
    found, complete = _concentration(importance.T)
    assert found == pytest.approx((1 + 1 - log(2) / log(4)) / 2)
    assert complete == pytest.approx((1 + 1 + 0) * 1 / 4 + 1 / 4)


def test_concentration_weighs_components_by_their_importance():
    importance = np.array([[0.9, 0.9], [0.1, 0.0], [0.0, 0.1]])
    found, _ = _concentration(importance)
    assert found == pytest.approx(0.1)


def test_importance_may_be_that_of_a_linear_classifier():
    scores = disentanglement_completeness_informativeness(
        CLEAR, FACTORS, classifier=LogisticRegression(max_iter=5000), random_state=0
    )
    assert scores.informativeness > 0.99
    assert scores.disentanglement > 0.8


def test_the_default_classifier_sees_a_perfect_code():
    scores = disentanglement_completeness_informativeness(
        CLEAR, FACTORS, random_state=0
    )
    np.testing.assert_allclose(scores, 1, atol=0.01)


def test_the_vote_is_for_the_component_of_the_factor():
    # two factors in one component: either gets all its votes, and the other none right
    codes = np.stack([FACTORS[:, 0], FACTORS[:, 1], noise(len(FACTORS))], axis=1)
    expected = (1 + 1 + 1 / 2 * 1) / 4  # two are right, one of the others if at all
    assert factor(codes[:, :2], FACTORS) == pytest.approx(1 / 2, abs=0.05)
    assert factor(codes, FACTORS) <= expected + 0.2


# -- rows that share a value -----------------------------------------------------------


def test_pairs_are_different_rows_of_one_value_each_as_often():
    values = np.array([0, 1, 1, 2, 2, 2, 3])
    groups = RowsByValue(np.arange(7), values, 0)
    first, second = groups.draw_pairs(60_000, np.random.RandomState(0))
    assert (first != second).all()
    assert np.array_equal(values[first], values[second])
    counts = np.zeros((7, 7))
    np.add.at(counts, (first, second), 1)
    expected = np.zeros((7, 7))
    expected[1:3, 1:3] = (1 - np.eye(2)) / 5
    expected[3:6, 3:6] = (1 - np.eye(3)) / 5 / 2
    np.testing.assert_allclose(counts / 60_000, expected, atol=0.005)


def test_batches_share_a_value_which_comes_as_often_as_among_rows():
    values = np.array([5, 1, 1, 2, 2, 2, 1, 1])
    rows = np.array([1, 3, 4, 0, 6, 5])  # no others are drawn
    groups = RowsByValue(rows, values, 0)
    batches = groups.draw_batches(4000, 10, np.random.RandomState(0))
    assert batches.shape == (4000, 10)
    assert (values[batches] == values[batches[:, :1]]).all()
    assert set(batches.ravel()) == {1, 3, 4, 5, 6}
    assert (values[batches[:, 0]] == 2).mean() == pytest.approx(3 / 5, abs=0.03)
    shares = np.bincount(batches.ravel(), minlength=8) / batches.size
    np.testing.assert_allclose(shares[[1, 3, 4, 5, 6]], 1 / 5, atol=0.02)


# -- reconstructions and codes ---------------------------------------------------------


def test_a_component_is_active_above_the_threshold():
    means = np.array([[0.0, 0.0, 0.0, 4.0], [0.25, 0.5, 1.0, 4.0]])  # 1/64, 1/16, 1/4
    assert active_units(means) == 3
    assert active_units(means, threshold=1 / 16) == 1
    assert active_units(means, threshold=0) == 3
    assert isinstance(active_units(means), int)


def test_psnr_is_in_decibels_of_the_range():
    X = np.zeros((3, 5))
    assert peak_signal_to_noise_ratio(X, X + 0.1, data_range=1) == pytest.approx(20)
    assert peak_signal_to_noise_ratio(X, X - 1, data_range=1000) == pytest.approx(60)
    bytes_ = np.arange(15, dtype=np.uint8).reshape(3, 5)
    found = peak_signal_to_noise_ratio(bytes_, bytes_[::-1], data_range=255)
    error = np.square(bytes_ - bytes_[::-1].astype(float)).mean()
    assert found == pytest.approx(10 * np.log10(255**2 / error))


def test_psnr_of_one_row_is_that_row_s_own():
    X = np.eye(3)
    of_rows = peak_signal_to_noise_ratio(X, X + X / 10, data_range=2, per_row=True)
    one = peak_signal_to_noise_ratio(X[:1], 1.1 * X[:1], data_range=2)
    assert one == pytest.approx(of_rows[0])


def test_psnr_of_exact_rows_is_infinite():
    X = np.eye(3)
    Y = X + np.array([[0.0], [0.1], [0.01]])
    assert peak_signal_to_noise_ratio(X, X, data_range=1) == np.inf
    ratios = peak_signal_to_noise_ratio(X, Y, data_range=1, per_row=True)
    np.testing.assert_allclose(ratios, [np.inf, 20, 40])


LOG_RATES, QUALITIES = np.array([0.0, 1.0, 1.7, 2.3]), np.array([30.0, 34.0, 36.0, 37])


@pytest.mark.parametrize("ratio", [0.5, 0.8, 1.0, 3.0])
def test_a_curve_of_a_constant_ratio_has_that_difference(ratio):
    rates = np.exp(LOG_RATES)
    found = bjontegaard_rate(rates, QUALITIES, ratio * rates, QUALITIES)
    assert found == pytest.approx(ratio - 1)


def test_straight_lines_differ_by_their_distance_amid_the_common_qualities():
    ours, other = np.array([10.0, 20.0, 30.0]), np.array([18.0, 26.0, 40.0])
    rates, other_rates = np.exp(0.1 * ours), np.exp(0.2 * other - 3)
    middle = (18 + 30) / 2
    expected = np.exp((0.2 * middle - 3) - 0.1 * middle) - 1
    found = bjontegaard_rate(rates, ours, other_rates, other)
    assert found == pytest.approx(expected)


def test_units_order_and_side_of_curves_do_not_matter():
    other = np.exp(LOG_RATES + np.array([0.3, 0.1, -0.1, 0.2]))
    first = bjontegaard_rate(np.exp(LOG_RATES), QUALITIES, other, QUALITIES + 1)
    again = bjontegaard_rate(
        8 * np.exp(LOG_RATES[::-1]), 2 * QUALITIES[::-1], 8 * other, 2 * QUALITIES + 2
    )
    back = bjontegaard_rate(other, QUALITIES + 1, np.exp(LOG_RATES), QUALITIES)
    assert again == pytest.approx(first)
    assert (1 + back) * (1 + first) == pytest.approx(1)


# -- two samples -----------------------------------------------------------------------


def brute_force_mmd(X, Y, bandwidth):
    def kernel(a, b):
        return np.exp(-np.square(a - b).sum() / (2 * bandwidth**2))

    n, m = len(X), len(Y)
    within_x = sum(kernel(*pair) for pair in permutations(X, 2)) / (n * (n - 1))
    within_y = sum(kernel(*pair) for pair in permutations(Y, 2)) / (m * (m - 1))
    between = sum(kernel(a, b) for a, b in product(X, Y)) / (n * m)
    return within_x + within_y - 2 * between


def test_mmd_is_the_sum_over_pairs():
    X, Y = noise(6, 3), noise(9, 3, seed=1) + 0.5
    found = maximum_mean_discrepancy(X, Y, bandwidth=1.3, random_state=0).statistic
    assert found == pytest.approx(brute_force_mmd(X, Y, 1.3))
    pairs = combinations(np.concatenate([X, Y]), 2)
    median = np.median([np.linalg.norm(a - b) for a, b in pairs])
    found = maximum_mean_discrepancy(X, Y, random_state=0).statistic
    assert found == pytest.approx(brute_force_mmd(X, Y, median))


def test_the_p_value_is_the_share_of_divisions_with_a_statistic_as_large():
    rows = np.concatenate([noise(4, 2), noise(4, 2, seed=1) + 0.7])
    observed = brute_force_mmd(rows[:4], rows[4:], 1.0)
    divisions = [list(c) for c in combinations(range(8), 4)]
    others = [
        brute_force_mmd(rows[c], np.delete(rows, c, axis=0), 1.0) for c in divisions
    ]
    share = np.mean(np.array(others) >= observed - 1e-9)
    found = maximum_mean_discrepancy(
        rows[:4], rows[4:], bandwidth=1.0, n_permutations=20_000, random_state=0
    )
    assert found.pvalue == pytest.approx(share, abs=0.01)


def test_mmd_is_unbiased_and_its_p_values_uniform_if_laws_are_the_same():
    results = [
        maximum_mean_discrepancy(
            noise(20, 2, seed=2 * i), noise(15, 2, seed=2 * i + 1),
            bandwidth=1.0, n_permutations=99, random_state=i,
        )
        for i in range(300)
    ]  # fmt: skip
    statistics, pvalues = np.array(results).T
    assert abs(statistics.mean()) < 3 * statistics.std() / np.sqrt(300)
    assert kstest(pvalues, "uniform").pvalue > 0.01
    assert pvalues.min() >= 0.01


def test_mmd_tells_laws_apart_that_share_mean_and_covariance():
    X = noise(150, 2)
    Y = np.random.default_rng(1).choice([-1.0, 1.0], size=(150, 2))
    result = maximum_mean_discrepancy(X, Y, bandwidth=0.5, random_state=0)
    assert result.pvalue == 0.001
    assert maximum_mean_discrepancy(X, X + 1, random_state=0).pvalue == 0.001


def test_mmd_does_not_see_rotations_shifts_and_units_of_both_sets():
    X, Y = noise(30, 4), 1.5 * noise(20, 4, seed=1)
    first = maximum_mean_discrepancy(X, Y, random_state=0)
    moved = maximum_mean_discrepancy(
        3 * X @ ROTATION - 5, 3 * Y @ ROTATION - 5, random_state=0
    )
    assert moved == pytest.approx(first)
    swapped = maximum_mean_discrepancy(Y, X, random_state=0)
    assert swapped.statistic == pytest.approx(first.statistic)


def test_without_permutations_there_is_no_p_value():
    result = maximum_mean_discrepancy(noise(5, 1), noise(6, 1), n_permutations=0)
    assert np.isnan(result.pvalue)


class Sign(ClassifierMixin, BaseEstimator):
    """Says 1 of positive rows, whatever it is trained on."""

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict(self, X):
        return (X[:, 0] > 0).astype(int)


def test_the_classifier_test_is_fishers_of_held_out_rows():
    X, Y = noise(50, 1), noise(31, 1, seed=1) + 0.5
    found = classifier_two_sample_test(X, Y, classifier=Sign(), random_state=0)
    rng = np.random.RandomState(0)
    _, of_X = draw_halves(50, rng)
    _, of_Y = draw_halves(31, rng)
    table = [
        [(X[of_X] <= 0).sum(), (X[of_X] > 0).sum()],
        [(Y[of_Y] <= 0).sum(), (Y[of_Y] > 0).sum()],
    ]
    expected = ((X[of_X] <= 0).mean() + (Y[of_Y] > 0).mean()) / 2
    assert found.statistic == pytest.approx(expected)
    assert found.pvalue == pytest.approx(fisher_exact(table, alternative="greater")[1])


def test_a_classifier_that_knows_the_larger_set_only_is_at_chance():
    result = classifier_two_sample_test(
        noise(30, 2), noise(10, 2), classifier=DummyClassifier(), random_state=0
    )
    assert result == (0.5, 1.0)


def test_the_classifier_test_is_at_chance_if_laws_are_the_same():
    results = [
        classifier_two_sample_test(
            noise(60, 2, seed=2 * i), noise(40, 2, seed=2 * i + 1),
            classifier=KNeighborsClassifier(), random_state=i,
        )
        for i in range(200)
    ]  # fmt: skip
    statistics, pvalues = np.array(results).T
    assert statistics.mean() == pytest.approx(0.5, abs=0.015)
    for level in (0.05, 0.1, 0.3):
        assert (pvalues <= level).mean() <= level + 0.03
    assert (pvalues <= 0.5).mean() > 0.25  # nor too careful


def test_the_classifier_test_tells_laws_apart():
    X, Y = noise(100, 3), noise(80, 3, seed=1)
    Y[:, 2] = Y[:, 0] * Y[:, 1]  # no single column shows it
    result = classifier_two_sample_test(X, Y, random_state=0)
    assert result.statistic > 0.6
    assert result.pvalue < 0.05
    result = classifier_two_sample_test(X, Y + 9, random_state=0)
    assert result.statistic == 1
    assert result.pvalue < 1e-20


def with_moments(mean, covariance, n_samples=50):
    """Return rows with exactly that mean and covariance."""
    rows = noise(n_samples, len(mean))
    rows -= rows.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(rows.T))).T
    return rows @ whiten @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_independent_columns_is_that_of_means_and_deviations():
    means = np.array([[0.0, 1.0, -2.0], [1.0, 1.0, 0.5]])
    deviations = np.array([[1.0, 2.0, 3.0], [1.0, 0.5, 4.0]])
    X, Y = (
        with_moments(mean, np.diag(s**2), n)
        for mean, s, n in zip(means, deviations, (50, 70), strict=True)
    )
    expected = np.square(means[0] - means[1]).sum()
    expected += np.square(deviations[0] - deviations[1]).sum()
    assert frechet_distance(X, Y) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 5), (4, 40, 6), (3, 5, 8)])
def test_frechet_distance_is_the_formula_with_a_matrix_root(n, m, d):
    X, Y = noise(n, d) @ noise(d, d, seed=5), 2 + noise(m, d, seed=6)
    first, second = np.cov(X.T), np.cov(Y.T)
    root = sqrtm(second + 1e-13 * np.eye(d))
    cross = np.linalg.eigvalsh(root @ first @ root).clip(0)
    expected = np.square(X.mean(axis=0) - Y.mean(axis=0)).sum()
    expected += np.trace(first + second) - 2 * np.sqrt(cross).sum()
    assert frechet_distance(X, Y) == pytest.approx(expected, rel=1e-5)
    assert frechet_distance(Y, X) == pytest.approx(frechet_distance(X, Y))


def test_frechet_distance_of_rows_to_themselves_is_nothing_and_moves_with_none():
    X, Y = noise(40, 4) * [1e3, 1.0, 1.0, 1e-3], noise(30, 4, seed=1)
    assert 0 <= frechet_distance(X, X[::-1]) < 1e-20
    moved = frechet_distance(2 * X @ ROTATION + 3, 2 * Y @ ROTATION + 3)
    assert moved == pytest.approx(4 * frechet_distance(X, Y))


# -- seeds -----------------------------------------------------------------------------


def test_global_generators_are_left_alone():
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    for score in SCORES:
        score(MIXED[:120], FACTORS[:120])
    X, Y = noise(20, 2), noise(20, 2, seed=1)
    maximum_mean_discrepancy(X, Y, random_state=0)
    classifier_two_sample_test(X, Y, random_state=0)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert random.getstate() == before[1]


def test_two_sample_tests_are_functions_of_the_seed():
    X, Y = noise(40, 2), noise(40, 2, seed=1)
    deep = make_pipeline(StandardScaler(), DecisionTreeClassifier(max_features=1))
    for test in (
        maximum_mean_discrepancy,
        classifier_two_sample_test,
        lambda X, Y, random_state: classifier_two_sample_test(
            X, Y, classifier=deep, random_state=random_state
        ),
    ):
        first, again, other = (test(X, Y, random_state=seed) for seed in (0, 0, 1))
        assert first == again
        assert first != other
    assert deep[-1].random_state is None  # not the user's own


def test_inputs_are_not_changed():
    arrays = [MIXED.copy(), FACTORS.copy(), noise(20, 2), noise(20, 2, seed=1)]
    copies = [array.copy() for array in arrays]
    Z, factors, X, Y = arrays
    for score in SCORES:
        score(Z, factors)
    for test in (maximum_mean_discrepancy, classifier_two_sample_test):
        test(X, Y, random_state=0)
    frechet_distance(X, Y)
    peak_signal_to_noise_ratio(X, Y, data_range=1)
    for array, copy in zip(arrays, copies, strict=True):
        assert np.array_equal(array, copy)


def test_lists_and_data_frames_do():
    pd = pytest.importorskip("pandas")
    frames = pd.DataFrame(MIXED), pd.DataFrame(FACTORS).astype("int8")
    assert mig(*frames) == mig(MIXED, FACTORS)
    assert mig(MIXED.tolist(), FACTORS.tolist()) == mig(MIXED, FACTORS)


# -- bad input -------------------------------------------------------------------------

TWO = np.array([[0.0, 1.0], [2.0, 3.0]])
HOLE = np.array([[0.0, 1.0], [2.0, np.nan]])
UNSHARED = np.stack([np.arange(20) % 2, np.arange(20)], axis=1)


@each_score
@pytest.mark.parametrize(
    ("Z", "factors", "message"),
    [
        (MIXED[:, 0], FACTORS, r"Z has shape \(600,\), expected .* Z.reshape\(-1, 1\)"),
        (MIXED, FACTORS[:, 0], r"factors has shape \(600,\), expected"),
        (MIXED[:, :, None], FACTORS, r"Z has shape .* Z.reshape\(len\(Z\), -1\)"),
        (MIXED[:5], FACTORS, "inconsistent numbers of samples"),
        (MIXED[:1], FACTORS[:1], "Z has shape .*, expected at least 2 rows"),
        (HOLE, FACTORS[:2], "Z has nan in row 1 of column 1, expected finite .* drop"),
        (-np.inf + TWO, FACTORS[:2], "Z has -inf in row 0 of column 0"),
        (TWO * 1e200, FACTORS[:2], r"Z has 1e\+200 in row 0 of column 1"),
        (TWO, HOLE, "factors has nan in row 1 of column 1"),
        (MIXED, FACTORS + 0.5, "factors has 0.5 in column 0, expected whole .* bin"),
        (MIXED, FACTORS * [1, 0, 1, 1], "factors has the value 0 alone in column 1"),
        (MIXED.astype(str), FACTORS.astype(str) + np.array("a"), "could not convert"),
    ],
)
def test_bad_codes_and_factors_are_named(score, Z, factors, message):
    with pytest.raises(ValueError, match=message):
        score(Z, factors)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mig(MIXED[:, :1], FACTORS), ValueError, "Z has 1 column, expected"),
        (lambda: sap(MIXED[:, :1], FACTORS), ValueError, "Z has 1 column, expected"),
        (lambda: dci(MIXED[:, :1], FACTORS), ValueError, "Z has 1 column, expected"),
        (lambda: dci(MIXED, FACTORS[:, :1]), ValueError, "factors has 1 column"),
        (lambda: beta(MIXED, FACTORS[:, :1]), ValueError, "factors has 1 column"),
        (lambda: factor(MIXED, FACTORS[:, :1]), ValueError, "factors has 1 column"),
        (lambda: beta(noise(20, 2), UNSHARED), ValueError,
         "no two rows share a value of column 1 of factors.*pass more rows, or merge"),
        (lambda: factor(noise(20, 2), UNSHARED), ValueError, "no two rows share"),
        (lambda: beta_vae_score(MIXED, FACTORS, n_batches=3), ValueError,
         "n_batches == 3, must be >= 4"),
        (lambda: beta_vae_score(MIXED, FACTORS, batch_size=0), ValueError,
         "batch_size == 0, must be >= 1"),
        (lambda: factor_vae_score(MIXED, FACTORS, batch_size=1), ValueError,
         "batch_size == 1, must be >= 2"),
        (lambda: mutual_information_gap(MIXED, FACTORS, n_bins=1), ValueError,
         "n_bins == 1, must be >= 2"),
        (lambda: mutual_information_gap(MIXED, FACTORS, n_bins=2.5), TypeError,
         "n_bins must be an instance of"),
        (lambda: disentanglement_completeness_informativeness(
            MIXED, FACTORS, classifier=KNeighborsClassifier()), TypeError,
         r"classifier=KNeighborsClassifier\(\) has neither .* use one that does"),
        (lambda: active_units([1.0, 2.0]), ValueError, r"means has shape \(2,\)"),
        (lambda: active_units(TWO, threshold=-1), ValueError, "threshold == -1, must"),
        (lambda: peak_signal_to_noise_ratio(TWO, TWO[:, :1], data_range=1), ValueError,
         r"X has shape \(2, 2\) and X_reconstructed \(2, 1\); each row needs"),
        (lambda: peak_signal_to_noise_ratio(TWO, TWO, data_range=0), ValueError,
         "data_range == 0, must be > 0"),
        (lambda: peak_signal_to_noise_ratio(TWO, HOLE, data_range=1), ValueError,
         "X_reconstructed has nan in row 1 of column 1"),
        (lambda: peak_signal_to_noise_ratio(TWO[:0], TWO[:0], data_range=1), ValueError,
         "minimum of 1 is required"),
        (lambda: bjontegaard_rate([1, 2], [1, 2], [1, 2], [3, 4]), ValueError,
         "qualities are from 1 to 2 and other_qualities from 3 to 4, .* not overlap"),
        (lambda: bjontegaard_rate([0, 2], [1, 2], [1, 2], [1, 2]), ValueError,
         "rates has 0, expected positive rates"),
        (lambda: bjontegaard_rate([1, 2], [1, 2], [1, 2], [3, 3]), ValueError,
         "other_qualities has 3 twice, .* keep the lower one"),
        (lambda: bjontegaard_rate([1, 2], [1, 2, 3], [1, 2], [3, 4]), ValueError,
         r"rates has shape \(2,\) and qualities \(3,\), expected \(n_points,\)"),
        (lambda: bjontegaard_rate([1], [1], [1, 2], [3, 4]), ValueError,
         "minimum of 2 is required"),
        (lambda: bjontegaard_rate([1, np.nan], [1, 2], [1, 2], [3, 4]), ValueError,
         "Input rates contains NaN"),
        (lambda: maximum_mean_discrepancy(TWO, TWO[:, :1]), ValueError,
         "X has 2 columns and Y 1; rows can be compared only if"),
        (lambda: maximum_mean_discrepancy(TWO, HOLE), ValueError, "Y has nan in row 1"),
        (lambda: maximum_mean_discrepancy(TWO * 0, TWO * 0), ValueError,
         "bandwidth=None is the median .* which is 0 .* pass a bandwidth"),
        (lambda: maximum_mean_discrepancy(TWO, TWO, bandwidth=0), ValueError,
         "bandwidth == 0, must be > 0"),
        (lambda: maximum_mean_discrepancy(TWO, TWO, n_permutations=-1), ValueError,
         "n_permutations == -1, must be >= 0"),
        (lambda: classifier_two_sample_test(noise(9, 2), TWO), ValueError,
         "Y has 2 rows, expected at least four"),
        (lambda: classifier_two_sample_test(noise(9, 2)[0], TWO), ValueError,
         r"X has shape \(2,\), expected \(n_rows, n_columns\)"),
        (lambda: frechet_distance(TWO, TWO[:, :1]), ValueError, "X has 2 columns and"),
        (lambda: frechet_distance(TWO, TWO[:1]), ValueError, "Y has shape .* 2 rows"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
