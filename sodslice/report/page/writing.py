"""`write_report`: a result as one HTML file that needs no network."""

from __future__ import annotations

import html
from contextlib import closing
from importlib.resources import files
from pathlib import Path

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
POLICY = "img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


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
    write_page(result, path, scene=scene, judged=judged)
    return path


def write_page(
    result: RunResult, path: Path, *, scene: str | Path | None, judged: Judged | None = None
) -> str:
    """As `write_report`; gives all of the scene as one small picture, a data URI."""
    check_page(path)
    with closing(opened_scene(result, scene)) as opened:
        base = base_of(opened)
        crops = crops_of(opened, result.detections.boxes, base["levels"][0]["scale"])
    data = {**data_of(result, judged), "base": base, "crops": crops}
    body = _filled("scene.html", data=embedded(data), script="\n".join(map(_static, SCRIPTS)))
    write_atomically(path, page_of(data["title"], body, POLICY).encode(errors="replace"))
    coarsest: str = base["levels"][-1]["images"][0]
    return coarsest


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


def page_of(title: str, body: str, policy: str) -> str:
    """A page in our style; the policy (CSP) says what it may use."""
    return _filled("page.html", title=html.escape(title), policy=policy, style=_static("page.css"), body=body)


def _filled(template: str, **parts: str) -> str:
    """A template with its parts, which are taken as they are, whatever stands in them."""
    first, *pieces = _static(template).split("{{")
    named = (piece.split("}}", 1) for piece in pieces)
    return first + "".join(parts[name] + rest for name, rest in named)


def _static(name: str) -> str:
    return (files("sodslice.report.page") / "static" / name).read_text("utf-8")
