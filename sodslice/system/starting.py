"""Further processes of this Python: they find packages where this one does, and nowhere else."""

from __future__ import annotations

import os
import sys

PATH = "SODSLICE_PATH"
FIRST = f"import os, sys; sys.path[:] = os.environ['{PATH}'].split(os.pathsep); "
"""`python -m` and `-c` look for modules in the current folder first, where anybody's files may lie."""


def python_command(code: str, *words: str) -> list[str]:
    """What starts a process that runs code, with `os` and `sys` at hand and words in `sys.argv[1:]`.

    Args:
        code: statements on one line.
        words: for it.
    """
    return [sys.executable, "-c", FIRST + code, *words]


def python_environment(**own: str) -> dict[str, str]:
    """The environment of such a process: that of this one, and what is its own."""
    found = os.pathsep.join(os.path.abspath(one) for one in sys.path)  # noqa: PTH100 -- links stay links
    return {**os.environ, PATH: found, "PYTHONSAFEPATH": "1", **own}
