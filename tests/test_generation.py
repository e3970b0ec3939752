"""New rows: laws of codes, paths between them, and what the estimators make of them."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skae import AutoencoderTransformer, VAETransformer
from skae._code_density import (
    KeptCodes,
    choose_rows,
    draw_codes,
    linear_path,
    spherical_path,
)
from skae._parzen import ParzenWindows
from skae.architectures import MLP

BOTH = pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
X_IRIS = load_iris().data
SHARES = np.linspace(0, 1, 5)


def make(cls, **options):
    return cls(2, max_epochs=3, random_state=0, **options)


# -- which codes are kept --------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_samples", "n_components", "n_kept"),
    [(1, 3, 1), (150, 3, 150), (10**6, 3, 10_000), (10**6, 1024, 256), (9, 10**6, 1)],
)
def test_few_rows_are_kept_in_order_and_each_once(n_samples, n_components, n_kept):
    rows = choose_rows(n_samples, n_components, seed=0)
    assert len(rows) == n_kept
    assert np.all(np.diff(rows) > 0)
    assert rows.min() >= 0
    assert rows.max() < n_samples


# -- laws ------------------------------------------------------------------------------


def test_center_and_spread_are_moments_of_the_aggregate_posterior():
    kept = KeptCodes(
        np.array([[0.0, 1.0], [2.0, 1.0]], np.float32),
        np.array([[1.0, 0.5], [2.0, 0.5]], np.float32),
    )
    np.testing.assert_allclose(kept.center(), [1, 1])
    np.testing.assert_allclose(kept.spread(), np.sqrt([1 + 2.5, 0.25]))
    draws = draw_codes(kept, "aggregate", 100_000, seed=0)
    np.testing.assert_allclose(draws.mean(axis=0), kept.center(), atol=0.02)
    np.testing.assert_allclose(draws.std(axis=0), kept.spread(), atol=0.02)


def test_the_prior_is_standard_normal_whatever_the_codes():
    kept = KeptCodes(np.full((5, 3), 7, np.float32))
    draws = draw_codes(kept, "prior", 100_000, seed=0)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(3), atol=0.02)


def two_heaps(n_rows=1000, distance=6.0):
    noise = np.random.default_rng(0)
    sides = noise.choice([-distance, distance], n_rows)
    heaps = noise.normal(size=(n_rows, 2)) * [0.5, 2.0] + np.outer(sides, [1, 0])
    return heaps.astype(np.float32)


def test_draws_from_the_mixture_lie_in_the_heaps_in_no_order():
    codes = two_heaps()
    kept = KeptCodes(codes)
    draws = draw_codes(kept, "mixture", 5000, seed=0)
    np.testing.assert_allclose(draws.mean(axis=0), codes.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(draws.T), np.cov(codes.T), rtol=0.1, atol=0.2)
    assert np.mean(np.abs(np.abs(draws[:, 0]) - 6) > 2) < 0.01
    halves = draws[:2500, 0] > 0, draws[2500:, 0] > 0
    assert abs(halves[0].mean() - halves[1].mean()) < 0.05


@pytest.mark.parametrize("n_rows", [1, 2, 15, 20])
def test_a_mixture_of_few_codes_keeps_their_mean_and_a_dead_component(n_rows):
    codes = np.random.default_rng(0).normal(3, 1, size=(n_rows, 3)).astype(np.float32)
    codes[:, 1] = 5.0
    draws = draw_codes(KeptCodes(codes), "mixture", 4000, seed=0)
    np.testing.assert_allclose(draws.mean(axis=0), codes.mean(axis=0), atol=0.1)
    np.testing.assert_array_equal(draws[:, 1], 5.0)


@pytest.mark.parametrize("n_rows", [1, 2, 15, 20, 100])
def test_equal_codes_are_drawn_as_they_are(n_rows):
    kept = KeptCodes(np.full((n_rows, 3), 7, np.float32))
    np.testing.assert_array_equal(draw_codes(kept, "mixture", 50, seed=0), 7.0)


@pytest.mark.parametrize("density", ["prior", "aggregate", "mixture"])
def test_temperature_scales_the_way_from_the_middle_of_a_law(density):
    means = two_heaps(200)
    kept = KeptCodes(means, np.full_like(means, 0.5))
    cold, warm, hot = (
        draw_codes(kept, density, 300, 0, temperature)
        for temperature in (1e-9, 1.0, 2.0)
    )
    np.testing.assert_allclose(hot - cold, 2 * (warm - cold), atol=1e-6)
    if density == "prior":
        np.testing.assert_allclose(cold, 0, atol=1e-6)
    else:
        distances = np.abs(cold[:, None] - means).max(axis=2).min(axis=1)
        np.testing.assert_allclose(distances, 0, atol=1e-6)


# -- windows ---------------------------------------------------------------------------


def circle(n_codes, seed=0, noise=0.02):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(0, 2 * np.pi, n_codes)
    codes = np.column_stack([np.cos(angles), np.sin(angles), 0 * angles])
    return codes + noise * rng.normal(size=codes.shape)


def covariances_of(windows):
    """Return the covariance of each window, by the formula of the paper."""
    codes, covariances = windows.codes, []
    for code in codes:
        order = np.argsort(np.linalg.norm(codes - code, axis=1), kind="stable")
        ways = codes[order[1:6]] - code
        along = windows.reach**2 * ways.T @ ways / len(ways)
        noise = np.trace(along) / len(along) / 100 + 1e-8
        covariances.append(along + noise * np.eye(len(along)))
    return covariances


@pytest.mark.parametrize("n_components", [1, 3, 9])  # windows of rank 1, 3, 5
def test_the_density_is_that_of_normal_laws_along_the_ways_to_neighbours(n_components):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(40, n_components))
    windows = ParzenWindows(codes, reach=0.7)
    Z = rng.normal(size=(20, n_components))
    laws = [
        multivariate_normal(code, covariance).logpdf(Z)
        for code, covariance in zip(codes, covariances_of(windows), strict=True)
    ]
    expected = logsumexp(laws, axis=0) - np.log(len(codes))
    np.testing.assert_allclose(windows.log_prob(Z), expected)


def test_draws_have_the_moments_of_their_law():
    windows = ParzenWindows(circle(60), reach=0.8)
    noise = np.random.RandomState(0)
    rows = noise.randint(60, size=200_000)
    draws = windows.codes[rows] + windows.draw(rows, noise)
    center, covariance = windows.codes.mean(axis=0), windows.covariance()
    np.testing.assert_allclose(draws.mean(axis=0), center, atol=0.01)
    np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.01)
    windows_alone = np.mean(covariances_of(windows), axis=0)
    of_codes = np.cov(windows.codes.T, bias=True)
    np.testing.assert_allclose(covariance, of_codes + windows_alone)


def test_windows_lie_along_the_sheet_and_have_no_weight_elsewhere():
    windows = ParzenWindows(circle(1000))
    on, middle, far = [[1.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]], [[40.0, 0.0, 0.0]]
    density = windows.log_prob(np.concatenate([on, middle, far]))
    assert density[0] > density[1] + 20
    assert density[1] > density[2] + 1000
    rows = np.arange(1000)
    draws = windows.codes + windows.draw(rows, np.random.RandomState(0))
    lengths = np.linalg.norm(draws[:, :2], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=0.2)


@pytest.mark.parametrize("n_components", [2, 10])
def test_draws_are_no_farther_from_other_codes_than_codes_are(n_components):
    codes = np.random.default_rng(0).normal(size=(1000, n_components))
    windows, rows = ParzenWindows(codes), np.arange(1000)
    draws = codes + windows.draw(rows, np.random.RandomState(1))

    def distance(Z):
        """Return the median one to the nearest code, but for the window's own."""
        distances = np.linalg.norm(Z[:, None] - codes, axis=2)
        distances[rows, rows] = np.inf
        return np.median(distances.min(axis=1))

    assert 0.7 < distance(draws) / distance(codes) < 1.05


