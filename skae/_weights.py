"""Weights of rows, and the one table that all ways to write it down come to."""

import numpy as np

from skae._sklearn import check_sample_weight, take_rows

# Numbers per chunk of a pass over X: 1 MB of float64 stays in cache.
CHUNK_CELLS = 2**17


# Whole weights are rows that are repeated, if that makes no more than so many of each
# row on average, or so many altogether.
MOST_REPEATS, FEW_ENTRIES = 100, 100_000

# Rows with other weights stand in a list as often as these say, of so many for each.
RESOLUTION = 4


def check_weights(sample_weight, X):
    """Return the weight of every row of X, float64; None for None.

    Raises
    ------
    ValueError
        If there is not one finite weight of at least 0 for each row, or all are 0.
    """
    if sample_weight is None:
        return None
    weights = check_sample_weight(
        sample_weight,
        X,
        dtype=np.float64,
        ensure_non_negative=True,
        allow_all_zero_weights=True,  # the error below says what to do
    )
    if not weights.any():
        raise ValueError(
            f"sample_weight is zero for all {len(weights)} rows, and a row of weight 0 "
            "counts as absent; give one row at least a positive weight"
        )
    return weights


def drop_weightless(X, weights):
    """Return X and its weights without the rows of weight 0; X itself if none is."""
    if weights is None or weights.all():
        return X, weights
    present = np.flatnonzero(weights > 0)
    return take_rows(X, present), weights[present]


def weighted_entries(X, weights=None):
    """Return a list of rows, equal ones among them, that stands for X with weights.

    It is the same for a table with whole weights and for one with rows repeated as
    often, in any order. Of other weights only the proportions matter.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows of numbers.
    weights : ndarray of shape (n_samples,) or None, default=None
        Weights above 0; None for 1 each.

    Returns
    -------
    rows : ndarray of int of shape (n_entries,) or None
        Row numbers. None for the rows of X as they are: if no two are equal, and each
        counts once.
    weights : ndarray of shape (n_entries,) or None
        How much each entry counts; None if all count alike. A row of more than the
        mean weight has several entries, none of which counts more than that.
    """
    if weights is not None and (weights == 1).all():
        weights = None
    rows, counts = canonical_rows(X, weights)
    if weights is None and len(rows) == len(X):
        return None, None
    mean, most = counts.mean(), max(FEW_ENTRIES, MOST_REPEATS * len(rows))
    if counts.sum() <= most and (counts == np.round(counts)).all():
        return np.repeat(rows, counts.astype(np.int64)), None
    repeats = np.ceil(counts / mean).astype(np.int64)
    return np.repeat(rows, repeats), np.repeat(counts / mean / repeats, repeats)


def systematic(weights, n_draws, offset=0.5):
    """Return positions, each as often as its share of the weights says, rounded.

    Parameters
    ----------
    weights : ndarray of shape (n,)
        Above 0.
    n_draws : int
        Length of the list.
    offset : float, default=0.5
        In [0, 1). Over all offsets each has exactly its share [1]_.

    References
    ----------
    .. [1] W. Madow, L. Madow, "On the Theory of Systematic Sampling", Annals of
       Mathematical Statistics 15, 1944, doi:10.1214/aoms/1177731312.
    """
    edges = np.cumsum(weights)
    edges *= n_draws / edges[-1]
    positions = np.searchsorted(edges, np.arange(n_draws) + offset, side="right")
    return np.minimum(positions, len(weights) - 1)


def canonical_rows(X, weights=None):
    """Return which rows of X to use, in what order, and how much each counts.

    Equal rows become one row that counts as much as all of them, rows of weight 0 are
    left out, and the order depends on what is in the rows alone. So a table with
    weights and one with repeated rows, in any order and of any dtype that holds the
    same numbers, come to the same. NaN equals NaN, and -0.0 equals 0.0.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows of numbers. They are read in chunks and never copied as a whole.
    weights : ndarray of shape (n_samples,) or None, default=None
        Weights of at least 0; None for 1 each.

    Returns
    -------
    rows : ndarray of int of shape (n_distinct,)
        Row numbers.
    counts : ndarray of shape (n_distinct,), float64
        The sum of the weights of all rows that equal each of them.
    """
    hashes = row_hashes(X)
    if weights is None:
        order = np.argsort(hashes, kind="stable")
    else:
        # by weight within equal rows, so that sums are rounded alike in any order
        order = np.lexsort((weights, hashes))
        order = order[weights[order] > 0]
    order, is_first = _group(X, order, hashes[order], weights)
    starts = np.flatnonzero(is_first)
    if weights is None:
        counts = np.diff(starts, append=len(order)).astype(np.float64)
    else:
        counts = np.add.reduceat(weights[order], starts)
    return order[starts], counts


def _group(X, order, hashes, weights):
    """Return the order with equal rows side by side, and which are the first of them.

    `hashes` are those of the rows in this order. Different rows with one hash are
    sorted by their numbers.
    """
    is_first = np.append(True, hashes[1:] != hashes[:-1])
    followers = np.flatnonzero(~is_first)
    differs = _differs(X, order[followers - 1], order[followers])
    if not differs.any():
        return order, is_first
    group = np.cumsum(is_first) - 1
    for number in np.unique(group[followers[differs]]):
        part = np.flatnonzero(group == number)
        bits = _bits(X[order[part]])
        last = np.zeros(len(part)) if weights is None else weights[order[part]]
        order[part] = order[part][np.lexsort((last, *bits.T))]
        is_first[part[1:]] = _differs(X, order[part[:-1]], order[part[1:]])
    return order, is_first


def _differs(X, left, right):
    """Return whether rows of X with the numbers on the left and right differ."""
    differs = np.empty(len(left), dtype=bool)
    for part in _parts(len(left), X.shape[1]):
        differs[part] = (_bits(X[left[part]]) != _bits(X[right[part]])).any(axis=1)
    return differs


def row_hashes(X):
    """Return a number for every row that is a function of what is in it."""
    factors = np.random.RandomState(0).randint(
        0, 2**64, size=X.shape[1], dtype=np.uint64
    ) | np.uint64(1)
    hashes = np.empty(len(X), dtype=np.uint64)
    for part in _parts(len(X), X.shape[1]):
        bits = _bits(X[part])
        # the last bits of a small integer as float64 are all 0: bring the first there
        bits ^= bits >> np.uint64(32)
        bits *= np.uint64(0x9E3779B97F4A7C15)  # wraps around
        bits ^= bits >> np.uint64(29)
        bits *= factors
        hashes[part] = bits.sum(axis=1, dtype=np.uint64)
    return hashes


def _bits(chunk):
    """Return numbers as the bits of float64, the same for those that are equal."""
    numbers = np.add(chunk, 0.0, dtype=np.float64, order="C")  # -0.0 becomes 0.0
    numbers[np.isnan(numbers)] = np.nan  # there are many NaN
    return numbers.view(np.uint64)


def _parts(n_rows, n_columns):
    """Yield slices of rows, of moderate size."""
    step = max(1, CHUNK_CELLS // n_columns)
    return (slice(start, start + step) for start in range(0, n_rows, step))
