"""Switches of the library, for the process."""

import os
from contextlib import contextmanager

from skae._sklearn import InvalidParameterError

CHOICES = {"engine": ("auto", "autograd"), "onednn": ("auto", "on", "off")}

_config = {"engine": "auto", "onednn": "auto"}


def get_config():
    """Return a copy of the switches in force, see `set_config`.

    Returns
    -------
    switches : dict of str to str

    Examples
    --------
    >>> import skae
    >>> sorted(skae.get_config())
    ['engine', 'onednn']
    """
    return dict(_config)


def set_config(*, engine=None, onednn=None):
    """Set switches for the whole process. No result depends on them but by rounding.

    Parameters
    ----------
    engine : {"auto", "autograd"} or None, default=None
        Whether networks of dense layers are trained by gradients written by hand,
        which is faster ("auto"), or by autograd like all others. None changes
        nothing. A process starts with the environment variable `SKAE_ENGINE`, or
        "auto".
    onednn : {"auto", "on", "off"} or None, default=None
        Whether large dense layers are trained by oneDNN instead of MKL; "auto" does
        so where MKL is known to be slower: on AMD processors with AVX-512. None
        changes nothing. A process starts with the environment variable
        `SKAE_ONEDNN`, or "auto".

    Raises
    ------
    ValueError
        If a value is none of these.
    """
    wanted = {"engine": engine, "onednn": onednn}
    changes = {name: value for name, value in wanted.items() if value is not None}
    for name, value in changes.items():
        if value not in CHOICES[name]:
            raise InvalidParameterError(
                f"{name} must be one of {list(CHOICES[name])}, got {value!r}"
            )
    _config.update(changes)


@contextmanager
def config_context(**switches):
    """Set switches inside a `with` block, see `set_config`.

    Parameters
    ----------
    **switches : str
        As for `set_config`.

    Yields
    ------
    None
        The switches before are in force again after the block.

    Examples
    --------
    >>> import skae
    >>> with skae.config_context(engine="autograd"):
    ...     skae.get_config()["engine"]
    'autograd'
    """
    before = get_config()
    set_config(**switches)
    try:
        yield
    finally:
        _config.update(before)


set_config(engine=os.environ.get("SKAE_ENGINE"), onednn=os.environ.get("SKAE_ONEDNN"))
