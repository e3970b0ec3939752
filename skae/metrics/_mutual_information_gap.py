"""How much more one component knows of a factor than any other."""

from numbers import Integral

import numpy as np
from sklearn.metrics import mutual_info_score
from sklearn.utils import check_scalar

from skae.metrics._checks import check_codes_and_factors


def mutual_information_gap(Z, factors, *, n_bins=20):
    """Return how much more one component knows of a factor than any other does.

    The score of Chen et al. [1]_, MIG: of each factor, the mutual information with the
    component that knows most of it, less that with the second, as a share of the
    factor's entropy; averaged over factors.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, of a VAE the means of the posteriors; at least two components.
    factors : array-like of int of shape (n_samples, n_factors)
        The factors that made the rows.
    n_bins : int, default=20
        Bins of each component, of equal width from its lowest to its highest value.

    Returns
    -------
    gap : float
        In [0, 1]: 1 where each factor is known exactly to one component, and others
        know nothing of it.

    Raises
    ------
    ValueError
        If an array is not as described, or a factor does not vary.

    See Also
    --------
    separated_attribute_predictability : The same with a classifier's accuracy.

    Notes
    -----
    Mutual information is that of a table of bins and values, with 20 bins of equal
    width as in [2]_, so that figures can be compared; the paper's own is an integral
    over the posterior. A table of few rows overstates it, by about `(n_bins - 1) *
    (n_values - 1) / (2 * n_samples)` nats; the gap is spared most of that. Neither the
    scale, the shift nor the sign of a component matters, nor the order of the
    components.

    References
    ----------
    .. [1] T. Q. Chen, X. Li, R. Grosse, D. Duvenaud, "Isolating Sources of
       Disentanglement in Variational Autoencoders", NeurIPS 2018, arXiv:1802.04942.
    .. [2] F. Locatello et al., "Challenging Common Assumptions in the Unsupervised
       Learning of Disentangled Representations", ICML 2019, arXiv:1811.12359.

    Examples
    --------
    >>> from skae.datasets import make_shapes
    >>> from skae.metrics import mutual_information_gap
    >>> _, factors = make_shapes(size=8)
    >>> round(mutual_information_gap(factors, factors), 3)
    1.0
    """
    Z, factors = check_codes_and_factors(Z, factors, min_components=2)
    check_scalar(n_bins, "n_bins", Integral, min_val=2)
    bins = number_of_bin(Z, n_bins)
    gaps = []
    for values in factors.T:
        known = sorted(mutual_info_score(component, values) for component in bins.T)
        gaps.append((known[-1] - known[-2]) / mutual_info_score(values, values))
    return float(np.mean(gaps))


def number_of_bin(Z, n_bins):
    """Return in which bin each code is; bins are of equal width in each component."""
    lowest = Z.min(axis=0)
    span = Z.max(axis=0) - lowest
    shares = (Z - lowest) / np.where(span > 0, span, 1)  # (n_samples, n_components)
    return np.minimum(np.floor(shares * n_bins), n_bins - 1).astype(int)
