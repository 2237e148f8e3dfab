"""PaddleX's JSON of one image, with the run, the scene and the georeference beside the boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.place.georef import GeoRef, corners
from sodslice.results.document import COMBINED, about, image_facts, slices, write_document
from sodslice.results.format import Format
from sodslice.results.reading import read_result
from sodslice.results.result import RunResult, rounded_boxes, written_rows
from sodslice.results.writing import Writing

MAP_DECIMALS = 8


def write_json(result: RunResult, path: Path) -> None:
    """Write the JSON document of a result: `boxes` as PaddleX writes them, coordinates in scene pixels.

    Where the scene has map coordinates but no longitude and latitude, as on another planet, each box has
    its corners in them as `map`.
    """
    head = {"input_path": result.scene.path, "page_index": None}
    with path.open("wb") as file:
        write_document(file, head, "boxes", _items(result), about(result))


def _items(result: RunResult) -> Iterator[dict[str, Any]]:
    on_own_map = result.georef.placed and not result.georef.on_map
    for part in slices(len(result)):
        some = result.rows(part)
        rings = _on_own_map(some) if on_own_map else None
        for row, (cls_id, label, score, box) in enumerate(written_rows(some)):
            item: dict[str, Any] = {"cls_id": cls_id, "label": label, "score": score, "coordinate": box}
            yield item if rings is None else {**item, "map": rings[row]}


def _on_own_map(result: RunResult) -> list[list[list[float]]]:
    """Corners of each box as x, y in the scene's own CRS, top left first, then down."""
    points = corners(rounded_boxes(result))
    places = result.georef.to_map(points.reshape(-1, 2)).reshape(points.shape)
    rings: list[list[list[float]]] = np.round(places, MAP_DECIMALS).tolist()
    return rings


def combine_json(results: Iterable[RunResult], path: Path) -> None:
    """Write one JSON document of many results: `boxes`, each with its `image`, and facts on the `images`."""
    images: list[dict[str, Any]] = []

    def items() -> Iterator[dict[str, Any]]:
        for result in results:
            images.append(image_facts(result))
            yield from ({"image": result.scene.path, **item} for item in _items(result))

    with path.open("wb") as file:
        write_document(file, COMBINED, "boxes", items(), {"images": images})


def _anything(_georef: GeoRef, _writing: Writing) -> str:
    return ""


FORMAT = Format(
    "json", (".json",), write=write_json, why_not=_anything, read=read_result, combine=combine_json
)
