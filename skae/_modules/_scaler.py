"""From the units of X to network space and back, in float64."""

import numpy as np
import torch
from torch import nn

# Numbers per chunk when a statistic is taken over X: 1 MB of float64 stays in cache.
CHUNK_CELLS = 2**17

# A column whose deviation is this small beside its size is rounding noise.
CONSTANT_TOLERANCE = 10 * np.finfo(np.float64).eps

# Columns are of one kind when the standard deviation of their ranges is at most this
# share of the mean range; docs/scaling.md has the measurements.
MOST_SPREAD = 0.6


# Scales beyond this, or below its inverse, come near to where float32 ends.
MOST_EXTREME = 1e15


class ColumnStatistics:
    """Mean, standard deviation, minimum and maximum of every column.

    Attributes
    ----------
    mean, std, minimum, maximum : ndarray of shape (n_features,), float64
        Of the known values, those that are not NaN. `std` divides by their number,
        and is 0 for a constant column.
    n_known : ndarray of shape (n_features,)
        Number of known values; the sum of their weights if they have any.
    """

    def __init__(self, mean, std, minimum, maximum, n_known):
        self.mean = mean
        self.std = std
        self.minimum = minimum
        self.maximum = maximum
        self.n_known = n_known

    def take(self, columns):
        """Return the statistics of some of the columns."""
        return ColumnStatistics(**{k: v[columns] for k, v in vars(self).items()})


