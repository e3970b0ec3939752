"""Fitted networks as graphs of ONNX, without torch's exporter."""

from skae._lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "_converter": ["register_converters"],
        "_model": ["onnx_model"],
    },
)
