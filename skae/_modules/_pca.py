"""Principal axes, and the linear model that they solve in closed form."""

from typing import NamedTuple

import numpy as np
import scipy.linalg

from skae._modules._scaler import iterate_chunks

# Up to this width the covariance matrix is formed and decomposed.
WIDEST_COVARIANCE = 1024

# From this width on it is worth it to look for the wanted eigenvectors alone.
WIDE = 256

# In network space the data has variance about 1; a smaller noise is rounding.
SMALLEST_NOISE = 1e-6

# Noise of a model with as many components as features, as a share of the smallest
# eigenvalue: the likelihood is the same for all shares below 1.
SATURATED_SHARE = 0.1


class PrincipalAxes(NamedTuple):
    """The leading principal axes of rows in network space."""

    mean: np.ndarray  # (n_features,)
    eigenvalues: np.ndarray  # (n_axes,), descending, of the covariance divided by n
    components: np.ndarray  # (n_axes, n_features), orthonormal rows
    total_variance: float  # sum of all eigenvalues

    def n_components_for(self, share):
        """Return the fewest axes that explain `share` of the variance, at least 1."""
        explained = np.cumsum(self.eigenvalues)
        return 1 + int(np.searchsorted(explained[:-1], share * self.total_variance))

    def padded(self, n_components):
        """Return eigenvalues and components for exactly `n_components` axes.

        Axes beyond the ones that exist have eigenvalue and component zero.
        """
        eigenvalues = np.zeros(n_components)
        components = np.zeros((n_components, len(self.mean)))
        n_axes = min(n_components, len(self.eigenvalues))
        eigenvalues[:n_axes] = self.eigenvalues[:n_axes]
        components[:n_axes] = self.components[:n_axes]
        return eigenvalues, components


def principal_axes(X, rows, scaler, *, n_axes=None, seed=0):
    """Return the principal axes of the given rows of X in network space.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows in the user's units.
    rows : ndarray of int or None
        Which rows to use; None for all.
    scaler : Scaler
        The way to network space.
    n_axes : int or None, default=None
        How many axes are needed when X is too wide for its covariance matrix; None
        for all of them.
    seed : int, default=0
        Seed of the randomised decomposition of wide data.
    """
    center, scale = scaler.center.numpy(), scaler.scale.numpy()
    n_rows = len(X) if rows is None else len(rows)
    if X.shape[1] <= WIDEST_COVARIANCE:
        return _axes_from_covariance(X, rows, center, scale, n_rows, n_axes)
    U = np.vstack([(chunk - center) / scale for chunk in iterate_chunks(X, rows)])
    return _axes_from_rows(U, n_axes, seed)


def _axes_from_covariance(X, rows, center, scale, n_rows, n_axes):
    total, products = 0.0, 0.0
    for chunk in iterate_chunks(X, rows, min_rows=2 * X.shape[1]):
        U = chunk - center
        U /= scale
        total = total + U.sum(axis=0)
        products = products + U.T @ U
    mean = total / n_rows
    covariance = products / n_rows - np.outer(mean, mean)
    variances = np.clip(np.diag(covariance), 0.0, None)
    eigenvalues, vectors = _leading_eigenvectors(covariance, n_axes)
    eigenvalues = np.clip(eigenvalues[::-1], 0.0, None)
    components = _tidy(vectors.T[::-1], variances > 0)
    total = eigenvalues.sum() if len(eigenvalues) == len(mean) else variances.sum()
    return PrincipalAxes(mean, eigenvalues, components, float(total))


def _leading_eigenvectors(matrix, n_wanted):
    """Return the largest eigenvalues, ascending, and their vectors: all, or enough."""
    width = len(matrix)
    if n_wanted is None or width < WIDE or n_wanted > width // 4:
        return np.linalg.eigh(matrix)
    return scipy.linalg.eigh(matrix, subset_by_index=[width - n_wanted, width - 1])


def _axes_from_rows(U, n_axes, seed):
    from sklearn.decomposition import PCA  # takes a while to import, and few need it

    most = min(U.shape)
    if n_axes is None or n_axes >= most:
        pca = PCA(svd_solver="full")
    else:
        pca = PCA(n_axes, svd_solver="randomized", random_state=seed)
    variances = U.var(axis=0)
    pca.fit(U)
    eigenvalues = pca.singular_values_**2 / len(U)
    components = _tidy(pca.components_, variances > 0)
    return PrincipalAxes(pca.mean_, eigenvalues, components, float(variances.sum()))


def _tidy(components, varies):
    """Return the axes without what is chance in them.

    Their largest entry is positive, so that they do not flip; and a column that does
    not vary has weight zero: adaptive steps would blow a weight of 1e-17 up.
    """
    components = np.where(varies, components, 0.0)
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return components * np.where(signs == 0, 1.0, signs)[:, None]


class LinearVAE(NamedTuple):
    """The optimal linear-Gaussian VAE on given principal axes."""

    loadings: np.ndarray  # (n_components,), lengths of the decoder's columns
    encoder_gains: np.ndarray  # (n_components,), posterior mean per unit of score
    posterior_variances: np.ndarray  # (n_components,)
    noise_variance: float


def linear_vae(eigenvalues, total_variance, n_features, *, beta=1.0, noise=None):
    """Return the optimum of the linear beta-VAE with Gaussian noise.

    With `beta=1` this is probabilistic PCA [1]_, and its ELBO equals the exact
    log-likelihood [2]_. In general the posterior sees the noise `beta * noise`:
    components with an eigenvalue below that are off, and the noise itself is optimal
    when `noise = (discarded variance) / (n_features - beta * n_on)`.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n_components,)
        Descending eigenvalues of the covariance.
    total_variance : float
        Sum of all `n_features` eigenvalues.
    n_features : int
        Width of a row.
    beta : float, default=1.0
        Weight of the KL term.
    noise : float or None, default=None
        Noise variance; None to estimate it.

    References
    ----------
    .. [1] M. Tipping, C. Bishop, "Probabilistic Principal Component Analysis", JRSS B
       61, 1999, doi:10.1111/1467-9868.00196.
    .. [2] J. Lucas, G. Tucker, R. Grosse, M. Norouzi, "Don't Blame the ELBO! A Linear
       VAE Perspective on Posterior Collapse", NeurIPS 2019, arXiv:1911.02469.
    """
    if noise is None:
        noise = _optimal_noise(eigenvalues, total_variance, n_features, beta)
    seen = beta * noise
    if seen == 0:  # no KL term: the posterior is as narrow as the floor allows
        seen = SMALLEST_NOISE**2
    on = eigenvalues > seen
    safe = np.where(on, eigenvalues, 1.0)
    loadings = np.where(on, np.sqrt(np.maximum(safe - seen, 0.0)), 0.0)
    return LinearVAE(
        loadings=loadings,
        encoder_gains=loadings / safe,
        posterior_variances=np.where(on, seen / safe, 1.0),
        noise_variance=noise,
    )


def _optimal_noise(eigenvalues, total_variance, n_features, beta):
    """Return the best noise with as many components on as can be."""
    kept = np.cumsum(eigenvalues)
    for n_on in range(len(eigenvalues), 0, -1):
        freedom = n_features - beta * n_on
        if freedom > 0:
            noise = (total_variance - kept[n_on - 1]) / freedom
        elif freedom == 0:  # as many components as features: any small noise is optimal
            noise = SATURATED_SHARE * eigenvalues[n_on - 1]
        else:
            continue
        noise = max(noise, SMALLEST_NOISE)
        if eigenvalues[n_on - 1] > beta * noise:
            return noise
    return max(total_variance / n_features, SMALLEST_NOISE)
