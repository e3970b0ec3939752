"""What a user is told when training fails."""

from contextlib import contextmanager

import numpy as np
import torch

from skae._training._callbacks import Diverged
from skae._training._inference import map_rows
from skae._validation import name_column


@contextmanager
def failures_explained(estimator, rows, names, module, batch_size):
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
    batch_size : int
        Most rows of a batch.
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
    except Exception as error:
        if not is_out_of_memory(error):
            error.add_note(unchanged)
            raise
        raise MemoryError(
            f"training ran out of memory ({str(error).splitlines()[0]}) with "
            f"batch_size={batch_size}; use a smaller batch_size or smaller hidden "
            f"layers, or another device. {unchanged}"
        ) from error
    except BaseException as error:  # Ctrl-C too
        error.add_note(unchanged)
        raise


def is_out_of_memory(error):
    """Return whether an error of numpy or torch says that memory is used up."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # what torch raises on the CPU has no class of its own
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def _largest_entry(X, names, module):
    """Return the column with the largest value in network space, and the value."""
    U = map_rows(module, "to_network_space", X)
    largest = np.fmax.reduce(np.abs(U), axis=0)  # it passes over NaN
    j = largest.argmax()
    if module.layout is not None:
        j = module.layout.columns[j].item()
    return name_column(j, names), largest.max()