def test_windows_describe_new_codes_of_a_sheet_better_than_a_normal_law():
    windows, new = ParzenWindows(circle(1000)), circle(500, seed=1)
    alone = multivariate_normal(new.mean(axis=0), np.cov(new.T)).logpdf(new)
    assert np.median(windows.log_prob(new)) > np.median(alone) + 1


# -- paths -----------------------------------------------------------------------------


def test_arcs_keep_the_length_of_their_ends_and_turn_evenly():
    start, end = np.array([[2.0, 0.0, 0.0]]), np.array([[0.0, 2.0, 0.0]])
    (arc,) = spherical_path(start, end, SHARES)
    angles = SHARES * np.pi / 2
    expected = 2 * np.column_stack([np.cos(angles), np.sin(angles), 0 * angles])
    np.testing.assert_allclose(arc, expected, atol=1e-12)


@pytest.mark.parametrize("path", [linear_path, spherical_path])
def test_paths_begin_and_end_where_they_should(path):
    start, end = np.random.default_rng(0).normal(size=(2, 6, 4))
    ways = path(start, end, SHARES)
    np.testing.assert_allclose(ways[:, 0], start, atol=1e-12)
    np.testing.assert_allclose(ways[:, -1], end, atol=1e-12)


@pytest.mark.parametrize("factor", [0.0, 1.0, 3.0, -1.0])
def test_codes_in_line_with_zero_are_joined_by_a_line(factor):
    start = np.array([[1.0, 2.0], [0.0, 0.0]])
    expected = linear_path(start, factor * start, SHARES)
    np.testing.assert_allclose(
        spherical_path(start, factor * start, SHARES), expected, atol=1e-12
    )


