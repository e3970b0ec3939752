"""Networks: encoder, decoder, likelihood, and the terms of the loss."""

from skae._modules._autoencoder import AutoencoderModule
from skae._modules._divergences import balanced_normal
from skae._modules._export import build_module, export_module
from skae._modules._pca import PrincipalAxes, principal_axes
from skae._modules._scaler import Scaler, choose_scaling, column_statistics
from skae._modules._vae import VAEModule

__all__ = [
    "AutoencoderModule",
    "PrincipalAxes",
    "Scaler",
    "VAEModule",
    "balanced_normal",
    "build_module",
    "choose_scaling",
    "column_statistics",
    "export_module",
    "principal_axes",
]
