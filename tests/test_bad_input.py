"""What the transformers refuse, what works all the same, and what a failure leaves.

An error names the argument or the column, the value, what was expected, and the way
out, and leaves the estimator as it was.
"""

import datetime
import re
import signal
from contextlib import contextmanager
from functools import cache, partial

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from scipy.stats import norm
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback, EarlyStopping, EpochTimer, GradientNormClipping

from skae import AutoencoderTransformer, VAETransformer, _parameters, _validation
from skae._modules import AutoencoderModule, VAEModule
from skae._parameters import resolve_architecture
from skae._sklearn import InvalidParameterError
from skae._validation import check_rows, refuse_empty_columns, refuse_empty_rows
from skae.architectures import MLP, Conv, DenoisingMLP
from skae.likelihoods import PerColumn, Poisson

N_ROWS, NAMES = 40, ["a", "b", "c", "d"]
LOSSES = ["squared_error", "absolute_error", "binary_cross_entropy"]
ELBOS = ["analytic", "monte_carlo", "importance_weighted"]
LIKELIHOODS = ["calibrated", "gaussian", "laplace", "bernoulli"]
ACTIVATIONS = ["elu", "gelu", "leaky_relu", "relu", "sigmoid", "silu", "tanh"]

FITTING = ["fit", "partial_fit"]
INFERENCE = [
    "transform",
    "reconstruct",
    "reconstruction_error",
    "score",
    "score_samples",
]
DENSITY = ["log_likelihood", "encode_distribution", "sample_posterior"]

AE, VAE = AutoencoderTransformer, VAETransformer
BOTH = pytest.mark.parametrize("cls", [AE, VAE])
EVERY_DOOR = pytest.mark.parametrize("door", FITTING + INFERENCE)
SOME_DOORS = pytest.mark.parametrize("door", [*FITTING, "transform", "score"])
MAY_COLLAPSE = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


# -- helpers -------------------------------------------------------------------


def correlated_table():
    """Return rows whose first two principal axes explain most of the variance."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((N_ROWS, 4)) @ rng.standard_normal((4, 4))
    return pd.DataFrame(X, columns=NAMES)


TABLE = correlated_table()
ARRAY = TABLE.to_numpy()


def make(cls, **params):
    """Return an estimator that is small, quick to fit, and reproducible."""
    defaults = {
        "n_components": 2,
        "architecture": MLP((8,)),
        "lr": 1e-3,
        "schedule": "constant",
        "max_epochs": 2,
        "random_state": 0,
    }
    return cls(**defaults).set_params(**params)


def cross_entropy(cls):
    """Return the parameter that asks for X in [0, 1]."""
    if cls is AE:
        return {"loss": "binary_cross_entropy"}
    return {"likelihood": "bernoulli"}


def with_cell(value, table=TABLE):
    """Return the table with another value in row 3 of column "b"."""
    columns = {name: table[name].tolist() for name in table}
    columns["b"][3] = value
    dtypes = table.dtypes.to_dict()
    if isinstance(value, (str, dict, datetime.date, complex)):
        dtypes["b"] = complex if isinstance(value, complex) else object
    return pd.DataFrame({n: pd.Series(columns[n], dtype=dtypes[n]) for n in NAMES})


def with_column(values):
    """Return the table with another column "b"."""
    return TABLE.assign(b=values)


def weights(estimator):
    """Return all weights and buffers as arrays; none of an unfitted estimator."""
    if "net_" not in vars(estimator):
        return {}
    state = estimator.module_.state_dict()
    return {name: tensor.cpu().numpy().copy() for name, tensor in state.items()}


@contextmanager
def unchanged(estimator):
    """Assert that the block sets nothing on the estimator and trains nothing."""
    attributes, arrays = dict(vars(estimator)), weights(estimator)
    yield
    assert vars(estimator).keys() == attributes.keys()
    assert all(vars(estimator)[name] is attributes[name] for name in attributes)
    for name, array in weights(estimator).items():
        np.testing.assert_array_equal(array, arrays[name])


@cache
def example(cls, named):
    """Return an estimator fitted to the table, with or without column names."""
    return make(cls, max_epochs=1).fit(TABLE if named else ARRAY)


def make_fitted(cls, named=True, **params):
    """Return an estimator of the given parameters, fitted before it got them."""
    estimator = make(cls, **params)
    fitted = set(vars(example(cls, named))) - set(estimator.get_params(deep=False))
    for name in fitted:
        setattr(estimator, name, vars(example(cls, named))[name])
    return estimator


def assert_refused(cls, door, X, error, match, **params):
    """Assert that a method raises and changes nothing, before fit and after."""
    named = isinstance(X, (pd.DataFrame, pl.DataFrame))
    estimators = [make_fitted(cls, named, **params)]
    if door in FITTING:
        estimators.append(make(cls, **params))
    for estimator in estimators:
        with unchanged(estimator), pytest.raises(error, match=match):
            getattr(estimator, door)(X)


def callback_at(hook, action, epochs=range(9)):
    """Return a skorch callback that acts at a hook, in the given epochs."""

    def act(self, net, **kwargs):
        if len(net.history) in epochs:
            action(net)

    return type("Acting", (Callback,), {hook: act})()


def poison(net):
    with torch.no_grad():
        net.module_.decoder.linear.weight[0, 0] = np.nan


def interrupt(net):
    raise KeyboardInterrupt


def press_ctrl_c(net):
    signal.raise_signal(signal.SIGINT)


def fail(net):
    raise RuntimeError("the disk is full")


@pytest.fixture
def ctrl_c_interrupts():
    """Let SIGINT raise KeyboardInterrupt, also where the shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# -- values that are not finite, or too large ----------------------------------


@BOTH
@EVERY_DOOR
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused_with_its_column_and_a_way_out_that_works(cls, door, value):
    # SimpleImputer refuses infinities itself
    match = (
        rf"^(?![\s\S]*Imputer)[\s\S]*infinity[\s\S]*'b' has {value} in row 3 .*\bor "
    )
    assert_refused(cls, door, with_cell(value), ValueError, match)


@BOTH
@EVERY_DOOR
@pytest.mark.parametrize("value", [1e300, -1e300])
def test_a_value_whose_square_overflows_is_refused_with_its_column(cls, door, value):
    match = (
        r"^(?![\s\S]*Imputer)[\s\S]*beyond 1e\+150[\s\S]*column 'b' has "
        + re.escape(str(value))
        + r" in row 3 .*\bor "
    )
    assert_refused(cls, door, with_cell(value), ValueError, match)


@BOTH
@pytest.mark.parametrize("exponent", [100, -66, -133, -400])
def test_a_unit_of_measure_as_large_as_1e30_or_as_small_as_1e_120_changes_no_code(
    cls, exponent
):
    unit = 2.0**exponent  # a power of two rescales without rounding
    usual, rescaled = make(cls).fit(ARRAY), make(cls).fit(ARRAY * unit)
    np.testing.assert_allclose(
        rescaled.transform(ARRAY * unit), usual.transform(ARRAY), rtol=1e-6
    )
    np.testing.assert_allclose(
        rescaled.reconstruct(ARRAY * unit), usual.reconstruct(ARRAY) * unit, rtol=1e-6
    )
    shift = 0.0 if cls is AE else -4 * exponent * np.log(2)
    np.testing.assert_allclose(
        rescaled.score(ARRAY * unit), usual.score(ARRAY) + shift, rtol=1e-6
    )


