"""Batches of rows that are in memory already: no copy of X, no DataLoader."""

from typing import NamedTuple

import numpy as np
import torch


class TrainingRows(NamedTuple):
    """X with the rows to train on and the rows to validate on."""

    X: np.ndarray  # (n_samples, n_features)
    train: np.ndarray  # row numbers
    valid: np.ndarray | None  # row numbers, None for no validation


class RowSubset:
    """Some rows of a tensor.

    Parameters
    ----------
    X : Tensor of shape (n_samples, n_features)
        All rows.
    rows : Tensor of int64
        Which of them, on the CPU.
    """

    def __init__(self, X, rows):
        self.X = X
        self.rows = rows

    def __len__(self):
        return len(self.rows)


class TensorBatches:
    """Iterate over a `RowSubset` in batches, each gathered by one `index_select`.

    Batch sizes differ by one at most, so no batch is too small for batch
    normalisation and no row is dropped.

    Parameters
    ----------
    dataset : RowSubset
        The rows.
    batch_size : int
        Most rows of a batch.
    rng : Rng or None, default=None
        Source of a new order at each pass; None keeps the order.
    min_rows : int, default=1
        Fewest rows of a batch; it wins where the two bounds disagree.
    """

    def __init__(self, dataset, batch_size, rng=None, min_rows=1):
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng
        self.min_rows = min_rows

    def __len__(self):
        n_rows = len(self.dataset)
        return max(1, min(-(-n_rows // self.batch_size), n_rows // self.min_rows))

    def __iter__(self):
        rows = self.dataset.rows
        if self.rng is not None:
            rows = rows[self.rng.permutation(len(rows))]
        for batch in rows.tensor_split(len(self)):
            X = self.dataset.X.index_select(0, batch.to(self.dataset.X.device))
            yield X, X


def as_tensor(X):
    """Return a tensor over the memory of X, read-only memory included.

    Nothing in this package writes to such a tensor; torch would warn of read-only
    memory on every call.
    """
    if any(stride < 0 for stride in X.strides):
        X = np.ascontiguousarray(X)
    if not X.flags.writeable:
        X = np.asarray(_Writeable(X))
    return torch.from_numpy(X)


class _Writeable:
    """The memory of an array without its read-only mark."""

    def __init__(self, X):
        interface = dict(X.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface
        self.owner = X  # keeps the memory alive
