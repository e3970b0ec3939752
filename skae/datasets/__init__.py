"""Rows whose causes are known, made and not downloaded."""

from skae.datasets._shapes import make_shapes

__all__ = ["make_shapes"]
