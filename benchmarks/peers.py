"""One drawn scene and one exported folder: `sodslice run`, SAHI around the folder, a loop over plain Paddle.

    python benchmarks/peers.py --side 3072 [--model FOLDER] [--rounds 3]

Each runs in a process of its own, in turns, round after round; the table shows medians. `wall` is from the
call to the boxes, with the loading of the model; `process` adds the start. SAHI sees slices of 1024 pixels,
or of the model's input, overlap 0.2, and no whole image besides; so does the loop over plain Paddle. Plain
Paddle is what PaddleX gives where Paddle's oneDNN does not run. PaddleX itself cuts no scenes, so that loop
is ours: read by rasterio, none ahead, class-wise NMS at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from sodslice.models import load_model, model_info
from sodslice.system import chip
from sodslice.system.memory import peak_mb

SLICE, OVERLAP = 1024, 0.2


def main() -> None:
    """Parse, draw, have each run in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=3072, help="of the drawn scene, in pixels")
    parser.add_argument("--scene", type=Path, help="take this one instead")
    parser.add_argument("--model", default="vehicle-t", help="name or exported folder")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    parser.add_argument("--one", choices=PEERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(alone(given.one, given.scene, given.model)))
        return
    with tempfile.TemporaryDirectory() as folder:
        scene = given.scene or drawn(Path(folder) / "town.tif", given.side)
        rounds = [
            {name: run_one(name, scene, given.model) for name in given.peers} for _ in range(given.rounds)
        ]
    print(chip.describe())
    print(
        f"{given.model}, {given.scene or f'a drawn town of {given.side} x {given.side} pixels, JPEG tiles'}"
    )
    print(f"{'':<26}{'wall s':>9}{'process s':>11}{'peak MB':>9}{'boxes':>7}")
    for name in given.peers:
        show(name, [measured[name] for measured in rounds])


def drawn(path: Path, side: int) -> Path:
    """A town to look at."""
    from sodslice.report.speed.town import draw_as_delivered

    return draw_as_delivered(path, side)


def run_one(name: str, scene: Path, model: str) -> dict[str, Any]:
    """What a peer takes, in a process of its own."""
    words = [sys.executable, __file__, "--one", name, "--scene", str(scene), "--model", model]
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        return {"reason": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]}
    return {**json.loads(done.stdout.splitlines()[-1]), "process_s": seconds}


def alone(name: str, scene: Path, model: str) -> dict[str, Any]:
    """What this process takes as a peer."""
    began = time.perf_counter()
    boxes = PEERS[name](scene, model)
    return {"wall_s": time.perf_counter() - began, "peak_mb": peak_mb(), "boxes": boxes}


def show(name: str, rounds: list[dict[str, Any]]) -> None:
    """Print a line of the table."""
    failed = next((one["reason"] for one in rounds if "reason" in one), None)
    if failed is not None:
        print(f"{name:<26}  cannot: {failed}")
        return
    wall, process, memory = (median(one[key] for one in rounds) for key in ("wall_s", "process_s", "peak_mb"))
    print(f"{name:<26}{wall:>9.2f}{process:>11.2f}{memory:>9.0f}{rounds[0]['boxes']:>7}", flush=True)


def slice_side(model: str) -> int:
    """Side of the slices: the model's input, where it has one."""
    size = model_info(model).input_size
    return SLICE if size is None else max(size)


def by_sodslice(scene: Path, model: str) -> int:
    """`sodslice run` with its defaults, and a file at the end."""
    from sodslice import run

    with tempfile.TemporaryDirectory() as folder:
        return len(run(scene, model=model, output=Path(folder) / "found.json"))


def by_sahi(engine: str) -> Callable[[Path, str], int]:
    """SAHI's sliced prediction around the folder on an engine."""

    def run(scene: Path, model: str) -> int:
        from sahi.predict import get_sliced_prediction

        side = slice_side(model)
        found = get_sliced_prediction(
            str(scene),
            _adapter(model, engine),
            slice_height=side,
            slice_width=side,
            overlap_height_ratio=OVERLAP,
            overlap_width_ratio=OVERLAP,
            perform_standard_pred=False,
            verbose=0,
        )
        return len(found.object_prediction_list)

    return run


def by_plain_paddle(scene: Path, model: str) -> int:
    """A loop over tiles on plain Paddle: read, detect, read, detect; class-wise NMS at the end."""
    import rasterio
    from rasterio.windows import Window

    from sodslice import Detections, merge
    from sodslice.tables.tiles import Grid

    detector = load_model(model, engine="paddle:plain")
    seen = []
    with rasterio.open(scene) as dataset:
        grid = Grid(dataset.width, dataset.height, slice_side(model), OVERLAP)
        tiles = list(grid.tiles(np.arange(len(grid))))
        for tile in tiles:
            pixels = dataset.read((1, 2, 3), window=Window(tile.x, tile.y, tile.width, tile.height))
            found = detector.detect(np.ascontiguousarray(pixels.transpose(1, 2, 0))[None])[0]
            found = found[found.scores >= detector.info.threshold]
            boxes, ids = (
                found.boxes + (tile.x, tile.y, tile.x, tile.y),
                np.full(len(found), tile.id, np.int32),
            )
            seen.append(Detections(boxes, found.scores, found.labels, ids))
    return len(merge(Detections.concatenate(seen), tiles, method="nms"))


PEERS: dict[str, Callable[[Path, str], int]] = {
    "sodslice run": by_sodslice,
    "SAHI, fastest engine": by_sahi("auto"),
    "SAHI, Paddle": by_sahi("paddle"),
    "SAHI, plain Paddle": by_sahi("paddle:plain"),
    "plain Paddle": by_plain_paddle,
}


def _adapter(model: str, engine: str) -> Any:
    """The folder as SAHI's DetectionModel."""
    from sahi.models.base import DetectionModel
    from sahi.prediction import ObjectPrediction

    class Exported(DetectionModel):
        """An exported folder; slices of a size other than its own are resized by it."""

        def set_device(self, device: str | None = None) -> None:
            """SAHI's own would take the GPU from everybody in this process, or want torch."""
            self.device = device or "cpu"

        def load_model(self) -> None:
            self.set_model(load_model(self.model_path, engine=engine))

        def set_model(self, model: Any, **_: Any) -> None:
            self.model = model
            self.confidence_threshold = model.info.threshold
            self.category_mapping = {str(i): name for i, name in enumerate(model.info.class_names)}

        def perform_inference(self, image: np.ndarray) -> None:
            self._original_predictions = self.model.detect(image[None])

        def _create_object_prediction_list_from_original_predictions(
            self,
            shift_amount_list: Any = None,
            full_shape_list: Any = None,
        ) -> None:
            found = self._original_predictions[0]
            found = found[found.scores >= self.confidence_threshold]
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=box,
                        category_id=label,
                        category_name=self.category_mapping[str(label)],
                        score=score,
                        shift_amount=shift_amount_list[0],
                        full_shape=full_shape_list[0] if full_shape_list else None,
                    )
                    for box, label, score in zip(
                        found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True
                    )
                ]
            ]

    return Exported(model_path=model)


if __name__ == "__main__":
    main()
