"""Entries that are missing."""

import math

from skae._sklearn import Interval, Real, StrOptions
from skae._storage import storable
from skae.corruptions._base import Corruption


@storable
class Masking(Corruption):
    """Overwrite a random share of the entries.

    Parameters
    ----------
    share : float or "random", default=0.25
        Probability of an entry to be overwritten, in [0, 1]. "random" draws one for
        each row, uniformly.
    fill : float, "center" or "missing", default=0.0
        What it becomes, in the units of X. "center" is the mean of the column,
        "missing" is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.corruptions import Masking
    >>> Masking(0.5)(np.ones((1, 6)), random_state=0)
    array([[1., 1., 1., 0., 0., 1.]])
    """

    _parameter_constraints = {
        "share": [Interval(Real, 0, 1, closed="both"), StrOptions({"random"})],
        "fill": [
            Interval(Real, None, None, closed="neither"),
            StrOptions({"center", "missing"}),
        ],
    }

    def __init__(self, share=0.25, *, fill=0.0):
        self.share = share
        self.fill = fill

    def corrupt(self, X, rng, frame):
        """Return rows with holes."""
        columns = frame.columns
        of_entries = X
        if columns is not None:  # a category is missing as a whole
            of_entries = X.new_empty(len(X), int(columns.max()) + 1)
        if self.share == "random":
            holes = rng.uniform_like(of_entries) < rng.uniform_like(X[:, :1])
        else:
            holes = rng.keep_like(of_entries, 1 - self.share) == 0
        if columns is not None:
            holes = holes.index_select(1, columns)
        fill = math.nan if self.fill == "missing" else self.fill
        return filled(X, holes, fill, frame)

    @property
    def keeps_known(self):
        """Whether values that are not missing afterwards are as they were."""
        return self.fill == "missing"


def filled(X, holes, fill, frame):
    """Return X with the holes overwritten."""
    if isinstance(fill, str):
        return X.where(~holes, frame.center.to(X))
    return X.masked_fill(holes, fill)
