"""A contact sheet of a result: its surest and its most doubtful detections, cut from the scene."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from sodslice.errors import DataError, OutputError
from sodslice.results import RunResult, check_replaceable
from sodslice.results.colours import colour_of
from sodslice.results.picture import as_own_png
from sodslice.results.scenes import opened_scene
from sodslice.scene import SceneBase
from sodslice.system.files import check_writable, write_atomically

COLUMNS = 6
CELL_PX, CAPTION_PX, HEAD_PX, GAP_PX = 176, 20, 34, 8
SURROUNDINGS = 3.0
"""Side of a crop in sides of its box, so that the place can be understood."""
SMALLEST_CROP = 32
BACK, FORE, QUIET = (24, 24, 23), (240, 240, 235), (165, 165, 158)


def write_sheet(
    result: RunResult, path: str | Path, *, count: int = 12, scene: str | Path | None = None
) -> Path:
    """Write a PNG of the surest and of the least sure detections.

    Args:
        result: of a run.
        path: of the picture, .png.
        count: so many of each; where there are fewer than twice as many, none is shown twice.
        scene: where the scene lies now; None for where the result says.

    Raises:
        DataError: there is nothing to show.
        SceneError: the scene cannot be read, or is not that of the result.
        OutputError: the picture cannot be written, or would take the place of something else.
    """
    path = Path(path)
    check_sheet(path)
    if not len(result):
        raise DataError(f"the result of {result.scene.path} holds no detection to show")
    rows = list(range(len(result)))
    sure, doubtful = rows[:count], [row for row in rows[::-1][:count] if row >= count]
    parts = [("The surest", sure), ("The most doubtful", doubtful)]
    with closing(opened_scene(result, scene)) as opened:
        sheet = _sheet(result, opened, [part for part in parts if part[1]])
    content = io.BytesIO()
    as_own_png(sheet, content)
    write_atomically(path, content.getvalue())
    return path


def check_sheet(path: Path) -> None:
    """Make sure, before the work is done, that a sheet can be written to a path.

    Raises:
        OutputError: it cannot, or would take the place of something else.
    """
    if path.suffix.lower() != ".png":
        raise OutputError(f"{path} is no picture of the kind that is written here; its suffix must be .png")
    check_writable(path)
    check_replaceable(path)


def _sheet(result: RunResult, scene: SceneBase, parts: list[tuple[str, list[int]]]) -> Any:
    width = COLUMNS * (CELL_PX + GAP_PX) + GAP_PX
    line = CELL_PX + CAPTION_PX + GAP_PX
    height = sum(HEAD_PX + -(-len(rows) // COLUMNS) * line for _, rows in parts) + GAP_PX
    sheet = Image.new("RGB", (width, height), BACK)
    canvas, font, large = ImageDraw.Draw(sheet), ImageFont.load_default(13), ImageFont.load_default(17)
    y = GAP_PX
    for head, rows in parts:
        canvas.text((GAP_PX, y), head, fill=FORE, font=large)
        y += HEAD_PX
        for place, row in enumerate(rows):
            at = GAP_PX + place % COLUMNS * (CELL_PX + GAP_PX), y + place // COLUMNS * line
            sheet.paste(_crop(result, scene, row), at)
            found = result.detections
            caption = f"{row + 1}  {result.class_names[found.labels[row]]} {found.scores[row]:.2f}"
            canvas.text((at[0], at[1] + CELL_PX + 2), caption, fill=QUIET, font=font)
        y += -(-len(rows) // COLUMNS) * line
    return sheet


def _crop(result: RunResult, scene: SceneBase, row: int) -> Any:
    """A square around a detection, with its outline."""
    x0, y0, x1, y1 = box = result.detections.boxes[row].tolist()
    side = int(min(max(SURROUNDINGS * max(x1 - x0, y1 - y0), SMALLEST_CROP), scene.width, scene.height))
    left, top, _, _ = window_around(box, side, scene.width, scene.height)
    picture = Image.fromarray(scene.read(left, top, side, side)[0]).resize((CELL_PX, CELL_PX))
    scale = CELL_PX / side
    place = [(x0 - left) * scale, (y0 - top) * scale, (x1 - left) * scale - 1, (y1 - top) * scale - 1]
    colour = colour_of(int(result.detections.labels[row]))
    ImageDraw.Draw(picture).rectangle(
        (place[0], place[1], max(place[0], place[2]), max(place[1], place[3])), outline=colour, width=2
    )
    return picture


def window_around(
    box: Sequence[float], side: int, scene_width: int, scene_height: int
) -> tuple[int, int, int, int]:
    """A square x, y, width, height around a box, moved inside the scene, which may cut it."""
    x0, y0, x1, y1 = box
    width, height = min(side, scene_width), min(side, scene_height)
    x = min(max(0, round((x0 + x1 - width) / 2)), scene_width - width)
    y = min(max(0, round((y0 + y1 - height) / 2)), scene_height - height)
    return x, y, width, height
