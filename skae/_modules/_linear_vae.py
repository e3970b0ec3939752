"""The linear VAE that principal axes solve in closed form."""

from typing import NamedTuple

import numpy as np

# In network space the data has variance about 1; a smaller noise is rounding.
SMALLEST_NOISE = 1e-6

# Noise of a model with as many components as features, as a share of the smallest
# eigenvalue: the likelihood is the same for all shares below 1.
SATURATED_SHARE = 0.1


class LinearVAE(NamedTuple):
    """The optimal linear-Gaussian VAE on given principal axes."""

    loadings: np.ndarray  # (n_components,), lengths of the decoder's columns
    encoder_gains: np.ndarray  # (n_components,), posterior mean per unit of score
    posterior_variances: np.ndarray  # (n_components,)
    noise_variance: float


def linear_vae(
    eigenvalues,
    total_variance,
    n_features,
    *,
    n_axes=None,
    beta=1.0,
    noise=None,
    left_out=0.0,
):
    """Return the optimum of the linear beta-VAE with Gaussian noise.

    With `beta=1` this is probabilistic PCA [1]_, and its ELBO equals the exact
    log-likelihood [2]_. In general the posterior sees the noise `beta * noise`:
    components with an eigenvalue below that are off, and the noise itself is optimal
    when `noise = (discarded variance) / (n_features - beta * n_on)`. Of fewer rows
    than columns that is hopelessly small for any other row: `n_axes`, the number of
    axes that n rows can have, takes the place of `n_features` there, as in
    `sklearn.decomposition.PCA.score`.

    A model that has all axes of no more rows than columns discards nothing of these
    rows, and its noise would be zero. It is what a left-out row has then on each
    axis beyond those of the others: a row has one axis to itself.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n_components,)
        Descending eigenvalues of the covariance.
    total_variance : float
        Sum of all `n_features` eigenvalues.
    n_features : int
        Width of a row.
    n_axes : int or None, default=None
        Number of axes that share the variance; None for `n_features`.
    beta : float, default=1.0
        Weight of the KL term.
    noise : float or None, default=None
        Noise variance; None to estimate it.
    left_out : float, default=0.0
        Variance that the axes are known to leave out of a row they were not fitted
        to, see `PrincipalAxes.left_out_by`.

    References
    ----------
    .. [1] M. Tipping, C. Bishop, "Probabilistic Principal Component Analysis", JRSS B
       61, 1999, doi:10.1111/1467-9868.00196.
    .. [2] J. Lucas, G. Tucker, R. Grosse, M. Norouzi, "Don't Blame the ELBO! A Linear
       VAE Perspective on Posterior Collapse", NeurIPS 2019, arXiv:1911.02469.
    """
    if noise is None:
        n_beyond = n_features - np.count_nonzero(eigenvalues) + 1
        least = max(left_out / n_beyond, SMALLEST_NOISE)
        n_axes = n_features if n_axes is None else n_axes
        noise = _optimal_noise(eigenvalues, total_variance, n_axes, beta, least)
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


def _optimal_noise(eigenvalues, total_variance, n_axes, beta, least):
    """Return the best noise, no less than `least`, with as many axes on as can be."""
    kept = np.cumsum(eigenvalues)
    for n_on in range(len(eigenvalues), 0, -1):
        freedom = n_axes - beta * n_on
        if freedom > 0:
            noise = (total_variance - kept[n_on - 1]) / freedom
        elif freedom == 0:  # as many components as features: any small noise is optimal
            noise = SATURATED_SHARE * eigenvalues[n_on - 1]
        else:
            continue
        noise = max(noise, least)
        if eigenvalues[n_on - 1] > beta * noise:
            return noise
    return max(total_variance / n_axes, least)
