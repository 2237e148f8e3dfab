"""Exports of CVAT: the XML of "CVAT for images 1.1".

Edges are pixels, `rotation` turns a box clockwise about its middle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO

from sodslice.errors import DataError
from sodslice.tables.labelled.gathering import Gathering, Labels
from sodslice.tables.labelled.markup import read_markup
from sodslice.tables.labelled.shapes import Edges, Point, around, around_ellipse, around_rectangle
from sodslice.tables.limits import MOST_PX
from sodslice.values import cells

ROOT = "annotations"
Attributes = Mapping[str, str]


def cvat_labels(file: BinaryIO, source: str) -> Labels:
    """All images with their boxes; one without any is an image without objects.

    Args:
        file: open.
        source: its name, for messages.

    Raises:
        DataError: it is no XML of CVAT, or something in it is no box; the first faults are named.
    """
    reader = _Reader(source)
    read_markup(file, source, reader.begin, reader.end, reader.text)
    return reader.found.labels()


class _Reader:
    """Takes element by element."""

    def __init__(self, source: str) -> None:
        self.found = Gathering(source, "CVAT")
        self._path: list[str] = []
        self._image = ""
        self._words: list[str] = []

    def begin(self, tag: str, given: Attributes) -> None:
        """An element begins.

        Raises:
            DataError: the file is another one.
        """
        self._path.append(tag)
        self._words = []
        if len(self._path) == 1 and tag != ROOT:
            raise DataError(
                f"{self.found.source} is XML and no export of CVAT: its root is <{cells.bare(tag)}>"
            )
        if tag == "track":
            raise DataError(
                f'{self.found.source} holds tracks of a video; export the task as "CVAT for images 1.1"'
            )
        if self._path == [ROOT, "image"]:
            self._begin_image(given)
        elif self._path[:-1] == [ROOT, "image"] and self._image:
            self._take(tag, given)

    def end(self, tag: str) -> None:
        """An element ends."""
        if tag == "name" and self._path[-2:] == ["label", "name"]:
            name = cells.name("".join(self._words))
            if name is not None:
                self.found.known_class(name)
        self._path.pop()
        if tag == "image" and self._path == [ROOT]:
            self._image = ""

    def text(self, words: str) -> None:
        """Characters within an element."""
        if self._path[-2:] == ["label", "name"]:
            self._words.append(words)

    def _begin_image(self, given: Attributes) -> None:
        sides = [_side(given.get(key, "")) for key in ("width", "height")]
        self._image = given.get("name", "")
        if not self._image or None in sides:
            self.found.fault(f"each image must have name, width and height, got {cells.shown(dict(given))}")
            self._image = ""
            return
        self.found.image(self._image, (int(sides[0] or 0), int(sides[1] or 0)))

    def _take(self, tag: str, given: Attributes) -> None:
        """Put a shape on the image."""
        if tag == "tag":
            self.found.notes["tags of whole images that do not count"] += 1
            return
        if given.get("outside") == "1":
            self.found.notes["shapes outside of their image that do not count"] += 1
            return
        label = cells.name(given.get("label"))
        if tag not in _SHAPES:
            self.found.fault(
                f"{cells.bare(self._image)} has a <{cells.bare(tag)}>, which is no box; remove it"
            )
        elif label is None:
            self.found.fault(f"{cells.bare(self._image)} has a <{tag}> without a label")
        else:
            try:
                edges = _SHAPES[tag](given)
            except (KeyError, ValueError):
                self.found.fault(
                    f"{cells.bare(self._image)}: <{tag}> {cells.shown(dict(given))} has no place"
                )
                return
            self.found.box(label, edges, reduced=tag != "box" or _turn(given) != 0)


def _side(text: str) -> int | None:
    """A side in pixels; None where it is none."""
    return int(text) if text.isdecimal() and len(text) < 12 and 1 <= int(text) <= MOST_PX else None


def _number(text: str) -> float:
    """A number of pixels or degrees.

    Raises:
        ValueError: it is none.
    """
    found = cells.number(float(text), MOST_PX)
    if found is None:
        raise ValueError(text)
    return found


def _numbers(given: Attributes, *keys: str) -> list[float]:
    return [_number(given[key]) for key in keys]


def _turn(given: Attributes) -> float:
    return _number(given.get("rotation", "0"))


def _box(given: Attributes) -> Edges:
    x0, y0, x1, y1 = _numbers(given, "xtl", "ytl", "xbr", "ybr")
    if not _turn(given):
        return x0, y0, x1, y1
    return around_rectangle((x0, y0), (x1 - x0, y1 - y0), _turn(given), ((x0 + x1) / 2, (y0 + y1) / 2))


def _polygon(given: Attributes) -> Edges:
    return around([_point(pair) for pair in given["points"].split(";")])


def _point(pair: str) -> Point:
    x, y = pair.split(",")
    return _number(x), _number(y)


def _ellipse(given: Attributes) -> Edges:
    x, y, wide, high = _numbers(given, "cx", "cy", "rx", "ry")
    return around_ellipse((x, y), (wide, high), _turn(given))


def _mask(given: Attributes) -> Edges:
    x, y, width, height = _numbers(given, "left", "top", "width", "height")
    return x, y, x + width, y + height


_SHAPES: Mapping[str, Callable[[Attributes], Edges]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}
