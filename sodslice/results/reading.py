"""Results back from the files that `write` makes, checked part by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import SodsliceError
from sodslice.place.georef import GeoRef
from sodslice.results.columns import EDGES
from sodslice.results.provenance import Provenance, SceneFacts, Timings
from sodslice.results.result import RunResult
from sodslice.tables.detections import NO_TILE, Detections
from sodslice.tables.limits import MOST_PX
from sodslice.values import cells
from sodslice.values.documents import read_json
from sodslice.values.records import read_record

MEMBERS = ("run", "scene", "georef")


def read_result(path: Path) -> RunResult:
    """The result in a JSON or GeoJSON file.

    Raises:
        SodsliceError: the file cannot be read, was not written by a run, or is malformed; it says where.
    """
    return result_from(read_json(path, error=SodsliceError), str(path))


def result_from(content: Any, source: str) -> RunResult:
    """The result in a parsed file.

    Args:
        content: of the file.
        source: its name, for messages.

    Raises:
        SodsliceError: it was not written by a run, or is malformed; it says where.
    """
    if not is_result(content):
        raise SodsliceError(f"{source} was not written by `sodslice run`: it has no run, scene and georef")
    try:
        return _result(content, source)
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise SodsliceError(f"{source} is malformed: {' '.join(str(error).split())}") from None


def is_result(content: Any) -> bool:
    """Whether a parsed file was written by a run, in whatever order its members are."""
    return isinstance(content, Mapping) and all(isinstance(content.get(name), Mapping) for name in MEMBERS)


def _result(content: Mapping[str, Any], source: str) -> RunResult:
    run = content["run"]
    provenance = Provenance.from_dict(run, source=source)
    names: tuple[str, ...] = read_record(tuple[str, ...], run.get("class_names"), where="run.class_names")
    return RunResult(
        _detections(content, len(names)),
        names,
        _georef(content["georef"]),
        read_record(SceneFacts, content["scene"], where="scene"),
        provenance,
        _timings(content.get("timings")),
    )


def _georef(given: Mapping[str, Any]) -> GeoRef:
    if not isinstance(given.get("crs"), (str, type(None))):
        raise ValueError(f"georef.crs must be a text, got {cells.shown(given['crs'])}")  # noqa: TRY004
    return GeoRef.from_dict(given)


def _timings(given: Any) -> Timings | None:
    return read_record(Timings, given, where="timings") if given else None


def _detections(content: Mapping[str, Any], classes: int) -> Detections:
    """The table of the boxes of JSON, or of the features of GeoJSON."""
    rows, (what, plural) = _rows(content)
    keys, box = _box_keys(rows, what)
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or not {*keys, "score", "cls_id"} <= set(row):
            raise ValueError(f"{what} {number} needs {box}, score and cls_id")
    edges = [row[keys[0]] if len(keys) == 1 else [row[key] for key in keys] for row in rows]
    boxes = _column(edges, (len(rows), 4), f"{box} of each of its {plural}")
    if (np.abs(boxes) > MOST_PX).any():
        raise ValueError(
            f"the {box} of each of its {plural} must be pixels of a scene, no more than {MOST_PX}"
        )
    scores = _column([row["score"] for row in rows], (len(rows),), f"score of each of its {plural}")
    labels = _column([row["cls_id"] for row in rows], (len(rows),), f"cls_id of each of its {plural}")
    unknown = (labels < 0) | (labels >= classes) | (labels != np.floor(labels))
    if unknown.any():
        raise ValueError(f"cls_id {labels[unknown][0]:g} is none of its {classes} classes")
    return Detections(boxes, scores, labels, np.full(len(rows), NO_TILE))


def _rows(content: Mapping[str, Any]) -> tuple[Sequence[Any], tuple[str, str]]:
    """The rows with boxes, and the words for a row and for several."""
    key = "features" if "features" in content else "boxes"
    listed = content.get(key)
    if not isinstance(listed, list):  # a file is wrong, not a caller
        raise ValueError(f"{key} must be a list, got {type(listed).__name__}")  # noqa: TRY004
    if key == "boxes":
        return listed, ("box", "boxes")
    return [f.get("properties") if isinstance(f, Mapping) else None for f in listed], ("feature", "features")


def _box_keys(rows: Sequence[Any], what: str) -> tuple[Sequence[str], str]:
    """The names of the edges of a box in a row, and a word for them.

    A feature has each edge by itself; before version 3 of the schema it had all as `bbox_px`.
    """
    if what == "box":
        return ("coordinate",), "coordinate"
    if rows and isinstance(rows[0], Mapping) and "bbox_px" in rows[0]:
        return ("bbox_px",), "bbox_px"
    return EDGES, "x0, y0, x1, y1"


def _column(values: Sequence[Any], shape: tuple[int, ...], what: str) -> Any:
    try:
        table = np.array(values).reshape(shape)
    except ValueError:
        table = np.array("")
    if len(values) and table.dtype.kind not in "iuf":
        count = f"{shape[1]} " if len(shape) > 1 else ""
        raise ValueError(f"the {what} must be {count}numbers")
    return table.astype(np.float64)
