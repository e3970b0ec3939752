"""The law of codes on bent sheets: normal laws around them, along the sheet."""

import numpy as np

# A window reaches along the ways to so many of the nearest other codes, and so far, in
# units of these ways. The likelihood of held-out codes asks for windows that are much
# wider, so that the farthest codes are not impossible: digits decoded from those had
# three times the distance from real ones in the features of a classifier.
N_NEIGHBORS, REACH = 5, 0.5

# Variance in any direction, as a share of the mean one, and at least.
NOISE, LEAST_VARIANCE = 0.01, 1e-8

# The density at a code is that of the nearest windows: the others add nothing to it.
MOST_WINDOWS = 64

# Ways whose squares are a smaller share of the longest one's have no direction.
TINY = 1e-12


class ParzenWindows:
    r"""Manifold Parzen windows: a normal law around each of some codes.

    The window around code :math:`z_i` has the covariance

    .. math:: S_i + \sigma_i^2 I, \quad
        S_i = \frac{r^2}{k} \sum_j (z_j - z_i)(z_j - z_i)^T

    over its k nearest other codes [1]_: wide along the sheet that codes lie on, and
    narrow across, where the variance is a hundredth of the mean one of :math:`S_i`. All
    windows are as likely.

    Parameters
    ----------
    codes : ndarray of shape (n_codes, n_components)
        Where the windows are.
    reach : float, default=0.5
        How far they reach, r, in units of the ways to the neighbours.

    References
    ----------
    .. [1] P. Vincent, Y. Bengio, "Manifold Parzen Windows", NeurIPS 2002.
    """

    def __init__(self, codes, reach=REACH):
        self.codes, self.reach = codes, reach
        n_neighbors = min(N_NEIGHBORS, len(codes) - 1)
        # the nearest code to each is itself, or one at the same place
        self.neighbors = _nearest(codes, codes, n_neighbors + 1)[:, 1:]

    def ways(self, rows):
        """Return ways whose outer products add up to the covariance along the sheet.

        Of the windows with the given numbers, (n_rows, n_neighbors, n_components).
        """
        ways = self.codes[self.neighbors[rows]] - self.codes[rows][:, None]
        return ways * (self.reach / np.sqrt(max(1, self.neighbors.shape[1])))

    def noise_variances(self, rows):
        """Return the variances in any direction, of windows, (n_rows,)."""
        means = np.square(self.ways(rows)).sum(axis=(1, 2)) / self.codes.shape[1]
        return NOISE * means + LEAST_VARIANCE

    def covariance(self):
        """Return the covariance of the law, (n_components, n_components).

        Its mean is that of the codes.
        """
        n_codes, n_components = self.codes.shape
        centered = self.codes - self.codes.mean(axis=0)
        ways = self.ways(np.arange(n_codes)).reshape(-1, n_components)
        squares = (centered.T @ centered + ways.T @ ways) / n_codes
        noise = self.noise_variances(np.arange(n_codes)).mean()
        return squares + noise * np.eye(n_components)

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
        ways = self.ways(rows)
        along = noise.standard_normal(ways.shape[:2])
        across = noise.standard_normal((len(rows), self.codes.shape[1]))
        deviations = np.sqrt(self.noise_variances(rows))
        return np.einsum("ij,ijk->ik", along, ways) + deviations[:, None] * across

    def log_prob(self, Z):
        """Return the log-density at codes Z, in nats, (n_rows,)."""
        nearest = _nearest(self.codes, Z, min(MOST_WINDOWS, len(self.codes)))
        sizes, along, across = self._squares(Z, nearest)
        noise = self.noise_variances(nearest.ravel()).reshape(nearest.shape)
        n_components = Z.shape[1]
        variances = sizes + noise[..., None]  # (n_rows, n_windows, n_neighbors)
        distances = (along / variances + np.log(variances)).sum(axis=-1)
        distances += across / noise + (n_components - sizes.shape[-1]) * np.log(noise)
        n_nats = 0.5 * n_components * np.log(2 * np.pi) + np.log(len(self.codes))
        return _log_sum_exp(-0.5 * distances) - n_nats

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


def _nearest(codes, Z, n_codes):
    """Return the numbers of the nearest codes to each of Z, (n_rows, n_codes)."""
    from sklearn.neighbors import NearestNeighbors  # slow to import, seldom needed

    search = NearestNeighbors(n_neighbors=n_codes, algorithm="brute").fit(codes)
    return search.kneighbors(Z, return_distance=False)


def _log_sum_exp(values):
    """Return the logarithm of the sum of exponentials over the last axis."""
    largest = values.max(axis=-1, keepdims=True)
    return np.log(np.exp(values - largest).sum(axis=-1)) + largest[..., 0]
