"""Exports of Label Studio: JSON, a task with all of its annotations a row, and JSON-MIN, an annotation a row.

Coordinates are percents of the image; `original_width` and `original_height` say of how many pixels. A turned
rectangle is turned about its left upper corner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from sodslice.tables.labelled.gathering import Gathering, Labels
from sodslice.tables.labelled.shapes import Edges, around, around_ellipse, around_rectangle
from sodslice.tables.limits import MOST_PX
from sodslice.values import cells
from sodslice.values.columns import is_table

CROP = "sodslice_crop"
"""The field of a task that holds the file name of a crop, whatever address the program shows it from."""

LABELS = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")
"""Kinds of results that hold a shape and its classes."""

BARE = ("rectangle", "polygon", "ellipse")
"""Kinds that hold a shape alone; another result of the same id holds its class, and the shape again."""

NO_SHAPES = ("choices", "textarea", "rating", "number", "datetime", "taxonomy", "relation", "pairwise")

_IMAGE = re.compile(r"\.(png|jpe?g|tiff?|webp|bmp|gif|jp2)$", re.IGNORECASE)
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded by hand."""


class _Work(NamedTuple):
    """What was done on one task: its name in messages, its data, and results with `type` and `value`."""

    called: str
    data: Mapping[str, Any]
    results: Sequence[Mapping[str, Any]]


def is_label_studio(document: Any) -> bool:
    """Whether a parsed file is an export of Label Studio, or a file of tasks for its import."""
    if not is_table(document) or not document:
        return False
    return all(map(_is_task, document)) or (
        any(map(_is_short, document)) and not any("data" in row for row in document)
    )


def label_studio_labels(rows: Sequence[Mapping[str, Any]], source: str) -> Labels:
    """The images that somebody has looked at, with their boxes.

    Tasks that nobody has annotated, and those that were skipped, are left out and counted. Of several
    annotations of a task that marked as ground truth counts, else the last one.

    Args:
        rows: of the parsed file.
        source: its name, for messages.

    Raises:
        DataError: nothing is annotated, something is no box or has not one class, or names no image; the
            first faults are named.
    """
    found = Gathering(source, "Label Studio")
    full = all(_is_task(row) for row in rows)
    for work in _works(rows, found) if full else _short_works(rows, found):
        _take(work, found)
    return found.labels()


def _is_task(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("data"), Mapping)


def _is_short(row: Mapping[str, Any]) -> bool:
    """Whether it is a row of JSON-MIN."""
    return any(key in row for key in _ANNOTATED)


def _works(rows: Sequence[Mapping[str, Any]], found: Gathering) -> Iterable[_Work]:
    for number, row in enumerate(rows):
        called = f"task {cells.bare(row.get('id', number))}"
        done = row.get("annotations", row.get("completions", []))
        if not is_table(done):
            found.fault(f"the annotations of {called} must be a list of mappings, got {cells.shown(done)}")
            continue
        alive = [one for one in done if not (one.get("was_cancelled") or one.get("skipped"))]
        if not alive:
            found.notes["tasks left out, since they were skipped" if done else _UNTOUCHED] += 1
            continue
        results: Any = _chosen(alive, found).get("result")
        if is_table(results):
            yield _Work(called, row["data"], results)
        else:
            found.fault(f"the result of {called} must be a list of mappings, got {cells.shown(results)}")


def _short_works(rows: Sequence[Mapping[str, Any]], found: Gathering) -> Iterable[_Work]:
    """The rows of JSON-MIN, whose fields of data and of results lie side by side."""
    tasks: dict[Any, list[Mapping[str, Any]]] = {}
    for number, row in enumerate(rows):
        if all(row.get(key) is None for key in _ANNOTATED):
            found.notes[_UNTOUCHED] += 1
            continue
        tasks.setdefault(cells.bare(row.get("id", f"#{number}")), []).append(row)
    for key, alike in tasks.items():
        row = _chosen(alike, found)
        listed = [value for value in row.values() if is_table(value)]
        yield _Work(f"task {key}", row, [_unfolded(item) for items in listed for item in items])