@BOTH
@pytest.mark.parametrize("exponent", [100, -66, -400])
def test_the_unit_of_one_column_changes_no_code(cls, exponent):
    rescaled = TABLE.assign(b=TABLE["b"] * 2.0**exponent)
    usual, other = make(cls, scale="standard"), make(cls, scale="standard")
    np.testing.assert_allclose(
        other.fit(rescaled).transform(rescaled),
        usual.fit(TABLE).transform(TABLE),
        rtol=1e-6,
    )


@BOTH
def test_one_cell_of_1e30_in_float64_is_fitted_and_reconstructed(cls):
    X = with_cell(1e30)
    estimator = make(cls, n_components=3).fit(X)
    assert np.isfinite(estimator.transform(X)).all()
    assert np.isfinite(estimator.score(X))
    np.testing.assert_allclose(estimator.reconstruct(X)[3, 1], 1e30, rtol=0.5)


@BOTH
def test_float32_of_usual_size_is_fitted_without_a_warning(cls):
    X = ARRAY.astype(np.float32)
    estimator = make(cls).fit(X)
    assert estimator.transform(X).dtype == np.float32
    np.testing.assert_allclose(
        estimator.transform(X), estimator.transform(ARRAY), atol=1e-4
    )


@BOTH
@pytest.mark.parametrize("door", ["transform", "reconstruct", "reconstruction_error"])
def test_1e38_in_float32_gives_the_result_of_float64(cls, door):
    outlier = with_cell(1e38)
    method = getattr(make(cls).fit(TABLE.astype(np.float32)), door)
    np.testing.assert_allclose(
        method(outlier.astype(np.float32)), method(outlier), rtol=1e-3, atol=1e-3
    )


@BOTH
def test_1e38_in_float32_whose_score_overflows_is_refused_with_its_column(cls):
    estimator = make(cls).fit(TABLE.astype(np.float32))
    outlier = with_cell(1e38).astype(np.float32)
    match = r"row 3 has .*e\+3[78] in column 'b'.*not finite in float32.*pass float64"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        estimator.score(outlier)


@BOTH
def test_a_score_that_overflows_in_float64_does_not_advise_float64(cls):
    estimator = make(cls).fit(TABLE * 1e-20)
    match = r"^(?!.*pass float64).*1e\+149 in column 'b'.*not finite in float64.*clip"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        estimator.score(with_cell(1e149))


@BOTH
def test_codes_that_overflow_float32_are_refused_with_their_column(cls):
    estimator = make_fitted(cls)
    Z = np.array([[0.0, 0.0], [0.0, 3e38]], dtype=np.float32)
    match = r"Z overflows .*row 1 has 3.*e\+38 in column 1.*float32; clip"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        estimator.inverse_transform(Z)


# -- columns and rows that say little ------------------------------------------


@BOTH
@pytest.mark.parametrize("scale", ["auto", "standard", "global"])
@pytest.mark.parametrize("constant", [0.0, 0.1, 7.0, 1e6 + 0.1, -1e20])
def test_a_constant_column_is_reconstructed(cls, scale, constant):
    X = with_column(constant)
    estimator = make(cls, scale=scale).fit(X)
    np.testing.assert_allclose(
        estimator.reconstruct(X)[:, 1], constant, rtol=1e-6, atol=1e-6
    )
    others = X.drop(columns="b")
    errors = estimator.reconstruction_error(X, per_feature=True)[:, [0, 2, 3]]
    assert errors.sum() < 0.2 * N_ROWS * others.var().sum()


@BOTH
def test_a_constant_column_has_scale_one(cls):
    estimator = make(cls, scale="standard").fit(with_column(7.0))
    errors = estimator.reconstruction_error(with_column(9.0), per_feature=True)
    np.testing.assert_allclose(errors[:, 1], 4.0, atol=1e-5)
    assert np.abs(estimator.transform(with_column(9.0))).max() < 10


@BOTH
@MAY_COLLAPSE
@pytest.mark.parametrize("constant", [0.0, 0.1, -1e20])
def test_constant_rows_are_reconstructed(cls, constant):
    X = np.full((20, 3), constant)
    estimator = make(cls).fit(X)
    np.testing.assert_allclose(estimator.reconstruct(X), X, rtol=1e-6, atol=1e-6)
    assert np.isfinite(estimator.score(X))


def test_constant_rows_warn_of_a_collapsed_posterior():
    match = "0 of 2 components are active"
    with pytest.warns(ConvergenceWarning, match=match):
        make(VAE).fit(np.full((20, 3), 0.1))


def test_a_warning_turned_into_an_error_changes_nothing():
    estimator = make_fitted(VAE)
    with unchanged(estimator), pytest.raises(ConvergenceWarning, match="collapsed"):
        estimator.fit(np.full((20, 3), 0.1))


@BOTH
@MAY_COLLAPSE
def test_one_row_is_fitted_and_reconstructed(cls):
    X = ARRAY[:1]
    estimator = make(cls).fit(X)
    np.testing.assert_allclose(estimator.reconstruct(X), X, rtol=1e-6)
    assert np.isfinite(estimator.score(X))


@BOTH
@pytest.mark.parametrize("door", FITTING)
def test_one_row_for_batch_normalisation_is_refused_with_both_numbers(cls, door):
    match = (
        r"n_samples=1 .*normalization='batch'.*at least 2 rows.*normalization='layer'"
    )
    assert_refused(
        cls,
        door,
        TABLE[:1],
        ValueError,
        match,
        architecture=MLP((8,), normalization="batch"),
    )


@MAY_COLLAPSE
def test_one_column_is_reconstructed_by_the_autoencoder():
    X = ARRAY[:, :1]
    estimator = make(AE, n_components=None).fit(X)
    assert estimator.n_components_ == 1
    np.testing.assert_allclose(estimator.reconstruct(X), X, atol=0.05)


@MAY_COLLAPSE
def test_one_column_has_the_density_of_a_normal_law_under_the_vae():
    X = ARRAY[:, :1]
    estimator = make(VAE, n_components=None).fit(X)
    expected = norm(X.mean(), X.std()).logpdf(X).mean()
    np.testing.assert_allclose(estimator.score(X), expected, atol=0.02)


# -- shapes --------------------------------------------------------------------


@BOTH
@SOME_DOORS
def test_no_rows_are_refused(cls, door):
    match = rf"0 sample\(s\) \(shape=\(0, 4\)\).*minimum of 1.*{cls.__name__}"
    assert_refused(cls, door, TABLE[:0], ValueError, match)


@BOTH
@pytest.mark.parametrize("door", FITTING)
def test_no_columns_are_refused(cls, door):
    match = rf"0 feature\(s\) \(shape=\(40, 0\)\).*minimum of 1.*{cls.__name__}"
    assert_refused(cls, door, ARRAY[:, :0], ValueError, match)


@BOTH
@SOME_DOORS
def test_one_dimension_is_refused_with_the_way_to_two(cls, door):
    match = r"Expected 2D array, got 1D array instead[\s\S]*reshape\(-1, 1\)"
    assert_refused(cls, door, ARRAY[:, 0], ValueError, match)


@BOTH
@SOME_DOORS
@pytest.mark.parametrize("shape", [(10, 4, 4), (40, 1, 2, 2)])
def test_three_or_four_dimensions_are_refused_for_rows(cls, door, shape):
    match = rf"Found array with dim {len(shape)}, while dim <= 2 .*{cls.__name__}"
    assert_refused(cls, door, ARRAY.reshape(shape), ValueError, match)


