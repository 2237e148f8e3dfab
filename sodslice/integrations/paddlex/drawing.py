"""Pictures with boxes, labels and scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

from sodslice.results.colours import text_colour_on
from sodslice.scene import SceneBase

MOST_PIXELS = 64_000_000
"""Of a picture; larger scenes are drawn smaller."""

COLOURS = (
    (230, 60, 50), (60, 160, 255), (250, 200, 40), (70, 200, 90), (190, 90, 240),
    (255, 130, 30), (40, 210, 210), (240, 110, 180), (170, 200, 40), (140, 140, 255),
)  # fmt: skip
"""By class id, over and over."""

PADDING_PX = 2


MOST_LABELS = 2048
"""That are kept: a class has a hundred scores."""


def picture_of(scene: SceneBase, boxes: Sequence[Mapping[str, Any]]) -> Image:
    """A picture of a scene with what was found in it.

    Args:
        scene: that was looked at; above `MOST_PIXELS` it is drawn smaller.
        boxes: with `cls_id`, `label`, `score` and `coordinate` in scene pixels.

    Raises:
        SceneError: it cannot be read.
    """
    from PIL import Image

    scale = min(1.0, math.sqrt(MOST_PIXELS / (scene.width * scene.height)))
    size = max(1, int(scene.width * scale)), max(1, int(scene.height * scale))
    if scale < 1:
        pixels, _ = scene.read_scaled((0, 0), (scene.width, scene.height), (size[1], size[0]))
    else:
        pixels, _ = scene.read(0, 0, scene.width, scene.height)
    picture = Image.fromarray(pixels)
    draw_boxes(picture, boxes, scale=(size[0] / scene.width, size[1] / scene.height))
    return picture


def draw_boxes(
    picture: Image, boxes: Sequence[Mapping[str, Any]], *, scale: tuple[float, float] = (1.0, 1.0)
) -> None:
    """Draw boxes into a picture, then their labels, the surest last and so on top.

    Args:
        picture: RGB, changed in place.
        boxes: see `picture_of`.
        scale: pixels of the picture for one of the boxes, in x and y.
    """
    from PIL import ImageDraw

    canvas, line = ImageDraw.Draw(picture), max(1, round(max(picture.size) / 900))
    places = [_place(box["coordinate"], scale) for box in boxes]
    for box, place in zip(boxes, places, strict=True):
        canvas.rectangle(place, outline=_colour(box), width=line)
    for box, place in sorted(zip(boxes, places, strict=True), key=lambda pair: float(pair[0]["score"])):
        text, colour = f"{box['label']} {box['score']:.2f}", _colour(box)
        label = _label(text, colour, _letters(picture.size))
        picture.paste(label, _above(place, label.size, picture.size))


def _letters(size: tuple[int, int]) -> int:
    """Height of letters in pixels that fits the size of a picture, and small objects."""
    return min(24, max(10, max(size) // 90))


def _place(coordinate: Sequence[float], scale: tuple[float, float]) -> tuple[float, float, float, float]:
    """Outermost pixels of a box given by its edges."""
    x0, y0, x1, y1 = (edge * factor for edge, factor in zip(coordinate, scale * 2, strict=True))
    return x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)


def _colour(box: Mapping[str, Any]) -> tuple[int, int, int]:
    return COLOURS[box["cls_id"] % len(COLOURS)]


def _above(
    place: tuple[float, float, float, float], label: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int]:
    """Where a label stands: above a box; below it where there is no room above."""
    width, height = label
    x = max(0, min(round(place[0]), size[0] - width))
    below = min(round(place[3]) + 1, size[1] - height)
    return x, round(place[1]) - height if place[1] >= height else max(0, below)


@lru_cache(MOST_LABELS)
def _label(text: str, colour: tuple[int, int, int], letters: int) -> Image:
    """A label: the same ones stand in many pictures."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(letters)
    left, top, right, bottom = ImageDraw.Draw(Image.new("RGB", (1, 1))).textbbox((0, 0), text, font=font)
    size = int(right - left) + 2 * PADDING_PX, int(bottom - top) + 2 * PADDING_PX
    label = Image.new("RGB", size, colour)
    at = PADDING_PX - left, PADDING_PX - top
    ImageDraw.Draw(label).text(at, text, fill=text_colour_on(colour), font=font)
    return label
