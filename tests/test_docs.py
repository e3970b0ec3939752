"""What the pages say is there: links, anchors, code that runs, every public name.

    python tests/test_docs.py

prints the public names that no example and no block of code in the docs uses.
"""

import ast
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from importlib import import_module, util
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def load(path):
    """Return a module of the folder docs, which is no package."""
    spec = util.spec_from_file_location(path.stem, path)
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


public_api = load(DOCS / "public_api.py")
refresh = load(DOCS / "refresh.py")
IGNORED = load(DOCS / "conftest.py").collect_ignore_glob


def is_source(path):
    """Return whether a page is written by hand, and not built."""
    inside = str(path.relative_to(DOCS))
    return not any(fnmatch(inside, pattern) for pattern in IGNORED)


PAGES = sorted(filter(is_source, DOCS.rglob("*.md")))
PAGES += [ROOT / "README.md", ROOT / "CHANGELOG.md"]
SCRIPTS = sorted(
    path for path in (ROOT / "examples").rglob("*.py") if "benchmarks" not in path.parts
)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\(([^()\s]+)\)")


def name_of(path):
    return str(path.relative_to(ROOT))


def slug(heading):
    """Return the anchor that GitHub makes of a heading, and MyST after it."""
    text = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(page):
    text = FENCE.sub("", page.read_text())
    return {slug(line) for line in re.findall(r"^#+ (.*)$", text, re.M)}


def broken_links(page):
    """Yield the relative links of a page that lead nowhere."""
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"\w+:", link):
            continue  # to another site
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        # the reference is written when the site is built
        exists = target.exists() or target == DOCS / "api" / "index.rst"
        if not exists or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_and_anchors_lead_somewhere(page):
    assert list(broken_links(page)) == []


def test_a_broken_link_would_be_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One title\n\n[a](#one-title) [b](#another) [c](page.md#one-title) [d](no.md)"
    )
    assert list(broken_links(page)) == ["#another", "no.md"]


def test_every_session_in_a_page_is_collected_as_a_doctest(pytestconfig):
    roots = [ROOT / path for path in pytestconfig.getini("testpaths")]
    with_code = [page for page in PAGES if ">>> " in page.read_text()]
    assert len(with_code) > 15
    assert "--doctest-glob=*.md" in pytestconfig.getini("addopts")
    for page in with_code:
        assert any(page == root or root in page.parents for root in roots), page


def test_every_page_is_in_the_table_of_contents():
    listed = {DOCS / "index.md"}
    for page in PAGES:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.S):
            entries = re.findall(r"^(?:.*<)?([\w/.]+)>?$", block, re.M)
            listed |= {(page.parent / f"{entry}.md").resolve() for entry in entries}
    assert {page for page in PAGES if DOCS in page.parents} <= listed


@pytest.mark.parametrize("module", public_api.public_modules())
def test_every_public_name_has_a_page_in_the_reference(module, tmp_path):
    names = {name for name in import_module(module).__all__ if name[0] != "_"}
    public_api.write_reference(tmp_path)
    text = (tmp_path / "index.rst").read_text()
    _, _, section = text.partition(f".. module:: {module}\n")
    section, _, _ = section.partition(".. module::")
    assert names <= set(re.findall(r"^   (\w+)$", section, re.M))


def code():
    """Yield the code of the pages and of the examples."""
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text()):
            lines = block.splitlines()
            if any(line.startswith(">>> ") for line in lines):
                yield "\n".join(
                    line[4:] for line in lines if line.startswith((">>> ", "... "))
                )
            elif language == "python":
                yield block
    for script in SCRIPTS:
        yield script.read_text()


def names_without_an_example():
    """Return the public names that no example and no page's code has."""
    used = set()
    for source in code():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Name):
                used.add(node.id)
            elif isinstance(node, ast.Attribute):
                used.add(node.attr)
            elif isinstance(node, ast.alias):
                used.add(node.name)
    return [
        f"{module}.{name}"
        for module in public_api.public_modules()
        for name in public_api.public_names(module)
        if name not in used
    ]


def test_every_public_name_is_in_an_example():
    assert names_without_an_example() == []


