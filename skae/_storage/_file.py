"""One file of arrays and text: safetensors, with a checksum of all that is in it.

The text is JSON, in the metadata of the file, behind a SHA-256 over it and every array:
its name, dtype, shape and bytes. A file is written whole or not at all, and the same
model is the same file.
"""

import contextlib
import errno
import hashlib
import json
import os
import stat
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from skae._storage._errors import ModelFileError

# The name of what the metadata hold: one thing, because they have no order.
NAME = "skae"

# safetensors files begin with the length of their header, in so many bytes, and it is
# at most so long.
LENGTH_BYTES, LONGEST_HEADER = 8, 100_000_000

AGAIN = "save the model again, or take another copy of the file"


def write_file(path, document, arrays):
    """Write a document and arrays, so that the path has the old file or the new one.

    Parameters
    ----------
    path : str or Path
        The file, replaced if it is there.
    document : object
        What JSON can hold, without NaN and infinities.
    arrays : dict of str to ndarray
        Of numbers or bools.
    """
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    arrays = {
        name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()
    }
    signed = f"{checksum(text, arrays)} {text}"
    replace_file(Path(path), safetensors.save(arrays, {NAME: signed}))


def checksum(text, arrays):
    """Return the SHA-256 of a text and named arrays, in hexadecimal digits."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def replace_file(path, data):
    """Write bytes to a path in one go, or leave it as it was.

    The name of the temporary file goes by that of the path: one that is left over from
    a process that was killed is overwritten by the next.
    """
    part = part_of(path)
    try:
        with open(part, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    _sync_folder(path.parent)


def part_of(path):
    """Return the path that a file is written to before it gets its name."""
    return path.with_name(f".{path.name}.part")


def remove_file(path):
    """Remove a file if it is there, and what a writer that was killed has left."""
    for name in (path, part_of(path)):
        name.unlink(missing_ok=True)


def _sync_folder(folder):
    """Wait until a new name in a folder is on the disk, where systems can tell."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some file systems have no such thing
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def read_file(path):
    """Return the document and the arrays of a file, if it is as it was written.

    Raises
    ------
    ModelFileError
        If it is anything else.
    OSError
        If there is no such file, or it cannot be read.
    """
    data = _read_bytes(Path(path))
    text, expected = _metadata(path, data)
    try:
        arrays = safetensors.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(path, f"it is damaged ({error})", AGAIN) from None
    if checksum(text, arrays) != expected:
        raise ModelFileError(
            path, "it is damaged: it does not have its own checksum", AGAIN
        )
    try:
        return json.loads(text), arrays
    except (ValueError, RecursionError) as error:
        raise ModelFileError(path, f"its text is not JSON ({error})", AGAIN) from None


def _read_bytes(path):
    """Return what is in a regular file, once its beginning makes sense."""
    status = os.stat(path)  # before it is opened: a pipe would wait for a writer
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(
            errno.EISDIR, "is a folder, expected a file of a model", str(path)
        )
    no_model = "pass the path of a file that `save` of a model has written"
    if not stat.S_ISREG(status.st_mode):
        raise ModelFileError(path, "it is not a regular file", no_model)
    with open(path, "rb") as file:
        start = file.read(LENGTH_BYTES)
        length = int.from_bytes(start, "little")
        fits = length <= min(LONGEST_HEADER, status.st_size - LENGTH_BYTES)
        if len(start) < LENGTH_BYTES or not fits:
            raise ModelFileError(
                path, "it is not a safetensors file, or cut off", no_model
            )
        return start + file.read()


def _metadata(path, data):
    """Return the document's text and the checksum that a file has in its header."""
    stop = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "little")
    try:
        signed = json.loads(data[LENGTH_BYTES:stop])["__metadata__"][NAME]
        expected, _, text = signed.partition(" ")
        return text, expected
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise ModelFileError(
        path,
        "it is not a model of skae, or damaged",
        "pass the path of a file that `save` of a model has written",
    )
