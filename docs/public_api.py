"""The public names, and the pages of the reference that are made of them.

`public_modules` is the only list: a module of the package without an underscore is
public, and so is what it has in `__all__`.
"""

from importlib import import_module
from inspect import getdoc
from pathlib import Path
from pkgutil import iter_modules

import skae


def public_modules():
    """Return the names of the public modules, the package itself first."""
    parts = [part.name for part in iter_modules(skae.__path__)]
    return ["skae", *(f"skae.{part}" for part in parts if not part.startswith("_"))]


def public_names(module):
    """Return the names that a module offers, but for `__version__`."""
    names = import_module(module).__all__
    return sorted((n for n in names if not n.startswith("__")), key=str.lower)


def section(module):
    """Return the section of a module: its first line, and a table of its names."""
    first_line = getdoc(import_module(module)).split("\n")[0]
    lines = [
        module,
        "-" * len(module),
        "",
        first_line,
        "",
        f".. module:: {module}",
        "",
        ".. autosummary::",
        "   :toctree:",
        "   :nosignatures:",
        "",
        *(f"   {name}" for name in public_names(module)),
        "",
    ]
    return "\n".join(lines)


def write_reference(folder):
    """Write the index of the reference, from which autosummary makes the pages."""
    title = "API reference"
    text = f"{title}\n{'=' * len(title)}\n\n"
    text += "\n".join(map(section, public_modules()))
    path = Path(folder, "index.rst")
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text() != text:  # else sphinx would read it again
        path.write_text(text)


def setup(app):
    """Write the index before sphinx looks for pages."""
    write_reference(Path(app.srcdir, "api"))
    return {"parallel_read_safe": True}
