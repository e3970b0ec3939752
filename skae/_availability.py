"""Methods that depend on parameters."""

from types import MethodType

import numpy as np


def demands_early_stopping(estimator):
    """Return whether `early_stopping` is True, of Python or numpy, and not "auto"."""
    value = estimator.early_stopping
    return isinstance(value, bool | np.bool_) and bool(value)


class StreamingError(ValueError, AttributeError):
    """A stream of rows cannot be stopped early."""


class AbsentWhileStoppingEarly:
    """A method that an estimator lacks while its `early_stopping` is True.

    `hasattr` is then False, as with `sklearn.utils.metaestimators.available_if`, but
    the error says why.
    """

    def __init__(self, method):
        self.method = method

    def __get__(self, estimator, owner):
        if estimator is None:
            return self.method
        if demands_early_stopping(estimator):
            raise StreamingError(
                f"early_stopping=True has no meaning in {self.method.__name__}, which "
                "is one pass over X; use early_stopping='auto' or False, or fit"
            )
        return MethodType(self.method, estimator)
