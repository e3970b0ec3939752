"""How the estimators behave among scikit-learn's own, and on every kind of input."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, VAETransformer
from skae._vae import describe_posterior
from skae.architectures import MLP
from skae.likelihoods import Bernoulli, Laplace

BOTH = pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
FAST = {"max_epochs": 3, "random_state": 0}
X_WINE = load_wine().data


# -- clone, copies, other processes --------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"architecture": MLP((7,), dropout=0.1)},
        {"callbacks": []},
        {"image_shape": (1, 2, 3)},
    ],
    ids=str,
)
def test_clone_keeps_every_parameter(estimator, options):
    original = estimator(3, **options)
    copy = clone(original)
    assert set(copy.get_params()) == set(original.get_params())
    assert repr(copy) == repr(original)
    assert repr(copy.get_params()) == repr(original.get_params())


def test_clone_keeps_a_likelihood_object():
    vae = clone(VAETransformer(likelihood=Laplace(scale=2.0)))
    assert vae.get_params()["likelihood__scale"] == 2.0


@BOTH
def test_a_refitted_clone_is_the_original(estimator):
    fitted = estimator(3, **FAST).fit(X_WINE)
    np.testing.assert_array_equal(
        clone(fitted).fit(X_WINE).transform(X_WINE), fitted.transform(X_WINE)
    )


@BOTH
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_a_pickle_gives_the_same_bits(estimator, normalization):
    architecture = MLP((8,), normalization=normalization, dropout=0.1)
    fitted = estimator(3, architecture=architecture, **FAST).fit(X_WINE)
    copy = pickle.loads(pickle.dumps(fitted))
    for method in ("transform", "reconstruct", "score_samples"):
        np.testing.assert_array_equal(
            getattr(copy, method)(X_WINE), getattr(fitted, method)(X_WINE)
        )
    pd.testing.assert_frame_equal(copy.history_, fitted.history_)
    assert copy.n_epochs_ == fitted.n_epochs_


@BOTH
def test_a_pickle_is_small_plain_and_always_the_same(estimator):
    fitted = estimator(3, architecture=MLP((8,)), **FAST).fit(X_WINE)
    data = pickle.dumps(fitted)
    assert data == pickle.dumps(fitted)
    for name in (b"torch", b"skorch", b"Generator"):
        assert name not in data
    n_numbers = sum(p.numel() for p in fitted.module_.parameters())
    n_numbers += sum(part.size for part in fitted._kept_codes if part is not None)
    assert len(data) < 4 * n_numbers + 10_000


@BOTH
def test_a_pickle_survives_later_changes_of_parameters(estimator):
    fitted = estimator(3, architecture=MLP((8,)), **FAST).fit(X_WINE)
    expected = fitted.transform(X_WINE)
    fitted.set_params(architecture=MLP((99,)), n_components=1)
    copy = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copy.transform(X_WINE), expected)


@BOTH
def test_training_goes_on_after_a_pickle_as_without_it(estimator):
    stream = estimator(3, architecture=MLP((8,), dropout=0.2), **FAST)
    stream.partial_fit(X_WINE).partial_fit(X_WINE)
    copy = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(
        stream.partial_fit(X_WINE).transform(X_WINE),
        copy.partial_fit(X_WINE).transform(X_WINE),
    )
    assert copy.n_epochs_ == stream.n_epochs_ == 3


@BOTH
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_fits_in_workers_equal_fits_here(estimator, backend):
    here = estimator(2, **FAST).fit(X_WINE).transform(X_WINE)
    there = joblib.Parallel(n_jobs=2, backend=backend)(
        joblib.delayed(_fit_and_transform)(estimator(2, **FAST)) for _ in range(2)
    )
    for codes in there:
        np.testing.assert_allclose(codes, here, rtol=1e-4, atol=1e-5)


def _fit_and_transform(estimator):
    return estimator.fit(X_WINE).transform(X_WINE)


def test_a_fitted_estimator_maps_rows_in_many_threads_at_once():
    vae = VAETransformer(3, **FAST).fit(X_WINE)
    expected = vae.transform(X_WINE)
    calls = [joblib.delayed(vae.transform)(X_WINE) for _ in range(40)]
    for codes in joblib.Parallel(n_jobs=4, backend="threading")(calls):
        np.testing.assert_array_equal(codes, expected)


# -- in scikit-learn's company -------------------------------------------------


@BOTH
def test_codes_feed_a_classifier_of_string_labels(estimator):
    data = load_iris()
    y = data.target_names[data.target]
    model = make_pipeline(estimator(2, **FAST), LogisticRegression())
    assert cross_val_score(model, data.data, y, cv=3).mean() > 0.85


def test_grid_search_runs_over_size_and_beta_with_two_workers():
    data = load_wine()
    model = make_pipeline(
        VAETransformer(**FAST), StandardScaler(), LogisticRegression()
    )
    grid = {
        "vaetransformer__n_components": [1, 4],
        "vaetransformer__beta": [0.5, 2.0],
    }
    search = GridSearchCV(model, grid, cv=3, n_jobs=2, error_score="raise")
    search.fit(data.data, data.target)
    assert search.best_params_["vaetransformer__n_components"] == 4
    assert search.best_score_ > 0.9
    one_worker = GridSearchCV(model, grid, cv=3, error_score="raise")
    one_worker.fit(data.data, data.target)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"],
        one_worker.cv_results_["mean_test_score"],
        atol=0.02,
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_search_without_labels_uses_the_score_of_the_estimator():
    grid = {"beta": [1.0, 100.0]}
    cv = KFold(3, shuffle=True, random_state=0)  # wine's rows are sorted by class
    search = GridSearchCV(VAETransformer(3, **FAST), grid, cv=cv).fit(X_WINE)
    assert search.best_params_ == {"beta": 1.0}


def test_grid_search_reaches_into_the_architecture():
    ae = AutoencoderTransformer(2, architecture=MLP(), **FAST)
    grid = {"architecture__hidden_layer_sizes": [(), (16,)]}
    search = GridSearchCV(ae, grid, cv=2, error_score="raise").fit(X_WINE)
    assert len(search.cv_results_["params"]) == 2


@BOTH
def test_column_transformer_and_feature_union_take_the_codes(estimator):
    X = pd.DataFrame(X_WINE, columns=load_wine().feature_names)
    some = ColumnTransformer(
        [("codes", estimator(2, **FAST), X.columns[:6])], remainder="passthrough"
    )
    codes = some.fit_transform(X)
    np.testing.assert_array_equal(codes[:, 2:], X_WINE[:, 6:])
    name = estimator.__name__.lower()
    assert list(some.get_feature_names_out()[:2]) == [
        f"codes__{name}0",
        f"codes__{name}1",
    ]
    union = FeatureUnion([("a", estimator(2, **FAST)), ("b", estimator(1, **FAST))])
    alone = estimator(1, **FAST).fit_transform(X)
    np.testing.assert_array_equal(union.fit_transform(X)[:, 2:], alone)


@BOTH
def test_output_is_a_frame_when_asked_for(estimator):
    X = pd.DataFrame(X_WINE, columns=load_wine().feature_names, index=range(5, 183))
    codes = estimator(2, **FAST).set_output(transform="pandas").fit_transform(X)
    assert list(codes.index) == list(X.index)
    codes = estimator(2, **FAST).set_output(transform="polars").fit_transform(X_WINE)
    assert isinstance(codes, pl.DataFrame)


# -- kinds of input ------------------------------------------------------------

INPUTS = {
    "float32": lambda X: X.astype(np.float32),
    "int64": lambda X: (100 * X).astype(int),
    "uint8": lambda X: (X / X.max() * 255).astype(np.uint8),
    "bool": lambda X: np.median(X, axis=0) < X,
    "float16": lambda X: X.astype(np.float16),
    "list": lambda X: X.tolist(),
    "DataFrame": pd.DataFrame,
    "polars": lambda X: pl.DataFrame(X),
    "Fortran order": np.asfortranarray,
    "reversed": lambda X: X[::-1],
    "big endian": lambda X: X.astype(">f8"),
    "nullable": lambda X: pd.DataFrame(X).convert_dtypes(),
}


@BOTH
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", INPUTS)
def test_every_kind_of_input_gives_what_its_numbers_give(estimator, kind):
    X = INPUTS[kind](X_WINE)
    if kind == "DataFrame":
        X.columns = [f"column {j}" for j in X.columns]
    numbers = np.array(X, dtype=np.float64)
    codes = estimator(3, **FAST).fit(X).transform(X)
    expected = estimator(3, **FAST).fit(numbers).transform(numbers)
    assert codes.dtype == (np.float32 if kind == "float32" else np.float64)
    np.testing.assert_allclose(codes, expected, rtol=1e-3, atol=1e-3)


@BOTH
def test_a_read_only_memory_map_is_read_and_left_alone(estimator, tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, X_WINE)
    X = np.load(path, mmap_mode="r")
    fitted = estimator(3, **FAST).fit(X)
    expected = estimator(3, **FAST).fit(X_WINE)
    np.testing.assert_array_equal(fitted.transform(X), expected.transform(X_WINE))
    np.testing.assert_array_equal(np.load(path), X_WINE)


@BOTH
def test_the_input_is_left_alone(estimator):
    X = X_WINE.copy()
    estimator(3, **FAST).fit(X).transform(X)
    np.testing.assert_array_equal(X, X_WINE)


@BOTH
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_row_is_its_own_reconstruction(estimator):
    x = X_WINE[:1]
    fitted = estimator(2, **FAST).fit(x)
    np.testing.assert_allclose(fitted.reconstruct(x), x, rtol=1e-2)
    assert np.isfinite(fitted.transform(x)).all()


@BOTH
def test_one_feature_is_kept_by_one_component(estimator):
    X = X_WINE[:, :1]
    fitted = estimator(**FAST).fit(X)
    assert fitted.n_components_ == 1
    correlation = np.corrcoef(fitted.transform(X)[:, 0], X[:, 0])[0, 1]
    assert abs(correlation) > 0.95


@BOTH
@pytest.mark.parametrize("scale", ["standard", "global"])
def test_constant_columns_are_reconstructed(estimator, scale):
    X = X_WINE.copy()
    X[:, 2], X[:, 5] = 7.25, -1e9
    fitted = estimator(3, scale=scale, **FAST).fit(X)
    np.testing.assert_allclose(fitted.reconstruct(X)[:, 5], -1e9, rtol=1e-6)
    if scale == "standard":
        np.testing.assert_allclose(fitted.reconstruct(X)[:, 2], 7.25, atol=0.2)


@BOTH
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_all_columns_constant(estimator):
    X = np.full((20, 3), 4.5)
    fitted = estimator(**FAST).fit(X)
    np.testing.assert_allclose(fitted.reconstruct(X), X, rtol=0.05)
    assert fitted.n_components_ == 1


@BOTH
def test_a_batch_larger_than_the_table_is_one_batch(estimator):
    one = estimator(3, batch_size=10_000, **FAST).fit(X_WINE)
    two = estimator(3, batch_size=len(X_WINE), **FAST).fit(X_WINE)
    np.testing.assert_array_equal(one.transform(X_WINE), two.transform(X_WINE))


@BOTH
@pytest.mark.parametrize(("n_rows", "batch_size"), [(33, 32), (3, 2), (17, 16)])
def test_a_last_batch_of_one_row_does_not_upset_batch_norm(
    estimator, n_rows, batch_size
):
    fitted = estimator(
        2, architecture=MLP((8,), normalization="batch"), batch_size=batch_size, **FAST
    ).fit(X_WINE[:n_rows])
    assert np.isfinite(fitted.transform(X_WINE)).all()
    assert np.isfinite(fitted.loss_curve_).all()


def test_image_rows_may_be_given_as_images():
    images = load_digits().images[:200]
    rows = images.reshape(200, -1)
    ae = AutoencoderTransformer(4, image_shape=(1, 8, 8), **FAST).fit(images[:, None])
    np.testing.assert_array_equal(ae.transform(images[:, None]), ae.transform(rows))
    assert ae.reconstruct(images[:, None]).shape == rows.shape
    scale = ae.module_.scaler.scale
    assert (scale == scale[0]).all()  # pixels share one scale


def test_bernoulli_draws_are_zeros_and_ones():
    X = (load_digits().data > 7).astype(float)
    vae = VAETransformer(4, likelihood=Bernoulli(), **FAST).fit(X)
    draws = vae.sample(50, random_state=0)
    assert set(np.unique(draws)) == {0.0, 1.0}
    means = vae.inverse_transform(vae.transform(X))
    assert 0 < means.min() < means.max() < 1


# -- what the numbers mean -----------------------------------------------------


def test_reconstruction_errors_add_up():
    ae = AutoencoderTransformer(3, early_stopping=False, **FAST).fit(X_WINE)
    errors = ae.reconstruction_error(X_WINE, per_feature=True)
    np.testing.assert_allclose(errors, (X_WINE - ae.reconstruct(X_WINE)) ** 2)
    np.testing.assert_allclose(errors.sum(axis=1), ae.reconstruction_error(X_WINE))
    np.testing.assert_allclose(ae.score_samples(X_WINE), -errors.sum(axis=1))
    scaled = errors / X_WINE.var(axis=0)  # wine's columns have units of their own
    n_cells = X_WINE.size
    assert ae.score(X_WINE) == pytest.approx(1 - scaled.sum() / n_cells)


def test_score_is_the_mean_of_score_samples():
    vae = VAETransformer(3, **FAST).fit(X_WINE)
    assert vae.score(X_WINE) == pytest.approx(vae.score_samples(X_WINE).mean())


def test_transform_is_the_mean_of_the_posterior():
    vae = VAETransformer(3, **FAST).fit(X_WINE)
    mean, std = vae.encode_distribution(X_WINE)
    np.testing.assert_array_equal(mean, vae.transform(X_WINE))
    draws = vae.sample_posterior(X_WINE, n_draws=4000, random_state=0)
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.1)
    np.testing.assert_allclose(draws.std(axis=0), std, rtol=0.1)


def test_samples_have_the_mean_and_covariance_of_the_rows():
    # A linear VAE is probabilistic PCA: its density has the covariance of X nearly.
    vae = VAETransformer(
        8,
        architecture=MLP(()),
        optimizer="sgd",
        lr=1e-30,
        max_epochs=1,
        scale="standard",
    ).fit(X_WINE)
    draws = vae.sample(20_000, random_state=0)
    np.testing.assert_allclose(draws.mean(axis=0), X_WINE.mean(axis=0), rtol=0.05)
    correlation = np.corrcoef(draws, rowvar=False)
    np.testing.assert_allclose(
        correlation, np.corrcoef(X_WINE, rowvar=False), atol=0.15
    )
    np.testing.assert_allclose(draws.std(axis=0), X_WINE.std(axis=0), rtol=0.1)


def test_log_likelihood_is_above_the_elbo():
    vae = VAETransformer(3, max_epochs=10, random_state=0).fit(X_WINE)
    assert vae.log_likelihood(X_WINE, 500).mean() > vae.score(X_WINE)


def test_a_collapsed_posterior_is_warned_of_with_the_remedy():
    noise = np.random.RandomState(0).normal(size=(200, 4))
    vae = VAETransformer(2, beta=50.0, kl_warmup=0.25, **FAST)
    with pytest.warns(ConvergenceWarning, match=r"0 of 2.*Lower beta \(now 50\)"):
        vae.fit(noise)
    assert vae.n_active_components_ == 0
    healthy = VAETransformer(2, **FAST)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        healthy.fit(X_WINE)
    assert healthy.n_active_components_ == 2


def test_the_posterior_of_many_rows_is_described_in_parts():
    X = np.random.default_rng(0).normal(size=(20_000, 3)) @ np.diag([1.0, 2.0, 3.0])
    vae = VAETransformer(2, max_epochs=1, random_state=0).fit(X)
    mean, std = vae.encode_distribution(X)
    kl = 0.5 * (mean**2 + std**2 - 1) - np.log(std)
    np.testing.assert_allclose(vae.kl_per_component_, kl.mean(axis=0))
    described, variance = describe_posterior(vae.module_, X)
    np.testing.assert_allclose(described, kl.mean(axis=0))
    np.testing.assert_allclose(variance, mean.var(axis=0))


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_warnings_point_at_the_line_of_the_user(method):
    vae = VAETransformer(20, beta=1e3, **FAST)  # overcomplete, and it collapses
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        getattr(vae, method)(X_WINE)
    categories = {warning.category for warning in record}
    assert categories == {UserWarning, ConvergenceWarning}
    assert {warning.filename for warning in record} == {__file__}


@BOTH
def test_fitted_attributes_are_absent_before_fit(estimator):
    unfitted = estimator()
    for name in ("history_", "loss_curve_", "validation_curve_", "module_", "net_"):
        assert not hasattr(unfitted, name)
    with pytest.raises(NotFittedError):
        unfitted.transform(X_WINE)
