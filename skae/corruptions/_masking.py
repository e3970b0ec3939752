"""Entries that are missing."""

from skae._sklearn import Interval, Real, StrOptions
from skae.corruptions._base import Corruption


class Masking(Corruption):
    """Overwrite a random share of the entries.

    Parameters
    ----------
    share : float, default=0.25
        Probability of an entry to be overwritten, in [0, 1].
    fill : float or "center", default=0.0
        What it becomes, in the units of X. "center" is the mean of the column.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import Masking
    >>> Masking(0.5)(np.ones((1, 6)), random_state=0)
    array([[1., 1., 1., 0., 0., 1.]])
    """

    _parameter_constraints = {
        "share": [Interval(Real, 0, 1, closed="both")],
        "fill": [Interval(Real, None, None, closed="neither"), StrOptions({"center"})],
    }

    def __init__(self, share=0.25, *, fill=0.0):
        self.share = share
        self.fill = fill

    def corrupt(self, X, rng, frame):
        """Return rows with holes."""
        columns = frame.columns
        if columns is None:
            kept = rng.keep_like(X, 1 - self.share)
        else:  # a category is missing as a whole
            one_each = X.new_empty(len(X), int(columns.max()) + 1)
            kept = rng.keep_like(one_each, 1 - self.share).index_select(1, columns)
        return filled(X, kept == 0, self.fill, frame)


def filled(X, holes, fill, frame):
    """Return X with the holes overwritten."""
    if isinstance(fill, str):
        return X.where(~holes, frame.center.to(X))
    return X.masked_fill(holes, fill)