def test_what_scripts_print_is_put_where_their_commands_are():
    page = (
        "Text\n\n<!-- python a.py --all -->\nold\n<!-- end -->\n\nmore\n"
        "<!-- python b.py -->\n```\nolder\n```\n<!-- end -->\n"
    )
    new = refresh.refreshed(page, " printed by {}\n\n".format)
    assert new == (
        "Text\n\n<!-- python a.py --all -->\n\n printed by a.py --all\n\n<!-- end -->\n"
        "\nmore\n<!-- python b.py -->\n```\n printed by b.py\n```\n<!-- end -->\n"
    )
    assert refresh.refreshed(new, " printed by {}\n\n".format) == new
    assert refresh.refreshed(page, str.upper, only="c.py") == page


def test_headings_that_scripts_print_are_below_those_of_the_page():
    page = "# Title\n## Part\n<!-- python a.py -->\n<!-- end -->\n# Next\n"
    new = refresh.refreshed(page, lambda command: "# One\n\n#no\n## Two\n# Three")
    middle = "### One\n\n#no\n#### Two\n### Three"
    assert new == page.replace(" -->\n<!-- end", f" -->\n\n{middle}\n\n<!-- end")


def test_the_heading_of_the_page_stands_for_the_title_of_a_report():
    page = "# Title\n## Part\n<!-- python a.py -->\n<!-- end -->\n"
    new = refresh.refreshed(page, lambda command: "# One\n\n#no\n\n## Two\n")
    middle = "#no\n\n### Two"
    assert new == page.replace(" -->\n<!-- end", f" -->\n\n{middle}\n\n<!-- end")


def test_headings_of_one_report_do_not_lower_those_of_the_next():
    page = "## Part\n" + 2 * "<!-- python a.py -->\n<!-- end -->\n"
    new = refresh.refreshed(page, lambda command: "## One")
    assert refresh.refreshed(new, lambda command: "## One") == new
    assert new.count("\n### One\n") == 2


def test_a_page_is_left_alone_if_a_script_fails(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    text = "<!-- python -c 'raise SystemExit(3)' -->\nold\n<!-- end -->\n"
    page.write_text(text)
    monkeypatch.setattr(sys, "argv", ["refresh.py", str(page)])
    with pytest.raises(subprocess.CalledProcessError):
        refresh.main()
    assert page.read_text() == text


def test_what_a_command_printed_before_is_put_in_without_running_it(
    tmp_path, monkeypatch, capsys
):
    page, printed = tmp_path / "page.md", tmp_path / "printed.md"
    text = "<!-- python -c 'raise SystemExit(3)' -->\n\nold\n\n<!-- end -->\n"
    page.write_text(2 * text.replace("3", "4") + text)
    printed.write_text("new\n")
    arguments = ["refresh.py", str(page), "--printed", str(printed)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit):
        refresh.main()
    assert "is of one command" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*arguments, "--only", "Exit(3)"])
    refresh.main()
    assert page.read_text() == 2 * text.replace("3", "4") + text.replace("old", "new")
    printed.write_text("\n")
    with pytest.raises(SystemExit):
        refresh.main()
    assert "is empty" in capsys.readouterr().err


def test_what_stands_behind_a_command_is_a_script_that_is_there():
    texts = [page.read_text() for page in PAGES]
    commands = [command for text in texts for command in refresh.commands(text)]
    assert len(commands) == sum(text.count("<!-- end -->") for text in texts) > 3
    for command in commands:
        assert (ROOT / command.split()[0]).is_file()


def test_the_comparison_of_the_readme_is_that_of_its_page():
    _, _, section = (ROOT / "README.md").read_text().partition("## Beside other")
    section, _, _ = section.partition("\n## ")
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert len(rows) > 20
    assert set(rows) <= set((DOCS / "comparison.md").read_text().splitlines())


def blocks_of_others():
    """Return the code in the page on other libraries that needs these."""
    blocks = FENCE.findall((DOCS / "coming_from.md").read_text())
    return [block for _, block in blocks if not block.startswith(">>> ")]


def needs(block):
    """Return the library that a block is for."""
    return re.search(r"\b(keras|pyod|pythae)\b", block)[0]


@pytest.mark.parametrize("block", blocks_of_others(), ids=needs)
def test_what_one_has_before_runs(block, tmp_path):
    if find_spec(needs(block)) is None:
        pytest.skip(f"{needs(block)} is not installed")
    result = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


if __name__ == "__main__":
    print("\n".join(names_without_an_example()))
