"""The notebooks: what they promise at their beginning, how they are committed, and that they run."""

from __future__ import annotations

import ast
import configparser
import os
import re
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_SECONDS = 90

BROUGHT_BY = {"cv2": "sahi", "IPython": "ipykernel", "yaml": "pyyaml"}
"""Packages that bring a module of another name."""
NEEDED_BY = {"to_dataframe": "pandas", "coco_metrics": "pycocotools", '"eval"': "pycocotools"}
"""Words in a cell, and the package that what they call needs."""

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.name for path in NOTEBOOKS])


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def packages_of(extras: list[str]) -> set[str]:
    """Names of all packages that sodslice installs with some extras."""
    known = configparser.ConfigParser()
    known.read(ROOT / "setup.cfg")
    texts = [known["options"]["install_requires"], *(known["options.extras_require"][one] for one in extras)]
    return {re.split(r"[<>=,\[ ]", line)[0].lower() for text in texts for line in text.split("\n") if line}


def imported(tree: ast.Module) -> set[str]:
    """Names of the modules that code imports, or imports something from."""
    whole = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return whole | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_the_notebooks_are_these():
    assert [path.stem for path in NOTEBOOKS] == [
        "01-first-scene",
        "02-tiles",
        "03-own-detector",
        "04-folder",
        "05-train",
    ]


@each
def test_a_notebook_is_committed_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in cells(path, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata == {}


@each
def test_a_notebook_begins_with_what_it_needs_and_how_long_it_takes(path):
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert "`make demo` in a clone installs all that is needed" in first.source
    assert re.search(r"About (\d+|ten) seconds on two cores\.", first.source)
    assert "notebooks" in extras_of(path)


def extras_of(path: Path) -> list[str]:
    """The extras that a notebook asks for."""
    asked = re.search(r"`pip install -e '\.\[([\w,]+)\]'` does", cells(path, "markdown")[0].source)
    assert asked is not None
    return asked[1].split(",")


@each
def test_each_cell_of_a_notebook_is_plain_python(path):
    for cell in cells(path, "code"):
        ast.parse(cell.source)


@each
def test_what_a_notebook_asks_for_brings_all_that_it_imports(path):
    source = "\n".join(cell.source for cell in cells(path, "code"))
    tree = ast.parse(source)
    modules = {name.partition(".")[0] for name in imported(tree)} - sys.stdlib_module_names - {"sodslice"}
    needed = {BROUGHT_BY.get(name, name) for name in modules}
    needed |= {package for word, package in NEEDED_BY.items() if word in source}
    missing = needed - packages_of(extras_of(path))
    assert not missing, f"{', '.join(sorted(missing))}: add them to the extras of setup.cfg that it names"


@each
def test_pages_that_a_notebook_names_are_there(path):
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert [page for page in re.findall(r"docs/[\w/-]+\.md", text) if not (ROOT / page).is_file()] == []


@each
def test_a_notebook_checks_what_it_claims(path):
    assert any(
        isinstance(node, ast.Assert)
        for cell in cells(path, "code")
        for node in ast.walk(ast.parse(cell.source))
    )


@pytest.mark.notebooks
@each
def test_a_notebook_runs_from_a_clean_kernel_in_time_without_a_network(path, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    notebook = nbformat.read(path, as_version=4)
    began = time.monotonic()
    client = NotebookClient(
        notebook,
        timeout_func=lambda _cell: max(1, int(MOST_SECONDS - (time.monotonic() - began))),
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=dict(os.environ))
    seconds = time.monotonic() - began
    assert seconds < MOST_SECONDS, f"{path.name} took {seconds:.0f} s"
    said = [
        one.text for cell in notebook.cells for one in cell.get("outputs", []) if one.get("name") == "stderr"
    ]
    assert said == []