@BOTH
@SOME_DOORS
@pytest.mark.parametrize("shape", [(40, 2, 2), (40, 2, 2, 1), (160, 1, 1, 1)])
def test_images_of_another_shape_are_refused_with_the_expected_one(cls, door, shape):
    match = re.escape(
        f"Found array with dim {len(shape)} and shape {shape}, expected rows "
        "(n_samples, 4) or images (n_samples, 1, 2, 2) for image_shape=(1, 2, 2)"
    )
    X = ARRAY.reshape(shape)
    assert_refused(cls, door, X, ValueError, match, image_shape=(1, 2, 2))


@BOTH
def test_images_are_rows_of_their_pixels(cls):
    images = ARRAY.reshape(40, 1, 2, 2)
    estimator = make(cls, image_shape=(1, 2, 2)).fit(images)
    np.testing.assert_array_equal(
        estimator.transform(images), estimator.transform(ARRAY)
    )


@BOTH
@pytest.mark.parametrize("door", FITTING)
def test_an_image_shape_of_another_size_is_refused_with_both_numbers(cls, door):
    X = np.zeros((10, 784))
    match = r"image_shape=\(1, 28, 27\) means 756 features, but X has 784 features"
    assert_refused(cls, door, X, ValueError, match, image_shape=(1, 28, 27))


@BOTH
@SOME_DOORS
@pytest.mark.parametrize("X", [None, 3.0])
def test_no_array_at_all_is_refused(cls, door, X):
    match = "Expected 2D array, got scalar array instead"
    assert_refused(cls, door, X, ValueError, match)


@BOTH
@SOME_DOORS
def test_a_ragged_list_is_refused(cls, door):
    match = "inhomogeneous"
    assert_refused(cls, door, [[1, 2], [3], [4, 5]], ValueError, match)


# -- types ---------------------------------------------------------------------


@BOTH
@SOME_DOORS
@pytest.mark.parametrize(
    "X",
    [
        with_cell("red"),
        with_column(pd.Series(["red", "blue"] * 20, dtype="str")),
        with_column(pd.Series(["red", "blue"] * 20, dtype="string")),
        pl.DataFrame(ARRAY, schema=NAMES).with_columns(b=pl.lit("red")),
    ],
    ids=["object", "str", "string", "polars"],
)
def test_text_is_refused_with_its_column_and_both_ways_out(cls, door, X):
    match = (
        r"could not convert string to float: 'red' in column 'b'.*"
        r"astype\('category'\), or by categorical_features=\['b'\]"
    )
    assert_refused(cls, door, X, ValueError, match)


@BOTH
@SOME_DOORS
@pytest.mark.parametrize(
    "X",
    [
        with_cell("red").to_numpy(),
        [[1.0, "red", 2.0, 3.0]] * 20,
        np.full((20, 4), "red"),
    ],
    ids=["object array", "list", "array of str"],
)
def test_text_without_column_names_is_refused_with_the_way_out(cls, door, X):
    match = r"could not convert string to float: .*'red'.*categorical_features=\[pos"
    assert_refused(cls, door, X, ValueError, match)


@BOTH
@SOME_DOORS
@pytest.mark.parametrize(
    ("value", "type_name"),
    [({"k": 1}, "dict"), (datetime.date(2020, 1, 1), r"datetime\.date")],
)
def test_an_object_in_a_cell_is_refused_with_its_column(cls, door, value, type_name):
    match = rf"argument must be a string or a real number, not '{type_name}'"
    X = with_cell(value)
    assert_refused(cls, door, X.to_numpy(), TypeError, match)
    assert_refused(cls, door, X, TypeError, rf"{match}[\s\S]*column 'b'")


@BOTH
@SOME_DOORS
def test_complex_numbers_are_refused_with_their_column(cls, door):
    X = with_cell(1j)
    match = "Complex data not supported"
    assert_refused(cls, door, X.to_numpy(), ValueError, match)
    assert_refused(cls, door, X, ValueError, rf"{match}[\s\S]*'b'|'b'[\s\S]*{match}")


@BOTH
@SOME_DOORS
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.coo_array])
def test_sparse_data_is_refused_with_the_way_to_dense(cls, door, container):
    match = r"Sparse data was passed for X.*\.toarray\(\)"
    assert_refused(cls, door, container(ARRAY), TypeError, match)


@BOTH
def test_an_object_behind_values_that_are_missing_is_still_found(cls):
    X = with_column(pd.Series([None, pd.NA, 1.0, "red"] * 10, dtype=object))
    match = r"could not convert string to float: 'red' in column 'b'"
    assert_refused(cls, "fit", X, ValueError, match)


def test_na_among_objects_is_named_where_nothing_may_be_missing():
    X = with_column(pd.Series([1.0, 2.0, pd.NA, 3.0] * 10, dtype=object))
    match = r"Input X contains NaN\.\ncolumn 'b' has <NA> in row 2; .*"
    with pytest.raises(ValueError, match=match):
        check_rows(X, estimator=AE(), allow_nan=False)


@pytest.mark.parametrize("chunk_cells", [1, 8, 24, 10**6])
def test_what_is_missing_is_looked_for_in_all_chunks_of_rows(chunk_cells, monkeypatch):
    monkeypatch.setattr(_validation, "CHUNK_CELLS", chunk_cells)
    X = ARRAY.copy()
    X[:, 1] = np.nan
    X[-1, 1] = 1.0  # known at last
    refuse_empty_columns(X, NAMES)
    X[-1, 1] = np.nan
    with pytest.raises(ValueError, match=r"column 'b' of X has no known .* drop the c"):
        refuse_empty_columns(X, NAMES)
    refuse_empty_rows(X)
    X[31] = np.nan
    with pytest.raises(ValueError, match="row 31 of X has no known value"):
        refuse_empty_rows(X)


@pytest.mark.parametrize("rows_at_once", [1, 7, 4096])
def test_a_fraction_among_counts_is_found_in_all_chunks_of_rows(
    rows_at_once, monkeypatch
):
    monkeypatch.setattr(_parameters, "ROWS_PER_CHECK", rows_at_once)
    X = pd.DataFrame(np.floor(np.abs(ARRAY)), columns=NAMES)
    X.iloc[2, 0] = np.nan
    X.iloc[31, 2] = 0.5
    match = r"likelihood=Poisson\(\).*column 'c' has 0\.5 in row 31; use np\.round"
    with pytest.raises(ValueError, match=match):
        VAE(2, likelihood=Poisson()).fit(X)


@BOTH
def test_a_code_wider_than_the_table_is_warned_of_with_what_the_estimator_has(cls):
    ways = "dropout, a penalty or a corruption" if cls is AE else "dropout"
    match = rf"n_components=5 exceeds the 4 features .* or {ways} to keep it from"
    with pytest.warns(UserWarning, match=match):
        make(cls, n_components=5, max_epochs=1).fit(ARRAY)


@BOTH
@pytest.mark.parametrize("height", [1, 2, 3])
def test_rows_of_pixels_are_images_from_two_lines_on(cls, height):
    kind = MLP if height == 1 else Conv
    estimator = cls(architecture="auto", image_shape=(3, height, 8))
    assert isinstance(resolve_architecture(estimator), kind)
    estimator.set_params(image_shape=(3, 8, height))
    assert isinstance(resolve_architecture(estimator), kind)


