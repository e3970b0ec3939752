"""Whether a linear classifier sees in codes which factor was held fixed."""

from numbers import Integral

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, check_scalar

from skae.metrics._checks import check_codes_and_factors
from skae.metrics._halves import draw_halves
from skae.metrics._rows_by_value import RowsByValue


def beta_vae_score(Z, factors, *, n_batches=1000, batch_size=64, random_state=None):
    """Return how well a linear classifier tells which factor pairs of codes share.

    The score of Higgins et al. [1]_. A batch is of pairs of rows with the same value of
    one factor; their codes' absolute differences, averaged over the batch, are small
    where that factor is encoded. A classifier says from them which factor it was.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, of a VAE the means of the posteriors.
    factors : array-like of int of shape (n_samples, n_factors)
        The factors that made the rows, at least two.
    n_batches : int, default=1000
        Batches to train the classifier on, and as many to score it by; as many of each
        factor.
    batch_size : int, default=64
        Pairs in a batch.
    random_state : int, RandomState or None, default=None
        Source of the draws.

    Returns
    -------
    score : float
        Accuracy on batches of rows that are not in those of training: 1 is best, and
        codes that know nothing have one over the number of factors.

    Raises
    ------
    ValueError
        If an array is not as described, a factor does not vary, or no two rows of one
        half share a value of it.

    See Also
    --------
    factor_vae_score : Asks for one component a factor.

    Notes
    -----
    There is no simulator to ask for pairs, so they are drawn from the given rows: a
    row, and another one with the same value of the factor. A value is fixed as often as
    it comes. Half of the rows are for training, the others for scoring. The classifier
    is a logistic regression on standardised differences, so that neither the scale nor
    the sign of a component matters, nor the order of the components. A rotation of
    codes can leave the score at 1: it asks that factors can be told apart, not that
    each has a component.

    References
    ----------
    .. [1] I. Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a
       Constrained Variational Framework", ICLR 2017.

    Examples
    --------
    >>> from skae.datasets import make_shapes
    >>> from skae.metrics import beta_vae_score
    >>> _, factors = make_shapes(size=8)
    >>> beta_vae_score(factors, factors, random_state=0)
    1.0
    """
    Z, factors = check_codes_and_factors(Z, factors, min_factors=2)
    n_factors = factors.shape[1]
    check_scalar(n_batches, "n_batches", Integral, min_val=n_factors)
    check_scalar(batch_size, "batch_size", Integral, min_val=1)
    rng = check_random_state(random_state)
    fixed = np.arange(n_batches) % n_factors  # (n_batches,)
    train, test = (
        _draw_differences(Z, factors, rows, fixed, batch_size, rng)
        for rows in draw_halves(len(Z), rng)
    )
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
    return float(classifier.fit(train, fixed).score(test, fixed))


def _draw_differences(Z, factors, rows, fixed, batch_size, rng):
    """Return mean absolute differences of codes, (n_batches, n_components)."""
    differences = np.empty((len(fixed), Z.shape[1]))
    for k, values in enumerate(factors.T):
        batches = np.flatnonzero(fixed == k)
        groups = RowsByValue(rows, values, k)
        first, second = groups.draw_pairs(len(batches) * batch_size, rng)
        of_pairs = np.abs(Z[first] - Z[second])
        of_pairs = of_pairs.reshape(len(batches), batch_size, -1)
        differences[batches] = of_pairs.mean(axis=1)
    return differences
