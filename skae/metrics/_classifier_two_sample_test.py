"""Whether two sets of rows are of one law, by a classifier."""

import numpy as np
from scipy.stats import hypergeom
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils import check_random_state

from skae.metrics._checks import check_two_samples
from skae.metrics._halves import draw_halves, seeded_clone
from skae.metrics._two_sample import TwoSampleResult


def classifier_two_sample_test(X, Y, *, classifier=None, random_state=None):
    """Return how well a classifier tells two sets of rows apart, and a test of it.

    The classifier two-sample test [1]_, C2ST: it is trained on half of each set to tell
    which set a row is from, and asked about the others.

    Parameters
    ----------
    X : array-like of shape (n_samples_X, n_features)
        Rows, real ones for instance; at least four.
    Y : array-like of shape (n_samples_Y, n_features)
        Other rows, such as those a model has drawn; at least four.
    classifier : classifier or None, default=None
        Any of scikit-learn's kind; None is a random forest.
    random_state : int, RandomState or None, default=None
        Which rows are for training, and the random state of the classifier unless it
        has one.

    Returns
    -------
    result : namedtuple of float
        - `statistic`: balanced accuracy on the other rows: 1/2 if nothing tells the
          sets apart, 1 if every row shows where it is from.
        - `pvalue`: how probable one as high is if the laws are the same. It is at most
          p with probability at most p then, whatever the classifier is.

    Raises
    ------
    ValueError
        If an array is not as described.

    See Also
    --------
    maximum_mean_discrepancy : Without training, by distances.

    Notes
    -----
    Balanced accuracy is the mean of the shares of rows of X and of Y that are told
    rightly: the paper's accuracy where both have as many rows, and 1/2 by chance in any
    case. If the laws are the same, the held-out rows could as well have been shared out
    otherwise between the two sets; that gives the p-value exactly, as in Fisher's test
    of two-by-two tables, where the paper's normal law is an approximation. With a
    random forest, the scale and the shift of a column do not matter.

    References
    ----------
    .. [1] D. Lopez-Paz, M. Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017,
       arXiv:1610.06545.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae.metrics import classifier_two_sample_test
    >>> X, y = load_iris(return_X_y=True)
    >>> result = classifier_two_sample_test(X[y == 0], X[y == 1], random_state=0)
    >>> result.statistic, result.pvalue < 1e-6
    (1.0, True)
    """
    X, Y = check_two_samples(X, Y)
    for name, rows in (("X", X), ("Y", Y)):
        if len(rows) < 4:
            raise ValueError(
                f"{name} has {len(rows)} rows, expected at least four: half of them "
                "are for training, the others are held out"
            )
    if classifier is None:
        classifier = RandomForestClassifier()
    rng = check_random_state(random_state)
    halves = [draw_halves(len(rows), rng) for rows in (X, Y)]
    (X_train, X_test), (Y_train, Y_test) = (
        [rows[half] for half in of_rows]
        for rows, of_rows in zip((X, Y), halves, strict=True)
    )
    labels = np.repeat([0, 1], [len(X_train), len(Y_train)])
    fitted = seeded_clone(classifier, rng)
    fitted.fit(np.concatenate([X_train, Y_train]), labels)
    right_X = int((fitted.predict(X_test) == 0).sum())
    wrong_Y = int((fitted.predict(Y_test) == 0).sum())
    accuracy = (right_X / len(X_test) + 1 - wrong_Y / len(Y_test)) / 2
    # Of all that is called X, how much belongs to it? By chance as from an urn.
    n_test, n_called = len(X_test) + len(Y_test), right_X + wrong_Y
    pvalue = hypergeom.sf(right_X - 1, n_test, n_called, len(X_test))
    return TwoSampleResult(accuracy, float(pvalue))
