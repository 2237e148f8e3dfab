"""Results as tables of pandas and geopandas, as objects of supervision and of SAHI, and back from SAHI's."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import shapely

from sodslice.errors import DataError
from sodslice.place.georef import GeoRef
from sodslice.results.arrow import package, wkbs_of
from sodslice.results.batches import why_not_placed
from sodslice.results.columns import columns_of, frame_in, placing
from sodslice.results.provenance import SceneFacts
from sodslice.results.result import RunResult, rounded_boxes, rounded_scores
from sodslice.results.writing import Writing
from sodslice.scene import open_scene
from sodslice.tables.boxes import Boxes
from sodslice.tables.detections import NO_TILE, Detections

MOST_CLASSES = 100_000
"""The highest id of a class of SAHI's that is taken: classes are numbered without gaps here."""


def to_dataframe(result: RunResult) -> Any:
    """See `RunResult.to_dataframe`."""
    return _package("pandas").DataFrame(columns_of(result))


def to_geodataframe(result: RunResult, *, crs: str, geometry: str) -> Any:
    """See `RunResult.to_geodataframe`."""
    geopandas = _package("geopandas")
    writing = Writing(geometry=geometry, output_crs=crs)
    reason = why_not_placed(result.georef, writing, "a GeoDataFrame")
    if reason:
        raise DataError(f"{reason.partition('; ')[0]}; `to_dataframe` gives the columns without places")
    piece = placing(result, writing)(slice(0, len(result)))
    shapes = shapely.from_wkb(wkbs_of(piece, multi=False))
    return geopandas.GeoDataFrame(piece.columns, geometry=shapes, crs=frame_in(result, writing).crs)


def to_supervision(result: RunResult) -> Any:
    """See `RunResult.to_supervision`."""
    return _package("supervision").Detections(
        xyxy=rounded_boxes(result),
        confidence=rounded_scores(result),
        class_id=np.array(result.detections.labels, int),
        data={"class_name": result.label_names},
    )


def to_sahi(result: RunResult) -> list[Any]:
    """See `RunResult.to_sahi`."""
    predicted = _package("sahi.prediction").ObjectPrediction
    size = [result.scene.height, result.scene.width]
    return [
        predicted(
            bbox=list(row.box),
            category_id=row.cls_id,
            category_name=row.label,
            score=row.score,
            full_shape=size,
        )
        for row in result
    ]


def from_sahi(predicted: Any, *, scene: str | None = None) -> RunResult:
    """See `RunResult.from_sahi`."""
    objects = list(getattr(predicted, "object_prediction_list", predicted))
    ids = [int(one.category.id) for one in objects]
    if ids and not 0 <= min(ids) <= max(ids) <= MOST_CLASSES:
        raise DataError(f"SAHI's categories have ids from {min(ids)} to {max(ids)}; number them from 0 on")
    known = {number: str(one.category.name) for number, one in zip(ids, objects, strict=True)}
    names = tuple(known.get(number, f"class {number}") for number in range(max(ids, default=-1) + 1))
    boxes = np.array([_box(one) for one in objects], np.float64).reshape(-1, 4)
    scores = np.array([one.score.value for one in objects], np.float32)
    found = Detections(boxes, scores, np.array(ids, np.int32), np.full(len(ids), NO_TILE))
    found = found[found.canonical_order()]
    if scene is None:
        width, height = _size(predicted, boxes)
        return RunResult(found, names, GeoRef(), SceneFacts("", width, height))
    with closing(open_scene(scene)) as opened:
        gsd = opened.georef.gsd_m(opened.width, opened.height) if opened.georef.measurable else None
        return RunResult(
            found, names, opened.georef, SceneFacts(str(scene), opened.width, opened.height, gsd)
        )


def _box(one: Any) -> list[float]:
    """Edges in pixels of the whole image: what a tile saw knows by how much it is moved."""
    right, down = one.bbox.shift_amount
    x0, y0, x1, y1 = one.bbox.to_xyxy()
    return [x0 + right, y0 + down, x1 + right, y1 + down]


def _size(predicted: Any, boxes: Boxes) -> tuple[int, int]:
    """Width and height of the image, as far as SAHI says them."""
    sides = getattr(predicted, "image_width", 0), getattr(predicted, "image_height", 0)
    if all(sides):
        return int(sides[0]), int(sides[1])
    furthest = np.ceil(boxes[:, 2:].max(axis=0, initial=1)).astype(int).tolist()
    return furthest[0], furthest[1]


def _package(name: str) -> Any:
    return package(name, lambda absent: DataError(f"this needs the package {absent}; pip install {absent}"))
