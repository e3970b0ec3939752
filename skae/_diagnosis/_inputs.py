"""Checks of the columns of X."""

import numpy as np

from skae._diagnosis._report import Finding

#: Spreads of columns differ too much for one common scale, by this factor.
UNLIKE_SPREADS = 100.0
#: The rows at the tail, by share; and what share of a column's variance they may have.
TAIL, TAIL_SHARE = 0.001, 0.5
#: Fewest rows that have a tail.
FEWEST_ROWS = 40


def find_unscaled_columns(evidence):
    """Find that some columns do not count, for others are so much wider."""
    if evidence.estimator.scale not in (None, "global"):
        return None
    spread = np.sqrt(np.nanmean(evidence.columns**2, axis=0))
    positive = spread[spread > 0]
    if len(positive) == 0 or positive.max() < UNLIKE_SPREADS * np.median(positive):
        return None
    return Finding(
        "unscaled inputs",
        f"{evidence.name(np.argmax(spread))} has a standard deviation of "
        f"{positive.max():.3g}, the median column {np.median(positive):.3g}: the loss "
        "is about the first",
        f"scale='standard' (now {evidence.estimator.scale!r})",
        "all columns count alike",
    )


def find_heavy_tails(evidence):
    """Find that a few rows make up most of what varies in a column."""
    squares = evidence.columns**2
    n = len(squares)
    n_tail = max(1, round(TAIL * n))
    if n < FEWEST_ROWS or squares.shape[1] == 0:
        return None
    squares = np.nan_to_num(squares)
    total = squares.sum(axis=0)
    tail = np.sort(squares, axis=0)[-n_tail:].sum(axis=0)
    shares = np.divide(tail, total, out=np.zeros_like(total), where=total > 0)
    # a column that is mostly the same has such rows by nature
    usual = np.nanmedian(evidence.columns, axis=0)
    shares[np.mean(evidence.columns == usual, axis=0) > 0.5] = 0
    if shares.max() < TAIL_SHARE:
        return None
    which = np.flatnonzero(shares >= TAIL_SHARE)
    worst = np.argmax(shares)
    return Finding(
        "heavy tails",
        f"in {len(which)} of {len(shares)} columns {n_tail} of {n} rows make up most "
        f"of the variance; {evidence.name(worst)}: {shares[worst]:.0%}",
        "transform such columns first: numpy.log1p, or QuantileTransformer("
        "output_distribution='normal') in a Pipeline; or drop these rows if they are "
        "errors",
        "the column has the scale of most rows, and the loss is about all of them",
    )
