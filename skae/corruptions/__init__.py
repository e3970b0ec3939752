"""What spoils the rows that an autoencoder is trained to restore."""

from skae.corruptions._base import Corruption, Frame
from skae.corruptions._blur import Blur
from skae.corruptions._chain import Chain
from skae.corruptions._function import Function
from skae.corruptions._gaussian_noise import GaussianNoise
from skae.corruptions._grayscale import Grayscale
from skae.corruptions._masking import Masking
from skae.corruptions._patch import Patch
from skae.corruptions._salt_and_pepper import SaltAndPepper

__all__ = [
    "Blur",
    "Chain",
    "Corruption",
    "Frame",
    "Function",
    "GaussianNoise",
    "Grayscale",
    "Masking",
    "Patch",
    "SaltAndPepper",
]
