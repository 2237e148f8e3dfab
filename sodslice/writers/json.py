"""PaddleX's JSON of one image, with the run, the scene and the georeference beside the boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from sodslice.boxes import Boxes
from sodslice.georef import corners
from sodslice.result import RunResult

BOX_DECIMALS = 3
SCORE_DECIMALS = 6
MAP_DECIMALS = 8


def json_bytes(result: RunResult) -> bytes:
    """The JSON document of a result: `boxes` as PaddleX writes them, coordinates in scene pixels.

    Where the scene has map coordinates but no longitude and latitude, as on another planet, each box has
    its corners in them as `map`.
    """
    boxes: list[dict[str, Any]] = [
        {"cls_id": cls_id, "label": label, "score": score, "coordinate": box}
        for cls_id, label, score, box in rows(result)
    ]
    if result.georef.placed and not result.georef.on_map:
        for row, ring in zip(boxes, _on_own_map(result), strict=True):
            row["map"] = ring
    head = {"input_path": result.scene["path"], "page_index": None}
    return document(head, "boxes", boxes, about(result))


def _on_own_map(result: RunResult) -> list[list[list[float]]]:
    """Corners of each box as x, y in the scene's own CRS, top left first, then down."""
    points = corners(rounded_boxes(result))
    places = result.georef.to_map(points.reshape(-1, 2)).reshape(points.shape)
    rings: list[list[list[float]]] = np.round(places, MAP_DECIMALS).tolist()
    return rings


def document(head: Mapping[str, Any], name: str, items: Sequence[Any], tail: Mapping[str, Any]) -> bytes:
    """A JSON object, one member or one item of the list `name` per line: quick to read and compare."""
    lines = [_member(key, orjson.dumps(value)) for key, value in head.items()]
    listed = b"[" + b",".join(b"\n" + orjson.dumps(item) for item in items) + b"]"
    lines.append(_member(name, listed))
    lines += [_member(key, orjson.dumps(value)) for key, value in tail.items()]
    return b"{\n" + b",\n".join(lines) + b"\n}\n"


def _member(name: str, value: bytes) -> bytes:
    return orjson.dumps(name) + b": " + value


def about(result: RunResult) -> dict[str, Any]:
    """What every output says of how it came to be."""
    return {
        "scene": dict(result.scene),
        "georef": result.georef.as_dict(),
        "run": dict(result.run),
        "timings": dict(result.timings),
    }


def rounded_boxes(result: RunResult) -> Boxes:
    """Boxes `(N, 4)` as they are written: to 1/1000 pixel."""
    boxes: Boxes = np.round(result.detections.boxes, BOX_DECIMALS)
    return boxes


def rows(result: RunResult) -> list[tuple[int, str, float, list[float]]]:
    """Class id, label, score and box of each detection, as they are written."""
    ids = result.detections.labels.tolist()
    scores = np.round(result.detections.scores.astype(np.float64), SCORE_DECIMALS).tolist()
    return list(zip(ids, result.labels, scores, rounded_boxes(result).tolist(), strict=True))
