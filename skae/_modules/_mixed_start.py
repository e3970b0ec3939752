"""The linear start for columns of several laws."""

from typing import NamedTuple

import numpy as np

from skae._modules._pca import PrincipalAxes, principal_axes
from skae._modules._scaler import Scaler

# Rounds of the estimate of what the start leaves of each number, and the least of its
# variance that is taken to be left: a column may be told by others exactly.
ROUNDS, LEAST_NOISE = 3, 0.05


class MixedStart(NamedTuple):
    """Principal axes in units of each entry's noise, where that is 1.

    A law's surrogate is a normal law around `bias + gain (u - mean)`. Divided by its
    deviation that has unit noise for every entry, and what is optimal in such rows has
    a closed form: principal axes, and probabilistic PCA.
    """

    axes: PrincipalAxes  # of rows times `weights`
    mean: np.ndarray  # (n_entries,), in network space
    weights: np.ndarray  # (n_entries,), what an entry is multiplied by
    bias: np.ndarray  # (n_entries,), decoder output that gives the means
    deviations: np.ndarray  # (n_entries,), decoder output of one unit of noise


def mixed_start(
    view, rows, scaler, likelihood, *, variances, n_axes, resolve_width, seed
):
    """Return the width of the code, and the `MixedStart` of the training rows.

    Parameters
    ----------
    view : ExpandedRows
        All rows.
    rows : ndarray of int or None
        Which rows to use; None for all.
    scaler : Scaler
        From entries to network space.
    likelihood : TableLaw
        The laws of the columns.
    variances : ndarray of shape (n_entries,)
        Of the entries in network space.
    n_axes : int or None
        How many axes are needed at most; None for all of them.
    resolve_width : callable
        From the axes in network space to the width of the code.
    seed : int
        Seed of the axes of wide tables.
    """

    def axes_in(weights):
        weighted = Scaler(len(weights))
        weighted.load_state_dict(scaler.state_dict())
        weighted.scale.div_(weighted.scale.new_tensor(weights))
        return principal_axes(view, rows, weighted, n_axes=n_axes, seed=seed)

    axes = axes_in(np.ones(likelihood.n_entries))
    width, mean = resolve_width(axes), axes.mean
    surrogate = likelihood.surrogate(mean)
    noise, open_ = surrogate.noise_variance, np.isnan(surrogate.noise_variance)
    told = _told(axes, width)
    for _ in range(ROUNDS if open_.any() else 1):
        left = np.maximum(variances - told, LEAST_NOISE)
        noise = np.where(open_, likelihood.pooled(left), noise)
        weights = surrogate.gain / np.sqrt(noise)
        axes = axes_in(weights)
        # of a unit of variance that is noise, probabilistic PCA tells nothing
        told = _told(axes, width, noise=1.0) / weights**2
    return width, MixedStart(axes, mean, weights, surrogate.bias, np.sqrt(noise))


def _told(axes, width, noise=0.0):
    """Return how much variance of each entry the axes tell, but for their noise."""
    eigenvalues, components = axes.padded(width)
    return np.maximum(eigenvalues - noise, 0.0) @ components**2
