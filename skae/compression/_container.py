"""Bytes around compressed words: what they are, whose, and whether they are whole."""

import struct
import zlib
from typing import NamedTuple

import numpy as np

MAGIC = b"\x93SKAE"
VERSION = 1

# Version, kind, dtype of the rows, stacks, rows, fingerprint of the model.
_HEAD = struct.Struct("<BB2sHI8s")
_STACK = struct.Struct("<HI")  # words known in advance, words stored
_CHECKSUM = struct.Struct("<I")

# What a decoder says of bytes that are whole and still make no sense.
DISAGREES = "data is not what its own header says"

DTYPES = ("b1", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8")


class CompressedDataError(ValueError):
    """Bytes that are damaged, of another kind, or of another model."""


class Stack(NamedTuple):
    """What one coder ended with: words it began with and never touched, and others."""

    n_known: int
    words: np.ndarray  # (n_words,), uint32


class Container(NamedTuple):
    """The content of the bytes.

    Parameters
    ----------
    kind : int
        Which codec.
    dtype : str
        Of the rows, among `DTYPES`.
    n_rows : int
        Number of rows.
    fingerprint : bytes
        Eight, of the model.
    stacks : list of Stack
        One for each coder.
    """

    kind: int
    dtype: str
    n_rows: int
    fingerprint: bytes
    stacks: list

    def to_bytes(self):
        """Return the bytes, with magic, version and checksum."""
        head = _HEAD.pack(
            VERSION,
            self.kind,
            self.dtype.encode(),
            len(self.stacks),
            self.n_rows,
            self.fingerprint,
        )
        sizes = (_STACK.pack(s.n_known, len(s.words)) for s in self.stacks)
        words = (s.words.astype("<u4").tobytes() for s in self.stacks)
        body = MAGIC + head + b"".join(sizes) + b"".join(words)
        return body + _CHECKSUM.pack(zlib.crc32(body))

    @classmethod
    def from_bytes(cls, data, *, kind, fingerprint):
        """Return what `to_bytes` was called on.

        Raises
        ------
        TypeError
            If `data` is not bytes.
        CompressedDataError
            If they are not whole, or of another kind or model.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data must be bytes, got {type(data).__name__}")
        data = bytes(data)
        if data[: len(MAGIC)] != MAGIC:
            raise CompressedDataError(
                f"data begins with {data[:8]!r}, not with {MAGIC!r}: no bytes that "
                "compress of skae.compression has returned"
            )
        shortest = len(MAGIC) + _HEAD.size + _CHECKSUM.size
        body, end = data[: -_CHECKSUM.size], data[-_CHECKSUM.size :]
        if len(data) < shortest or _CHECKSUM.pack(zlib.crc32(body)) != end:
            raise CompressedDataError(
                f"data ({len(data)} bytes) is damaged or cut off: its checksum does "
                "not agree; get the bytes again from where they come from"
            )
        version, its_kind, dtype, n_stacks, n_rows, its_fingerprint = _HEAD.unpack_from(
            body, len(MAGIC)
        )
        if version != VERSION:
            raise CompressedDataError(
                f"data has format version {version}, and this skae reads version "
                f"{VERSION}; use the version of skae that wrote it"
            )
        if its_kind != kind:
            raise CompressedDataError(
                f"data was compressed by a codec of kind {its_kind}, not by this one "
                f"(kind {kind})"
            )
        if its_fingerprint != fingerprint:
            raise CompressedDataError(
                f"data was compressed with the model {its_fingerprint.hex()}, and this "
                f"one is {fingerprint.hex()}; load the model that compressed it"
            )
        stacks = cls._read_stacks(body, len(MAGIC) + _HEAD.size, n_stacks)
        dtype = dtype.decode("ascii", "replace")
        if stacks is None or dtype not in DTYPES:
            raise CompressedDataError(DISAGREES)
        return cls(its_kind, dtype, n_rows, its_fingerprint, stacks)

    @staticmethod
    def _read_stacks(body, start, n_stacks):
        """Return the stacks, or None if the bytes do not add up to them."""
        words_at = start + n_stacks * _STACK.size
        if words_at > len(body):
            return None
        sizes = [_STACK.unpack_from(body, start + i * _STACK.size)
                 for i in range(n_stacks)]  # fmt: skip
        if words_at + 4 * sum(n_words for _, n_words in sizes) != len(body):
            return None
        stacks = []
        for n_known, n_words in sizes:
            words = np.frombuffer(body, "<u4", n_words, words_at).astype(np.uint32)
            stacks.append(Stack(n_known, words))
            words_at += 4 * n_words
        return stacks