# -- the estimators --------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("path", ["linear", "spherical"])
def test_an_interpolation_ends_at_the_reconstructions(cls, path):
    estimator = make(cls).fit(X_IRIS)
    ways = estimator.interpolate(X_IRIS[:4], X_IRIS[100:104], n_steps=6, path=path)
    assert ways.shape == (4, 6, 4)
    expected = [estimator.reconstruct(part) for part in (X_IRIS[:4], X_IRIS[100:104])]
    np.testing.assert_allclose(ways[:, 0], expected[0], atol=1e-9)
    np.testing.assert_allclose(ways[:, -1], expected[1], atol=1e-9)


def test_a_linear_autoencoder_interpolates_on_lines():
    ae = make(AutoencoderTransformer, architecture=MLP(())).fit(X_IRIS)
    (way,) = ae.interpolate(X_IRIS[:1], X_IRIS[100:101], n_steps=3)
    np.testing.assert_allclose(way[1], (way[0] + way[2]) / 2)


@BOTH
def test_a_linear_model_traverses_straight_and_over_the_span(cls):
    estimator = make(cls, architecture=MLP(())).fit(X_IRIS)
    ways = estimator.traverse(n_steps=5, span=2.0)
    assert ways.shape == (2, 5, 4)
    steps = np.diff(ways, axis=1)
    np.testing.assert_allclose(steps, np.broadcast_to(steps[:, :1], steps.shape))
    origin = estimator.transform(X_IRIS).mean(axis=0)[None]
    np.testing.assert_allclose(
        ways[:, 2], np.repeat(estimator.inverse_transform(origin), 2, axis=0), rtol=1e-6
    )
    decoded = estimator.inverse_transform(np.eye(2)) - estimator.inverse_transform(
        np.zeros((2, 2))
    )
    spread = estimator._kept_codes.spread()
    np.testing.assert_allclose(
        ways[:, -1] - ways[:, 0], 4 * spread[:, None] * decoded, rtol=1e-6
    )


def test_a_traversal_from_a_row_leaves_its_other_components():
    ae = AutoencoderTransformer(3, max_epochs=3, random_state=0).fit(X_IRIS)
    (way,) = ae.traverse(X_IRIS[:1], components=1, n_steps=4)
    code = ae.transform(X_IRIS[:1])
    codes = np.repeat(code, 4, axis=0)
    kept = ae._kept_codes
    codes[:, 1] = kept.center()[1] + kept.spread()[1] * np.linspace(-2, 2, 4)
    np.testing.assert_allclose(way, ae.inverse_transform(codes))


