"""Whether the component that varies least tells which factor was held fixed."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from skae.metrics._checks import check_codes_and_factors
from skae.metrics._halves import draw_halves
from skae.metrics._rows_by_value import RowsByValue


def factor_vae_score(Z, factors, *, n_batches=800, batch_size=64, random_state=None):
    """Return how well the component that varies least tells the factor held fixed.

    The score of Kim and Mnih [1]_. A batch is of rows with the same value of one
    factor. The component whose variance is the smallest share of that over all rows
    votes for that factor; later, each component stands for the factor it has most
    votes for.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, of a VAE the means of the posteriors.
    factors : array-like of int of shape (n_samples, n_factors)
        The factors that made the rows, at least two.
    n_batches : int, default=800
        Votes to learn from, and as many to score by; as many of each factor.
    batch_size : int, default=64
        Rows in a batch, at least two.
    random_state : int, RandomState or None, default=None
        Source of the draws.

    Returns
    -------
    score : float
        Share of right votes of rows that are not among those learned from: 1 is best,
        and codes that know nothing have one over the number of factors.

    Raises
    ------
    ValueError
        If an array is not as described, a factor does not vary, or no two rows of one
        half share a value of it.

    See Also
    --------
    beta_vae_score : Asks a linear classifier.

    Notes
    -----
    There is no simulator to ask for batches, so they are drawn from the given rows, one
    by one among those that share a value. A value is fixed as often as it comes. Half
    of the rows are to learn from, the others to score by; the paper counts the votes
    that were learned from, which flatters codes that know nothing. Constant components
    have no vote; for other components that a VAE does not use, pass only those that
    vary, such as `Z[:, Z.var(axis=0) > 0.01]`. Neither the scale nor the sign of a
    component matters, nor the order of the components.

    References
    ----------
    .. [1] H. Kim, A. Mnih, "Disentangling by Factorising", ICML 2018,
       arXiv:1802.05983.

    Examples
    --------
    >>> from skae.datasets import make_shapes
    >>> from skae.metrics import factor_vae_score
    >>> _, factors = make_shapes(size=8)
    >>> factor_vae_score(factors, factors, random_state=0)
    1.0
    """
    Z, factors = check_codes_and_factors(Z, factors, min_factors=2)
    n_factors = factors.shape[1]
    check_scalar(n_batches, "n_batches", Integral, min_val=n_factors)
    check_scalar(batch_size, "batch_size", Integral, min_val=2)
    rng = check_random_state(random_state)
    train, test = (
        _count_votes(Z, factors, rows, n_batches, batch_size, rng)
        for rows in draw_halves(len(Z), rng)
    )
    stands_for = train.argmax(axis=1)  # (n_components,)
    right = np.take_along_axis(test, stands_for[:, None], axis=1)
    return float(right.sum() / test.sum())


def _count_votes(Z, factors, rows, n_batches, batch_size, rng):
    """Return how often each component voted for each factor."""
    votes = np.zeros((Z.shape[1], factors.shape[1]), dtype=int)
    fixed = np.arange(n_batches) % factors.shape[1]
    whole = Z.var(axis=0)
    for k, values in enumerate(factors.T):
        groups = RowsByValue(rows, values, k)
        batches = groups.draw_batches((fixed == k).sum(), batch_size, rng)
        shares = np.full((len(batches), Z.shape[1]), np.inf)
        np.divide(Z[batches].var(axis=1), whole, out=shares, where=whole > 0)
        votes[:, k] = np.bincount(shares.argmin(axis=1), minlength=Z.shape[1])
    return votes
