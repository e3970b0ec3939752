"""What training needs to know, decided before it begins."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


class TrainingRows(NamedTuple):
    """X with the rows to train on and the rows to validate on."""

    X: np.ndarray  # (n_samples, n_features)
    train: np.ndarray | None  # row numbers, None for all rows
    valid: np.ndarray | None  # row numbers, None for no validation
    has_holes: bool = False  # whether X has NaN

    def rejoined(self):
        """Return these rows with none held out."""
        return self._replace(train=None, valid=None)

    @property
    def n_train(self):
        """How many rows there are to train on."""
        return len(self.X) if self.train is None else len(self.train)


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
