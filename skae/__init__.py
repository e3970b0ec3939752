"""Autoencoders as scikit-learn estimators."""

from skae._autoencoder import AutoencoderTransformer
from skae._config import config_context, get_config, set_config
from skae._imputer import AutoencoderImputer
from skae._outlier_detector import AutoencoderOutlierDetector
from skae._vae import VAETransformer
from skae._vae_cv import VAETransformerCV
from skae.persistence import load

__version__ = "0.1.0"

__all__ = [
    "AutoencoderImputer",
    "AutoencoderOutlierDetector",
    "AutoencoderTransformer",
    "VAETransformer",
    "VAETransformerCV",
    "__version__",
    "config_context",
    "get_config",
    "load",
    "set_config",
]
