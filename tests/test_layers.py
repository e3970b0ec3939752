"""Imports run downwards only, and private names come through one door."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "skae"

# From the ground up. A file imports from its own room and from lower floors; rooms of
# one floor do not know each other.
FLOORS = [
    ["_storage", "_column_dtypes", "_documentation"],
    ["_sklearn", "_lazy", "_parzen", "_conformal", "_rehearsal", "_strangeness"],
    [
        "_config",
        "_availability",
        "_code_density",
        "_random",
        "_device",
        "_validation",
        "_weights",
        "_diagnosis",
    ],
    ["metrics", "datasets"],
    ["architectures", "likelihoods", "corruptions", "penalties", "_columns"],
    ["_modules"],
    ["_training", "_table_units", "_onnx"],
    ["_parameters"],
    ["_setup", "_journal"],
    ["_fit_run", "_generation"],
    ["_base"],
    ["_fit_together"],
    ["_autoencoder", "_vae"],
    ["model_selection"],
    ["_vae_cv", "_restorers"],
    [
        "_imputation_model",
        "_similar_rows",
        "_imputation_defaults",
        "_anomaly_model",
        "_filled_table",
    ],
    ["_table_imputation_model", "_filler"],
    ["_outlier_detector", "_imputer", "compression", "inspection"],
    ["_trial"],
    ["persistence"],
    ["__init__"],
]
FLOOR_OF = {room: i for i, floor in enumerate(FLOORS) for room in floor}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


def imported_modules(path):
    """Yield the dotted name of every module that a file imports, anywhere in it.

    Of `from skae import _training` that is `skae._training`.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module == "skae":
                yield from (f"skae.{alias.name}" for alias in node.names)
            else:
                yield node.module


def upward_imports(path, modules):
    room = room_of(path)
    for module in modules:
        top, _, rest = module.partition(".")
        if top != "skae":
            continue
        target = rest.split(".")[0]
        if target not in FLOOR_OF:  # a public name, which is the roof's
            target = "__init__"
        if target != room and FLOOR_OF[target] >= FLOOR_OF[room]:
            yield f"{path.name} ({room}) imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    assert room_of(path) in FLOOR_OF, f"which floor is {path.name} on?"
    assert list(upward_imports(path, imported_modules(path))) == []


@pytest.mark.parametrize(
    ("importer", "line", "is_upward"),
    [
        ("_random.py", "import numpy, skae._base", True),
        ("architectures/_mlp.py", "from skae.likelihoods import Gaussian", True),
        ("_modules/_pca.py", "from skae import _random, _training", True),
        ("_base.py", "def fit():\n    from skae import VAETransformer", True),
        ("_vae.py", "from skae._random import Rng", False),
        ("_vae.py", "from skae import _modules, _training", False),
    ],
)
def test_an_upward_import_would_be_found(importer, line, is_upward, tmp_path):
    written = tmp_path / "written.py"
    written.write_text(line)
    found = list(upward_imports(PACKAGE / importer, imported_modules(written)))
    assert bool(found) == is_upward


def test_only_the_training_room_imports_skorch():
    importers = {
        room_of(path)
        for path in FILES
        if any(module.split(".")[0] == "skorch" for module in imported_modules(path))
    }
    assert importers == {"_training"}


def private_names(path):
    """Yield the private names of scikit-learn that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearn"):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            yield from (name for name in names if name.startswith("_"))


def test_private_names_of_scikit_learn_come_through_one_file():
    users = {path.name for path in FILES if list(private_names(path))}
    assert users == {"_sklearn.py"}
