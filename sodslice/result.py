"""`RunResult`: what one scene gave, and how to read it back from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.detections import NO_TILE, Detections
from sodslice.errors import SodsliceError
from sodslice.georef import GeoRef


@dataclass(frozen=True)
class RunResult:
    """What one run over one scene gave.

    Args:
        detections: boxes in scene pixels, ordered by score, ties by (label, x0, y0, x1, y1).
        class_names: names of the labels.
        georef: where the scene lies on the map.
        scene: facts about it: `path`, `width`, `height`, `gsd_m` (None without CRS), `notes`.
        run: how it was made: `version`, `model`, `engine`, `options`, `counts` (`tiles`, `read`,
            `skipped_nodata`, `saturated`), and other facts that equal runs share.
        timings: what differs from run to run: seconds by stage, when, with how many readers.
    """

    detections: Detections
    class_names: tuple[str, ...]
    georef: GeoRef
    scene: Mapping[str, Any]
    run: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.detections)

    @property
    def labels(self) -> list[str]:
        """Class name of each row."""
        return [self.class_names[i] for i in self.detections.labels]


def load_result(path: str | Path) -> RunResult:
    """Read back the JSON or GeoJSON that a run wrote.

    Boxes have the 3 decimals of the file; tile ids are unknown (-1).

    Raises:
        SodsliceError: the file cannot be read or was not written by a run.
    """
    import orjson

    file = Path(path)
    try:
        content = orjson.loads(file.read_bytes())
    except OSError as error:
        raise SodsliceError(f"{file} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise SodsliceError(f"{file} is not JSON: {error}") from None
    if not isinstance(content, dict) or not {"run", "scene", "georef"} <= set(content):
        raise SodsliceError(f"{file} was not written by `sodslice run`: it has no run, scene and georef")
    names = tuple(content["run"]["class_names"])
    try:
        rows = _geojson_rows(content) if "features" in content else _json_rows(content)
        table = np.array([[*box, score, label] for box, score, label in rows], dtype=np.float64).reshape(
            -1, 6
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SodsliceError(f"{file} has a malformed detection: {type(error).__name__} {error}") from None
    found = Detections(table[:, :4], table[:, 4], table[:, 5], np.full(len(table), NO_TILE))  # type: ignore[arg-type]
    return RunResult(
        found,
        names,
        GeoRef.from_dict(content["georef"]),
        content["scene"],
        content["run"],
        content.get("timings", {}),
    )


def _json_rows(content: Mapping[str, Any]) -> list[tuple[list[float], float, int]]:
    return [(b["coordinate"], b["score"], b["cls_id"]) for b in content["boxes"]]


def _geojson_rows(content: Mapping[str, Any]) -> list[tuple[list[float], float, int]]:
    rows = [feature["properties"] for feature in content["features"]]
    return [(p["bbox_px"], p["score"], p["cls_id"]) for p in rows]
