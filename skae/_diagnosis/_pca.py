"""Whether PCA of the same size does better."""

import numpy as np
from sklearn.decomposition import PCA

#: Fewest rows that PCA is fitted to for comparison, and the most.
FEWEST_ROWS, MOST_ROWS = 40, 5000
#: What may be missing to PCA: a share of the variance, and nats per row.
SHORT_OF_PCA, NATS_SHORT_OF_PCA = 0.02, 1.0


def find_lead_of_pca(evidence):
    """Return how much PCA is better, in words, or None if it is not.

    PCA is fitted to one half of X and asked about the other.
    """
    X, n_components = evidence.numbers, len(evidence.is_active)
    n, width = X.shape
    enough = n >= FEWEST_ROWS and n_components < min(n // 2, width)
    if not (evidence.is_number.all() and enough) or np.isnan(X).any():
        return None
    if evidence.estimator.image_shape is not None and width > MOST_ROWS:
        return None
    rows = np.random.RandomState(0).permutation(n)[:MOST_ROWS]
    X = X[rows].astype(np.float64)
    compare = _nats_short if evidence.is_vae else _variance_short
    return compare(evidence, X, n_components)


def _nats_short(evidence, X, n_components):
    """Say how far the ELBO is below the log-likelihood of probabilistic PCA."""
    spread = X.std(axis=0)
    if not (spread > 0).all():
        return None
    U, log_jacobian = X / spread, np.log(spread).sum()
    halves = (U[::2], U[1::2]), (U[1::2], U[::2])
    scores = [PCA(n_components).fit(a).score(b) for a, b in halves]
    theirs = np.mean(scores) - log_jacobian
    ours = evidence.estimator.score(evidence.as_table(X))
    if ours > theirs - NATS_SHORT_OF_PCA:
        return None
    return f"{theirs:.4g} nats per row, and the ELBO is {ours:.4g}"


def _variance_short(evidence, X, n_components):
    """Say how much less variance is explained than by PCA, whatever the scaling."""
    spread, shares = X.std(axis=0), []
    back = evidence.estimator.reconstruct(evidence.as_table(X))
    for scale in (np.where(spread > 0, spread, 1.0), 1.0):
        U = X / scale
        total = ((U - U.mean(axis=0)) ** 2).sum()
        lost = 0.0
        for a, b in ((U[::2], U[1::2]), (U[1::2], U[::2])):
            pca = PCA(n_components).fit(a)
            lost += ((pca.inverse_transform(pca.transform(b)) - b) ** 2).sum()
        shares.append((1 - lost / total, 1 - ((U - back / scale) ** 2).sum() / total))
    theirs, ours = min(shares, key=lambda pair: pair[0] - pair[1])
    if ours > theirs - SHORT_OF_PCA:
        return None
    return f"{theirs:.1%} of the variance, and this {ours:.1%}"
