"""How many components of a code say anything."""

from numbers import Real

from sklearn.utils import check_scalar

from skae.metrics._checks import check_rows


def active_units(means, threshold=0.01):
    """Return how many components of a VAE's code are in use.

    A component is active if the mean of its posterior varies over rows [1]_. The prior
    has variance 1, and a component that says nothing of a row has 0.

    Parameters
    ----------
    means : array-like of shape (n_samples, n_components)
        Means of the posteriors, which `transform` of a VAE returns.
    threshold : float, default=0.01
        The variance above which a component is active; the paper's by default.

    Returns
    -------
    n_active : int
        Number of active components.

    Raises
    ------
    ValueError
        If an array is not as described.

    Notes
    -----
    Shifts, signs and the order of components do not matter, their scale does.

    References
    ----------
    .. [1] Y. Burda, R. Grosse, R. Salakhutdinov, "Importance Weighted Autoencoders",
       ICLR 2016, arXiv:1509.00519.

    Examples
    --------
    >>> from skae.metrics import active_units
    >>> active_units([[0.0, 0.3, 0.0], [2.0, 0.1, 0.1]])
    1
    """
    means = check_rows(means, "means")
    check_scalar(threshold, "threshold", Real, min_val=0)
    return int((means.var(axis=0) > threshold).sum())
