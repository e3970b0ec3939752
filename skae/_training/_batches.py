"""Batches of rows that are in memory already: no copy of X, no DataLoader."""

import numpy as np
import torch

from skae._modules._scaler import CHUNK_CELLS
from skae._weights import systematic

# Rows in network space that take at most this many bytes are kept, so that they are
# scaled once instead of once an epoch.
KEPT_BYTES = 4 * 2**20

# On another device the rows of X live there if they leave this share of it free.
FREE_SHARE = 0.5

# The spread of rows that nobody has scaled is measured on this many.
SPREAD_ROWS = 1024


class NetworkRows:
    """Some rows of X, in network space: a dataset that can be indexed by a list.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        All rows, in the user's units; never copied as a whole on the CPU.
    module : AutoencoderModule
        Knows the way to network space.
    device : torch.device
        Where the rows will be wanted.
    rows : ndarray of int or None, default=None
        Which of them; None for all.
    has_holes : bool, default=False
        Whether there may be NaN among them.
    weights : ndarray of shape (n_rows,) or None, default=None
        How often each should be seen in comparison; None if all are alike.
    """

    def __init__(self, X, module, device, rows=None, *, has_holes=False, weights=None):
        self.X = _moved(as_tensor(X), device)
        self.rows = None if rows is None else torch.from_numpy(rows)
        self.module, self.device, self.has_holes = module, device, has_holes
        self.weights = weights
        self.kept = None
        width = X.shape[1] if module.layout is None else module.n_features
        if len(self) * width * module.dtype.itemsize <= KEPT_BYTES:
            self.kept = self._all_rows(width)

    def _all_rows(self, n_features):
        shape, dtype = (len(self), n_features), self.module.dtype
        result = torch.empty(shape, dtype=dtype, device=self.device)
        step = max(1, CHUNK_CELLS // n_features)
        for start in range(0, len(self), step):
            part = torch.arange(start, min(start + step, len(self)))
            result[start : start + step] = self.take(part)
        return result

    def __len__(self):
        return len(self.X) if self.rows is None else len(self.rows)

    def spread(self):
        """Return the standard deviation of the rows, a root mean over columns.

        Of a table with columns of several laws: that of every entry, a Tensor.
        """
        of_each = self.module.layout is not None
        if not (of_each or self.module.scaler.is_identity):
            return 1.0  # that is what the scaler is for
        n_some = min(len(self), SPREAD_ROWS)
        some = np.linspace(0, len(self) - 1, n_some)
        if self.weights is not None:
            some = systematic(self.weights, n_some)
        U, _ = self.open(self.take(torch.from_numpy(some.astype(np.int32))))
        variances = U.var(dim=0, correction=0)
        return variances.sqrt() if of_each else variances.mean().sqrt().item()

    def open(self, U):
        """Return rows with their holes filled, and which entries are known, or None."""
        return self.module.scaler.fill_holes(U) if self.has_holes else (U, None)

    def take(self, positions):
        """Return the rows at some positions, in network space."""
        if self.kept is not None:
            return self.kept.index_select(0, _sent(positions, self.device))
        return self._gather(self._numbers(positions))

    def batches(self, order, n_batches):
        """Yield the rows in the given order, in batches of balanced sizes."""
        if self.kept is not None:  # so little that one gather will do
            yield from self.take(order).tensor_split(n_batches)
        else:
            for numbers in self._numbers(order).tensor_split(n_batches):
                yield self._gather(numbers)

    def _numbers(self, positions):
        """Return the row numbers of some positions, where X is."""
        if self.rows is not None:
            positions = self.rows.index_select(0, positions)
        return _sent(positions, self.X.device)

    def _gather(self, numbers):
        X = self.X.index_select(0, numbers)
        # exact, so that the same numbers train the same network in any dtype
        return self.module.to_network_space(X.to(self.device), exact=True)

    def __getitems__(self, positions):
        """Return the rows of a list of positions, as a DataLoader asks for them."""
        return self.take(torch.as_tensor(positions))


class TensorBatches:
    """Iterate over `NetworkRows` in batches, each gathered by one `index_select`.

    A batch is the rows with their holes filled, and which entries are known, None if
    all are. Batch sizes differ by one at most, so no batch is too small for batch
    normalisation and no row is dropped. Of rows with weights a pass has as many as
    there are, each as often as its weight says, which is once or not at all for most:
    another choice at each pass, so that in the long run it is exactly as often.

    Parameters
    ----------
    dataset : NetworkRows
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

    def order(self):
        """Return the positions of all rows in the order of a new pass."""
        n_rows, weights = len(self.dataset), self.dataset.weights
        if self.rng is None:
            return torch.arange(n_rows)
        order = self.rng.permutation(n_rows)
        if weights is None:
            return order
        offset = self.rng.uniform_like(torch.empty(1, dtype=torch.float64)).item()
        return torch.from_numpy(systematic(weights, n_rows, offset))[order]

    def __iter__(self):
        for U in self.dataset.batches(self.order(), len(self)):
            yield self.dataset.open(U)


class LoaderBatches(TensorBatches):
    """The same batches, from a `DataLoader`: for rows that are slow to come by.

    Parameters
    ----------
    dataset, batch_size, rng, min_rows : object
        As for `TensorBatches`.
    loader : callable
        `torch.utils.data.DataLoader` or a partial of it.
    """

    def __init__(self, dataset, batch_size, rng=None, min_rows=1, *, loader):
        super().__init__(dataset, batch_size, rng, min_rows)
        self.loader = loader

    def __iter__(self):
        batches = self.order().tensor_split(len(self))
        loader = self.loader(
            self.dataset,
            batch_sampler=(batch.tolist() for batch in batches),
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # it would draw from torch's global one
        )
        for U in loader:
            yield self.dataset.open(U.to(self.dataset.device))


def _as_it_is(batch):
    return batch


def _sent(numbers, device):
    """Return row numbers on a device, without waiting for it."""
    return numbers.to(device, non_blocking=True)


def _moved(X, device):
    """Return X on another device if it fits there, else X itself."""
    if (
        device.type == "cpu"
        or X.nbytes > FREE_SHARE * torch.cuda.mem_get_info(device)[0]
    ):
        return X
    return X.to(device)


def as_tensor(X):
    """Return a tensor over the memory of X, read-only memory included.

    Nothing in this package writes to such a tensor; torch would warn of read-only
    memory on every call.
    """
    if X.dtype == bool:
        X = X.view(np.uint8)  # torch does not subtract from bools
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
