"""Matplotlib figures without a display, written whole."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from sodslice.errors import OutputError
from sodslice.system.files import write_atomically


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of so many inches.

    Raises:
        OutputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise OutputError(
            "pictures need matplotlib, which is not installed; pip install 'sodslice[train]'"
        ) from None
    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a figure as PNG; folders are made as needed.

    Raises:
        OutputError: the folder or the disk refuses.
    """
    content = io.BytesIO()
    figure.savefig(content, format="png", metadata={"Software": None})  # the same picture, the same bytes
    target = Path(path)
    write_atomically(target, content.getvalue())
    return target
