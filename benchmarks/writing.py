"""Time and memory of writing a million boxes in each format.

    python benchmarks/writing.py --boxes 1000000 --rounds 3

Each format is written in a process of its own, whose peak is compared with what it held before: the result,
and the libraries that a small file of the same format loads. Medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np

from sodslice import Detections, GeoRef, RunResult, write
from sodslice.results import Provenance, SceneFacts
from sodslice.system.chip import describe

SUFFIXES = (".geojson", ".geojsonl", ".json", ".gpkg", ".fgb", ".parquet", ".csv", ".coco.json")
SIDE_PX = 100_000
GEOREF = GeoRef((0.1, 0, 500_000, 0, -0.1, 5_700_000), "EPSG:32633")
CLASSES = ("car", "truck", "bus")


def result_of(boxes: int) -> RunResult:
    """Boxes of cars all over a scene of 10 km."""
    rng = np.random.default_rng(0)
    corner, sides = rng.uniform(0, SIDE_PX - 60, (boxes, 2)), rng.uniform(4, 50, (boxes, 2))
    scores = np.sort(rng.uniform(0.3, 1, boxes))[::-1]
    labels = rng.integers(0, len(CLASSES), boxes)
    found = Detections(np.concatenate([corner, corner + sides], axis=1), scores, labels, np.full(boxes, -1))
    facts = SceneFacts("big_scene.tif", SIDE_PX, SIDE_PX, 0.1)
    return RunResult(found, CLASSES, GEOREF, facts, Provenance())


def resident_mb() -> float:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


@contextmanager
def watched(seen: list[float]) -> Iterator[None]:
    """Looks at the memory of this process, again and again."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.append(resident_mb())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def measure(boxes: int, path: Path) -> dict[str, float]:
    """Seconds, growth and size of one file."""
    write(result_of(100), path)
    result = result_of(boxes)
    before = resident_mb()
    seen = [before]
    began = time.perf_counter()
    with watched(seen):
        write(result, path)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "growth_mb": max(seen) - before, "file_mb": path.stat().st_size / 2**20}


def main() -> None:
    """Measure all formats, round by round."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boxes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--format", dest="suffix", help="measure one format here and print JSON")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.suffix:
        print(json.dumps(measure(given.boxes, given.folder / f"a{given.suffix}")))
        return
    print(describe())
    found: dict[str, list[dict[str, float]]] = {suffix: [] for suffix in SUFFIXES}
    for _ in range(given.rounds):
        for suffix, rounds in found.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [
                    sys.executable,
                    __file__,
                    "--boxes",
                    str(given.boxes),
                    "--format",
                    suffix,
                    "--folder",
                    folder,
                ]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rounds.append(json.loads(done.stdout))
    print(f"{given.boxes} boxes, medians of {given.rounds}")
    for suffix, rounds in found.items():
        seconds, growth, size = (
            median(one[key] for one in rounds) for key in ("seconds", "growth_mb", "file_mb")
        )
        print(f"{suffix:12} {seconds:6.1f} s   growth {growth:5.0f} MB   file {size:5.0f} MB")


if __name__ == "__main__":
    main()
