"""P-values of new rows from scores of rows that a model has not seen."""

import numpy as np


def conformal_p_values(scores, calibration):
    """Return the share of calibration scores as low as each score, itself included.

    If a row is one more of the calibration rows' kind, its p-value is at most p with
    probability at most p, whatever the score is [1]_.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Lower is stranger.
    calibration : ndarray of shape (n_calibration,)
        Sorted scores of rows of the usual kind that the model has not seen.

    Returns
    -------
    p_values : ndarray of shape (n_samples,)
        In (0, 1].

    References
    ----------
    .. [1] S. Bates, E. Candes, L. Lei, Y. Romano, M. Sesia, "Testing for Outliers with
       Conformal p-values", Annals of Statistics 51, 2023, arXiv:2104.08279.
    """
    as_low = np.searchsorted(calibration, scores, side="right")
    return (1 + as_low) / (1 + len(calibration))


def benjamini_hochberg(p_values, rate):
    """Return which hypotheses to reject so that few of the rejections are false.

    Parameters
    ----------
    p_values : ndarray of shape (n_samples,)
        Of the hypotheses.
    rate : float
        Expected share of false ones among the rejections, at most [1]_.

    Returns
    -------
    rejected : ndarray of shape (n_samples,) of bool

    References
    ----------
    .. [1] Y. Benjamini, Y. Hochberg, "Controlling the False Discovery Rate", Journal of
       the Royal Statistical Society B 57, 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    ordered = np.sort(p_values)
    n = len(ordered)
    passes = np.flatnonzero(ordered <= rate * np.arange(1, n + 1) / n)
    if not len(passes):
        return np.zeros(n, dtype=bool)
    return p_values <= ordered[passes[-1]]
