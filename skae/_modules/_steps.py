"""Numbers as steps between their quantiles."""

import numpy as np
import torch
from torch import nn

# Steps of a column: one for each value where there are so few.
N_STEPS = 16


class Steps(nn.Module):
    """How far each of some steps is climbed by a number: a piecewise linear code [1]_.

    The steps lie between quantiles of the column, or between its values where these
    are few. A linear map of the code is any function of the number that is straight
    between them.

    Parameters
    ----------
    n_columns : int
        How many columns of numbers there are.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, A. Babenko, "On Embeddings for Numerical Features
       in Tabular Deep Learning", NeurIPS 2022, arXiv:2203.05556.
    """

    def __init__(self, n_columns):
        super().__init__()
        self.register_buffer("edges", torch.zeros(n_columns, N_STEPS + 1))

    def fit(self, U):
        """Find the steps of columns U (n_rows, n_columns), NaN in the holes."""
        for j, column in enumerate(U.numpy().T):
            values = np.unique(column[~np.isnan(column)])
            if len(values) == 0:  # what only held-out rows know
                continue
            if len(values) > N_STEPS + 1:
                known = column[~np.isnan(column)]
                values = np.quantile(known, np.linspace(0, 1, N_STEPS + 1))
            n_more = N_STEPS + 1 - len(values)  # steps of no width, never climbed
            edges = np.pad(values, (0, n_more), mode="edge")
            self.edges[j] = torch.from_numpy(edges)
        return self

    def forward(self, U):
        """Return the steps (n_rows, n_columns * N_STEPS) of U (n_rows, n_columns)."""
        low, high = self.edges[:, :-1].to(U.dtype), self.edges[:, 1:].to(U.dtype)
        width = high - low
        height = (U[:, :, None] - low) / torch.where(width > 0, width, 1.0)
        return (height.clamp(0, 1) * (width > 0)).flatten(start_dim=1)
