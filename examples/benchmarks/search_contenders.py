"""What search.py searches, and how that is scored, for workers to import."""

import numpy as np
from sklearn.neural_network import MLPRegressor


def explained(estimator, X, y=None):
    """Return the share of the variance of rows that their reconstruction explains."""
    restored = getattr(estimator, "reconstruct", None) or estimator.predict
    residuals = restored(X) - X
    return 1 - np.square(residuals).sum() / np.square(X - X.mean(axis=0)).sum()


def regression(setting):
    """Return scikit-learn's network, to be fitted to its own inputs."""
    hidden = (*setting.hidden, setting.n_components, *setting.hidden[::-1])
    return MLPRegressor(
        hidden_layer_sizes=hidden, alpha=0.0, batch_size=setting.batch_size,
        max_iter=setting.max_epochs, n_iter_no_change=setting.max_epochs,
        random_state=0,
    )  # fmt: skip
