"""Networks: encoder, decoder, likelihood, and the terms of the loss."""

from skae._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "_autoencoder": ["AutoencoderModule"],
        "_denoising": ["DenoisingModule"],
        "_divergences": ["balanced_normal"],
        "_export": ["build_module", "check_module_state", "export_module"],
        "_filling": ["FillingModule"],
        "_joint_normal": [
            "MOST_COLUMNS",
            "conditional_noise",
            "deviations",
            "expected",
            "joint_normal",
            "spread_rows",
        ],
        "_layout": ["ExpandedRows", "Layout"],
        "_mixed_start": ["mixed_start"],
        "_ordered": ["OrderedModule"],
        "_pca": ["PrincipalAxes", "principal_axes"],
        "_penalised": ["PenalisedModule"],
        "_restoring": ["RestoringModule"],
        "_scaler": ["Scaler", "choose_scaling", "column_statistics"],
        "_vae": ["VAEModule"],
    },
)
