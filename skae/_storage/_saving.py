"""`save`, for every estimator that can be loaded again."""

from importlib.metadata import version

from skae._storage._file import write_file
from skae._storage._tree import Encoder, NotStorableError

#: The version of what files hold. A change that older versions of this package would
#: misread needs another number.
FORMAT = 1

# Whose versions a file names, for whoever reads it.
PACKAGES = ("skae", "numpy", "scikit-learn", "torch")


class SavingMixin:
    """Estimators that can be saved to a file, fitted or not."""

    def save(self, path, *, omit=()):
        """Write the estimator to a file, for `skae.load`.

        The file is one of safetensors: parameters and what `fit` has learned, as JSON
        and arrays, with a checksum. Nothing in it is code, unlike in a pickle. A file
        that is there already is replaced at once, or stays if anything goes wrong.

        Parameters
        ----------
        path : str or Path
            The file; `.skae` is a good ending.
        omit : sequence of str, default=()
            Names of parameters to leave out, as `get_params` has them: callbacks, and
            whatever is of a class of your own. `load` is given them again.

        Raises
        ------
        TypeError
            If a parameter is neither plain nor of a class of this package; its name is
            in the message.
        ValueError
            If `omit` has a name that is no parameter.
        OSError
            If the file cannot be written.
        """
        if isinstance(omit, str):
            omit = [omit]
        self._check_omitted(omit)
        encoder = Encoder(omit)
        try:
            tree = encoder.encode(self)
        except NotStorableError as error:
            raise TypeError(
                f"{type(self).__name__} cannot be saved: {error}. If that is a "
                "parameter, leave it out, save(path, omit=['name']), and pass it to "
                "skae.load(path, name=...)"
            ) from None
        document = {
            "format": FORMAT,
            "class": type(self).__name__,
            "versions": {name: version(name) for name in PACKAGES},
            "omitted": sorted(encoder.omitted),
            "model": tree,
        }
        write_file(path, document, encoder.arrays)

    def _check_omitted(self, omit):
        known = self.get_params()
        for name in omit:
            if name not in known:
                raise ValueError(
                    f"omit has {name!r}, but {type(self).__name__} has no such "
                    f"parameter; its parameters are {sorted(known)}"
                )
