"""Fitted models as codecs: rows to bytes, and back."""

from skae._lazy import lazy_names

# the codecs need torch at once
__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "_container": ["CompressedDataError"],
        "_lossless": ["LosslessCodec"],
        "_lossy": ["LossyCodec"],
    },
)
