"""What a user is told when training fails."""

from contextlib import contextmanager

import numpy as np

from skae._training._callbacks import Diverged
from skae._training._inference import map_rows
from skae._validation import name_column


@contextmanager
def failures_explained(estimator, rows, names, module):
    """Add to every failure what became of the estimator, and to divergence its cause.

    Parameters
    ----------
    estimator : estimator
        Whose fit it is.
    rows : TrainingRows
        The rows of the fit.
    names : ndarray of str or None
        Column names.
    module : AutoencoderModule
        What is being trained.
    """
    unchanged = f"The {type(estimator).__name__} is as it was before the call."
    try:
        yield
    except Diverged as error:
        column, value = _largest_entry(rows.X, names, module)
        raise FloatingPointError(
            f"{error}. The largest scaled value, {value:.3g}, is in {column}. Lower "
            "lr, or tame that column, for instance with a logarithm or "
            f"sklearn.preprocessing.QuantileTransformer. {unchanged}"
        ) from None
    except BaseException as error:  # Ctrl-C too
        error.add_note(unchanged)
        raise


def _largest_entry(X, names, module):
    """Return the column with the largest value in network space, and the value."""
    U = map_rows(module, "to_network_space", X)
    largest = np.abs(U).max(axis=0)
    return name_column(largest.argmax(), names), largest.max()
