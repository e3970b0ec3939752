"""How far apart the normal laws of two sets of rows are."""

import numpy as np

from skae.metrics._checks import check_two_samples


def frechet_distance(X, Y):
    r"""Return the squared Frechet distance of normal laws fitted to two sets of rows.

    It is the least mean squared distance at which rows of the two laws can be paired
    [1]_,

    .. math:: |m_X - m_Y|^2 + tr(C_X + C_Y - 2 (C_X C_Y)^{1/2})

    of means and covariances. Of the features of a network for images it is the Frechet
    inception distance, FID [2]_.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Rows, real ones for instance.
    Y : array-like of shape (n_samples_Y, n_features)
        Other rows, such as those a model has drawn.

    Returns
    -------
    squared : float
        In the squared unit of the rows; 0 if means and covariances are the same.

    Raises
    ------
    ValueError
        If an array is not as described.

    See Also
    --------
    maximum_mean_discrepancy : Sees any difference of laws, not only these.

    Notes
    -----
    Rotations, reflections and shifts of both sets do not matter. Few rows overstate the
    distance, so compare figures of the same number of rows. There is no p-value.

    References
    ----------
    .. [1] D. C. Dowson, B. V. Landau, "The Frechet Distance between Multivariate Normal
       Distributions", Journal of Multivariate Analysis 12, 1982,
       doi:10.1016/0047-259X(82)90077-X.
    .. [2] M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter, "GANs
       Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
       NeurIPS 2017, arXiv:1706.08500.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.metrics import frechet_distance
    >>> X = np.array([[0.0], [2.0]])
    >>> round(frechet_distance(X, X + 3), 6)
    9.0
    """
    X, Y = check_two_samples(X, Y)
    means = X.mean(axis=0), Y.mean(axis=0)
    roots = [_root(rows - mean) for rows, mean in zip((X, Y), means, strict=True)]
    # R' R and S' S are the covariances, and so are those of R and Q S for any rotation
    # Q. The trace is the least |R - Q S|^2, which has no difference of large numbers.
    height = max(map(len, roots))
    R, S = (np.pad(root, ((0, height - len(root)), (0, 0))) for root in roots)
    left, _, right = np.linalg.svd(R @ S.T)
    apart = R - left @ right @ S
    return float(np.square(means[0] - means[1]).sum() + np.square(apart).sum())


def _root(centered):
    """Return R, of at most n_features rows, such that R' R is the covariance."""
    return np.linalg.qr(centered, mode="r") / np.sqrt(len(centered) - 1)
