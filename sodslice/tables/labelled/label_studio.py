"""Label Studio's exports, JSON and JSON-MIN, as COCO documents."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sodslice.tables.labelled.document import Corners, LabelledSet, turned_box
from sodslice.values import cells

log = logging.getLogger(__name__)

CROP = "crop"
"""What tasks of `sodslice review` call their image, whatever Label Studio makes of its address."""
FARTHEST = 1e9
"""Percent, and degrees: more is no number of anybody's."""
UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded."""
LABELLED = ("rectanglelabels", "polygonlabels", "ellipselabels", "labels")
"""Kinds of regions with a label, whose envelope is a box; `labels` goes with any shape."""
UNLABELLED = ("rectangle", "polygon", "ellipse")
"""Shapes whose label stands in a region of the kind `labels`, with the same id."""


def is_label_studio(document: Any) -> bool:
    """Whether a parsed file is an export of Label Studio, and no list of COCO results."""
    return isinstance(document, list) and all(
        isinstance(task, Mapping) and ("data" in task or "image" in task or CROP in task) for task in document
    )


def coco_of_tasks(tasks: Sequence[Mapping[str, Any]], source: str) -> dict[str, Any]:
    """The COCO document of an export.

    Rectangles that are turned, polygons and ellipses count as their envelopes. A task that nobody has
    labelled, or that was skipped, is left out, and a note says how many; one without any region is an image
    without objects.

    Raises:
        DataError: regions are of a kind without an envelope, or malformed; it says where.
    """
    found, left_out = LabelledSet(source), 0
    for number, task in enumerate(tasks, start=1):
        try:
            regions, name = _regions(task), _file_name(task)
        except ValueError as error:
            found.refuse(f"task {number} {error}")
            continue
        if regions is None:
            left_out += 1
            continue
        if not name:
            found.refuse(f"task {number} names no image")
            continue
        width, height = next(filter(all, map(_size, regions)), (0, 0))
        found.add_image(name, width, height)
        for region in regions:
            _add(found, region, name)
    if left_out:
        log.warning("%s: %d of %d tasks are not labelled and left out", source, left_out, len(tasks))
    return found.document()


def _regions(task: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """What somebody drew in a task, the last one's if there are several; None where nobody did.

    Raises:
        ValueError: the task is malformed.
    """
    if "data" not in task:
        return _regions_of_min(task)
    annotations = _list(task.get("annotations", task.get("completions")))
    done = [one for one in annotations if isinstance(one, Mapping) and not one.get("was_cancelled", False)]
    if not done:
        return None
    last = max(done, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    return [one for one in _list(last.get("result")) if isinstance(one, Mapping)]


def _list(value: Any) -> list[Any]:
    """A list; [] for nothing.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value or [], list):
        raise ValueError(f"has {cells.shown(value)} in place of a list")  # noqa: TRY004 -- a file is wrong
    return list(value or [])


def _regions_of_min(task: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """As `_regions`, of a task of JSON-MIN, whose regions are lists under the names of their tags."""
    if "annotator" not in task and "annotation_id" not in task:
        return None
    lists = [value for value in task.values() if isinstance(value, list)]
    flat = [one for values in lists for one in values if isinstance(one, Mapping)]
    return [{"type": _kind_of(one), "value": one, **one} for one in flat]


def _kind_of(value: Mapping[str, Any]) -> str:
    """The kind of a region, by the key of its labels; "" where it has none."""
    return next((key for key in value if key == "labels" or key.endswith("labels")), "")


def _size(region: Mapping[str, Any]) -> tuple[int, int]:
    width, height = (cells.whole(region.get(key), least=1) for key in ("original_width", "original_height"))
    return (width, height) if width and height else (0, 0)


def _file_name(task: Mapping[str, Any]) -> str:
    """The image of a task; "" where none is named."""
    data = task["data"] if isinstance(task.get("data"), Mapping) else task
    if cells.text(data.get(CROP)):
        return str(data[CROP])
    address = next((value for value in (data.get("image"), *data.values()) if _is_address(value)), "")
    parts = urlsplit(str(address))
    local = parse_qs(parts.query).get("d")
    name = PurePosixPath(local[0] if local else unquote(parts.path)).name
    return UPLOADED.sub("", name) if "/upload/" in parts.path else name


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and bool(
        PurePosixPath(urlsplit(value).path or value).suffix or "?d=" in value
    )


def _add(found: LabelledSet, region: Mapping[str, Any], name: str) -> None:
    """A region of an image."""
    kind, value = str(region.get("type", "")), region.get("value")
    if kind in UNLABELLED or not _has_shape(value):  # the label comes by itself; choices, comments, relations
        return
    assert isinstance(value, Mapping)
    if kind not in LABELLED:
        found.refuse(f"{name} has a region of {cells.bare(kind)}, which is no box; label it with rectangles")
        return
    labels, (width, height) = value.get(kind), _size(region)
    if not isinstance(labels, list) or len(labels) != 1 or not width:
        found.refuse(f"{name} has a region without one label, or without the size of its image")
        return
    if cells.number(region.get("image_rotation") or 0) != 0:
        found.refuse(
            f"{name} was turned in Label Studio; turn it back, so that its pixels are those of the file"
        )
        return
    corners = _corners(value, width, height)
    if corners is None:
        found.refuse(f"{name} has a malformed region of {kind}")
        return
    found.add_box(str(labels[0]), corners)


def _has_shape(value: Any) -> bool:
    """Whether a region is drawn, and no choice or text."""
    drawn = {"x", "points", "rle", "vertices", "sequence"}
    return isinstance(value, Mapping) and bool(drawn & value.keys())


def _corners(value: Mapping[str, Any], width: int, height: int) -> Corners | None:
    """Points in pixels that bound a region, whose numbers are shares of the image in percent."""
    across, down = width / 100, height / 100
    if "points" in value:
        given = value["points"] if isinstance(value["points"], list) else []
        points = [cells.numbers(point, 2, FARTHEST) for point in given]
        known = [point for point in points if point is not None]
        return [(x * across, y * down) for x, y in known] if len(known) == len(points) > 2 else None
    ellipse = "radiusX" in value
    keys = ("x", "y", "radiusX", "radiusY") if ellipse else ("x", "y", "width", "height")
    numbers = cells.numbers([value.get(key) for key in keys], 4, FARTHEST)
    degrees = cells.number(value.get("rotation") or 0, FARTHEST)
    if numbers is None or degrees is None:
        return None
    x, wide, y, high = (numbers[0] * across, numbers[2] * across, numbers[1] * down, numbers[3] * down)
    if ellipse:
        return turned_box((x - wide, y - high, x + wide, y + high), degrees, (x, y))
    return turned_box((x, y, x + wide, y + high), degrees, (x, y))  # about its upper left corner
