"""PNG and JPEG: the scene with what was found, for a look and for slides."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from sodslice.errors import SceneError
from sodslice.results.colours import DARK, LIGHT, colour_of, text_colour_on
from sodslice.results.format import Format
from sodslice.results.result import RunResult
from sodslice.results.scenes import opened_scene
from sodslice.scene.overview import overview
from sodslice.tables.boxes import Boxes

MAKER = "drawn by sodslice"
LONGEST_SIDE = 2000
"""Pixels of a picture; larger scenes are drawn smaller."""
MOST_LABELS = 400
GAP = 2
"""Pixels around a label."""
QUALITY = 90
LEGEND_ROWS = 8

Place = tuple[int, int, int, int]


class _Label(NamedTuple):
    """A text with its place, x0, y0, x1, y1, and its colour."""

    text: str
    place: Place
    colour: tuple[int, int, int]


def write_picture(result: RunResult, path: Path) -> None:
    """Write the scene with outlines of what was found, labels where there is room for them, and a legend.

    Raises:
        SceneError: the scene is no file, is no longer there, or is another one.
    """
    picture = picture_of(result)
    if path.suffix.lower() == ".png":
        with path.open("wb") as file:
            as_own_png(picture, file)
    else:
        picture.save(path, quality=QUALITY, comment=MAKER)


def as_own_png(picture: Any, file: BinaryIO) -> None:
    """Write an image of Pillow as a PNG that says whose it is."""
    said = PngInfo()
    said.add_text("Software", MAKER)
    picture.save(file, "PNG", pnginfo=said)


def picture_of(result: RunResult, *, longest: int = LONGEST_SIDE, scene: str | Path | None = None) -> Any:
    """The scene with its boxes as a `PIL.Image.Image`.

    Args:
        result: of a run.
        longest: its longer side in pixels, at the most.
        scene: where the scene lies now; None for where the result says.

    Raises:
        SceneError: see `write_picture`.
    """
    _check_scene(result, scene)
    with closing(opened_scene(result, scene)) as opened:
        scale = max(1.0, max(opened.width, opened.height) / longest)
        picture = Image.fromarray(overview(opened, scale))
        factors = picture.width / opened.width, picture.height / opened.height
    draw_result(picture, result, factors)
    return picture


def crop_of(result: RunResult, row: int, *, scene: str | Path | None = None) -> Any:
    """What is around one detection, outlined, as a `PIL.Image.Image` at the scene's own scale.

    Raises:
        SceneError: see `write_picture`.
        IndexError: there is no such row.
    """
    x0, y0, x1, y1 = result.detections.boxes[row].tolist()
    _check_scene(result, scene)
    reach = max(x1 - x0, y1 - y0, 16) * 1.5
    with closing(opened_scene(result, scene)) as opened:
        left, top = max(0, int((x0 + x1) / 2 - reach)), max(0, int((y0 + y1) / 2 - reach))
        right = min(opened.width, int((x0 + x1) / 2 + reach) + 1)
        bottom = min(opened.height, int((y0 + y1) / 2 + reach) + 1)
        picture = Image.fromarray(opened.read(left, top, right - left, bottom - top)[0])
    colour = colour_of(int(result.detections.labels[row]))
    ImageDraw.Draw(picture).rectangle(_pixels([x0 - left, y0 - top, x1 - left, y1 - top]), outline=colour)
    return picture


def _check_scene(result: RunResult, scene: str | Path | None) -> None:
    if not result.scene.path and scene is None:
        raise SceneError("the scene of this result is no file, so there is nothing to draw on; give `scene`")


def draw_result(picture: Any, result: RunResult, factors: tuple[float, float]) -> None:
    """Draw boxes, then labels that cover neither a box nor another label, the surest first, then the legend.

    Args:
        picture: RGB, changed in place.
        result: of a run.
        factors: pixels of the picture for one of the scene, in x and y.
    """
    canvas = ImageDraw.Draw(picture)
    boxes = result.detections.boxes * (factors * 2)
    width = max(1, round(max(picture.size) / 1000))
    colours = [colour_of(label) for label in range(len(result.class_names))]
    for box, label in zip(boxes[::-1].tolist(), result.detections.labels[::-1].tolist(), strict=True):
        canvas.rectangle(_pixels(box), outline=colours[label], width=width)
    font = ImageFont.load_default(min(22, max(11, max(picture.size) // 110)))
    taken = _taken(boxes, picture.size)
    for one in _labels(canvas, result, boxes, font, taken):
        _write(canvas, one, font)
    _draw_legend(canvas, result, colours, font)


def _pixels(box: list[float]) -> tuple[float, float, float, float]:
    """Outermost pixels of a box given by its edges."""
    x0, y0, x1, y1 = box
    return x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)


def _taken(boxes: Boxes, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Where no label may lie: `(h, w)`, on boxes."""
    taken = np.zeros(size[::-1], bool)
    for x0, y0, x1, y1 in np.clip(np.rint(boxes), 0, None).astype(int).tolist():
        taken[y0 : y1 + 1, x0 : x1 + 1] = True
    return taken


