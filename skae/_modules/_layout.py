"""From columns, of which some are categories, to entries of network space and back."""

import numpy as np
import torch
from torch import nn

from skae.likelihoods._table_law import TableLaw


class Layout(nn.Module):
    """Which column of X every entry of a row in network space belongs to.

    An entry is a number of X, or 1 where a column of X has a certain category and 0
    where it has another. Two categories share one entry. NaN stays NaN, in all entries
    of a column.

    Parameters
    ----------
    law : TableLaw
        Knows the entries.
    """

    def __init__(self, law):
        super().__init__()
        columns, codes = law.entries()
        numbers = np.isnan(codes)
        self.n_columns = law.n_columns
        self.n_numbers = int(numbers.sum())  # they come first
        # squared errors of the one entry of two categories stand for those of both
        counts = np.bincount(columns, minlength=self.n_columns)
        halved = ~numbers & (counts[columns] == 1) & (codes == 1)
        for name, array in {
            "columns": columns,
            "codes": codes[~numbers],
            "weights": np.where(halved, 2.0, 1.0),
        }.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
        self.blocks = [
            (entries, part) for entries, part in zip(law.slices, law.parts, strict=True)
        ]

    @classmethod
    def of(cls, law):
        """Return the layout of a likelihood's rows, None where these are X itself."""
        return cls(law) if isinstance(law, TableLaw) else None

    def expand(self, X):
        """Return the entries (n_rows, n_entries) of rows X (n_rows, n_columns)."""
        entries = X.index_select(1, self.columns)
        if self.n_numbers == entries.shape[1]:
            return entries
        if not entries.is_floating_point():
            entries = entries.to(torch.float64)
        positions = entries[:, self.n_numbers :]
        is_one = (positions == self.codes).to(entries.dtype)
        positions.copy_(torch.where(positions.isnan(), positions, is_one))
        return entries

    def collapse(self, entries):
        """Return rows (n_rows, n_columns): of categories, the most probable one."""
        X = entries.new_empty(len(entries), self.n_columns)
        for where, part in self.blocks:
            own = entries[:, where]
            if part.codes is not None and part.width == 1:
                own = (own > 0.5).to(own.dtype) * max(part.codes)
            elif part.codes is not None:
                own = own.unflatten(-1, (-1, part.width)).argmax(dim=-1).to(own.dtype)
            X[:, list(part.columns)] = own
        return X

    def sum_columns(self, errors):
        """Return the sums (n_rows, n_columns) of squared errors of entries.

        Two categories, which share an entry, count like more: for each its error.
        """
        sums = errors.new_zeros(len(errors), self.n_columns)
        return sums.index_add_(1, self.columns, errors * self.weights.to(errors.dtype))


class ExpandedRows:
    """Rows of X in network space before scaling, chunk by chunk: like an ndarray.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_columns)
        Rows.
    layout : Layout
        What to expand them by.
    entries : slice, default=slice(None)
        Which of the entries.
    """

    def __init__(self, X, layout, entries=slice(None)):
        self.X, self.layout, self.entries = X, layout, entries
        width = len(range(len(layout.columns))[entries])
        self.shape = (len(X), width)

    def __len__(self):
        return len(self.X)

    def __getitem__(self, key):
        if isinstance(key, tuple):  # all rows, some entries
            return ExpandedRows(self.X, self.layout, key[1])
        rows = torch.from_numpy(np.ascontiguousarray(self.X[key], dtype=np.float64))
        return self.layout.expand(rows)[:, self.entries].numpy()
