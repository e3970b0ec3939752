"""What training needs to know, decided before it begins."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class TrainingRows(NamedTuple):
    """X with the rows to train on and the rows to validate on."""

    X: np.ndarray  # (n_samples, n_features)
    train: np.ndarray | None  # row numbers, None for all rows
    valid: np.ndarray | None  # row numbers, None for no validation

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
    max_epochs: int
    batch_size: int
    patience: int | None  # None: no early stopping
    tol: float
    kl_warmup: float
    device: str
    precision: str  # "float32" or "bf16"
    data_loader: object  # None, or what makes a DataLoader
    verbose: int