def test_an_autoencoder_makes_digits_of_every_class():
    X, y = load_digits(return_X_y=True)
    ae = AutoencoderTransformer(16, max_epochs=40, random_state=0).fit(X[:1200])
    judge = LogisticRegression(max_iter=1000).fit(X[:1200] / 16, y[:1200])
    confidences = [
        judge.predict_proba(rows / 16).max(axis=1)
        for rows in (ae.sample(200, random_state=0), ae.reconstruct(X[1200:]))
    ]
    assert confidences[0].mean() > confidences[1].mean() - 0.05
    drawn = judge.predict(ae.sample(200, random_state=0) / 16)
    assert np.bincount(drawn, minlength=10).min() >= 5


def test_samples_of_a_vae_have_the_moments_of_the_rows_whatever_the_law():
    vae = VAETransformer(3, max_epochs=30, random_state=0).fit(X_IRIS)
    for density in ("prior", "aggregate", "mixture"):
        rows = vae.sample(20_000, random_state=0, density=density)
        np.testing.assert_allclose(rows.mean(axis=0), X_IRIS.mean(axis=0), atol=0.25)
        np.testing.assert_allclose(rows.std(axis=0), X_IRIS.std(axis=0), rtol=0.3)


@BOTH
def test_draws_follow_their_random_state_alone(cls):
    estimator = make(cls).fit(X_IRIS)
    for density in estimator._code_densities:
        one, same, other = (
            estimator.sample_codes(9, random_state=seed, density=density)
            for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - other).max() > 0


@BOTH
@pytest.mark.filterwarnings("ignore:the posterior has collapsed")
def test_one_row_is_enough(cls):
    estimator = make(cls).fit(X_IRIS[:1])
    for density in estimator._code_densities:
        assert np.isfinite(estimator.sample_codes(4, 0, density)).all()
    assert np.isfinite(estimator.traverse()).all()


# -- bad input -------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.sample(0), "n_samples must be a positive int, got 0"),
        (lambda e: e.sample_codes(3, 0, "kde"), "density must be None or .*'kde'"),
        (lambda e: e.sample_codes(3, temperature=0), "temperature must be a pos.* 0"),
        (lambda e: e.sample(3, temperature=np.nan), "temperature must be a pos.*nan"),
        (lambda e: e.interpolate(X_IRIS[:2], X_IRIS[:3]), "2 rows and X_end 3"),
        (lambda e: e.interpolate(X_IRIS, X_IRIS, 0), "n_steps must be a positive int"),
        (lambda e: e.interpolate(X_IRIS, X_IRIS, path="arc"), "path must .*'arc'"),
        (lambda e: e.interpolate(X_IRIS[:, :2], X_IRIS), "has 2 features"),
        (lambda e: e.traverse(X_IRIS), "X has 150 rows, expected one"),
        (lambda e: e.traverse(components=[0, 2]), "ints from 0 to 1, got 2"),
        (lambda e: e.traverse(components=[0.5]), "ints from 0 to 1, got 0.5"),
        (lambda e: e.traverse(components=True), "ints from 0 to 1, got True"),
        (lambda e: e.traverse(span=0), "span must be a positive float, got 0"),
        (lambda e: e.traverse(span=np.inf), "span must be a positive float, got inf"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(cls, call, message):
    with pytest.raises(ValueError, match=message):
        call(make(cls).fit(X_IRIS))


def test_an_autoencoder_has_no_prior_to_draw_from():
    with pytest.raises(ValueError, match="AutoencoderTransformer, got 'prior'"):
        make(AutoencoderTransformer).fit(X_IRIS).sample_codes(density="prior")


@BOTH
@pytest.mark.parametrize(
    "call",
    [
        lambda e: e.sample(),
        lambda e: e.sample_codes(),
        lambda e: e.traverse(),
        lambda e: e.interpolate(X_IRIS, X_IRIS),
    ],
)
def test_every_door_asks_for_fit_first(cls, call):
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        call(make(cls))
