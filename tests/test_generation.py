"""New rows: laws of codes, paths between them, and what the estimators make of them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skae import AutoencoderTransformer, VAETransformer
from skae._code_density import (
    KeptCodes,
    choose_rows,
    draw_codes,
    fit_mixture,
    linear_path,
    spherical_path,
)
from skae.architectures import MLP

BOTH = pytest.mark.parametrize("cls", [AutoencoderTransformer, VAETransformer])
X_IRIS = load_iris().data
SHARES = np.linspace(0, 1, 5)


def make(cls, **options):
    return cls(2, max_epochs=3, random_state=0, **options)


# -- which codes are kept --------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_samples", "n_components", "n_kept"),
    [(1, 3, 1), (150, 3, 150), (10**6, 3, 2000), (10**6, 1024, 256), (9, 10**6, 1)],
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


def test_a_mixture_finds_the_heaps_that_codes_lie_in():
    codes = two_heaps()
    mixture = fit_mixture(codes)
    assert mixture.n_components == 2
    np.testing.assert_allclose(np.sort(mixture.means_[:, 0]), [-6, 6], atol=0.1)


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
