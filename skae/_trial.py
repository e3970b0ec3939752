"""A model is tried on a few rows before it is believed to be one."""

import numpy as np
import pandas as pd
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skae._base import BaseAutoencoder
from skae._imputer import AutoencoderImputer


def try_out(estimator):
    """Raise an error if a fitted estimator fails, or answers what is not a number.

    Every method that a user may call on it is called, on two rows.
    """
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return
    if isinstance(estimator, BaseAutoencoder):
        _try_autoencoder(estimator)
    elif isinstance(estimator, AutoencoderImputer):
        _try_imputer(estimator)
    else:
        _try_detector(estimator)


def _try_autoencoder(estimator):
    codes = np.zeros((2, estimator.n_components_))
    codes[1] = 0.1
    rows = _named(estimator, estimator.inverse_transform(codes))
    _expect(np.shape(rows), (2, estimator.n_features_in_), "rows")
    found = estimator.transform(rows)
    _expect(found.shape, codes.shape, "codes")
    _check_finite(found)
    _expect(np.shape(estimator.reconstruct(rows)), np.shape(rows), "rows")
    _check_finite(estimator.reconstruction_error(rows))
    estimator.get_feature_names_out()
    for name in ("history_", "loss_curve_", "validation_curve_", "categories_"):
        getattr(estimator, name)
    if estimator._kept_codes is not None:
        for density in estimator._code_densities:
            _check_finite(estimator.sample_codes(2, 0, density))
        estimator.sample(2, random_state=0)
        estimator.traverse(n_steps=2)
    if hasattr(estimator, "log_likelihood"):
        for part in estimator.encode_distribution(rows):
            _expect(part.shape, codes.shape, "codes")
            _check_finite(part)
        rows = _named(estimator, estimator.sample(2, random_state=0))
        _check_finite(estimator.score_samples(rows))
        _check_finite(estimator.log_likelihood(rows, 1))
        _expect(estimator.kl_per_component_.shape, codes.shape[1:], "terms")
        _check_finite(estimator.kl_per_component_)


def _try_imputer(estimator):
    for member in estimator.estimators_:
        _try_autoencoder(member)
    _expect(estimator._kept.shape, (estimator.n_features_in_,), "columns")
    rows = np.zeros((2, estimator.n_features_in_))
    if estimator._table is not None:
        rows = _table_of(estimator._table)
    rows = _named(estimator, rows)
    estimator.transform(rows)
    holed = np.zeros((3, int(estimator._kept.sum())))
    holed[1, :1] = holed[2] = np.nan
    filled, _ = estimator._fills.fill(holed)
    _check_finite(filled)
    for model in estimator._models:
        filled, _ = model.filler.fill(holed)
        _check_finite(model.draw(holed, filled, 0))
    estimator.get_feature_names_out()


def _try_detector(estimator):
    rows = np.zeros((2, estimator.n_features_in_))
    if estimator._columns is not None:
        rows = _table_of(estimator._columns)
    rows = _named(estimator, rows)
    _check_finite(estimator.decision_function(rows))
    _check_finite(estimator.p_values(rows))
    _check_finite(estimator.explain(rows).to_numpy())
    _check_finite(estimator.training_scores_)
    for member in estimator.estimators_:
        _try_autoencoder(member)


def _table_of(columns):
    """Return two rows as a table of these columns."""
    return columns.decode(np.zeros((2, columns.n_columns)))


def _named(estimator, rows):
    """Return rows under the names of columns that the estimator has seen."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None or hasattr(rows, "columns"):
        return rows
    return pd.DataFrame(rows, columns=names)


def _expect(shape, expected, what):
    if tuple(shape) != tuple(expected):
        raise ValueError(f"it makes {what} of shape {shape}, expected {expected}")


def _check_finite(values):
    if not np.isfinite(np.asarray(values)).all():
        raise ValueError("it answers what is not a number")
