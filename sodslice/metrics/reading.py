"""Files to layers: truths, finished runs, and regions of interest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from sodslice.errors import DataError
from sodslice.metrics.coco_file import coco_results, coco_truth
from sodslice.metrics.geojson import NO_CLASS, geojson_layer
from sodslice.metrics.layer import Layer, distinct_names
from sodslice.place.geojson import COLLECTION, read_features, what_it_holds
from sodslice.results.formats import format_of, load_result
from sodslice.results.reading import is_result, result_from
from sodslice.results.result import RunResult
from sodslice.tables.labelled import read_labels
from sodslice.tables.limits import MOST_PX
from sodslice.values import cells
from sodslice.values.columns import is_table
from sodslice.values.documents import read_json

RESULT_SUFFIXES = (".geojson", ".json")


def read_truth(
    path: str | Path, *, label_key: str | None = "label", allow_empty: bool = False
) -> list[Layer]:
    """The objects of a COCO file, a layer an image, or of a GeoJSON file, one layer.

    Args:
        path: the file.
        label_key: the GeoJSON property that holds the class; None: classes do not matter.
        allow_empty: whether it may hold no object.

    Raises:
        DataError: the file cannot be read, is neither, contradicts itself, or is empty.
    """
    layers = _truth_layers(path, label_key)
    if not allow_empty and not any(layer.to_find for layer in layers):
        count = sum(map(len, layers))
        words = f"holds no object to find, all {count} are ignored areas (iscrowd or ignore)"
        raise DataError(
            f"{path} {words if count else 'holds no object'}, so there is no AP; for images without objects, "
            "count the false alarms with `allow_empty`"
        )
    return layers


def read_results(
    paths: Sequence[str | Path], *, truth: str | Path | None = None, label_key: str | None = "label"
) -> list[Layer]:
    """Detections from files, folders of files, or both, a layer an image.

    Read are the JSON and GeoJSON of `sodslice run`, PaddleX's JSON of an image, any GeoJSON with the
    properties `label_key` and `score`, and COCO's results list. In a folder that holds a scene twice, as
    JSON and as GeoJSON, the JSON is read.

    Args:
        paths: files and folders.
        truth: the COCO file whose ids a results list uses.
        label_key: as in `read_truth`; files of a run always have `label`.

    Raises:
        DataError: a file cannot be read or holds no detections.
    """
    layers = []
    for path in _files(paths):
        if _is_read_by_its_format(path):
            layers.append(result_layer(load_result(path), str(path)))
            continue
        document = read_json(path)
        if isinstance(document, list):
            if truth is None or not isinstance(ids := read_json(truth), dict) or "images" not in ids:
                raise DataError(f"{path} is a list of COCO results, whose ids need a COCO truth; got {truth}")
            layers += coco_results(document, str(path), ids, str(truth))
        else:
            layers.append(_result_layer(document, path, label_key))
    return layers


def _is_read_by_its_format(path: Path) -> bool:
    """Whether a file is a result in a format that is read back and is no JSON, which others write too."""
    chosen = format_of(path)
    return chosen is not None and chosen.read is not None and chosen.name not in ("json", "geojson")


def result_layer(result: RunResult, source: str) -> Layer:
    """The detections of a run as a layer."""
    thresholds = result.provenance.options.get("threshold")
    floors = thresholds.values() if isinstance(thresholds, Mapping) else ()
    names = [cells.name(name) or name for name in result.class_names]
    return Layer(
        source,
        tuple(names[label] for label in result.detections.labels.tolist()),
        tuple(names),
        pixels=result.detections.boxes,
        scores=result.detections.scores,
        image=result.scene.path,
        size=(result.scene.width, result.scene.height),
        georef=result.georef,
        floor=max((floor for floor in map(cells.number, floors) if floor is not None), default=None),
    )


def read_region(path: str | Path, *, in_degrees: bool) -> BaseGeometry:
    """All polygons of a GeoJSON file as one geometry.

    Args:
        path: the file.
        in_degrees: whether its coordinates are longitude and latitude (or those of its member `crs`), or
            scene pixels.

    Raises:
        DataError: the file cannot be read, is no GeoJSON, or holds no polygon.
    """
    shapes = read_features(read_json(path), str(path)).polygons(in_degrees=in_degrees)
    if not len(shapes):
        raise DataError(f"{path} holds no polygon; draw at least one region")
    region: BaseGeometry = shapely.union_all(shapely.make_valid(shapes))
    return region


def _truth_layers(path: str | Path, label_key: str | None) -> list[Layer]:
    document, note = read_labels(path)
    if _is_geojson(document):
        return [geojson_layer(document, str(path), label_key=label_key)]
    if isinstance(document, dict) and ({"images", "annotations", "categories"} & set(document)):
        return [replace(layer, note=note) for layer in coco_truth(document, str(path))]
    raise DataError(
        f"{path} is neither COCO (images, annotations, categories) nor a FeatureCollection"
        f"{what_it_holds(document)}"
    )


def _result_layer(document: Any, path: Path, label_key: str | None) -> Layer:
    if is_result(document):
        return result_layer(result_from(document, str(path)), str(path))
    if _is_geojson(document):
        return geojson_layer(document, str(path), label_key=label_key, scored=True)
    if isinstance(document, dict) and "boxes" in document:
        return _paddlex_layer(document, str(path))
    raise DataError(
        f"{path} holds no detections: no run's result, GeoJSON or COCO results{what_it_holds(document)}"
    )


def _paddlex_layer(document: Mapping[str, Any], source: str) -> Layer:
    """What PaddleX's `save_to_json` writes of one image."""
    rows = document["boxes"] if is_table(document["boxes"]) else [{}]
    names = [cells.name(row.get("label")) for row in rows]
    boxes = [cells.numbers(row.get("coordinate"), 4, MOST_PX) for row in rows]
    scores = [cells.score(row.get("score")) for row in rows]
    for row, values in enumerate(zip(names, boxes, scores, strict=True)):
        if None in values:
            got = cells.shown(rows[row] or document["boxes"])
            raise DataError(f"{source}: each box needs label, score and coordinate, got {got}")
    return Layer(
        source,
        tuple(map(str, names)),
        distinct_names(names),
        pixels=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        scores=np.array(scores, dtype=np.float32),
        image=str(document.get("input_path") or ""),
    )


def _files(paths: Sequence[str | Path]) -> list[Path]:
    """Files as given; of folders, those that may be results, sorted, one a stem."""
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            files.append(path)
            continue
        inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in RESULT_SUFFIXES]
        if not inside:
            raise DataError(f"the folder {path} holds no results ({' or '.join(RESULT_SUFFIXES)})")
        files += {p.with_suffix(""): p for p in inside}.values()  # .json comes after .geojson and stays
    return files


def _is_geojson(document: Any) -> bool:
    return isinstance(document, dict) and document.get("type") == COLLECTION


__all__ = ["NO_CLASS", "read_region", "read_results", "read_truth", "result_layer"]