def _unfolded(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """An item of JSON-MIN as the result that it was."""
    kinds = [kind for kind in (*LABELS, "brushlabels", "keypointlabels") if kind in item]
    return {**item, "type": kinds[0] if kinds else "an unlabelled shape", "value": item}


def _chosen(annotations: Sequence[Mapping[str, Any]], found: Gathering) -> Mapping[str, Any]:
    """The annotation that counts: the ground truth, else the last."""
    if len(annotations) > 1:
        found.notes["tasks with several annotations, of which the ground truth or the last one counts"] += 1
    ranks = [
        (bool(one.get("ground_truth")), str(one.get("updated_at") or one.get("created_at") or ""), number)
        for number, one in enumerate(annotations)
    ]
    return annotations[max(ranks)[2]]


def _take(work: _Work, found: Gathering) -> None:
    """Put an image with its boxes into what was found."""
    name = _image_name(work.data)
    if name is None:
        found.fault(f"{work.called} names no image; its data has {cells.shown(sorted(work.data))}")
        return
    sizes = {size for one in work.results if (size := _size(one)) is not None}
    if len(sizes) > 1:
        found.fault(f"{work.called} has results of several image sizes, {cells.shown(sorted(sizes))}")
        return
    size = next(iter(sizes), None) or _size_in(work.data, ("width", "height"))
    found.image(name, size or (0, 0))
    with_class = {str(one.get("id")) for one in work.results if one.get("type") in LABELS}
    for one in work.results:
        kind = one.get("type")
        if kind not in NO_SHAPES and not (kind in BARE and str(one.get("id")) in with_class):
            _take_shape(work, one, size, found)


def _take_shape(work: _Work, one: Mapping[str, Any], size: tuple[int, int] | None, found: Gathering) -> None:
    kind, value = one.get("type"), one.get("value")
    if kind not in LABELS or not isinstance(value, Mapping):
        words = "has no class" if kind in BARE else "is no box, polygon or ellipse with a class"
        found.fault(
            f"{work.called}: {cells.shown(kind)} {words}; label it with RectangleLabels, or remove it"
        )
        return
    names = value.get(str(kind))
    label = cells.name(names[0]) if isinstance(names, list) and len(names) == 1 else None
    if label is None:
        found.fault(f"{work.called}: each shape must have one class, got {cells.shown(names)}")
    elif one.get("image_rotation"):
        found.fault(
            f"{work.called} was labelled on a picture turned by {cells.shown(one['image_rotation'])}; turn "
            "it back"
        )
    elif size is None:
        found.fault(f"{work.called} says no original_width and original_height; export it again")
    else:
        edges, reduced = _edges(value, size)
        if edges is None:
            found.fault(f"{work.called}: {cells.shown(dict(value))} is no shape in percents of its image")
        else:
            found.box(label, edges, reduced=reduced)


def _edges(value: Mapping[str, Any], size: tuple[int, int]) -> tuple[Edges | None, bool]:
    """Edges in pixels of a shape in percents, None where it is none; and whether they are those around it."""
    wide, high = size[0] / 100, size[1] / 100
    turn = cells.number(value.get("rotation", 0) or 0, 360)
    if "points" in value:
        points = (
            [cells.numbers(point, 2, MOST_PX) for point in value["points"]]
            if _is_list(value["points"])
            else []
        )
        if not points or None in points:
            return None, False
        return around([(x * wide, y * high) for x, y in points if points]), True  # type: ignore[misc]
    keys = ("x", "y", "radiusX", "radiusY") if "radiusX" in value else ("x", "y", "width", "height")
    read = cells.numbers([value.get(key) for key in keys], 4, MOST_PX)
    if read is None or turn is None:
        return None, False
    first, second = (read[0] * wide, read[1] * high), (read[2] * wide, read[3] * high)
    if "radiusX" in value:
        return around_ellipse(first, second, turn), True
    if turn:
        return around_rectangle(first, second, turn, first), True
    return (first[0], first[1], first[0] + second[0], first[1] + second[1]), False


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _size(result: Mapping[str, Any]) -> tuple[int, int] | None:
    return _size_in(result, ("original_width", "original_height"))


def _size_in(row: Mapping[str, Any], keys: tuple[str, str]) -> tuple[int, int] | None:
    """Width and height in pixels, None where they are not said."""
    width, height = (cells.whole(row.get(key), MOST_PX, least=1) for key in keys)
    return None if width is None or height is None else (width, height)


def _image_name(data: Mapping[str, Any]) -> str | None:
    """The file name of a task's image: a crop's own, the field `image`, or the only address of an image."""
    if isinstance(data.get(CROP), str):
        return str(data[CROP])
    if isinstance(data.get("image"), str):
        return _file_name(data["image"])
    names = [_file_name(value) for value in data.values() if isinstance(value, str)]
    images = [name for name in names if _IMAGE.search(name)]
    return images[0] if len(images) == 1 else None


def _file_name(address: str) -> str:
    """The path of a file below the folder of images, of the address that Label Studio shows it from."""
    if "://" not in address and not address.startswith("/data/"):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:  # as of an address with half of a host of IPv6
        return address
    served = parse_qs(parts.query).get("d")
    if served:
        return served[0]
    name = PurePosixPath(unquote(parts.path)).name
    return _UPLOADED.sub("", name) if "/data/upload/" in parts.path else name


_ANNOTATED = ("annotator", "annotation_id")
"""Fields of a row of JSON-MIN; null where nobody annotated the task."""

_UNTOUCHED = "tasks left out, since nobody annotated them"
