"""Training without autograd for networks of dense layers."""

from skae._training._dense._engine import DenseStep, is_dense

__all__ = ["DenseStep", "is_dense"]
