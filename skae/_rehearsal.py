"""What stands for `callbacks` where networks are trained before their `fit` is called.

A search fits many networks that could train together, but scikit-learn calls `fit` for
one after the other, from inside of pipelines. So every `fit` is rehearsed: a
`Rehearsal` in place of the callbacks ends it where training would begin, and knows the
rows then. When the networks have been trained, a `Recall` in the same place has them.
"""

import pickle
from hashlib import blake2b

import numpy as np


class Rehearsed(Exception):
    """Raised by the `fit` of an estimator where training would begin.

    Its arguments are what `fit` was given: X and sample_weight.
    """


class Rehearsal(list):
    """Ends a `fit` where training would begin."""

    def stop(self, X, sample_weight):
        """Raise `Rehearsed`."""
        raise Rehearsed(X, sample_weight)


class Recall(list):
    """Has fits that were made before, and gives one back to a `fit` to the same rows.

    Parameters
    ----------
    fits : dict of str to estimator
        Fitted estimators of the same parameters, by `fingerprint` of their rows.
    """

    def __init__(self, fits):
        super().__init__()
        self.fits = fits

    def __deepcopy__(self, memo):
        return self  # to clone it would clone the networks

    def __reduce__(self):
        return Recall, (self.fits,)

    def attributes(self, data):
        """Return what a fit to `TrainingData` has set, or None."""
        estimator = self.fits.get(fingerprint(data))
        if estimator is None:
            return None
        parameters = estimator.get_params(deep=False)
        return {k: v for k, v in vars(estimator).items() if k not in parameters}


def fingerprint(data):
    """Return a string that is another for other `TrainingData`."""
    digest = blake2b(digest_size=16)
    for array in (data.X, data.weights):
        if array is not None:
            array = np.ascontiguousarray(array)
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(array.reshape(-1).view(np.uint8))
    names = None if data.names is None else list(data.names)
    categories = None if data.columns is None else data.columns.categories
    digest.update(pickle.dumps((names, categories)))
    return digest.hexdigest()
