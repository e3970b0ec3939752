"""Laws of codes, to draw new ones from, and paths between codes."""

from typing import NamedTuple

import numpy as np

from skae._parzen import ParzenWindows
from skae._storage import storable

# A fit keeps the codes of so many rows, fewer if they are wide.
MOST_KEPT_ROWS, MOST_KEPT_CELLS = 10_000, 2**18

# Two codes are in line if their directions differ by a smaller angle than this.
SMALLEST_ANGLE = 1e-6


@storable
class KeptCodes(NamedTuple):
    """Posteriors of some training rows; those of an autoencoder have no width."""

    mean: np.ndarray  # (n_rows, n_components), float32
    std: np.ndarray | None = None  # the same shape

    def draw(self, rows, noise, temperature=1.0):
        """Return one code from the posterior of each of the given rows, float64."""
        means = self.mean[rows].astype(np.float64)
        if self.std is None:
            return means
        return means + temperature * self.std[rows] * noise.standard_normal(means.shape)

    def center(self):
        """Return the mean code, (n_components,)."""
        return self.mean.mean(axis=0, dtype=np.float64)

    def spread(self):
        """Return the standard deviation of each component, (n_components,)."""
        variances = self.mean.var(axis=0, dtype=np.float64)
        if self.std is not None:
            variances += np.square(self.std, dtype=np.float64).mean(axis=0)
        return np.sqrt(variances)


def choose_rows(n_samples, n_components, seed):
    """Return the numbers, in order, of the rows whose codes are kept."""
    most = max(1, min(MOST_KEPT_ROWS, MOST_KEPT_CELLS // n_components))
    if n_samples <= most:
        return np.arange(n_samples)
    chosen = np.random.RandomState(seed).choice(n_samples, most, replace=False)
    return np.sort(chosen)


def draw_codes(kept, density, n_samples, seed, temperature=1.0):
    """Return codes from the prior, the aggregate posterior, or a mixture.

    Parameters
    ----------
    kept : KeptCodes
        Of training rows.
    density : {"prior", "aggregate", "mixture"}
        The law to draw from.
    n_samples : int
        Number of codes.
    seed : int
        Seed of the draws.
    temperature : float, default=1.0
        Factor of the standard deviations of all normal laws.

    Returns
    -------
    ndarray of shape (n_samples, n_components)
        float64.
    """
    noise = np.random.RandomState(seed)
    n_rows, n_components = kept.mean.shape
    if density == "prior":
        return temperature * noise.standard_normal((n_samples, n_components))
    rows = noise.randint(n_rows, size=n_samples)
    if density == "aggregate":
        return kept.draw(rows, noise, temperature)
    return _draw_from_windows(kept, rows, noise, temperature)


def _draw_from_windows(kept, rows, noise, temperature):
    """Return one code from the window around each of the given ones."""
    # the same windows at every call: `noise` is for the draws from them
    codes = kept.draw(slice(None), np.random.RandomState(0))
    center, spread = codes.mean(axis=0), codes.std(axis=0)
    units = np.where(spread > 0, spread, 1.0)
    offsets = spread * ParzenWindows((codes - center) / units).draw(rows, noise)
    means = kept.mean[rows].astype(np.float64)
    # a window of a VAE is about a draw from the posterior, which has a spread, too
    return means + temperature * (codes[rows] - means + offsets)


def linear_path(start, end, shares):
    """Return codes on the lines from `start` to `end`.

    Parameters
    ----------
    start, end : ndarray of shape (n_codes, n_components)
        The ends.
    shares : ndarray of shape (n_steps,)
        How far to go, from 0 to 1.

    Returns
    -------
    ndarray of shape (n_codes, n_steps, n_components)
    """
    shares = shares[:, None]
    return (1 - shares) * start[:, None] + shares * end[:, None]


def spherical_path(start, end, shares):
    """Return codes on the arcs about zero from `start` to `end`.

    They keep a length between those of the ends, as draws from a normal law of many
    components have about the same one: the middle of a line would be shorter [1]_.
    Ends in one line with zero are joined by a line.

    Parameters
    ----------
    start, end, shares : ndarray
        As for `linear_path`.

    Returns
    -------
    ndarray of shape (n_codes, n_steps, n_components)

    References
    ----------
    .. [1] T. White, "Sampling Generative Networks", 2016, arXiv:1609.04468.
    """
    lengths = np.linalg.norm(start, axis=1) * np.linalg.norm(end, axis=1)
    products = np.einsum("ij,ij->i", start, end)
    cosines = products / np.where(lengths > 0, lengths, 1.0)
    angles = np.arccos(np.clip(np.where(lengths > 0, cosines, 1.0), -1, 1))
    bent = np.minimum(angles, np.pi - angles) > SMALLEST_ANGLE
    angle = np.where(bent, angles, 1.0)[:, None]  # (n_codes, 1)
    first = np.sin((1 - shares) * angle) / np.sin(angle)  # (n_codes, n_steps)
    last = np.sin(shares * angle) / np.sin(angle)
    arcs = first[..., None] * start[:, None] + last[..., None] * end[:, None]
    return np.where(bent[:, None, None], arcs, linear_path(start, end, shares))
