"""Build of the site: ``python -m sphinx -W --keep-going -b html docs docs/_build``."""

import re
import sys
import warnings
from pathlib import Path

import skae

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for public_api

project = "skae"
author = "The skae developers"
project_copyright = author
version = release = skae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "public_api",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "examples/**/GALLERY_HEADER.rst"]
nitpicky = True
# What these libraries have is in their references, and the build asks no other site.
nitpick_ignore_regex = [("py:.*", r"(numpy|pandas|sklearn|skorch|torch)\..*")]
# Benchmarks may have a script's name: they are not in the gallery.
suppress_warnings = ["sphinx_gallery.duplicate_filename"]

# The pages are markdown that GitHub shows, too: its dollar math, its anchors.
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 4
# Prompts and results of a session are not what one wants to paste.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The reference: public_api.py makes a page of every public name. What scikit-learn
# and Python define is described there.
default_role = "literal"  # single backticks in docstrings
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
autodoc_default_options = {"inherited-members": True}
numpydoc_show_class_members = False

# The gallery: only what is named plot_ is run; the other scripts take minutes, and what
# they draw is in images/examples.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "examples",
    "filename_pattern": r"/plot_",
    "nested_sections": False,
    "backreferences_dir": "examples/used",
    "doc_module": ("skae",),
    "default_thumb_file": str(HERE / "images" / "script.png"),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "abort_on_example_error": True,
}
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

html_theme = "pydata_sphinx_theme"
html_title = "skae"
html_static_path = ["_static"]
html_css_files = ["skae.css"]
html_copy_source = html_show_sourcelink = False
html_sidebars = {"index": [], "coming_from": [], "contributing": []}
html_theme_options = {
    "logo": {"text": "skae"},
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
}


def adapt_markdown(app, docname, source):
    """Lead links to scripts to their pages in the gallery; GitHub needs the files.

    And leave out the blank line that ends a block of code, which doctest needs.
    """

    def page(match):
        name = match[1] or "index"
        known = (HERE / "examples" / f"{name}.rst").exists()
        return f"](/examples/{name}.rst)" if known else match[0]

    pattern = r"\]\((?:\.\./)+examples/(?:([\w/]+)\.py)?\)"
    source[0] = re.sub(pattern, page, source[0]).replace("\n\n```\n", "\n```\n")


def skip_what_others_define(app, what, name, obj, skip, options):
    """Leave out methods and properties that scikit-learn and Python define."""
    if callable(obj) or isinstance(obj, property):
        home = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
        skip = skip or not home.startswith("skae") or name.endswith("_request")
    return skip


def mark_up_types(app, what, name, obj, options, lines):
    """Join types that go on after a backslash; n_ is a name in them, not a link."""
    text = re.sub(r" \\\n\s+", " ", "\n".join(lines))
    shape = r"(?<=of shape )\(.*?\)"
    text = re.sub(shape, lambda match: re.sub(r"\b(\w+_)\b", r"`\1`", match[0]), text)
    lines[:] = text.split("\n")


def show_pictures(app, docname, source):
    """Show the picture that a script has drawn on its page."""
    picture = HERE / "images" / f"{docname}.png"
    if docname.startswith("examples/") and picture.exists():
        shown = f"\n\n.. image:: /images/{docname}.png\n\n.. GENERATED"
        source[0] = source[0].replace("\n\n.. GENERATED", shown, 1)


def picture_thumbnails(app):
    """Make thumbnails of such pictures: their upper part."""
    from PIL import Image, ImageOps

    for path in HERE.glob("images/examples/*.png"):
        thumbnail = HERE / "examples/images/thumb" / f"sphx_glr_{path.stem}_thumb.png"
        with Image.open(path) as picture:
            upper = ImageOps.fit(picture.convert("RGB"), (400, 280), centering=(0, 0))
        upper.save(thumbnail)


def setup(app):
    """Connect the hooks above; the gallery is written when the builder starts."""
    app.connect("builder-inited", picture_thumbnails, priority=900)
    app.connect("source-read", adapt_markdown)
    app.connect("source-read", show_pictures)
    app.connect("autodoc-skip-member", skip_what_others_define)
    app.connect("autodoc-process-docstring", mark_up_types, priority=100)
