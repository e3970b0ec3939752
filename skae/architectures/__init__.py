"""Networks to choose from: what stands between a row and its code."""

from skae.architectures._base import Architecture
from skae.architectures._conv import Conv
from skae.architectures._denoising_mlp import DenoisingMLP
from skae.architectures._mlp import MLP
from skae.architectures._restoring_mlp import RestoringMLP
from skae.architectures._unet import UNet

__all__ = ["MLP", "Architecture", "Conv", "DenoisingMLP", "RestoringMLP", "UNet"]
