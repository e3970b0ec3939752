"""Rows that have the value of a factor in common."""

import numpy as np


class RowsByValue:
    """Rows grouped by the value of one factor, to draw from.

    Parameters
    ----------
    rows : ndarray of int of shape (n_rows,)
        Numbers of the rows to draw from. Those that share their value with no other
        are left out.
    values : ndarray of int of shape (n_samples,)
        The value of every row there is.
    column : int
        Which factor it is, for errors.

    Raises
    ------
    ValueError
        If no two rows have a value in common.
    """

    def __init__(self, rows, values, column):
        rows = rows[np.argsort(values[rows], kind="stable")]
        _, starts, sizes = np.unique(
            values[rows], return_index=True, return_counts=True
        )
        starts, sizes = np.repeat(starts, sizes), np.repeat(sizes, sizes)
        self._rows = rows
        self._starts = starts  # (n_rows,): where the group of a row begins,
        self._sizes = sizes  # (n_rows,): and how many rows it has
        self._usable = np.flatnonzero(sizes > 1)
        if not len(self._usable):
            raise ValueError(
                f"no two rows share a value of column {column} of factors, among the "
                f"{len(rows)} that are drawn from; pass more rows, or merge values"
            )

    def draw_pairs(self, n_pairs, rng):
        """Return rows, and for each another one of the same value."""
        first = rng.choice(self._usable, size=n_pairs)
        starts, sizes = self._starts[first], self._sizes[first]
        step = 1 + np.floor(rng.uniform(size=n_pairs) * (sizes - 1)).astype(np.intp)
        second = starts + (first - starts + step) % sizes
        return self._rows[first], self._rows[second]

    def draw_batches(self, n_batches, batch_size, rng):
        """Return rows of shape (n_batches, batch_size), alike in value in each batch.

        They are independent draws, as those from a simulator would be.
        """
        first = rng.choice(self._usable, size=(n_batches, 1))
        uniform = rng.uniform(size=(n_batches, batch_size))
        places = np.floor(uniform * self._sizes[first]).astype(np.intp)
        return self._rows[self._starts[first] + places]