@BOTH
def test_laws_of_columns_are_not_for_images(cls):
    name = cls._likelihood_parameter
    estimator = make(cls, architecture="auto", image_shape=(1, 2, 2))
    estimator.set_params(**{name: PerColumn({1: "laplace"})})
    match = (
        rf"image_shape=\(1, 2, 2\) is for images, .* has {name}=PerColumn\(\.\.\.\); "
    )
    with pytest.raises(ValueError, match=match):
        estimator.fit(ARRAY)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"ordered": True}, "columns with categories; use ordered=False, or encode"),
        ({"image_shape": (1, 2, 2)}, "has columns with categories; leave image_shape"),
        (
            {"n_components": None, "architecture": DenoisingMLP()},
            r"architecture=DenoisingMLP\(\) is for images, .*; leave architecture",
        ),
    ],
)
def test_categories_are_refused_where_numbers_are_needed(parameters, match):
    X = with_column(pd.Categorical(["red", "blue"] * 20))
    with pytest.raises(ValueError, match=match):
        AE(**{"n_components": 2} | parameters).fit(X)


@pytest.mark.parametrize(
    "name", ["batch_size", "shuffle", "sampler", "batch_sampler", "drop_last"]
)
def test_a_loader_that_makes_batches_of_its_own_is_refused_by_name(name):
    loader = partial(torch.utils.data.DataLoader, timeout=0, **{name: 1})
    match = rf"data_loader=.* sets \['{name}'\], but .*; leave them out and use its"
    with pytest.raises(ValueError, match=match):
        AE(2, data_loader=loader).fit(ARRAY)


@BOTH
@SOME_DOORS
@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (pd.date_range("2020-01-01", periods=N_ROWS), "datetime64"),
        (pd.date_range("2020-01-01", periods=N_ROWS, tz="UTC"), "datetime64"),
        (pd.to_timedelta(np.arange(N_ROWS), unit="D"), "timedelta64"),
        (pd.period_range("2020-01", periods=N_ROWS, freq="M"), "period"),
        (pd.interval_range(0, N_ROWS), "interval"),
        (pd.Categorical(["red", "blue"] * 20), "category"),
        (pd.Categorical([1, 2] * 20), "category"),
    ],
    ids=["datetime", "zoned", "timedelta", "period", "interval", "category", "codes"],
)
def test_dates_and_categories_are_refused_with_column_and_dtype(
    cls, door, values, dtype
):
    match = rf"column 'b' of X has dtype {dtype}.*expected numbers; encode"
    X = with_column(values)
    assert_refused(cls, door, X, ValueError, match, categorical_features=None)


@BOTH
@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (pl.date(2020, 1, 1), "Date.* or as a number of days"),
        (pl.datetime(2020, 1, 1), "Datetime.* or as a number of days"),
        (
            pl.lit("red").cast(pl.Categorical),
            "Categorical.* or fit with it among the categorical_features",
        ),
        (
            pl.lit("red").cast(pl.Enum(["red"])),
            "Enum.* or fit with it among the categorical_features",
        ),
    ],
    ids=["date", "datetime", "categorical", "enum"],
)
def test_polars_dates_and_categories_are_refused_with_column_and_dtype(
    cls, column, dtype
):
    X = pl.DataFrame(ARRAY, schema=NAMES).with_columns(b=column)
    match = rf"column 'b' of X has dtype {dtype}"
    assert_refused(cls, "fit", X, ValueError, match, categorical_features=None)


@BOTH
@SOME_DOORS
@pytest.mark.parametrize("dtype", ["datetime64[D]", "timedelta64[D]"])
def test_an_array_of_dates_is_refused_with_its_dtype(cls, door, dtype):
    X = np.arange(N_ROWS).astype(dtype).reshape(10, 4)
    match = rf"dtype {re.escape(dtype)}.*expected numbers"
    assert_refused(cls, door, X, ValueError, match)


@BOTH
@pytest.mark.parametrize(
    "X",
    [
        ARRAY > 0,
        *((np.abs(ARRAY) * 10).astype(code) for code in "bBhHiIlLqQ"),
        ARRAY.astype(np.float16),
        ARRAY.astype(">f8"),
        ARRAY.astype(np.longdouble),
        ARRAY.astype(object),
        ARRAY.tolist(),
        np.asfortranarray(ARRAY),
        ARRAY[:, ::-1],
        (TABLE * 10).round().astype("Int64"),
        (TABLE > 0).astype("boolean"),
        TABLE.assign(b=TABLE["b"] > 0, c=np.arange(N_ROWS)),
        pl.DataFrame(ARRAY, schema=NAMES),
    ],
    ids=lambda X: f"{type(X).__name__} {getattr(X, 'dtype', '')}",
)
def test_anything_numeric_is_fitted_as_float64(cls, X):
    same = np.array(X, dtype=np.float64)
    estimator, reference = make(cls).fit(X), make(cls).fit(same)
    codes = estimator.transform(X)
    assert codes.dtype == np.float64
    np.testing.assert_allclose(codes, reference.transform(same), rtol=1e-9)
    assert codes.std() > 0.1


# -- names and widths ----------------------------------------------------------


@BOTH
@EVERY_DOOR
def test_duplicated_column_names_are_refused_with_the_duplicates(cls, door):
    X = TABLE.set_axis(["a", "b", "b", "d"], axis=1)
    match = r"unique column names, got:\s+- 'b' 2 times"
    assert_refused(cls, door, X, ValueError, match)


@BOTH
@EVERY_DOOR
def test_column_names_of_mixed_types_are_refused_with_a_way_out(cls, door):
    X = TABLE.set_axis(["a", "b", 3, 4], axis=1)
    match = r"all input features have string names, .*\['int', 'str'\].*astype\(str\)"
    assert_refused(cls, door, X, TypeError, match)


@BOTH
@pytest.mark.parametrize("door", ["partial_fit", "warm fit", *INFERENCE])
@pytest.mark.parametrize(
    ("X", "difference"),
    [
        (
            TABLE.rename(columns={"b": "q"}),
            r"unseen at fit time:\n- q\n[\s\S]*missing:\n- b",
        ),
        (TABLE[["b", "a", "c", "d"]], "must be in the same order as they were in fit"),
        (TABLE[["a", "b", "c"]], r"yet now missing:\n- d"),
        (TABLE.assign(e=1.0), r"unseen at fit time:\n- e"),
    ],
    ids=["renamed", "reordered", "missing", "extra"],
)
def test_other_columns_than_in_fit_are_refused_by_name(cls, door, X, difference):
    estimator = make_fitted(cls, warm_start=True)
    match = rf"should match those that were passed during fit\.\n[\s\S]*{difference}"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        getattr(estimator, door.removeprefix("warm "))(X)


@BOTH
@pytest.mark.parametrize("door", ["partial_fit", "warm fit", *INFERENCE])
def test_another_width_than_in_fit_is_refused_with_both_numbers(cls, door):
    estimator = make_fitted(cls, named=False, warm_start=True)
    match = f"X has 3 features, but {cls.__name__} is expecting 4 features as input"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        getattr(estimator, door.removeprefix("warm "))(ARRAY[:, :3])


@BOTH
@pytest.mark.parametrize("width", [1, 3])
def test_codes_of_another_width_are_refused_with_both_numbers(cls, width):
    estimator = make_fitted(cls)
    match = f"Z has {width} features, but {cls.__name__} was fitted with n_components=2"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        estimator.inverse_transform(np.zeros((5, width)))


