"""The library speaks of settings by their Python names, in backticks; only the command line knows flags."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import sodslice

PACKAGE = Path(sodslice.__file__).parent
LIBRARY = sorted(path for path in PACKAGE.rglob("*.py") if "cli" not in path.relative_to(PACKAGE).parts)

FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]+|-o\b)")
"""A long flag, or the short one that names the output."""

WITH_VALUE = re.compile(r"`([a-z][a-z0-9_]*=[^`]*)`")
"""A setting and its value, which the command line takes for such only without spaces."""


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each string; what an f-string fills in reads `{}`."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(_text(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.lineno, node.value


def _text(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{}"


def descriptions(tree: ast.Module) -> set[int]:
    """First lines of the docstrings, which are strings that stand alone."""
    return {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Expr)}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_the_library_speaks_of_no_flags(path):
    assert [(line, text) for line, text in strings(tree_of(path)) if FLAG.search(text)] == []


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_a_setting_and_its_value_hold_no_space(path):
    tree = tree_of(path)
    messages = [text for line, text in strings(tree) if line not in descriptions(tree)]
    assert [said for text in messages for said in WITH_VALUE.findall(text) if len(said.split()) > 1] == []


def test_flags_are_seen_in_strings_and_not_in_comments():
    tree = ast.parse(
        '"""Doc --tile."""\nx = 1  # --gsd\nraise E(f"give {x} with -o, or a--b, or -overlap")\n'
    )
    seen = [FLAG.findall(text) for _, text in strings(tree)]
    assert seen == [["--tile"], ["-o"]]
