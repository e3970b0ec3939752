"""Rows to learn from, rows to score by, and classifiers that draw from a seed."""

import numpy as np
from sklearn.base import clone


def draw_halves(n_samples, rng):
    """Return the numbers of half of the rows, drawn at random, and of the others."""
    order = rng.permutation(n_samples)
    return order[: n_samples // 2], order[n_samples // 2 :]


def seeded_clone(classifier, rng):
    """Return an unfitted copy whose random states, where they are None, are drawn."""
    classifier = clone(classifier)
    seeds = {
        name: rng.randint(np.iinfo(np.int32).max)
        for name, value in sorted(classifier.get_params().items())
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return classifier.set_params(**seeds)
