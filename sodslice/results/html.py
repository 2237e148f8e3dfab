"""A result as notebooks show it: a line, a picture where the scene is at hand, and its first rows."""

from __future__ import annotations

import base64
import html
import io

from sodslice.errors import SodsliceError
from sodslice.results.columns import EDGES, columns_of
from sodslice.results.picture import picture_of
from sodslice.results.result import RunResult

SHOWN_ROWS = 8
PICTURE_PX = 900
SHOWN = ("id", "label", "score", "length_m", "width_m", *EDGES)


def html_of(result: RunResult) -> str:
    """HTML of a result; names of classes and scenes are texts in it."""
    return f"<div><p>{html.escape(repr(result))}</p>{_picture(result)}{_table(result)}</div>"


def _picture(result: RunResult) -> str:
    if not result.scene.path:
        return ""
    try:
        picture = picture_of(result, longest=PICTURE_PX)
    except SodsliceError as error:
        return f"<p><em>{html.escape(str(error))}</em></p>"
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    data = base64.b64encode(content.getvalue()).decode()
    return f'<img alt="the scene with its boxes" style="max-width:100%" src="data:image/jpeg;base64,{data}">'


def _table(result: RunResult) -> str:
    some = result[:SHOWN_ROWS]
    columns = columns_of(some)
    head = "".join(f"<th>{name}</th>" for name in SHOWN)
    rows = zip(*(columns[name].tolist() for name in SHOWN), strict=True)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows)
    more = len(result) - len(some)
    rest = f"<p>and {more} more; <code>to_dataframe()</code> has all</p>" if more else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}" if abs(value) < 1 else f"{value:.1f}"  # noqa: PLR0124
    return html.escape(str(value))
