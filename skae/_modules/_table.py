"""Centred rows in network space, chunk by chunk."""

from functools import partial

import numpy as np

from skae._modules._scaler import CONSTANT_TOLERANCE, column_ranges, iterate_chunks

# Numbers that are kept between passes over X: 64 MB of float32.
KEPT_CELLS = 2**24

# Rows of a product with a block of vectors.
ROWS_PER_PRODUCT = 256


class Table:
    """Centred rows in network space, in units of their largest entry.

    In that unit no square overflows, and columns that do not vary are zero. So are
    missing values: the mean of their column.
    """

    def __init__(self, X, rows, scaler):
        self.X, self.rows = X, rows
        self.shape = (len(X) if rows is None else len(rows), X.shape[1])
        center, scale = scaler.center.numpy(), scaler.scale.numpy()
        self.center, lowest, highest, n_known = column_ranges(X, rows)
        self.has_holes = bool((n_known < self.shape[0]).any())
        self.mean = (self.center - center) / scale
        reach = np.maximum(highest - self.center, self.center - lowest)
        size = np.maximum(np.abs(lowest), np.abs(highest))
        self.varies = reach > CONSTANT_TOLERANCE * size
        self.unit = np.where(self.varies, reach / scale, 0.0).max()
        self.divisor = np.where(self.varies, scale * self.unit, np.inf)

    def row_chunks(self, dtype, min_rows=1):
        """Yield the rows chunk by chunk."""
        for chunk in iterate_chunks(self.X, self.rows, min_rows):
            U = chunk - self.center
            U /= self.divisor
            yield self._filled(U).astype(dtype, copy=False)

    def repeated_chunks(self, dtype):
        """Return a function that yields the rows; kept in memory if there are few."""
        if self.shape[0] * self.shape[1] > KEPT_CELLS:
            return partial(self.row_chunks, dtype, ROWS_PER_PRODUCT)
        kept = np.empty(self.shape, dtype)
        start = 0
        for U in self.row_chunks(dtype):
            kept[start : start + len(U)] = U
            start += len(U)
        cuts = range(0, len(kept), ROWS_PER_PRODUCT)
        return lambda: (kept[cut : cut + ROWS_PER_PRODUCT] for cut in cuts)

    def column_blocks(self, dtype):
        """Yield a slice of the columns, and these columns, block by block."""
        width = max(1, KEPT_CELLS // 8 // self.shape[0])
        for start in range(0, self.shape[1], width):
            part = slice(start, start + width)
            block = np.vstack(list(iterate_chunks(self.X[:, part], self.rows)))
            block -= self.center[part]
            block /= self.divisor[part]
            yield part, self._filled(block).astype(dtype, copy=False)

    def _filled(self, U):
        if self.has_holes:
            U[np.isnan(U)] = 0.0
        return U
