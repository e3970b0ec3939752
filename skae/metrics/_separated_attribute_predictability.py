"""How much better one component predicts a factor than any other."""

import numpy as np
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import check_random_state

from skae.metrics._checks import check_codes_and_factors
from skae.metrics._halves import draw_halves


def separated_attribute_predictability(Z, factors, *, random_state=None):
    """Return how much better one component predicts a factor than any other does.

    The score of Kumar et al. [1]_, SAP: of each factor, the accuracy of the component
    that predicts it best by thresholds, less that of the second; averaged over factors.

    Parameters
    ----------
    Z : array-like of shape (n_samples, n_components)
        Codes, of a VAE the means of the posteriors; at least two components.
    factors : array-like of int of shape (n_samples, n_factors)
        The factors that made the rows.
    random_state : int, RandomState or None, default=None
        Which half of the rows thresholds are found on.

    Returns
    -------
    gap : float
        In [0, 1]. The best is about 1 less the mean of one over the number of values of
        each factor, since a component that knows nothing is right that often.

    Raises
    ------
    ValueError
        If an array is not as described, or a factor does not vary.

    See Also
    --------
    mutual_information_gap : The same with mutual information.

    Notes
    -----
    The paper has two ways: factors with an order are regressed on a component, and
    classes are told by thresholds on it. Values here are classes. Thresholds are those
    of a decision tree with as many leaves as the factor has values, and accuracy is
    balanced: the share of right answers of each value, averaged over values. Thresholds
    are found on half of the rows and judged on the others. Neither scale, shift nor
    sign of a component matters, nor the order of the components.

    References
    ----------
    .. [1] A. Kumar, P. Sattigeri, A. Balakrishnan, "Variational Inference of
       Disentangled Latent Concepts from Unlabeled Observations", ICLR 2018,
       arXiv:1711.00848.

    Examples
    --------
    >>> from skae.datasets import make_shapes
    >>> from skae.metrics import separated_attribute_predictability
    >>> _, factors = make_shapes(size=8, shapes=("square", "heart"), n_scales=2)
    >>> Z = factors = factors[:, :2]
    >>> round(separated_attribute_predictability(Z, factors, random_state=0), 1)
    0.5
    """
    Z, factors = check_codes_and_factors(Z, factors, min_components=2)
    train, test = draw_halves(len(Z), check_random_state(random_state))
    gaps = []
    for values in factors.T:
        accuracy = sorted(
            _threshold_accuracy(component[:, None], values, train, test)
            for component in Z.T
        )
        gaps.append(accuracy[-1] - accuracy[-2])
    return float(np.mean(gaps))


def _threshold_accuracy(component, values, train, test):
    """Return the balanced accuracy of thresholds on a component, (n_samples, 1)."""
    tree = DecisionTreeClassifier(
        max_leaf_nodes=values.max() + 1, class_weight="balanced", random_state=0
    )
    told = tree.fit(component[train], values[train]).predict(component[test])
    is_right = told == values[test]
    return np.mean([is_right[values[test] == v].mean() for v in set(values[test])])