CODE = {
    "nan": ([[0.0, np.nan]], ValueError, r"Input Z contains NaN\.\ncolumn 1 .*row 0"),
    "inf": (
        [[0.0, 1.0], [np.inf, 0.0]],
        ValueError,
        r"Z contains inf.*\ncolumn 0 .*row 1",
    ),
    "large": (
        [[0.0, 1e300]],
        ValueError,
        r"Z .*beyond 1e\+150.*\ncolumn 1 has 1e\+300",
    ),
    "named": (
        pd.DataFrame({"p": [0.0], "q": [np.nan]}),
        ValueError,
        r"Input Z contains NaN\.\ncolumn 'q' has nan in row 0",
    ),
    "1-D": (
        [0.0, 1.0],
        ValueError,
        r"Expected 2D array, got 1D[\s\S]*reshape\(-1, 1\)",
    ),
    "3-D": (np.zeros((1, 2, 2)), ValueError, "array with dim 3, while dim <= 2"),
    "none": (None, ValueError, "Expected 2D array, got scalar array"),
    "no rows": (np.zeros((0, 2)), ValueError, r"0 sample\(s\)"),
    "ragged": ([[0.0, 1.0], [2.0]], ValueError, "inhomogeneous"),
    "text": ([["p", "q"]], ValueError, "could not convert string to float: 'p'"),
    "complex": (np.zeros((2, 2)) + 1j, ValueError, "Complex data not supported"),
    "sparse": (
        sparse.csr_array(np.eye(2)),
        TypeError,
        r"Sparse data was passed for Z.*\.toarray\(\)",
    ),
}


@BOTH
@pytest.mark.parametrize(("Z", "error", "match"), list(CODE.values()), ids=list(CODE))
def test_codes_are_refused_like_rows(cls, Z, error, match):
    estimator = make_fitted(cls)
    with unchanged(estimator), pytest.raises(error, match=match):
        estimator.inverse_transform(Z)


@BOTH
@pytest.mark.parametrize("door", [*INFERENCE, "inverse_transform"])
def test_every_method_asks_for_fit_first(cls, door):
    estimator = make(cls)
    match = rf"This {cls.__name__} instance is not fitted yet\. Call 'fit'"
    with unchanged(estimator), pytest.raises(NotFittedError, match=match):
        getattr(estimator, door)(TABLE)


@pytest.mark.parametrize("door", DENSITY)
def test_every_method_of_the_density_asks_for_fit_first(door):
    estimator = make(VAE)
    with unchanged(estimator), pytest.raises(NotFittedError, match="Call 'fit'"):
        getattr(estimator, door)(TABLE)


@BOTH
@pytest.mark.parametrize("name", ["module_", "history_", "loss_curve_"])
def test_fitted_attributes_ask_for_fit_first(cls, name):
    with pytest.raises(NotFittedError, match=rf"{cls.__name__} .* Call 'fit'"):
        getattr(make(cls), name)


def test_sample_asks_for_fit_first():
    with pytest.raises(NotFittedError, match="Call 'fit'"):
        make(VAE).sample()


# -- parameters ----------------------------------------------------------------


def one_of(names):
    """Return a pattern for a list of strings in any order."""
    return "a str among " + "".join(f"(?=.*'{name}')" for name in names)


POSITIVE_INT = r"an int in the range \[1, inf\)"
POSITIVE = r"a float in the range \(0\.0, inf\)"
NOT_NEGATIVE = r"a float in the range \[0\.0, inf\)"
WIDTH = rf"{POSITIVE_INT}, a float in the range \(0\.0, 1\.0\)"
NO_FLOATS = [-1, np.nan, np.inf, "1", None, True]

REFUSED = [
    ("n_components", [0, -1, 2.5, "2", True, 0.0, 1.0, np.nan, [2]], WIDTH),
    ("architecture", ["resnet", None, MLP], one_of(["auto", "mlp"])),
    (
        "architecture__hidden_layer_sizes",
        [(0,), (-3,), (2.5,), (True,)],
        ".*positive ints",
    ),
    ("architecture__hidden_layer_sizes", ["64", 64, None], ".*'tuple'"),
    ("architecture__activation", ["swoosh", None], one_of(ACTIVATIONS)),
    ("architecture__normalization", ["group"], one_of(["batch", "layer"])),
    (
        "architecture__dropout",
        [1.5, -0.1, 1.0, np.nan, None, True],
        r"a float in the range \[0\.0, 1\.0\)",
    ),
    (
        "image_shape",
        [(4,), (1, 2, 0), (1, -2, -2), (1, 2, 2.0)],
        r"three positive ints \(channels, height, width\) or None",
    ),
    ("image_shape", ["122", 4], ".*'tuple'"),
    ("scale", ["minmax", True], one_of(["auto", "standard", "global"])),
    ("init", ["zeros", None], one_of(["pca", "random"])),
    (
        "optimizer",
        ["adan", "Adam", None, 3],
        one_of(["adam", "adamw", "sgd", "rmsprop"]),
    ),
    ("lr", [0, *NO_FLOATS], POSITIVE),
    ("weight_decay", NO_FLOATS, NOT_NEGATIVE),
    ("max_epochs", [0, -1, 1.5, np.inf, None, True], POSITIVE_INT),
    ("batch_size", [0, -5, 2.5, "all", None, True], rf"{POSITIVE_INT}.*'auto'"),
    ("early_stopping", ["yes", None, 1], rf"{one_of(['auto'])}.*'bool'"),
    (
        "validation_fraction",
        [0, 1, 0.0, 1.0, -0.1, np.nan, "0.1", None],
        r"a float in the range \(0\.0, 1\.0\)",
    ),
    ("n_iter_no_change", [0, -1, 1.5, None], POSITIVE_INT),
    ("tol", NO_FLOATS, NOT_NEGATIVE),
    ("warm_start", ["yes", None, 1], ".*'bool'"),
    ("device", [None, 0], "an instance of 'str'"),
    (
        "random_state",
        ["a", -1, 1.5, 2**32, np.random.default_rng(0)],
        r"an int in the range \[0, 4294967295\], .*RandomState' or None",
    ),
    ("verbose", [-1, "loud", None], r"an int in the range \[0, inf\)"),
    ("callbacks", ["print", 3, EpochTimer, (EpochTimer(),)], ".*'list' or None"),
]

REFUSED_BY_AE = [("loss", ["mse", "bce", None, 3], one_of(LOSSES))]
REFUSED_BY_VAE = [
    ("likelihood", ["normal", "bce", None, 3], one_of(LIKELIHOODS)),
    ("beta", NO_FLOATS, NOT_NEGATIVE),
    (
        "kl_warmup",
        [-0.1, 1.1, np.nan, None, True],
        r"a float in the range \[0\.0, 1\.0\]",
    ),
    ("free_bits", NO_FLOATS, NOT_NEGATIVE),
    ("n_draws", [0, -1, 1.5, None, True], POSITIVE_INT),
    ("elbo", ["exact", None], one_of(ELBOS)),
]


def refused_parameters():
    """Yield class, parameter, value and expectation, one case each."""
    tables = {AE: REFUSED + REFUSED_BY_AE, VAE: REFUSED + REFUSED_BY_VAE}
    for cls, rows in tables.items():
        for name, values, expected in rows:
            for i, value in enumerate(values):
                case = f"{cls.__name__}-{name}-{i}"
                yield pytest.param(cls, name, value, expected, id=case)


