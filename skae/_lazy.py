"""Packages whose parts are imported at the first use of one of their names."""

import sys
from importlib import import_module


def lazy_names(package, names_of):
    """Return `__getattr__`, `__dir__` and `__all__` of a package that loads late.

    An estimator that is made, cloned or put into a pipeline needs neither torch nor
    skorch, which take longer to import than a small table takes to fit. A package
    with this `__getattr__` (PEP 562) imports a submodule when a name of it is first
    asked for: `from skae import _training` loads nothing, `_training.train` what
    trains. `from skae._training import train` would load it there and then.

    Parameters
    ----------
    package : str
        `__name__` of the package.
    names_of : dict of str to list of str
        The names that each submodule has to offer.

    Examples
    --------
    >>> from skae import _training
    >>> "map_rows" in dir(_training)
    True
    """
    home = {name: part for part, names in names_of.items() for name in names}

    def __getattr__(name):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, value)  # the next use finds it at once
        return value

    def __dir__():
        return sorted({*vars(sys.modules[package]), *home})

    return __getattr__, __dir__, sorted(home)
