"""How Sphinx makes the site of these pages: `make docs`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import sodslice
from sodslice.settings.helping import HEADING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "sodslice"
author = "The sodslice authors"
version = release = sodslice.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
copybutton_exclude = ".gp, .go"

autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
default_role = "code"
"""Docstrings have code in single backticks."""

html_theme = "furo"
html_title = "sodslice"
html_show_sphinx = False
html_static_path = ["static"]
html_css_files = ["site.css"]

MOVED = {
    "../README.md": "index.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
}
"""Files beside `docs` that are pages of the site under other names."""
LINK = re.compile(r"\]\((\.\./\w+\.md)(?=[#)])")


def setup(app: Sphinx) -> None:
    """Have Sphinx call what is below."""
    app.connect("source-read", _lead_to_pages)
    app.connect("autodoc-process-docstring", _point_to_settings)


def _lead_to_pages(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Let links to files beside `docs`, which work in the repository, lead to their pages of the site."""
    source[0] = LINK.sub(lambda found: f"]({MOVED.get(found[1], found[1])}", source[0])


def _point_to_settings(
    _app: Sphinx, _kind: str, _name: str, _what: Any, _options: Any, lines: list[str]
) -> None:
    """In place of the list of all settings at the end of a docstring: where it stands."""
    for number, line in enumerate(lines):
        if line.startswith(HEADING):
            lines[number:] = ["All settings stand in :doc:`settings`.", ""]
            return
