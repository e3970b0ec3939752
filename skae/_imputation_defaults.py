"""What an imputer restores rows with, where the user has not said."""

import numpy as np

from skae import _modules
from skae._autoencoder import AutoencoderTransformer
from skae.architectures import RestoringMLP
from skae.corruptions import Masking

# Share of the known entries that the estimator learns to restore in tables too wide for
# a joint law of all columns.
MASKED = 0.5

# It takes about this many steps, of this size, in batches of a sixteenth of the rows
# within bounds: each row of a batch has equations to solve.
STEPS, STEP_SIZE = 2500, 2e-3
BATCHES, SMALLEST_BATCH, LARGEST_BATCH = 16, 16, 128

# Beside categories, whose start is further from what can be learned: longer steps, all
# of them, and no rows held out, which would judge by the few numbers far out.
OF_TABLES = {"lr": 4e-3, "early_stopping": False}


def default_estimator(X, categorical):
    """Return the unfitted estimator for rows X.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows; of categories their positions.
    categorical : ndarray of int
        Which columns have categories.
    """
    if n_entries(X, categorical) > _modules.MOST_COLUMNS:
        return AutoencoderTransformer(corruption=Masking(MASKED, fill="center"))
    batch_size = np.clip(len(X) // BATCHES, SMALLEST_BATCH, LARGEST_BATCH)
    n_batches = -(-len(X) // batch_size)
    estimator = AutoencoderTransformer(
        architecture=RestoringMLP(),
        corruption=Masking("random", fill="missing"),
        lr=STEP_SIZE,
        batch_size=int(batch_size),
        max_epochs=int(max(1, STEPS // n_batches)),
    )
    return estimator.set_params(**OF_TABLES) if len(categorical) else estimator


def compares_rows(similar_rows, estimator, X, categorical):
    """Return whether an imputer with this parameter compares rows X with each other."""
    if similar_rows == "auto":
        narrow = X.shape[1] <= _modules.MOST_COLUMNS
        return estimator is None and narrow and not len(categorical)
    if similar_rows and len(categorical):
        raise ValueError(
            "similar_rows=True takes tables of numbers, but X has columns with "
            "categories; leave it at 'auto', or encode the categories first"
        )
    return bool(similar_rows)


def units_and_centers(X, categorical):
    """Return the standard deviation and the mean of every column; units are not 0.

    Of categories the unit is 1, the center the most frequent one.
    """
    statistics = _modules.column_statistics(X)
    units = np.where(statistics.std > 0, statistics.std, 1.0)
    centers = statistics.mean
    for j in categorical:
        known = X[~np.isnan(X[:, j]), j].astype(int)
        units[j], centers[j] = 1.0, np.bincount(known).argmax()
    return units, centers


def n_entries(X, categorical):
    """Return how many entries rows have: two categories share one."""
    counts = [len(np.unique(X[~np.isnan(X[:, j]), j])) for j in categorical]
    return X.shape[1] + sum(n - 1 for n in counts if n > 2)


def check_takes_categories(estimator):
    """Raise ValueError for an estimator of the user's that takes numbers alone."""
    if estimator is None or {"categorical_features", "handle_unknown"} <= set(
        estimator.get_params(deep=False)
    ):
        return
    raise ValueError(
        f"estimator={estimator!r} takes numbers alone, but X has columns with "
        "categories; use an AutoencoderTransformer or a VAETransformer, or encode the "
        "categories first, for instance with sklearn.preprocessing.OneHotEncoder"
    )
