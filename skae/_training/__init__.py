"""The skorch net, its batches and callbacks. skorch lives here and nowhere else."""

from skae._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "_batches": ["as_tensor"],
        "_callbacks": [
            "RecalledValidation",
            "SklearnCallbackBridge",
            "check_skorch_callbacks",
        ],
        "_checkpoint": ["Checkpoint"],
        "_failures": ["failures_explained", "is_out_of_memory"],
        "_inference": ["map_rows"],
        "_net": ["AutoencoderNet", "train"],
        "_optimizer_names": ["OPTIMIZERS"],
        "_plan": ["TrainingPlan", "TrainingRows"],
        "_stack": ["Member", "stack_key", "train_members"],
        "_state": [
            "TrainingRecord",
            "check_history",
            "check_net_state",
            "export_net",
            "record_of",
            "restore_net",
        ],
        "_units": ["losses_and_constant_units"],
    },
)
