"""Where a fit has got to, in a file, so that one that was killed can go on."""

import errno
import json
from importlib.metadata import version
from pathlib import Path, PurePath
from warnings import warn

from skae import _training
from skae._config import get_config
from skae._rehearsal import fingerprint
from skae._storage import (
    Decoder,
    Encoder,
    ModelFileError,
    read_file,
    remove_file,
    write_file,
)

# Parameters that change no bit of what comes out.
OF_NO_MATTER = ("verbose", "callbacks", "random_state")


class Journal:
    """The file of a fit, or none.

    Parameters
    ----------
    path : str, Path or None
        The file; None for no journal.
    estimator : estimator
        What is fitted.
    data : TrainingData
        What it is fitted to.

    Attributes
    ----------
    seed : int or None
        The seed of the fit that the file is of; None if there is no file.
    """

    def __init__(self, path, estimator, data):
        self.path, self.seed = None if path is None else Path(path), None
        self.record = self.state = None
        if path is None:
            return
        self.key = {
            "rows": fingerprint(data),
            "parameters": parameters_text(estimator),
            "engine": str(get_config()["engine"]),
        }
        if self.path.exists():
            self._read()

    def _read(self):
        """Take over what is in the file, if it is of the same fit."""
        document, arrays = read_file(self.path)
        try:
            entry = Decoder(arrays, {}).decode(document["fit"])
            key, own_version = entry["key"], entry["torch"]
            self.seed, self.record = entry["seed"], entry["record"]
            self.state = entry["state"]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ModelFileError(
                self.path,
                f"it is no checkpoint of a fit ({type(error).__name__}: {error})",
                "pass another path",
            ) from None
        names = {"rows": "X", "parameters": "parameters", "engine": "engine"}
        others = [names[name] for name in names if key.get(name) != self.key[name]]
        if others:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is of a fit with other "
                f"{' and '.join(others)}; go on with that fit, pass another path, or "
                "delete the file to start anew"
            )
        if own_version != version("torch"):
            warn(
                f"checkpoint={str(self.path)!r} was written with torch {own_version}, "
                f"and this is {version('torch')}: the result may differ in its last "
                "digits",
                stacklevel=2,
            )

    def begin(self, seed):
        """Remember the seed of the fit."""
        self.seed = seed

    def note(self, record):
        """Remember the `TrainingRecord` of a first training that is over."""
        self.record = record._asdict()
        self.state = None

    def callbacks(self):
        """Return the skorch callbacks that save, and begin with what was saved."""
        if self.path is None:
            return []
        return [_training.Checkpoint(self._write, self.state)]

    def _write(self, state):
        encoder = Encoder()
        entry = {
            "key": self.key,
            "seed": self.seed,
            "torch": version("torch"),
            "record": self.record,
            "state": state,
        }
        write_file(self.path, {"fit": encoder.encode(entry)}, encoder.arrays)

    def close(self):
        """Delete the file: the fit is over."""
        if self.path is not None:
            remove_file(self.path)


def parameters_text(estimator):
    """Return a text that is another for other parameters, as far as files can tell.

    Of objects that no file can hold it has the class.
    """
    parameters = {}
    for name, value in estimator.get_params(deep=False).items():
        if name in OF_NO_MATTER:
            continue
        encoder = Encoder()
        try:
            tree = encoder.encode(value)
        except TypeError:
            kind = value if isinstance(value, type) else type(value)
            tree = f"{kind.__module__}.{kind.__qualname__}"
        arrays = {key: array.tolist() for key, array in encoder.arrays.items()}
        parameters[name] = [tree, arrays]
    return json.dumps(parameters, sort_keys=True)


def check_checkpoint(path, estimator):
    """Raise unless a fit can be written down at a path, or that is None."""
    if path is None:
        return
    if not isinstance(path, str | PurePath):
        raise TypeError(
            f"checkpoint must be a path, str or Path, or None, got {path!r}"
        )
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            errno.EISDIR, "checkpoint is a folder, expected a file in it", str(path)
        )
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(
            errno.ENOENT, "the folder of checkpoint is not there", str(path)
        )
    if estimator.warm_start:
        raise ValueError(
            f"checkpoint={str(path)!r} with warm_start=True: a file does not say what "
            "the fit before was; leave one of them out"
        )
    if estimator.callbacks:
        raise ValueError(
            f"checkpoint={str(path)!r} with callbacks={estimator.callbacks!r}: what "
            "skorch callbacks remember is not in the file; leave one of them out"
        )
