"""The law of codes on bent sheets: normal laws around them, along the sheet."""

import numpy as np

# A window reaches along the ways to so many of the nearest other codes.
N_NEIGHBORS = 5

# How far, in units of these ways, and how far in any direction, in units of the codes:
# a law has the two under which held-out codes are likeliest.
REACHES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4)
NOISES = (0.01, 0.02, 0.04, 0.08, 0.12, 0.17, 0.25, 0.35, 0.5, 0.7)

# Of fewer codes than this none are held out; these are the two of any few codes.
FEWEST_CODES, USUAL_REACH, USUAL_NOISE = 16, 1.0, 0.17

# A quarter of the codes is held out, but no more than so many.
MOST_HELD_OUT = 500

# The density of a code is that of the nearest windows: the others add nothing to it.
MOST_WINDOWS = 64

# Ways whose squares are a smaller share of the longest one's have no direction.
TINY = 1e-12


class ParzenWindows:
    r"""Manifold Parzen windows: a normal law around each of some codes.

    The window around code :math:`z_i` has the covariance

    .. math:: \frac{r^2}{k} \sum_j (z_j - z_i)(z_j - z_i)^T + \sigma^2 I

    over its k nearest other codes [1]_: wide along the sheet that codes lie on, and
    narrow across. All windows are as likely.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, n_components)
        Where the windows are.
    reach : float
        How far they reach, r, in units of the ways to the neighbours.
    noise : float
        Standard deviation in any direction besides.

    References
    ----------
    .. [1] P. Vincent, Y. Bengio, "Manifold Parzen Windows", NeurIPS 2002.
    """

    def __init__(self, codes, reach=USUAL_REACH, noise=USUAL_NOISE):
        self.codes, self.reach, self.noise = codes, reach, noise
        n_neighbors = min(N_NEIGHBORS, len(codes) - 1)
        # the nearest code to each is itself, or one at the same place
        self.neighbors = _nearest(codes, codes, n_neighbors + 1)[:, 1:]

    def ways(self, rows):
        """Return ways whose outer products add up to the covariance along the sheet.

        Of the windows with the given numbers, (n_rows, n_neighbors, n_components).
        """
        ways = self.codes[self.neighbors[rows]] - self.codes[rows][:, None]
        return ways * (self.reach / np.sqrt(max(1, self.neighbors.shape[1])))

    def covariance(self):
        """Return the covariance of the law, (n_components, n_components).

        Its mean is that of the codes.
        """
        n_codes, n_components = self.codes.shape
        centered = self.codes - self.codes.mean(axis=0)
        ways = self.ways(np.arange(n_codes)).reshape(-1, n_components)
        squares = (centered.T @ centered + ways.T @ ways) / n_codes
        return squares + self.noise**2 * np.eye(n_components)

    def draw(self, rows, noise):
        """Return one draw from each of the given windows, as ways from their codes.

        Parameters
        ----------
        rows : ndarray of shape (n_draws,)
            Numbers of windows.
        noise : RandomState
            Source of the draws.

        Returns
        -------
        ndarray of shape (n_draws, n_components)
        """
        neighbors = self.neighbors[rows]
        steps = noise.standard_normal(neighbors.shape)
        steps *= self.reach / np.sqrt(max(1, neighbors.shape[1]))
        draws = self.noise * noise.standard_normal((len(rows), self.codes.shape[1]))
        for j, step in enumerate(steps.T):
            draws += step[:, None] * (self.codes[neighbors[:, j]] - self.codes[rows])
        return draws

    def log_prob(self, Z):
        """Return the log-density at codes Z, in nats, (n_rows,)."""
        return self.densities(Z, [self.reach], [self.noise])[0, 0]

    def densities(self, Z, reaches, noises):
        """Return the log-densities at codes Z for any reach and noise.

        Parameters
        ----------
        Z : ndarray of shape (n_rows, n_components)
            Codes.
        reaches, noises : sequence of float
            In place of those of the law.

        Returns
        -------
        ndarray of shape (n_reaches, n_noises, n_rows)
            In nats.
        """
        nearest = _nearest(self.codes, Z, min(MOST_WINDOWS, len(self.codes)))
        sizes, along, across = self._squares(Z, nearest)
        n_components = Z.shape[1]
        result = np.empty((len(reaches), len(noises), len(Z)))
        for i, reach in enumerate(reaches):
            for j, noise in enumerate(noises):
                variances = (reach / self.reach) ** 2 * sizes + noise**2
                terms = along / variances + np.log(variances)
                n_across = n_components - sizes.shape[-1]
                distances = terms.sum(axis=-1) + across / noise**2
                distances += n_across * np.log(noise**2)  # (n_rows, n_windows)
                result[i, j] = _log_sum_exp(-0.5 * distances)
        n_nats = 0.5 * n_components * np.log(2 * np.pi) + np.log(len(self.codes))
        return result - n_nats

    def _squares(self, Z, nearest):
        """Return squared lengths along the axes of windows, and across.

        Parameters
        ----------
        Z : ndarray of shape (n_rows, n_components)
            Codes.
        nearest : ndarray of shape (n_rows, n_windows)
            Numbers of the windows to look at from each.

        Returns
        -------
        sizes, along : ndarray of shape (n_rows, n_windows, n_neighbors)
            Variances of the windows along their axes, without the noise, and squares
            of the way to the code.
        across : ndarray of shape (n_rows, n_windows)
            What is left of these squares.
        """
        shape = (*nearest.shape, self.neighbors.shape[1])
        sizes, along, across = np.empty(shape), np.empty(shape), np.empty(shape[:2])
        for i, rows in enumerate(nearest):
            ways, to_code = self.ways(rows), Z[i] - self.codes[rows]
            values, vectors = np.linalg.eigh(ways @ ways.transpose(0, 2, 1))
            sizes[i] = np.maximum(values, 0)
            # the axes are `vectors.T @ ways` over the roots of `sizes`
            products = np.einsum("ijk,ik->ij", ways, to_code)
            along[i] = np.einsum("ijk,ij->ik", vectors, products) ** 2
            exist = sizes[i] > TINY * np.max(sizes[i], initial=TINY)
            along[i] = np.where(exist, along[i] / np.where(exist, sizes[i], 1), 0)
            across[i] = np.square(to_code).sum(axis=1) - along[i].sum(axis=1)
        return sizes, along, np.maximum(across, 0)


def fit_windows(codes):
    """Return the `ParzenWindows` that describe held-out codes best.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, n_components)
        Standardised.
    """
    if len(codes) < FEWEST_CODES:
        return ParzenWindows(codes)
    order = np.random.RandomState(0).permutation(len(codes))
    n_held_out = min(MOST_HELD_OUT, len(codes) // 4)
    held_out, others = np.split(codes[order], [n_held_out])
    densities = ParzenWindows(others).densities(held_out, REACHES, NOISES)
    means = densities.mean(axis=-1)
    i, j = np.unravel_index(means.argmax(), means.shape)
    return ParzenWindows(codes, REACHES[i], NOISES[j])


def _nearest(codes, Z, n_codes):
    """Return the numbers of the nearest codes to each of Z, (n_rows, n_codes)."""
    from sklearn.neighbors import NearestNeighbors  # slow to import, seldom needed

    search = NearestNeighbors(n_neighbors=n_codes, algorithm="brute").fit(codes)
    return search.kneighbors(Z, return_distance=False)


def _log_sum_exp(values):
    """Return the logarithm of the sum of exponentials over the last axis."""
    largest = values.max(axis=-1, keepdims=True)
    return np.log(np.exp(values - largest).sum(axis=-1)) + largest[..., 0]