def iterate_chunks(X, rows=None, min_rows=1):
    """Yield X, or the given rows of it, as float64 arrays of moderate size."""
    n_rows = len(X) if rows is None else len(rows)
    step = max(min_rows, CHUNK_CELLS // X.shape[1])
    for start in range(0, n_rows, step):
        stop = start + step
        chunk = X[start:stop] if rows is None else X[rows[start:stop]]
        # contiguous, because the order in memory decides how sums are rounded
        yield np.ascontiguousarray(chunk, dtype=np.float64)


def iterate_weighted(X, rows=None, weights=None, min_rows=1):
    """Yield chunks as `iterate_chunks`, each with its weights (n_rows, 1) or None.

    `weights` has one for every row of X.
    """
    start = 0
    for chunk in iterate_chunks(X, rows, min_rows):
        part = slice(start, start + len(chunk))
        if weights is None:
            yield chunk, None
        else:
            yield chunk, weights[part if rows is None else rows[part]][:, None]
        start = part.stop


def column_ranges(X, rows=None, weights=None):
    """Return mean, minimum, maximum and number of the known values of every column.

    Of X, or of given rows of it; a column of which these rows know nothing has the
    range of all rows, or is zero. A row counts as often as its weight says, which is
    positive.
    """
    total, minimum, maximum, n_known = 0.0, np.inf, -np.inf, 0
    for chunk, weight in iterate_weighted(X, rows, weights):
        weighted = chunk if weight is None else chunk * weight
        sums, lowest, highest = weighted.sum(axis=0), chunk, chunk
        count = len(chunk) if weight is None else weight.sum()
        if np.isnan(sums).any():
            known = ~np.isnan(chunk)
            sums = weighted.sum(axis=0, where=known)
            count = (known if weight is None else known * weight).sum(axis=0)
            lowest = np.where(known, chunk, np.inf)
            highest = np.where(known, chunk, -np.inf)
        total, n_known = total + sums, n_known + count
        minimum = np.minimum(minimum, lowest.min(axis=0))
        maximum = np.maximum(maximum, highest.max(axis=0))
    n_known = np.broadcast_to(n_known, X.shape[1:])
    ranges = total / np.where(n_known > 0, n_known, 1), minimum, maximum
    if not n_known.all():
        instead = (0.0,) * 3 if rows is None else column_ranges(X, None, weights)[:3]
        ranges = (
            np.where(n_known > 0, known, other)
            for known, other in zip(ranges, instead, strict=True)
        )
    mean, minimum, maximum = ranges
    return np.clip(mean, minimum, maximum), minimum, maximum, n_known


def column_statistics(X, rows=None, weights=None):
    """Return the `ColumnStatistics` of X, or of the given rows of it.

    With `weights`, one positive number for every row of X, they are those of a table
    in which each row is repeated so often.
    """
    mean, minimum, maximum, n_known = column_ranges(X, rows, weights)
    # Deviations are measured in units of the range, so that the squares of tiny
    # values do not vanish.
    span = np.where(maximum > minimum, maximum - minimum, 1.0)
    squares = sum(
        _known_sums(np.square((chunk - mean) / span), weight)
        for chunk, weight in iterate_weighted(X, rows, weights)
    )
    std = span * np.sqrt(squares / np.where(n_known > 0, n_known, 1))
    largest = np.maximum(np.abs(minimum), np.abs(maximum))
    std = np.where(std <= CONSTANT_TOLERANCE * largest, 0.0, std)
    return ColumnStatistics(mean, std, minimum, maximum, n_known)


def _known_sums(chunk, weight):
    """Return the weighted sums of the columns over what is not NaN."""
    if weight is not None:
        chunk = chunk * weight
    sums = chunk.sum(axis=0)
    return np.nansum(chunk, axis=0) if np.isnan(sums).any() else sums


def choose_scaling(statistics):
    """Return "global" for columns of one kind, else "standard".

    Pixels, spectra and other columns in one unit share one range; columns with units
    of their own do not. X is of one kind when the ranges (maximum minus minimum) of
    its varying columns differ little: when their standard deviation is at most 0.6
    of their mean.
    """
    spans = (statistics.maximum - statistics.minimum)[statistics.std > 0]
    if len(spans) == 0:
        return "standard"
    spans = spans / spans.max()
    return "global" if spans.std() <= MOST_SPREAD * spans.mean() else "standard"


class Scaler(nn.Module):
    """An invertible shift and rescaling of every column.

    Network space is `(X - center) / scale`. The buffers stay float64 whatever the
    weights' dtype is: float32 would lose the digits of a column like 1e6 + noise.
    NaN stays NaN; `fill_holes` puts the column's mean there.
    """

    def __init__(self, n_features):
        super().__init__()
        self.register_buffer("center", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float64))
        # what a hole is in network space
        self.register_buffer("fill", torch.zeros(n_features, dtype=torch.float64))
        self.register_load_state_dict_post_hook(_split)
        self._split()

    def fit(self, statistics, scaling):
        """Set center and scale by "standard", "global", or None (identity)."""
        if scaling is None:
            self.fill.copy_(torch.from_numpy(statistics.mean))
            return self
        if scaling == "standard":
            scale = np.where(statistics.std > 0, statistics.std, 1.0)
        else:
            largest = statistics.std.max()
            # relative to the largest, lest the square of a tiny deviation vanish
            ratio = np.sqrt(np.mean((statistics.std / (largest or 1.0)) ** 2))
            scale = np.full_like(statistics.std, (largest * ratio) or 1.0)
        self.center.copy_(torch.from_numpy(statistics.mean))
        self.scale.copy_(torch.from_numpy(scale))
        self._split()
        return self

    def divide_by(self, unit):
        """Make this a division of every column by one number, or by one of each."""
        self.scale.copy_(torch.as_tensor(unit))
        self.fill.div_(self.scale)
        self._split()
        return self

    def put_together(self, scalers):
        """Make this other scalers' work, each on some of the columns.

        Parameters
        ----------
        scalers : list of (slice, Scaler)
            Which columns, and the scaler of these.
        """
        for columns, scaler in scalers:
            for own, theirs in zip(self.buffers(), scaler.buffers(), strict=True):
                own[columns] = theirs
        self._split()
        return self

    def _split(self):
        """Prepare arithmetic in float32, for inference on float32 rows.

        It is twice as fast as in float64, and loses nothing but the last digits when
        the center is taken off in two parts that float32 can hold.
        """
        if self.center.is_meta:  # only shapes are asked for, and there is no number
            return
        coarse = self.center.to(torch.float32)
        fine = (self.center - coarse).to(torch.float32)
        scale32 = self.scale.to(torch.float32)
        self.register_buffer("coarse", coarse, persistent=False)
        self.register_buffer("fine", fine, persistent=False)
        self.register_buffer("scale32", scale32, persistent=False)
        self.is_identity = bool((self.center == 0).all() and (self.scale == 1).all())
        low, high = self.scale.min().item(), self.scale.max().item()
        self.float32_will_do = low > 1 / MOST_EXTREME and high < MOST_EXTREME

    def forward(self, X, dtype, *, exact=False):
        """Return X in network space, of the given dtype; computed in float64 if exact.

        The same numbers then give the same bits in any dtype of X.
        """
        if self.is_identity:
            return X.to(dtype)
        is_float32 = X.dtype == dtype == torch.float32
        if is_float32 and self.float32_will_do and not exact:
            return X.sub(self.coarse).sub_(self.fine).div_(self.scale32)
        return X.sub(self.center).div_(self.scale).to(dtype)  # float64 until the end

    def fill_holes(self, U):
        """Return rows of network space without NaN, and which entries are known.

        The one place where NaN becomes a number.

        Parameters
        ----------
        U : Tensor of shape (n_rows, n_features)
            Rows in network space, NaN where a value is missing.

        Returns
        -------
        filled : Tensor like U
            With the column's mean in the holes.
        known : Tensor like U
            1 where U is known, 0 in holes.
        """
        holes = U.isnan()
        return torch.where(holes, self.fill.to(U.dtype), U), (~holes).to(U.dtype)

    def inverse(self, U):
        """Return U in the units of X, of the dtype of U."""
        return (U.to(torch.float64) * self.scale + self.center).to(U.dtype)

    def log_jacobian(self, known=None, densities=None):
        """Return log |du/dx| in nats: minus the sum of log scales of known entries.

        Parameters
        ----------
        known : Tensor of shape (n_rows, n_features) or None, default=None
            1 where a value is known, 0 where it is not; None if all are.
        densities : ndarray of shape (n_features,) or None, default=None
            Which columns have a density, and not probabilities; None for all.

        Returns
        -------
        Tensor of shape () or (n_rows,)
        """
        log_scale = self.scale.log()
        if densities is not None:
            log_scale = log_scale * torch.from_numpy(densities).to(log_scale)
        if known is None:
            return -log_scale.sum()
        return -(known.to(torch.float64) @ log_scale)


def _split(scaler, incompatible_keys):
    # a function of its argument: copies and pickles take the hook along
    scaler._split()
