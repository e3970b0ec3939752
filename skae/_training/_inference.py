"""Apply a method of a fitted module to rows: a pure function of the rows."""

import copy
import threading
import weakref

import numpy as np
import torch
from torch import nn

from skae._training._batches import as_tensor
from skae._training._cuda import exact_float32
from skae._training._threads import threads_for

# A batch holds about this many numbers in the widest layer, so that it stays in cache.
BATCH_CELLS = 2**20
FEWEST_ROWS, MOST_ROWS = 1, 8192

# float64 copies of fitted modules, which never change. Kept here, so that a call of
# transform writes nothing to the estimator.
_copies = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def map_rows(module, method, X, *args, cells_per_row=None):
    """Return `module.method(rows, *args)` for all rows of X, in batches.

    Computed in float64 unless X is float32, and returned so.

    Parameters
    ----------
    module : AutoencoderModule
        A fitted module, in evaluation mode.
    method : str
        Name of a method that maps a tensor (n_rows, width) to one tensor or a tuple
        of tensors with as many rows.
    X : ndarray of shape (n_samples, width)
        Rows.
    *args : object
        Passed on to the method.
    cells_per_row : int or None, default=None
        Numbers that a row takes in the widest layer.

    Returns
    -------
    ndarray or tuple of ndarray
    """
    dtype = np.float32 if X.dtype == np.float32 else np.float64
    module = in_dtype(module, torch.float32 if dtype == np.float32 else torch.float64)
    apply = getattr(module, method)
    device = next(module.parameters()).device
    cells = module.widest_layer if cells_per_row is None else cells_per_row
    step = int(np.clip(BATCH_CELLS // cells, FEWEST_ROWS, MOST_ROWS))

    rows, results = as_tensor(X), None
    n_operations = 2 * module.n_operations * min(step, len(X))
    with threads_for(n_operations), exact_float32(device), torch.inference_mode():
        for start in range(0, len(X), step):
            outputs = apply(rows[start : start + step].to(device), *args)
            single = not isinstance(outputs, tuple)
            outputs = (outputs,) if single else outputs
            if results is None:
                results = tuple(
                    np.empty((len(X), *output.shape[1:]), dtype=dtype)
                    for output in outputs
                )
            for result, output in zip(results, outputs, strict=True):
                result[start : start + step] = output.cpu().numpy()
    return results[0] if single else results


def in_dtype(module, dtype):
    """Return the module, or its cached copy with weights of another dtype."""
    if module.dtype == dtype:
        return module
    with _lock:
        copies = _copies.setdefault(module, {})
        if dtype not in copies:
            is_ours = all(_is_plain(part) for part in module.modules())
            copies[dtype] = (
                twin_of(module, dtype) if is_ours else copy.deepcopy(module).to(dtype)
            )
        return copies[dtype]


def _is_plain(part):
    """Return whether all parts of a module are where torch would look for them.

    A user's module may have the same layer twice, or layers in a list.
    """
    return type(part).__module__.partition(".")[0] in ("skae", "torch")


def twin_of(module, dtype):
    """Return a module with the weights and buffers of another in another dtype.

    It shares everything else, and takes a tenth of the time of a deep copy.
    """
    twin = copy.copy(module)
    twin._modules = {
        name: part if part is None else twin_of(part, dtype)
        for name, part in module._modules.items()
    }
    twin._parameters = {
        name: weight if weight is None else nn.Parameter(weight.data.to(dtype))
        for name, weight in module._parameters.items()
    }
    twin._buffers = {
        name: buffer.to(dtype) if torch.is_floating_point(buffer) else buffer
        for name, buffer in module._buffers.items()
    }
    return twin
