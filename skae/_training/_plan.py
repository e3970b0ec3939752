"""What training needs to know, decided before it begins."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from skae._weights import RESOLUTION, systematic


class TrainingRows(NamedTuple):
    """X with the rows to train on and the rows to validate on."""

    X: np.ndarray  # (n_samples, n_features)
    train: np.ndarray | None  # row numbers, None for all rows
    valid: np.ndarray | None  # row numbers, None for no validation
    has_holes: bool = False  # whether X has NaN
    weights: np.ndarray | None = None  # of the rows to train on, None if all are alike
    whole: "TrainingRows | None" = None  # with none held out, None if that is X

    def rejoined(self):
        """Return these rows with none held out."""
        if self.valid is None:
            return self
        return self.whole or self._replace(train=None, valid=None)

    @property
    def n_train(self):
        """How many rows there are to train on."""
        return len(self.X) if self.train is None else len(self.train)

    def numbers(self, resolution=RESOLUTION):
        """Return row numbers to train on, each as often as its weight says.

        None for all rows of X once. The list is so many times as long as there are
        rows, if these have weights.
        """
        if self.weights is None:
            return self.train
        return self.train[systematic(self.weights, resolution * len(self.weights))]


@dataclass(frozen=True)
class TrainingPlan:
    """How to train: every choice made, nothing left to resolve but the optimiser."""

    optimizer: str | type
    lr: float
    weight_decay: float
    schedule: str  # "auto" or "constant"
    max_epochs: int  # the length of the course
    n_epochs: int | None  # how far to go; None: to its end, or until patience is over
    batch_size: int
    patience: int | None  # None: no early stopping
    tol: float
    warmup: float  # share of the steps over which something is phased in
    device: str
    precision: str  # "float32" or "bf16"
    data_loader: object  # None, or what makes a DataLoader
    verbose: int

    def for_refit(self, n_epochs):
        """Return the plan of the same course up to an epoch, without held-out rows."""
        return replace(self, n_epochs=n_epochs, patience=None)
