"""`write_report`: a result as one HTML file that needs no network."""

from __future__ import annotations

import html
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

from sodslice.errors import OutputError
from sodslice.report.page.base import base_of, crops_of
from sodslice.report.page.data import Judged, data_of, embedded
from sodslice.results import RunResult
from sodslice.results.scenes import opened_scene
from sodslice.system.files import check_writable, write_atomically

SCRIPTS = ("data.js", "stage.js", "panel.js")
SUFFIXES = (".html", ".htm")
OURS = b'<meta name="generator" content="sodslice">'
HEAD_BYTES = 2048


def write_report(
    result: RunResult,
    path: str | Path,
    *,
    scene: str | Path | None = None,
    judged: Judged | None = None,
) -> Path:
    """Write a result as a page that shows the scene with its boxes, to filter, look at and export.

    The scene is in it as pictures, at most some 10 MB of them: a large one is coarser there. The page asks
    nothing of any network.

    Args:
        result: of a run.
        path: of the page, .html.
        scene: where the scene lies now; None for where the result says.
        judged: what a truth says of the detections, see `judged_by`.

    Returns:
        The path.

    Raises:
        SceneError: the scene cannot be read, or is not that of the result.
        OutputError: the page cannot be written, or would take the place of something else.
    """
    path = Path(path)
    check_page(path)
    with closing(opened_scene(result, scene)) as opened:
        base = base_of(opened)
        crops = crops_of(opened, result.detections.boxes, base["levels"][0]["scale"])
    data = {**data_of(result, judged), "base": base, "crops": crops}
    write_atomically(path, page_of("page.html", data["title"], data).encode(errors="replace"))
    return path


def check_page(path: Path) -> None:
    """Make sure, before the work is done, that a page can be written to a path.

    Raises:
        OutputError: it cannot, or would take the place of something else.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path} is no page; its suffix must be .html")
    check_writable(path)
    if path.is_file():
        with path.open("rb") as file:
            if OURS not in file.read(HEAD_BYTES):
                raise OutputError(f"{path} is here and was not written by sodslice; give another `output`")


def page_of(template: str, title: str, data: dict[str, Any] | None = None, *, body: str = "") -> str:
    """A page from a template, with style and scripts in it."""
    static = files("sodslice.report.page") / "static"
    parts = {
        "title": html.escape(title),
        "style": (static / "page.css").read_text("utf-8"),
        "script": "\n".join((static / name).read_text("utf-8") for name in SCRIPTS),
        "data": "" if data is None else embedded(data),
        "body": body,
    }
    pieces = (static / template).read_text("utf-8").split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)
