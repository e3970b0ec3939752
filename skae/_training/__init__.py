"""The skorch net, its batches and callbacks. skorch lives here and nowhere else."""

from skae._training._batches import TrainingRows
from skae._training._callbacks import (
    SklearnCallbackBridge,
    check_skorch_callbacks,
)
from skae._training._failures import failures_explained
from skae._training._inference import map_rows, widest_layer
from skae._training._net import OPTIMIZERS, AutoencoderNet, TrainingPlan, train
from skae._training._state import best_epoch, export_net, restore_net, tidy_history

__all__ = [
    "OPTIMIZERS",
    "SklearnCallbackBridge",
    "AutoencoderNet",
    "TrainingPlan",
    "TrainingRows",
    "best_epoch",
    "check_skorch_callbacks",
    "export_net",
    "failures_explained",
    "map_rows",
    "restore_net",
    "tidy_history",
    "train",
    "widest_layer",
]