@pytest.mark.parametrize(
    ("cls", "name", "value", "expected"), list(refused_parameters())
)
def test_a_parameter_is_refused_with_value_and_expectation(cls, name, value, expected):
    part, _, name_in_part = name.rpartition("__")
    owner = "MLP" if part else cls.__name__
    match = (
        rf"^The '{name_in_part}' parameter of {owner} must be {expected}.*"
        rf" Got {re.escape(repr(value))} instead\.$"
    )
    for door in ("fit", "partial_fit"):
        assert_refused(cls, door, TABLE, InvalidParameterError, match, **{name: value})


@BOTH
@pytest.mark.parametrize("optimizer", [dict, MLP])
def test_a_class_that_is_no_optimiser_is_refused_with_the_valid_names(cls, optimizer):
    match = (
        r"optimizer must be a name among \['adadelta', .*'sgd'\], a subclass of "
        rf"torch\.optim\.Optimizer.*, got {re.escape(repr(optimizer))}"
    )
    assert_refused(cls, "fit", TABLE, TypeError, match, optimizer=optimizer)


@BOTH
def test_more_components_than_features_warn_of_an_overcomplete_code(cls):
    estimator = make(cls, n_components=6)
    match = r"n_components=6 exceeds the 4 features.*overcomplete.*fewer components, or"
    with pytest.warns(UserWarning, match=match):
        estimator.fit(TABLE)
    assert estimator.transform(TABLE).shape == (N_ROWS, 6)
    errors = estimator.reconstruction_error(TABLE)
    assert errors.mean() < 0.2 * TABLE.var().sum()


@BOTH
def test_no_hidden_layers_make_a_linear_map(cls):
    estimator = make(cls, architecture=MLP(())).fit(ARRAY)
    middle = estimator.transform((ARRAY[:20] + ARRAY[20:]) / 2)
    Z = estimator.transform(ARRAY)
    np.testing.assert_allclose(middle, (Z[:20] + Z[20:]) / 2, atol=1e-12)


@BOTH
def test_a_batch_size_above_the_number_of_rows_makes_one_batch(cls):
    huge, exact = make(cls, batch_size=10_000), make(cls, batch_size=N_ROWS)
    np.testing.assert_array_equal(
        huge.fit(ARRAY).transform(ARRAY), exact.fit(ARRAY).transform(ARRAY)
    )


@BOTH
@pytest.mark.parametrize("door", FITTING)
def test_batches_of_one_row_for_batch_normalisation_are_refused(cls, door):
    architecture = MLP((8,), normalization="batch")
    match = r"batch_size=1 .*normalization='batch'.*at least 2.*larger batch_size or"
    assert_refused(
        cls, door, TABLE, ValueError, match, batch_size=1, architecture=architecture
    )


@BOTH
@pytest.mark.parametrize(("n_rows", "batch_size"), [(9, 4), (41, 8), (3, 2), (2, 256)])
def test_batch_normalisation_never_meets_a_batch_of_one_row(cls, n_rows, batch_size):
    def refuse_one_row(self, net, batch, **kwargs):
        assert len(batch[0]) > 1

    watch = type("Watch", (Callback,), {"on_batch_begin": refuse_one_row})()
    X = np.random.RandomState(1).standard_normal((n_rows, 4)) @ ARRAY[:4]
    estimator = make(
        cls,
        batch_size=batch_size,
        architecture=MLP((8,), normalization="batch"),
        callbacks=[watch],
    ).fit(X)
    assert np.isfinite(estimator.score(X))
    assert np.isfinite(estimator.loss_curve_).all()


@BOTH
def test_a_random_state_instance_is_consumed_by_fit(cls):
    shared = np.random.RandomState(3)
    first = make(cls, random_state=shared).fit(ARRAY).transform(ARRAY)
    second = make(cls, random_state=shared).fit(ARRAY).transform(ARRAY)
    fresh = make(cls, random_state=np.random.RandomState(3)).fit(ARRAY)
    np.testing.assert_array_equal(first, fresh.transform(ARRAY))
    assert np.abs(first - second).max() > 0


@BOTH
@pytest.mark.parametrize(
    ("n_rows", "fraction", "n_valid"), [(5, 0.1, 0), (1, 0.9, 0), (9, 0.1, 0)]
)
def test_an_empty_validation_set_is_refused_with_all_numbers(
    cls, n_rows, fraction, n_valid
):
    match = (
        rf"validation_fraction={fraction} of n_samples={n_rows} leaves {n_valid} "
        rf"validation samples and {n_rows - n_valid} .*use early_stopping='auto'"
    )
    assert_refused(
        cls,
        "fit",
        TABLE[:n_rows],
        ValueError,
        match,
        early_stopping=True,
        validation_fraction=fraction,
    )


@BOTH
def test_early_stopping_in_partial_fit_is_refused(cls):
    match = r"early_stopping=True .*partial_fit.*use early_stopping='auto' or False"
    assert_refused(cls, "partial_fit", TABLE, ValueError, match, early_stopping=True)


def test_beta_zero_charges_nothing_for_the_kl_term():
    history = make(VAE, beta=0).fit(TABLE).history_
    np.testing.assert_array_equal(
        history["train_loss"], history["train_reconstruction"]
    )
    assert history["train_kl"].min() > 0
    assert re.search(r"beta : float.*\n\s+Weight of the KL term.*; 0 is", VAE.__doc__)


@BOTH
@pytest.mark.parametrize("door", FITTING)
def test_cross_entropy_refuses_rows_outside_0_and_1_with_column_and_span(cls, door):
    X = TABLE.clip(0, 1).assign(b=np.linspace(-3.1, 2.2, N_ROWS))
    params = cross_entropy(cls)
    ((name, value),) = params.items()
    match = (
        rf"{name}='{value}' needs X in \[0, 1\], but column 'b' spans \[-3\.1, 2\.2\]"
        rf".*MinMaxScaler.*leave {name} at its default"
    )
    assert_refused(cls, door, X, ValueError, match, **params)


@pytest.mark.parametrize("door", ["score", "score_samples", "log_likelihood"])
def test_a_bernoulli_density_refuses_rows_outside_0_and_1_with_the_column(door):
    good = TABLE.clip(0, 1)
    estimator = make(VAE, likelihood="bernoulli").fit(good)
    match = (
        r"likelihood='bernoulli' needs X in \[0, 1\], but column 'b' spans \[.*, 7\]"
    )
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        getattr(estimator, door)(with_cell(7.0, good))


@BOTH
@pytest.mark.parametrize("scale", ["standard", "global"])
def test_cross_entropy_refuses_to_be_scaled(cls, scale):
    params = cross_entropy(cls) | {"scale": scale}
    match = rf"scale='{scale}' would move X out of .*use scale='auto' or None"
    X = TABLE.clip(0, 1)
    assert_refused(cls, "fit", X, ValueError, match, **params)


