"""COCO's files: the truth of a folder of images, and detections as a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.boxes import Boxes
from sodslice.errors import DataError, did_you_mean
from sodslice.metrics.layer import Layer

MOST_SHOWN = 3
"""How many faults of a file a message names."""


def coco_truth(document: Mapping[str, Any], source: str) -> list[Layer]:
    """The objects of each image of a COCO file, in the order of its images.

    Args:
        document: the parsed file: `images`, `annotations`, `categories`. An annotation without `bbox` gets
            the envelope of its `segmentation` polygons.
        source: its name, for messages.

    Raises:
        DataError: keys are missing, or ids and boxes contradict each other; the first faults are named.
    """
    images = _rows(document, "images", ("id", "file_name", "width", "height"), source)
    categories = _rows(document, "categories", ("id", "name"), source)
    annotations = _rows(document, "annotations", ("image_id", "category_id"), source)
    names = {row["id"]: str(row["name"]) for row in categories}
    known = {row["id"] for row in images}
    faults = []
    for i, row in enumerate(annotations):
        if row["image_id"] not in known:
            faults.append(f"annotation {i} is on the unknown image {row['image_id']!r}")
        elif row["category_id"] not in names:
            faults.append(f"annotation {i} is of the unknown category {row['category_id']!r}")
    boxes = [_box(row) for row in annotations]
    faults += [f"annotation {i}: {fault}" for i, fault in enumerate(boxes) if isinstance(fault, str)]
    _refuse(faults, source)
    by_image: dict[Any, list[int]] = {row["id"]: [] for row in images}
    for i, row in enumerate(annotations):
        by_image[row["image_id"]].append(i)
    table = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    sides = table[:, 2:] - table[:, :2]
    areas = np.array([float(row.get("area", sides[i].prod())) for i, row in enumerate(annotations)])
    crowd = np.array([bool(row.get("iscrowd", 0)) for row in annotations], dtype=bool)
    return [
        Layer(
            source,
            tuple(names[annotations[i]["category_id"]] for i in by_image[image["id"]]),
            tuple(names.values()),
            pixels=table[by_image[image["id"]]],
            crowd=crowd[by_image[image["id"]]],
            areas=areas[by_image[image["id"]]],
            image=str(image["file_name"]),
            size=(int(image["width"]), int(image["height"])),
        )
        for image in images
    ]


def coco_results(rows: Sequence[Mapping[str, Any]], source: str, truth: Mapping[str, Any]) -> list[Layer]:
    """Detections in COCO's results format, one layer for each image of the COCO truth.

    Args:
        rows: `image_id`, `category_id`, `bbox` (x, y, width, height) and `score` each.
        source: its name, for messages.
        truth: the parsed COCO truth, whose ids the rows use.

    Raises:
        DataError: keys are missing, or ids are not those of the truth.
    """
    rows = _rows({"rows": rows}, "rows", ("image_id", "category_id", "bbox", "score"), source)
    names = {row["id"]: str(row["name"]) for row in truth["categories"]}
    by_image: dict[Any, list[int]] = {row["id"]: [] for row in truth["images"]}
    boxes = [_box(row) for row in rows]
    faults = [f"row {i}: {fault}" for i, fault in enumerate(boxes) if isinstance(fault, str)]
    faults += [
        f"row {i} is on the unknown image {r['image_id']!r}"
        for i, r in enumerate(rows)
        if r["image_id"] not in by_image
    ]
    faults += [
        f"row {i} is of the unknown category {r['category_id']!r}"
        for i, r in enumerate(rows)
        if r["category_id"] not in names
    ]
    _refuse(faults, source)
    for i, row in enumerate(rows):
        by_image[row["image_id"]].append(i)
    table = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    scores: npt.NDArray[np.float32] = np.array([row["score"] for row in rows], dtype=np.float32)
    return [
        Layer(
            source,
            tuple(names[rows[i]["category_id"]] for i in by_image[image["id"]]),
            tuple(names.values()),
            pixels=table[by_image[image["id"]]],
            scores=scores[by_image[image["id"]]],
            image=str(image["file_name"]),
            size=(int(image["width"]), int(image["height"])),
        )
        for image in truth["images"]
    ]


def _rows(
    document: Mapping[str, Any], part: str, keys: Iterable[str], source: str
) -> Sequence[Mapping[str, Any]]:
    """A list of the file whose rows all have some keys."""
    rows = document.get(part)
    if not isinstance(rows, list):
        raise DataError(f"{source} has no list {part!r}{did_you_mean(part, document)}; a COCO file needs it")
    faults = []
    for i, row in enumerate(rows):
        lacking = [key for key in keys if not isinstance(row, dict) or key not in row]
        faults += [f"{part}[{i}] has no {key!r}{did_you_mean(key, row)}" for key in lacking]
    _refuse(faults, source)
    return rows


def _box(row: Mapping[str, Any]) -> list[float] | str:
    """Edges x0, y0, x1, y1 of an annotation, or what is wrong with it."""
    if "bbox" not in row:
        return _envelope(row)
    try:
        x, y, width, height = (float(value) for value in row["bbox"])
    except (TypeError, ValueError):
        return f"bbox must be x, y, width, height, got {row['bbox']!r}"
    if not np.isfinite([x, y, width, height]).all() or width <= 0 or height <= 0:
        return f"bbox must have a width and a height above 0, got {row['bbox']!r}"
    return [x, y, x + width, y + height]


def _envelope(row: Mapping[str, Any]) -> list[float] | str:
    rings = row.get("segmentation")
    if not isinstance(rings, list) or not rings:
        return f"it has neither bbox nor segmentation polygons{did_you_mean('bbox', row)}"
    try:
        points = np.concatenate([np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in rings])
    except (TypeError, ValueError):
        return "its segmentation must be polygons x, y, x, y, ..."
    box: Boxes = np.array(shapely.MultiPoint(points).bounds)
    return box.tolist() if (box[2:] > box[:2]).all() else "its segmentation has no extent"


def _refuse(faults: Sequence[str], source: str) -> None:
    if faults:
        more = f"; and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
        raise DataError(f"{source}: " + "; ".join(faults[:MOST_SHOWN]) + more)