def _labels(
    canvas: Any, result: RunResult, boxes: Boxes, font: Any, taken: npt.NDArray[np.bool_]
) -> list[_Label]:
    """Labels that have room beside their boxes; what has none is left out."""
    labels = []
    height, width = taken.shape
    for row, (found, box) in enumerate(zip(result, boxes.tolist(), strict=True)):
        if row >= MOST_LABELS:
            break
        text = f"{found.label} {found.score:.2f}"
        left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
        wide, high = int(right - left) + 2 * GAP, int(bottom - top) + 2 * GAP
        x0, y0, x1, y1 = map(round, box)
        for x, y in ((x0, y0 - high - 1), (x0, y1 + 1), (x1 + 1, y0), (x0 - wide - 1, y0)):
            place = (x, y, x + wide, y + high)
            inside = x >= 0 and y >= 0 and x + wide <= width and y + high <= height
            if inside and not taken[y : y + high, x : x + wide].any():
                taken[y : y + high, x : x + wide] = True
                labels.append(_Label(text, place, colour_of(found.cls_id)))
                break
    return labels


def _write(canvas: Any, label: _Label, font: Any) -> None:
    x0, y0, x1, y1 = label.place
    left, top, _, _ = canvas.textbbox((0, 0), label.text, font=font)
    canvas.rectangle((x0, y0, x1 - 1, y1 - 1), fill=label.colour)
    canvas.text((x0 + GAP - left, y0 + GAP - top), label.text, fill=text_colour_on(label.colour), font=font)


def _draw_legend(canvas: Any, result: RunResult, colours: list[tuple[int, int, int]], font: Any) -> None:
    """Classes with their counts, in the lower left corner."""
    counts = np.bincount(result.detections.labels, minlength=len(colours)).tolist()
    order = sorted(range(len(colours)), key=lambda label: -counts[label])
    rows = [
        (f"{result.class_names[label]} {counts[label]}", colours[label]) for label in order if counts[label]
    ]
    if len(rows) > LEGEND_ROWS:
        rest = sum(counts[label] for label in order[LEGEND_ROWS:])
        rows = [*rows[:LEGEND_ROWS], (f"{len(rows) - LEGEND_ROWS} more classes {rest}", LIGHT)]
    rows = rows or [("nothing found", LIGHT)]
    boxes = [canvas.textbbox((0, 0), text, font=font) for text, _ in rows]
    line = max(int(box[3] - box[1]) for box in boxes) + 6
    wide = max(int(box[2] - box[0]) for box in boxes) + line + 14
    width, height = canvas.im.size
    if wide > width or line * len(rows) + 8 > height:
        return
    top = height - line * len(rows) - 8
    canvas.rectangle((0, top, wide, height), fill=DARK)
    for number, ((text, colour), box) in enumerate(zip(rows, boxes, strict=True)):
        y = top + 6 + number * line
        canvas.rectangle((6, y, 6 + line - 8, y + line - 8), outline=colour, width=2)
        canvas.text((6 + line, y - box[1] - 1), text, fill=LIGHT, font=font)


def _is_own(path: Path) -> bool:
    """Whether a picture says that it is of our making."""
    with suppress(OSError, ValueError), Image.open(path) as picture:
        said = picture.info.get("Software") or picture.info.get("comment") or ""
        return MAKER in (said.decode("latin-1") if isinstance(said, bytes) else str(said))
    return False


PNG = Format("png", (".png",), write=write_picture, is_own=_is_own, needs_scene=True)
JPEG = Format("jpeg", (".jpg", ".jpeg"), write=write_picture, is_own=_is_own, needs_scene=True)