@BOTH
@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
def test_cuda_on_a_machine_without_is_refused_with_a_way_out(cls, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    match = (
        rf"device='{device}', but torch\.cuda\.is_available\(\) is False; "
        "use device='auto'"
    )
    assert_refused(cls, "fit", ARRAY, ValueError, match, device=device)


@BOTH
def test_a_cuda_device_that_does_not_exist_is_refused(cls, monkeypatch):
    estimator = make(cls, device="cuda:7")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    match = r"device='cuda:7', but this machine has 1 CUDA device.*use device='auto'"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        estimator.fit(TABLE)


@BOTH
@pytest.mark.parametrize("device", ["gpu", "mps", "meta", ""])
def test_an_unknown_device_is_refused_with_the_known_ones(cls, device):
    match = (
        r"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', "
        rf"got '{device}'; use device='auto'"
    )
    assert_refused(cls, "fit", TABLE, ValueError, match, device=device)


@BOTH
@pytest.mark.parametrize("y", [np.arange(N_ROWS), ["red", None], "y", 3])
def test_y_is_ignored(cls, y):
    plain, given = make(cls).fit(ARRAY), make(cls).fit(ARRAY, y)
    np.testing.assert_array_equal(given.transform(ARRAY), plain.transform(ARRAY))
    assert given.score(ARRAY, y) == plain.score(ARRAY)
    given.partial_fit(ARRAY, y)


@BOTH
@pytest.mark.parametrize("door", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("weights", "match"),
    [
        (np.zeros(N_ROWS), "sample_weight is zero for all 40 rows"),
        (np.full(N_ROWS, -1.0), "Negative values in data passed to `sample_weight`"),
        (np.full(N_ROWS, np.nan), "sample_weight contains NaN"),
        (np.full(N_ROWS, np.inf), "sample_weight contains infinity"),
        (np.ones(N_ROWS - 1), r"sample_weight.*39.*40|inconsistent"),
        (np.ones((N_ROWS, 2)), "Sample weights must be 1D array or scalar"),
        (["heavy"] * N_ROWS, "could not convert string to float: 'heavy'"),
    ],
    ids=["zero", "negative", "nan", "inf", "length", "shape", "text"],
)
def test_bad_sample_weight_is_refused(cls, door, weights, match):
    estimator = make(cls)
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        getattr(estimator, door)(TABLE, sample_weight=weights)


@BOTH
@pytest.mark.parametrize(
    ("callbacks", "item"),
    [
        ([3], r"callbacks\[0\] .*got 3"),
        (["print"], r"callbacks\[0\] .*got 'print'"),
        ([EpochTimer(), print], r"callbacks\[1\] .*got <built-in function print>"),
        ([None], r"callbacks\[0\] .*got None"),
        ([("timer", 3)], r"callbacks\[0\] .*got \('timer', 3\)"),
        ([(3, EpochTimer())], r"callbacks\[0\] .*got \(3, "),
    ],
    ids=["int", "str", "function", "None", "pair", "name"],
)
def test_an_item_that_is_no_callback_is_refused_with_its_place(cls, callbacks, item):
    assert_refused(cls, "fit", TABLE, TypeError, item, callbacks=callbacks)


@BOTH
@pytest.mark.parametrize(
    "callback",
    [EpochTimer(), EpochTimer, ("timer", EpochTimer())],
    ids=["instance", "class", "pair"],
)
def test_callbacks_of_every_form_change_no_result(cls, callback):
    plain, watched = make(cls).fit(ARRAY), make(cls, callbacks=[callback]).fit(ARRAY)
    np.testing.assert_array_equal(watched.transform(ARRAY), plain.transform(ARRAY))


@BOTH
def test_resuming_with_another_optimiser_goes_on_with_it(cls):
    estimator = make(cls, early_stopping=False).fit(TABLE).partial_fit(TABLE)
    estimator.set_params(optimizer="sgd")
    history = estimator.partial_fit(TABLE).history_
    assert len(history) == 4
    assert abs(history["train_loss"].diff().iloc[-1]) < 1
    assert isinstance(estimator.net_.optimizer_, torch.optim.SGD)


@BOTH
@pytest.mark.parametrize("door", ["partial_fit", "warm fit"])
@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_components": 3}, r"n_components=3, .*n_components=2; "),
        ({"architecture": MLP((3,))}, r"architecture=.*\(3,\).*architecture=.*\(8,\)"),
    ],
    ids=["n_components", "architecture"],
)
def test_resuming_with_another_network_is_refused_with_both(cls, door, params, match):
    estimator = make_fitted(cls, warm_start=True, **params)
    match = rf"{match}.*use warm_start=False and fit"
    with unchanged(estimator), pytest.raises(ValueError, match=match):
        getattr(estimator, door.removeprefix("warm "))(TABLE)


# -- training that fails -------------------------------------------------------


def before_and_after(cls, fitted, **params):
    """Return an estimator with parameters that fail, and its codes if it is fitted."""
    params = {"max_epochs": 3} | params
    if not fitted:
        return make(cls, **params), None
    estimator = make_fitted(cls, **params)
    return estimator, estimator.transform(TABLE)


def assert_same_codes(estimator, codes):
    """Assert that a fitted estimator still maps to the very same codes."""
    assert estimator.__sklearn_is_fitted__() == (codes is not None)
    if codes is not None:
        np.testing.assert_array_equal(estimator.transform(TABLE), codes)


EITHER_STATE = pytest.mark.parametrize("fitted", [False, True])


@BOTH
@EITHER_STATE
def test_divergence_names_epoch_step_column_and_way_out(cls, fitted):
    estimator, codes = before_and_after(cls, fitted, lr=1e6, optimizer="sgd")
    match = (
        r"the loss became (nan|inf) at epoch [12] with lr=1e\+06\b.*lr=1(e\+05|00000)\b"
        r".*in column '[abcd]'\. Lower lr, or .*"
        rf"The {cls.__name__} is as it was before the call"
    )
    with unchanged(estimator), pytest.raises(FloatingPointError, match=match):
        estimator.fit(TABLE)
    assert_same_codes(estimator, codes)


@BOTH
@EITHER_STATE
def test_divergence_names_the_column_that_dominates_the_loss(cls, fitted):
    params = {"scale": None, "optimizer": "sgd"}
    estimator, codes = before_and_after(cls, fitted, **params)
    match = r"1e\+12, is in column 'b'\. Lower lr, or tame that column"
    with unchanged(estimator), pytest.raises(FloatingPointError, match=match):
        estimator.fit(with_cell(1e12))
    assert_same_codes(estimator, codes)


@BOTH
@pytest.mark.parametrize("door", FITTING)
def test_divergence_in_the_only_epoch_is_not_silent(cls, door):
    match = r"the loss became (nan|inf) at epoch 1 with lr=1e\+06"
    params = {"lr": 1e6, "optimizer": "sgd", "max_epochs": 1}
    estimator = make(cls, validation_fraction=0.1, **params)
    with unchanged(estimator), pytest.raises(FloatingPointError, match=match):
        getattr(estimator, door)(TABLE)


@BOTH
def test_a_failed_retry_names_both_epochs_with_their_steps(cls):
    poisoned = callback_at("on_epoch_begin", poison, epochs=(1, 3))
    estimator = make(cls, max_epochs=3, callbacks=[poisoned])
    match = r"became nan at epoch 1 with lr=0\.001\b.*epoch 3 .*lr=0\.0001\b"
    with unchanged(estimator), pytest.raises(FloatingPointError, match=match):
        estimator.fit(TABLE)


@BOTH
def test_weights_that_fail_after_a_finite_loss_are_not_called_a_loss(cls):
    poisoned = callback_at("on_batch_end", poison)
    estimator = make(cls, batch_size=N_ROWS, callbacks=[poisoned])
    match = r"^(?!.*the loss became \d).*weight.*epoch"
    with unchanged(estimator), pytest.raises(FloatingPointError, match=match):
        estimator.fit(TABLE)


