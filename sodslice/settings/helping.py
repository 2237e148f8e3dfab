"""`names_settings`: the settings of a run in the help of the functions that take them."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import fill
from typing import Any, TypeVar

from sodslice.settings.options import Options, all_settings

Function = TypeVar("Function", bound=Callable[..., Any])

WIDTH = 100
HEADING = "Settings, as keys of `options` (docs/settings.md has them as a table):"


def names_settings(function: Function) -> Function:
    """Put every setting, with what it is and its default, at the end of a function's docstring."""
    function.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n{settings_text()}\n    "
    return function


def settings_text() -> str:
    """Every setting by name, as docstrings of functions have it."""
    defaults = Options().as_dict()
    lines = [f"    {HEADING}"]
    for name, known in all_settings().items():
        default = known.shown_default or repr(defaults[name])
        text = f"{name}: {known.help} Default: {default}"
        lines.append(fill(text, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 12))
    return "\n".join(lines)
