"""`write_job_report`: a folder of pages, one for each result of a job, and a table of them all."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sodslice.report.page.writing import check_page, page_of, write_page
from sodslice.results import RunResult
from sodslice.system.files import write_atomically

INDEX = "index.html"
POLICY = "img-src data:; style-src 'unsafe-inline'"


class JobScene(NamedTuple):
    """A scene of a job.

    Fields: `name` of its results; `result`, None where it failed; `why` it failed; `scene`, where it lies
    now, None for where the result says.
    """

    name: str
    result: RunResult | None
    why: str = ""
    scene: Path | None = None


def write_job_report(scenes: Iterable[JobScene], folder: str | Path, *, title: str) -> Path:
    """Write a page for each result, and `index.html` with a thumbnail, counts and a link for each.

    Args:
        scenes: of the job, one at a time.
        folder: of the pages, made where it is not there.
        title: of the table.

    Returns:
        The path of the table.

    Raises:
        SceneError: a scene cannot be read.
        OutputError: a page cannot be written, or would take the place of something else.
    """
    folder = Path(folder)
    index = folder / INDEX
    check_page(index)
    rows, counts = [], Counter[str]()
    for scene in scenes:
        rows.append(_row(scene, folder, counts))
    total = ", ".join(f"{name} {count}" for name, count in counts.most_common()) or "nothing found"
    head = (
        "<tr><th></th><th>scene</th><th>objects</th><th>classes</th><th>pixels</th><th>failed tiles</th></tr>"
    )
    body = (
        f"<header><h1>{html.escape(title)}</h1><p>{len(rows)} scenes: {html.escape(total)}</p></header>"
        f'<div class="scroll"><table><thead>{head}</thead><tbody>\n{"".join(rows)}</tbody></table></div>\n'
    )
    write_atomically(index, page_of(title, body, POLICY).encode())
    return index


def _row(scene: JobScene, folder: Path, counts: Counter[str]) -> str:
    """A line of the table; writes the page of its result."""
    name, result = html.escape(scene.name), scene.result
    if result is None:
        why = html.escape(scene.why)
        return f'<tr class="failed"><td></td><td>{name}</td><td colspan="4">{why}</td></tr>\n'
    thumbnail = write_page(result, folder / f"{scene.name}.html", scene=scene.scene)
    found = Counter(result.labels)
    counts.update(found)
    kinds = html.escape(", ".join(f"{label} {count}" for label, count in found.most_common()))
    link = quote(f"{scene.name}.html")
    cells: Sequence[str] = (
        f'<td><a href="{link}"><img src="{thumbnail}" alt=""></a></td>',
        f'<td><a href="{link}">{name}</a></td>',
        f'<td class="number">{len(result)}</td>',
        f"<td>{kinds}</td>",
        f'<td class="number">{result.scene.width} x {result.scene.height}</td>',
        f'<td class="number">{result.provenance.counts.failed or ""}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>\n"
