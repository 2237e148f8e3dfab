"""A first run without a picture at hand: draw a town, find its vehicles, compare with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sodslice.metrics import Truth, match
from sodslice.results import RunResult
from sodslice.running.events import Events
from sodslice.running.runs import run
from sodslice.settings import Options
from sodslice.synthetic import SceneSpec, draw_scene


@dataclass(frozen=True)
class Demo:
    """What the demo drew, wrote and found.

    Args:
        scene: the drawn GeoTIFF.
        truth: its exact truth, as COCO JSON.
        outputs: the result as JSON, GeoJSON and a picture.
        result: what was found.
        vehicles: how many vehicles there are.
        hits: how many of them were found (IoU 0.5).
    """

    scene: Path
    truth: Path
    outputs: tuple[Path, ...]
    result: RunResult
    vehicles: int
    hits: int

    @property
    def recall(self) -> float:
        """Share of the vehicles that were found."""
        return self.hits / self.vehicles if self.vehicles else 1.0

    @property
    def precision(self) -> float:
        """Share of the detections that are vehicles."""
        return self.hits / len(self.result) if len(self.result) else 1.0


def run_demo(
    folder: Path,
    *,
    side: int = 2048,
    seed: int = 0,
    options: Options | None = None,
    events: Events | None = None,
) -> Demo:
    """Draw a square town into a folder, run a model on it and compare with the truth.

    Args:
        folder: where the scene, its truth and the results go; made as needed.
        side: of the scene, in pixels of 0.12 m.
        seed: which town.
        options: settings of the run.
        events: told how it goes.

    Raises:
        SodsliceError: a setting is wrong or the folder cannot be written.
    """
    scene = folder / f"town-{seed}.tif"
    truth_file = scene.with_suffix(".truth.json")
    drawn = draw_scene(scene, SceneSpec(width=side, height=side, seed=seed), coco=truth_file)
    outputs = tuple(scene.with_suffix(suffix) for suffix in (".json", ".geojson", ".jpg"))
    result = run(scene, options=options, output=outputs, events=events)
    truth = Truth.of(drawn.boxes, np.zeros(len(drawn), np.int32))
    found = result.detections
    hits = int(match(truth, found[found.labels == 0]).hit.sum())
    return Demo(scene, truth_file, outputs, result, len(drawn), hits)
