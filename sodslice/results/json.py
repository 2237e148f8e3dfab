"""PaddleX's JSON of one image, with the run, the scene and the georeference beside the boxes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from sodslice.place.georef import corners
from sodslice.results.columns import Column, slices
from sodslice.results.document import (
    COMBINED,
    about,
    array_cells,
    image_facts,
    json_objects,
    write_document,
)
from sodslice.results.format import Format
from sodslice.results.reading import read_result
from sodslice.results.result import RunResult, rounded_boxes, rounded_scores

MAP_DECIMALS = 8


def write_json(result: RunResult, path: Path) -> None:
    """Write the JSON document of a result: `boxes` as PaddleX writes them, coordinates in scene pixels.

    Where the scene has map coordinates but no longitude and latitude, as on another planet, each box has
    its corners in them as `map`.
    """
    head = {"input_path": result.scene.path, "page_index": None}
    with path.open("wb") as file:
        write_document(file, head, "boxes", _items(result, {}), about(result))


def _items(result: RunResult, first: dict[str, str]) -> Iterator[list[bytes]]:
    """The boxes as JSON, in pieces.

    Args:
        result: of a run.
        first: columns that come first, the same in all rows.
    """
    on_own_map = result.georef.placed and not result.georef.on_map
    for part in slices(len(result)):
        some = result.rows(part)
        columns: dict[str, Column | list[bytes]] = {
            name: np.full(len(some), value, object) for name, value in first.items()
        }
        columns["cls_id"] = np.asarray(some.detections.labels)
        columns["label"] = np.array(some.labels, object)
        columns["score"] = rounded_scores(some)
        columns["coordinate"] = array_cells(rounded_boxes(some))
        if on_own_map:
            columns["map"] = [orjson.dumps(ring) for ring in _on_own_map(some)]
        yield json_objects(columns)


def _on_own_map(result: RunResult) -> list[list[list[float]]]:
    """Corners of each box as x, y in the scene's own CRS, top left first, then down."""
    points = corners(rounded_boxes(result))
    places = result.georef.to_map(points.reshape(-1, 2)).reshape(points.shape)
    rings: list[list[list[float]]] = np.round(places, MAP_DECIMALS).tolist()
    return rings


def combine_json(results: Iterable[RunResult], path: Path) -> None:
    """Write one JSON document of many results: `boxes`, each with its `image`, and facts on the `images`."""
    images: list[dict[str, Any]] = []

    def items() -> Iterator[list[bytes]]:
        for result in results:
            images.append(image_facts(result))
            yield from _items(result, {"image": result.scene.path})

    with path.open("wb") as file:
        write_document(file, COMBINED, "boxes", items(), {"images": images})


FORMAT = Format(
    "json",
    (".json",),
    write=write_json,
    read=read_result,
    heeds=("pixel_coords",),
    combine=combine_json,
)
