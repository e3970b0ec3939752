"""The only file that imports scikit-learn's private names."""

from functools import cache
from numbers import Integral, Real

from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing as take_rows
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    RealNotInt,
    StrOptions,
    make_constraint,
)
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _check_method_params as check_method_params
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight as check_sample_weight
from sklearn.utils.validation import _get_feature_names as get_feature_names

from skae._documentation import DocumentedMixin

__all__ = [
    "HasMethods",
    "Integral",
    "Interval",
    "InvalidParameterError",
    "ParameterHolder",
    "Real",
    "RealNotInt",
    "StrOptions",
    "callbacks_of",
    "check_feature_names",
    "check_method_params",
    "check_n_features",
    "check_sample_weight",
    "get_feature_names",
    "take_rows",
    "validate_parameters",
]


class ParameterHolder(DocumentedMixin, BaseEstimator):
    """A `BaseEstimator` that reads the signature of its class once.

    A fit asks for parameters thirty times, which would else take milliseconds.
    """

    @classmethod
    def _get_param_names(cls):
        return list(_param_names_of(cls))


@cache
def _param_names_of(cls):
    return super(ParameterHolder, cls)._get_param_names()


def callbacks_of(estimator):
    """Return the callbacks that `set_callbacks` has given to an estimator."""
    return getattr(estimator, "_skl_callbacks", [])


def validate_parameters(holder):
    """Raise `InvalidParameterError` for the first invalid parameter of `holder`.

    Like `BaseEstimator._validate_params`, but a bool is not a number:
    `n_components=True` is a mistake, not a 1.
    """
    for name, value in holder.get_params(deep=False).items():
        if not isinstance(value, bool):
            continue
        constraints = [make_constraint(c) for c in holder._parameter_constraints[name]]
        accepting = [c for c in constraints if not isinstance(c, Interval)]
        if not any(c.is_satisfied_by(value) for c in accepting):
            expected = ", ".join(str(c) for c in constraints)
            raise InvalidParameterError(
                f"The {name!r} parameter of {type(holder).__name__} must be "
                f"{expected}. Got {value!r} instead."
            )
    holder._validate_params()
