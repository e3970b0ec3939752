"""Autoencoders as scikit-learn estimators."""

from skae._autoencoder import AutoencoderTransformer
from skae._vae import VAETransformer

__version__ = "0.1.0"

__all__ = ["AutoencoderTransformer", "VAETransformer", "__version__"]
