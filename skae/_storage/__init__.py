"""Models as files: a tree of plain values and arrays, checked before it is believed."""

from skae._storage._errors import ModelFileError
from skae._storage._file import read_file, remove_file, write_file
from skae._storage._saving import FORMAT, SavingMixin
from skae._storage._tree import Decoder, Encoder, check_attributes, storable

__all__ = [
    "FORMAT",
    "Decoder",
    "Encoder",
    "ModelFileError",
    "SavingMixin",
    "check_attributes",
    "read_file",
    "remove_file",
    "storable",
    "write_file",
]
