"""A fitted estimator and rows, and what the checks ask of them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from skae._diagnosis._pca import find_lead_of_pca

#: A component of a VAE is active if its posterior mean varies by more over the rows
#: (Burda et al. 2016), one of an autoencoder if it does in units of the one that varies
#: most.
ACTIVE_VARIANCE = 0.01
INACTIVE_SHARE = 1e-3
#: The posterior has collapsed if fewer components are active, in shares of all.
COLLAPSED_SHARE = 0.1
#: A code is wider than needed if more components are not active, in shares of all.
UNUSED_SHARE = 0.25
#: A hidden layer is dead if more of its units do the same for all rows.
DEAD_SHARE = 0.5
#: X is not where the training rows of a VAE are if the mean of a component is farther
#: from that of the prior.
PRIOR_MEAN = 0.5


@dataclass
class Evidence:
    """A fitted estimator and rows, and what the checks ask of them.

    Parameters
    ----------
    estimator : BaseAutoencoder
        Fitted.
    X : array-like of shape (n_samples, n_features)
        Rows, as the user has them.
    numbers : ndarray of shape (n_samples, n_features)
        The same as numbers.
    is_number : ndarray of bool of shape (n_features,)
        Which columns are no categories.
    losses : ndarray of shape (n_samples,) or None
        Reconstruction loss of each row as in training, in nats; None where the network
        has no code.
    units : dict of str to ndarray of bool
        Of each hidden layer, by its name in the module, which units do the same for all
        rows.
    """

    estimator: object
    X: object
    numbers: np.ndarray
    is_number: np.ndarray
    losses: np.ndarray | None
    units: dict

    @property
    def is_vae(self):
        """Whether codes have a posterior."""
        return hasattr(self.estimator, "encode_distribution")

    @cached_property
    def posterior(self):
        """Mean and standard deviation of each row's code; 0 for an autoencoder."""
        if self.is_vae:
            return self.estimator.encode_distribution(self.X)
        Z = np.asarray(self.estimator.transform(self.X))
        return Z, np.zeros_like(Z)

    @cached_property
    def is_active(self):
        """Which components of the code tell anything of a row."""
        variance = self.posterior[0].var(axis=0)
        if self.is_vae:
            return variance > ACTIVE_VARIANCE
        return np.sqrt(variance) > INACTIVE_SHARE * np.sqrt(variance.max())

    @cached_property
    def has_code(self):
        """Whether the network has a bottleneck, and there are rows to compare."""
        return self.losses is not None and len(self.numbers) > 1

    @cached_property
    def has_collapsed(self):
        """Whether hardly any component of a VAE tells anything."""
        n_active = self.is_active.sum()
        return self.is_vae and n_active < max(1, COLLAPSED_SHARE * len(self.is_active))

    @cached_property
    def has_dead_units(self):
        """Whether many components of the code tell nothing."""
        return np.mean(~self.is_active) > UNUSED_SHARE

    @cached_property
    def dead_layers(self):
        """Names of the hidden layers of which most units do the same for all rows."""
        if not self.has_code:
            return []
        shares = {name: is_dead.mean() for name, is_dead in self.units.items()}
        return [name for name, share in shares.items() if share > DEAD_SHARE]

    @cached_property
    def is_elsewhere(self):
        """Whether X is not where the training rows of a VAE are."""
        center = self.posterior[0].mean(axis=0)
        return self.is_vae and np.abs(center).max() > PRIOR_MEAN

    @cached_property
    def short_of_pca(self):
        """How much PCA is better, in words, or None if it is not."""
        return find_lead_of_pca(self)

    def curve(self, name):
        """Return a column of the history without what is missing."""
        history = self.estimator.history_
        if name not in history:
            return np.array([])
        return history[name].dropna().to_numpy()

    @cached_property
    def columns(self):
        """The columns of numbers, centred, NaN and all."""
        X = self.numbers[:, self.is_number].astype(np.float64)
        return X - np.nanmean(X, axis=0)

    def as_table(self, X):
        """Return rows of numbers with the names of the columns, if these have any."""
        names = getattr(self.estimator, "feature_names_in_", None)
        return X if names is None else pd.DataFrame(X, columns=names)

    def name(self, j):
        """Return how the user calls the j-th column of numbers."""
        j = np.flatnonzero(self.is_number)[j]
        names = getattr(self.estimator, "feature_names_in_", None)
        return f"column {j}" if names is None else f"column {names[j]!r}"
