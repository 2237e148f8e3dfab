"""What is measured by a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError, SodsliceError
from sodslice.inference import ExportedDetector, InferenceChoice, ReadyDetector, read_folder
from sodslice.inference.folder import ONNX_SUFFIX
from sodslice.models import load_model
from sodslice.report.speed.agreement import Found
from sodslice.report.speed.records import Candidate
from sodslice.system.memory import peak_mb

TASK, ANSWER = "task.json", "answer.json"

LEAST_REPEATS = 3

COMPARED = 2
"""Tiles whose boxes are compared between engines."""


def measure_engine(
    candidate: Mapping[str, Any], tiles: str, boxes: str, repeats: int, seconds: float
) -> dict[str, Any]:
    """What one engine takes for a tile.

    Args:
        candidate: fields of a `Candidate`.
        tiles: `.npy` with `(N, H, W, 3)` uint8.
        boxes: `.npz` to write what was found in the first tiles to.
        repeats: the most calls that are timed.
        seconds: after which no more are.

    Raises:
        SodsliceError: it cannot run the model.
    """
    asked, pixels = Candidate(**candidate), np.load(tiles)
    detector = loaded(asked, max(pixels.shape[1:3]))
    batch = detector.batch if isinstance(detector, ExportedDetector) else max(1, asked.batch)
    fed = np.resize(pixels, (batch, *pixels.shape[1:]))

    def whole() -> object:
        return detector.detect(fed)

    bare = detector.bare_call(fed) if isinstance(detector, ExportedDetector) else whole
    ms, ms_prepared = (median_ms(call, repeats, seconds) / batch for call in (bare, whole))
    found = found_in(detector, pixels[:COMPARED])
    np.savez(boxes, **found._asdict())
    return {
        "batch": batch,
        "runs_on": detector.engine,
        "ms": ms,
        "ms_prepared": ms_prepared,
        "peak_mb": peak_mb(),
    }


def loaded(asked: Candidate, tile: int) -> ReadyDetector:
    """The detector of a candidate."""
    return load_model(
        asked.model,
        engine=asked.engine,
        precision=asked.precision,
        device=asked.device,
        threads=asked.threads,
        batch=asked.batch or None,
        tile=tile,
    )


def median_ms(call: Callable[[], object], repeats: int, seconds: float) -> float:
    """Median milliseconds of some calls, after one that is not timed."""
    call()
    took = list[float]()
    while len(took) < LEAST_REPEATS or (len(took) < repeats and sum(took) < seconds):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return median(took) * 1e3


def found_in(detector: ReadyDetector, tiles: npt.NDArray[np.uint8]) -> Found:
    """What a detector finds in tiles `(N, H, W, 3)`."""
    tables, classes = detector.detect(tiles), len(detector.info.class_names)
    groups = [table.labels.astype(np.int64) + number * classes for number, table in enumerate(tables)]
    return Found(
        np.concatenate([table.boxes for table in tables]),
        np.concatenate([table.scores for table in tables]),
        np.concatenate(groups),
    )


def measure_run(scene: str, options: Mapping[str, Any], output: str) -> dict[str, Any]:
    """What a run over a scene takes, from the call to the written file.

    Raises:
        SodsliceError: it fails.
    """
    from sodslice.running import run

    began = time.perf_counter()
    result = run(scene, options=options, output=output)
    wall = time.perf_counter() - began
    facts = result.provenance
    return {
        "wall_s": wall,
        "tiles": facts.counts.read,
        "runs_on": facts.engine,
        "objects": len(result),
        "peak_mb": peak_mb(),
    }


def measure_product(side: int, seconds: float) -> dict[str, Any]:
    """The best speed of a product of square float32 matrices, in GFLOP a second."""
    one = np.random.default_rng(0).random((side, side), np.float32)
    best, ends = np.inf, time.perf_counter() + seconds
    np.matmul(one, one)
    for number in range(1000):
        began = time.perf_counter()
        if number >= LEAST_REPEATS and began > ends:
            break
        np.matmul(one, one)
        best = min(best, time.perf_counter() - began)
    return {"product_gflop_per_s": 2 * side**3 / best / 1e9}


def count_operations(model: str, tile: int, sides: tuple[int, int]) -> dict[str, Any]:
    """GFLOP of a model for a tile.

    Args:
        model: name, folder or file.
        tile: longer side of the tile in pixels, for checkpoints.
        sides: height and width of what goes into a graph that takes any size.

    Raises:
        SodsliceError: they cannot be counted.
    """
    from sodslice.inference.graphs.counting import flop_of
    from sodslice.models.loading import resolve_model
    from sodslice.models.store import DETECTORS
    from sodslice.models.translation import translation_of

    spec = resolve_model(model, InferenceChoice(model=model), tile=tile)
    if spec.location in DETECTORS:
        raise ModelError(f"{model} has no graph whose operations could be counted")
    path = Path(spec.location)
    if path.suffix == ONNX_SUFFIX:
        return {"gflop_per_tile": flop_of(path, spec.info.input_size or sides) / 1e9}
    if path.is_file():
        from sodslice.models.conversion import converted_folder

        path = converted_folder(path, input_size=spec.info.input_size or (sides[0], sides[1]))
    files = read_folder(path)
    graph = translation_of(files).graph if files.graph.suffix == ".json" else files.graph
    if graph.suffix != ".onnx":
        raise ModelError(f"operations are counted in ONNX graphs, and {model} is a {graph.suffix} graph")
    height, width = spec.info.input_size or sides
    return {"gflop_per_tile": flop_of(graph, (height, width)) / 1e9}


TASKS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "engine": measure_engine,
    "run": measure_run,
    "product": measure_product,
    "count": count_operations,
}


def main(place: str) -> None:
    """Do the task of a folder, and leave the answer there: numbers, or the reason why there are none."""
    folder = Path(place)
    task = json.loads((folder / TASK).read_text(encoding="utf-8"))
    try:
        answer = TASKS[task["name"]](**task["given"])
    except (SodsliceError, MemoryError) as error:
        answer = {"reason": " ".join(str(error).split()) or "out of memory"}
    (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
