"""What the README and the docs import is in the wheel that users install."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))


def python_sources():
    """Yield the code blocks of the pages, and the examples."""
    for page in PAGES:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.S):
            lines = block.splitlines()
            if any(line.startswith(">>>") for line in lines):
                lines = [ln[4:] for ln in lines if ln.startswith((">>> ", "... "))]
            yield page.name, "\n".join(lines)
    for example in EXAMPLES:
        yield example.name, example.read_text()


def imported_names():
    """Return every `module.name` of skae that a user is told to import."""
    names = set()
    for source, code in python_sources():
        for node in ast.walk(ast.parse(code, source)):
            if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "skae":
                names |= {(node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                names |= {
                    (alias.name, "__name__")
                    for alias in node.names
                    if alias.name.split(".")[0] == "skae"
                }
    return names


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
         "--no-build-isolation", "--disable-pip-version-check",
         "--wheel-dir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    (path,) = folder.glob("skae-*.whl")
    return path


def test_every_name_that_readme_docs_and_examples_import_is_in_the_wheel(
    wheel, tmp_path
):
    names = imported_names()
    assert ("skae", "VAETransformer") in names
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    script = (
        "import importlib, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import skae\n"
        f"assert skae.__file__.startswith({str(tmp_path)!r}), skae.__file__\n"
        f"for module, name in {sorted(names)!r}:\n"
        "    if not hasattr(importlib.import_module(module), name):\n"
        "        importlib.import_module(f'{module}.{name}')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


def test_the_wheel_holds_the_package_and_its_type_mark_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        files = archive.namelist()
    tops = {name.split("/")[0] for name in files}
    assert len(tops) == 2  # the package and its metadata
    assert "skae/py.typed" in files
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "skae").rglob("*.py")}
    assert modules == {name for name in files if name.endswith(".py")}
