"""CVAT's export "CVAT for images 1.1" as a COCO document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

from sodslice.errors import DataError
from sodslice.tables.labelled.document import Corners, LabelledSet, turned_box
from sodslice.values import cells

SHAPES = ("box", "polygon", "ellipse", "mask")
FARTHEST = 1e9
"""Pixels, and degrees: more is no number of anybody's."""
OTHER_SHAPES = ("polyline", "points", "cuboid", "skeleton")


def coco_of_xml(content: bytes, source: str) -> dict[str, Any]:
    """The COCO document of an `annotations.xml`; turned boxes, polygons, ellipses and masks are envelopes.

    Raises:
        DataError: it is no such file, it is one of a video, or a shape has no envelope; it says where.
    """
    reader = _Reader(source)
    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = reader.text, reader.doctype
    try:
        parser.Parse(content, True)  # noqa: FBT003 -- expat's way to say that it is all
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise DataError(f"{source} is not XML: {' '.join(str(error).split())}") from None
    return reader.found()


class _Reader:
    """What the parser calls.

    Args:
        source: the file, for messages.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._path: list[str] = []
        self._words: list[str] | None = None
        self._classes: list[str] = []
        self._images: list[tuple[Mapping[str, str], list[tuple[str, Mapping[str, str]]]]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        if not self._path and tag != "annotations":
            raise DataError(
                f"{self._source} is no export of CVAT: its root is {cells.shown(tag)}, not annotations"
            )
        if tag == "track":
            raise DataError(f'{self._source} is of a video; export the task as "CVAT for images 1.1"')
        self._path.append(tag)
        self._words = [] if self._path[-2:] == ["label", "name"] else None
        if self._path == ["annotations", "image"]:
            self._images.append((attributes, []))
        elif self._path[:2] == ["annotations", "image"] and len(self._path) == 3 and self._images:
            self._images[-1][1].append((tag, attributes))

    def end(self, _tag: str) -> None:
        """An element ends."""
        if self._words is not None and self._path[-2:] == ["label", "name"]:
            self._classes.append("".join(self._words).strip())
        self._words = None
        self._path.pop()

    def text(self, words: str) -> None:
        """Characters within an element."""
        if self._words is not None:
            self._words.append(words)

    def doctype(self, *_: Any) -> None:
        """A document type may name other files, or blow itself up; CVAT writes none."""
        raise DataError(f"{self._source} has a document type, which no export of CVAT has")

    def found(self) -> dict[str, Any]:
        """The COCO document."""
        if not self._images:
            raise DataError(f"{self._source} lists no image; is it an export of a task with images?")
        found = LabelledSet(self._source, self._classes)
        for attributes, shapes in self._images:
            name = attributes.get("name", "")
            width, height = (
                cells.whole(_number(attributes.get(key)), least=1) or 0 for key in ("width", "height")
            )
            if not name:
                found.refuse("an image has no name")
                continue
            found.add_image(name, width, height)
            for kind, shape in shapes:
                _add(found, kind, shape, name)
        return found.document()


def _add(found: LabelledSet, kind: str, shape: Mapping[str, str], name: str) -> None:
    """A shape on an image."""
    if kind in OTHER_SHAPES:
        found.refuse(f"{name} has a {kind}, which is no box; draw a rectangle around it")
    if kind not in SHAPES or shape.get("outside") == "1":
        return
    corners = _corners(kind, shape)
    if corners is None or not shape.get("label"):
        found.refuse(f"{name} has a malformed {kind}")
    else:
        found.add_box(shape["label"], corners)


def _corners(kind: str, shape: Mapping[str, str]) -> Corners | None:
    """Points in pixels that bound a shape."""
    if kind == "polygon":
        pairs = [
            cells.numbers([*map(_number, pair.split(","))], 2) for pair in shape.get("points", "").split(";")
        ]
        known = [pair for pair in pairs if pair is not None]
        return [(x, y) for x, y in known] if len(known) == len(pairs) > 2 else None
    keys = {"box": ("xtl", "ytl", "xbr", "ybr"), "ellipse": ("cx", "cy", "rx", "ry"),
            "mask": ("left", "top", "width", "height")}[kind]  # fmt: skip
    numbers = cells.numbers([_number(shape.get(key)) for key in keys], 4)
    degrees = _number(shape.get("rotation", "0"))
    if numbers is None or degrees is None:
        return None
    a, b, c, d = numbers
    x0, y0, x1, y1 = {
        "box": (a, b, c, d),
        "ellipse": (a - c, b - d, a + c, b + d),
        "mask": (a, b, a + c, b + d),
    }[kind]
    return turned_box((x0, y0, x1, y1), degrees, ((x0 + x1) / 2, (y0 + y1) / 2))


def _number(text: str | None) -> float | None:
    try:
        return cells.number(float(text or ""), FARTHEST)
    except ValueError:
        return None
