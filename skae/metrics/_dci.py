"""Which components matter for which factors, to a classifier."""

from typing import NamedTuple

import numpy as np
from scipy.stats import entropy
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state

from skae.metrics._checks import check_codes_and_factors
from skae.metrics._halves import draw_halves, seeded_clone


class DCIScores(NamedTuple):
    """Disentanglement, completeness and informativeness, each 1 at best."""

    disentanglement: float
    completeness: float
    informativeness: float


def disentanglement_completeness_informativeness(
    Z, factors, *, classifier=None, random_state=None
):
    """Return how far components have factors to themselves, and factors components.

    The three scores of Eastwood and Williams [1]_, DCI. A classifier predicts each
    factor from the codes, and tells how important each component was. A component is
    disentangled if it is important for one factor only; a factor is completely encoded
    if only one component is important for it; codes are informative if predictions are
    right.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, of a VAE the means of the posteriors; at least two components.
    factors : array-like of int of shape (n_samples, n_factors)
        The factors that made the rows, at least two.
    classifier : classifier or None, default=None
        One that has `feature_importances_` or `coef_` once fitted. None is a random
        forest of 50 trees whose splits choose among all components.
    random_state : int, RandomState or None, default=None
        Which half of the rows it is trained on, and its random state unless it has one.

    Returns
    -------
    scores : namedtuple of float
        - `disentanglement`: one less the entropy of a component's importance over
          factors, as a share of the highest possible; averaged over components, each
          counting as much as it is important.
        - `completeness`: the same of a factor's importance over components, averaged
          over factors.
        - `informativeness`: accuracy on the other half of the rows, averaged over
          factors.

    Raises
    ------
    ValueError
        If an array is not as described, or a factor does not vary.
    TypeError
        If the classifier does not tell how important components are.

    Notes
    -----
    The paper's regressors are a lasso and a random forest, and its informativeness is
    an error; as values of factors here are classes, it is an accuracy, which is high
    where a factor has few or unequal values. The forest is the paper's, but for splits
    that choose among all components: otherwise a tree must split by one that knows
    nothing wherever it is not shown a better one. With it, neither scale nor shift of a
    component matters; sign and order do no more than another random state.

    References
    ----------
    .. [1] C. Eastwood, C. K. I. Williams, "A Framework for the Quantitative Evaluation
       of Disentangled Representations", ICLR 2018.

    Examples
    --------
    >>> from skae.datasets import make_shapes
    >>> from skae.metrics import disentanglement_completeness_informativeness
    >>> _, factors = make_shapes(size=8)
    >>> scores = disentanglement_completeness_informativeness(
    ...     factors, factors, random_state=0
    ... )
    >>> [round(score, 3) for score in scores]
    [1.0, 1.0, 1.0]
    """
    Z, factors = check_codes_and_factors(Z, factors, min_components=2, min_factors=2)
    if classifier is None:
        classifier = RandomForestClassifier(50, max_features=None)
    rng = check_random_state(random_state)
    train, test = draw_halves(len(Z), rng)
    importance = np.empty((Z.shape[1], factors.shape[1]))
    accuracy = np.empty(factors.shape[1])
    for k, values in enumerate(factors.T):
        fitted = seeded_clone(classifier, rng).fit(Z[train], values[train])
        importance[:, k] = _importance_of(fitted)
        accuracy[k] = fitted.score(Z[test], values[test])
    importance /= np.maximum(importance.sum(axis=0), np.finfo(float).tiny)
    return DCIScores(
        *map(float, _concentration(importance)), informativeness=float(accuracy.mean())
    )


def _importance_of(classifier):
    """Return how important each column was to a fitted classifier."""
    if hasattr(classifier, "feature_importances_"):
        return classifier.feature_importances_
    if hasattr(classifier, "coef_"):
        return np.abs(classifier.coef_).sum(axis=0)
    raise TypeError(
        f"classifier={classifier!r} has neither feature_importances_ nor coef_ once "
        "fitted, and does not tell how important components are; use one that does, "
        "such as RandomForestClassifier"
    )


def _concentration(importance):
    """Return disentanglement and completeness of an (n_components, n_factors) table.

    What is important for nothing is not concentrated.
    """
    of_components, of_factors = importance.sum(axis=1), importance.sum(axis=0)
    if not of_components.any():
        return 0.0, 0.0
    n_components, n_factors = importance.shape
    used = importance[of_components > 0]
    disentangled = 1 - entropy(used, axis=1) / np.log(n_factors)
    weights = of_components[of_components > 0]
    is_known = of_factors > 0
    complete = np.zeros(n_factors)
    complete[is_known] = 1 - entropy(importance[:, is_known]) / np.log(n_components)
    return np.average(disentangled, weights=weights), complete.mean()