@BOTH
@pytest.mark.parametrize("early_stopping", [False, True])
def test_one_divergence_is_retried_from_the_last_good_weights(cls, early_stopping):
    poisoned = callback_at("on_epoch_begin", poison, epochs=(2,))
    estimator = make(cls, max_epochs=3, early_stopping=early_stopping, refit=False)
    estimator.set_params(callbacks=[poisoned]).fit(TABLE)
    history = estimator.history_.set_index("epoch").loc[1:]
    np.testing.assert_allclose(history["lr"], [1e-3, 1e-3, 1e-4])
    np.testing.assert_array_equal(
        np.isfinite(history["train_loss"]), [True, False, True]
    )
    assert abs(history["train_loss"][3] - history["train_loss"][1]) < 1
    assert estimator.best_epoch_ != 2
    assert all(np.isfinite(array).all() for array in weights(estimator).values())
    assert np.isfinite(estimator.score(TABLE))


@BOTH
def test_a_divergence_in_the_last_epoch_is_retried_too(cls):
    poisoned = callback_at("on_epoch_begin", poison, epochs=(3,))
    estimator = make(cls, max_epochs=3, early_stopping=False, callbacks=[poisoned])
    assert np.isfinite(estimator.fit(TABLE).loss_curve_[-1])
    np.testing.assert_allclose(estimator.history_["lr"].iloc[-1], 1e-4)


@BOTH
@pytest.mark.parametrize("epoch", [1, 2, 5])
def test_a_divergence_is_retried_on_the_course_too(cls, epoch):
    poisoned = callback_at("on_epoch_begin", poison, epochs=(epoch,))
    options = {"schedule": "auto", "max_epochs": 5, "early_stopping": False}
    untouched = make(cls, **options).fit(TABLE)
    estimator = make(cls, **options, callbacks=[poisoned]).fit(TABLE)
    assert estimator.n_epochs_ == max(5, epoch + 1)
    losses = estimator.loss_curve_
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(losses)), [epoch - 1])
    assert all(np.isfinite(array).all() for array in weights(estimator).values())
    # the peak of the step size is a tenth after the retry, and the course a bit behind
    share = estimator.history_["lr"].iloc[-1] / untouched.history_["lr"].iloc[-1]
    assert 0.1 <= share < 1.0


@BOTH
def test_after_a_divergence_the_estimator_can_be_fitted(cls):
    estimator = make(cls, lr=1e6, optimizer="sgd")
    with pytest.raises(FloatingPointError, match="Lower lr"):
        estimator.fit(TABLE)
    estimator.set_params(lr=1e-3, optimizer="adamw").fit(TABLE)
    np.testing.assert_array_equal(
        estimator.transform(TABLE), make(cls).fit(TABLE).transform(TABLE)
    )


# -- training that is stopped --------------------------------------------------

MOMENTS = {
    "on_train_begin": (0,),
    "on_epoch_begin": (2,),
    "on_batch_begin": (2,),
    "on_grad_computed": (2,),
    "on_batch_end": (2,),
    "on_epoch_end": (2,),
    "on_train_end": (3,),
}


@BOTH
@EITHER_STATE
@pytest.mark.parametrize("hook", MOMENTS)
@pytest.mark.parametrize("action", [interrupt, press_ctrl_c])
@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_an_interrupt_propagates_with_a_note_and_changes_nothing(
    cls, fitted, hook, action
):
    callback = callback_at(hook, action, MOMENTS[hook])
    estimator, codes = before_and_after(cls, fitted, callbacks=[callback])
    with unchanged(estimator), pytest.raises(KeyboardInterrupt) as error:
        estimator.fit(TABLE)
    note = f"The {cls.__name__} is as it was before the call."
    assert note in error.value.__notes__
    assert_same_codes(estimator, codes)


@BOTH
@pytest.mark.parametrize("door", ["partial_fit", "warm fit"])
def test_an_interrupt_of_resumed_training_changes_nothing(cls, door):
    estimator = make_fitted(cls, warm_start=True)
    codes = estimator.transform(TABLE)
    estimator.set_params(callbacks=[callback_at("on_epoch_end", interrupt)])
    with unchanged(estimator), pytest.raises(KeyboardInterrupt):
        getattr(estimator, door.removeprefix("warm "))(TABLE)
    assert_same_codes(estimator, codes)


@BOTH
@EITHER_STATE
@pytest.mark.parametrize("hook", MOMENTS)
def test_an_error_of_a_callback_propagates_and_changes_nothing(cls, fitted, hook):
    callback = callback_at(hook, fail, MOMENTS[hook])
    estimator, codes = before_and_after(cls, fitted, callbacks=[callback])
    with (
        unchanged(estimator),
        pytest.raises(RuntimeError, match=r"^the disk is full") as error,
    ):
        estimator.fit(TABLE)
    assert error.type is RuntimeError
    assert error.value.__cause__ is None
    note = f"The {cls.__name__} is as it was before the call."
    assert note in error.value.__notes__
    assert_same_codes(estimator, codes)


@BOTH
@pytest.mark.parametrize("early_stopping", [False, True])
def test_early_stopping_of_skorch_stops_the_fit_without_an_error(cls, early_stopping):
    monitor = "valid_loss" if early_stopping else "train_loss"
    never_good_enough = EarlyStopping(
        monitor, patience=1, threshold=1e6, threshold_mode="abs"
    )
    estimator = make(cls, max_epochs=3, early_stopping=early_stopping, refit=False)
    estimator.set_params(callbacks=[never_good_enough]).fit(TABLE)
    assert estimator.n_epochs_ == 2
    short = make(cls, max_epochs=2, early_stopping=early_stopping, refit=False)
    short.fit(TABLE)
    np.testing.assert_array_equal(estimator.transform(TABLE), short.transform(TABLE))


@BOTH
def test_an_interrupt_beside_early_stopping_of_skorch_is_not_swallowed(cls):
    stop = EarlyStopping("train_loss", patience=3)
    callbacks = [stop, callback_at("on_epoch_end", interrupt, (2,))]
    estimator = make(cls, max_epochs=3, callbacks=callbacks)
    with unchanged(estimator), pytest.raises(KeyboardInterrupt):
        estimator.fit(TABLE)


@BOTH
def test_a_callback_at_batches_works_with_held_out_rows(cls):
    estimator = make(cls, early_stopping=True, callbacks=[GradientNormClipping(1e6)])
    plain = make(cls, early_stopping=True)
    np.testing.assert_array_equal(
        estimator.fit(TABLE).transform(TABLE), plain.fit(TABLE).transform(TABLE)
    )


# -- out of memory -------------------------------------------------------------------


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, VAETransformer])
@pytest.mark.parametrize(
    "error",
    [
        MemoryError("no room"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_memory_a_fit_says_what_to_do_and_keeps_the_old_one(
    error, estimator, monkeypatch
):
    X = load_wine().data
    fitted = estimator(2, max_epochs=1, batch_size=50, random_state=0).fit(X)
    before = fitted.transform(X)

    def fail(self, U, rng=None):
        raise error

    monkeypatch.setattr(AutoencoderModule, "forward", fail)
    monkeypatch.setattr(VAEModule, "forward", fail)
    with pytest.raises(MemoryError, match=r"batch_size=50; use a smaller") as raised:
        fitted.set_params(architecture=MLP(normalization="layer")).fit(X)
    assert "is as it was before the call" in str(raised.value)
    assert raised.value.__cause__ is error
    monkeypatch.undo()
    np.testing.assert_array_equal(fitted.transform(X), before)
