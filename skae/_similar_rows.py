"""What an imputer is off by in similar rows, to add to what it says of a row."""

import numpy as np

from skae import _modules
from skae._storage import storable

# Known entries are hidden in so many parts, each once, to see how far off they are
# filled.
PARTS = 5

# Most rows that are compared with all others to see what is worth adding.
MOST_MEASURED = 2000

# Weights of rows fall by these powers of how unlikely the likeness is to be chance.
POWERS = (0.25, 0.5, 0.75, 1.0)

# As if one more row, that much alike as this share of the most similar one, was filled
# well: a value that only rows of little likeness know is left as it is.
PRIOR = 0.1

# By how much the shares that are worth adding differ between columns.
SPREAD = 0.25

# Pairs of rows that are compared at once.
PAIRS = 2**18


@storable
class SimilarRows:
    """Rows with holes, and what an imputer is off by in their known entries.

    Two values of a column are the more alike the fewer known ones lie between them,
    both included: what is rare says much, zeros beside zeros in a column of them say
    little [1]_. A row is compared by what is known of both. The logarithms of these
    shares are summed over columns, and where the other row has a hole their mean over
    rows stands in.

    What the imputer was off by, averaged over rows with weights that fall with this
    likeness, is added where a row has holes: for each column the share of it that
    entries hidden for that purpose agree with.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        What the imputer is fitted to, NaN in the holes.
    fill : callable
        `fill(rows)` returns rows with their holes filled by the imputer.
    units : ndarray of shape (n_features,)
        Standard deviations of the columns.
    seed : int
        Decides what is hidden.

    References
    ----------
    .. [1] K. Ting, Y. Zhu, M. Carman, Y. Zhu, Z. Zhou, "Overcoming Key Weaknesses of
       Distance-based Neighbourhood Methods using a Data Dependent Dissimilarity
       Measure", KDD 2016, doi:10.1145/2939672.2939779.
    """

    def __init__(self, rows, fill, units, seed):
        random = np.random.RandomState(seed)
        self.rows = rows[_modules.spread_rows(len(rows))]
        part = random.randint(PARTS, size=self.rows.shape)
        self.units = units
        self.off = self._measure(fill, part)
        self.power, self.shares = self._choose(part, random)

    def _measure(self, fill, part):
        """Return what every known entry is off by when filled, in units; else 0."""
        off = np.zeros(self.rows.shape, np.float32)
        for i in range(PARTS):
            hidden = (part == i) & ~np.isnan(self.rows)
            filled = fill(np.where(hidden, np.nan, self.rows))
            off[hidden] = ((self.rows - filled) / self.units)[hidden]
        return off

    def _choose(self, part, random):
        """Return the power that leaves least to be off by, and shares of columns."""
        n_rows = len(self.rows)
        chosen = random.permutation(PARTS * n_rows)[:MOST_MEASURED]
        own, i = chosen % n_rows, chosen // n_rows
        hidden = (part[own] == i[:, None]) & ~np.isnan(self.rows[own])
        seen = np.where(hidden, np.nan, self.rows[own])
        off = np.where(hidden, self.off[own], 0.0)
        added = np.concatenate(list(self._averages(seen, POWERS, own)), axis=1)
        best = None
        for power, average in zip(POWERS, added * hidden, strict=True):
            shares = shares_of(average, off)
            left = np.square(off - shares * average).sum()
            if best is None or left < best[0]:
                best = left, power, shares
        return best[1:]

    def add(self, X, filled):
        """Return filled rows with what similar ones are off by added in the holes.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Rows, NaN in their holes.
        filled : ndarray like X
            The same rows, with these filled by the imputer.
        """
        holes = np.isnan(X)
        added = np.concatenate(list(self._averages(X, [self.power])), axis=1)[0]
        more = self.shares * self.units * added
        return np.where(holes, filled + more, X).astype(X.dtype)

    def _averages(self, X, powers, own=None):
        """Yield averages (n_powers, n_rows, n_features) for chunks of rows X.

        `own` are the numbers of these rows, which are not to count themselves. Others
        count themselves in vain: they do not know what is in their holes.
        """
        known = ~np.isnan(self.rows)
        columns = [_Column(column) for column in self.rows.T]
        sums_of = np.hstack([self.off, known]).astype(np.float64)
        n_chunks = max(1, len(X) * len(known) // PAIRS)
        for chunk in np.array_split(np.arange(len(X)), n_chunks):
            holes = np.isnan(X[chunk])
            alike = np.zeros((len(chunk), len(known)), np.float32)
            for column, values, hole in zip(columns, X[chunk].T, holes.T, strict=True):
                alike[~hole] += column.likeness(values[~hole])
            alike[holes.astype(np.float32) @ known.T < 1] = -np.inf
            if own is not None:
                alike[np.arange(len(chunk)), own[chunk]] = -np.inf
            alike -= alike.max(axis=1, keepdims=True, initial=np.finfo(np.float32).min)
            results = []
            for power in powers:
                sums = np.exp(power * alike.astype(np.float64)) @ sums_of
                off, weight = np.hsplit(sums, 2)
                results.append(off / (weight + PRIOR))
            yield np.stack(results)


class _Column:
    """The values of a column of the rows, NaN where unknown."""

    def __init__(self, values):
        known = ~np.isnan(values)
        self.known = known.astype(np.float32)
        self.sorted = np.sort(values[known])
        self.below, self.up_to = self._ranks(np.nan_to_num(values))

    def _ranks(self, values):
        """Return the shares of known values below others, and up to them."""
        n = max(len(self.sorted), 1)
        return [
            (np.searchsorted(self.sorted, values, side) / n).astype(np.float32)
            for side in ("left", "right")
        ]

    def likeness(self, values):
        """Return how unlikely it is that values are so near those of the rows.

        In nats (n_values, n_rows), less the mean of each value; 0 where unknown.
        """
        below, up_to = (ranks[:, None] for ranks in self._ranks(values))
        n = np.float32(max(len(self.sorted), 1))
        nats = np.maximum(up_to, self.up_to)  # (n_values, n_rows)
        nats -= np.minimum(below, self.below)
        nats += 1 / n
        np.log(nats, out=nats)
        nats *= -self.known
        nats -= nats.sum(axis=1, keepdims=True) / n
        nats *= self.known
        return nats


def shares_of(added, off):
    """Return which shares of columns to add, in [0, 1].

    They are those of least squares, the more uncertain the nearer to that of all
    columns, which is less by its standard error.

    Both are (n_rows, n_features), 0 where nothing was hidden.
    """
    size = np.square(added).sum(axis=0)  # (n_features,)
    nothing = size == 0
    size[nothing] = 1.0
    products = added * off
    error = np.sqrt(np.square(products).sum())
    of_all = ((products.sum() - error) / size.sum()).clip(0.0, 1.0)
    own = products.sum(axis=0) / size
    variance = np.square(added * (off - of_all * added)).sum(axis=0) / size**2
    trust = SPREAD**2 / (SPREAD**2 + variance)
    trust[nothing] = 0.0
    return (of_all + trust * (own - of_all)).clip(0.0, 1.0)
