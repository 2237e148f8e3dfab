"""How time and memory of merging grow with the number of boxes.

    python benchmarks/merge_scale.py                           1e5, 3e5 and 1e6 boxes
    python benchmarks/merge_scale.py --boxes 1e6 1e7 --methods seam nms

The scene: small objects (8 to 40 px, 10 classes) strewn over square tiles of 640 px with an overlap of 0.25;
each tile reports 95 % of what it sees at least to a fifth, cut to the tile, with half a pixel of jitter. That
makes 43 % of the rows duplicates and 40 000 tiles at a million rows. Each measurement is a process of its own
on one thread; memory is the peak while merging, above what the process held with the table loaded.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

TILE, STRIDE = 640, 480
OURS = ("seam", "nms")
SAHI = ("sahi-nms", "sahi-greedy-nmm", "sahi-nmm")


def crowd(rows: int, seed: int = 0):
    """About `rows` detections of a scene, shuffled, and its tiles."""
    from sodslice.tables.detections import Detections
    from sodslice.tables.tiles import plan_tiles

    rng = np.random.default_rng(seed)
    objects, across = int(0.568 * rows), max(1, round((rows / 25) ** 0.5))
    side = across * STRIDE + TILE - STRIDE
    tiles = np.array(plan_tiles(side, side, tile=TILE, overlap=TILE - STRIDE))
    corner, size = rng.uniform(0, side - 40, (objects, 2)), rng.uniform(8, 40, (objects, 2))
    label, sure = rng.integers(0, 10, objects), rng.uniform(0.05, 1, objects)
    columns = []
    for step in ((dx, dy) for dy in (-1, 0, 1) for dx in (-1, 0, 1)):
        cell = (corner // STRIDE).astype(int) + step
        seen = np.flatnonzero(((cell >= 0) & (cell < across)).all(axis=1))
        tile = cell[seen, 1] * across + cell[seen, 0]
        low = tiles[tile][:, [1, 2, 1, 2]]
        box = np.concatenate([corner[seen], corner[seen] + size[seen]], axis=1)
        box = np.clip(box + rng.normal(0, 0.5, box.shape), low, low + TILE)
        sides = box[:, 2:] - box[:, :2]
        share = sides.prod(axis=1) / size[seen].prod(axis=1)
        kept = (sides.min(axis=1) > 2) & (share > 0.2) & (rng.random(len(seen)) < 0.95)
        score = sure[seen] * (0.7 + 0.3 * share) + rng.normal(0, 0.03, len(seen))
        columns.append((box[kept], score.clip(0.01, 1)[kept], label[seen][kept], tile[kept]))
    boxes, scores, labels, ids = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = rng.permutation(len(boxes))
    return Detections(boxes[order], scores[order], labels[order], ids[order]), tiles, objects


def measure(rows: int, method: str) -> dict[str, float]:
    """One merge in this process."""
    from sodslice.merging import merge

    found, tiles, objects = crowd(rows)
    if method.startswith("sahi"):
        merge(found[:100], tiles, method=method)  # its imports are not what is measured
    before = forget_peak()
    began, began_cpu = time.perf_counter(), time.process_time()
    merged = merge(found, tiles, method=method)
    return {
        "method": method,
        "rows": len(found),
        "tiles": len(tiles),
        "duplicates": 1 - objects * 0.99 / len(found),
        "merged": len(merged),
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - began_cpu,
        "memory": peak() - before,
    }


def forget_peak() -> float:
    """Start the record of the peak anew where the system can (Linux); the memory held now, in MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """The most memory this process has held since the record began, in MB."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return float(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--boxes", type=float, nargs="+", default=[1e5, 3e5, 1e6])
    parser.add_argument("--methods", nargs="+", default=[*OURS, *SAHI])
    parser.add_argument(
        "--one", nargs=2, metavar=("BOXES", "METHOD"), help="measure in this process, print JSON"
    )
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(int(float(arguments.one[0])), arguments.one[1])))
        return
    print("| boxes | tiles | duplicates | method | left | seconds | CPU seconds | MB above the table |")
    print("|-|-|-|-|-|-|-|-|")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    for rows in arguments.boxes:
        for method in arguments.methods:
            command = [sys.executable, __file__, "--one", str(rows), method]
            done = subprocess.run(
                command, env={**os.environ, **threads}, capture_output=True, text=True, check=True
            )
            m = json.loads(done.stdout.splitlines()[-1])
            print(
                f"| {m['rows']} | {m['tiles']} | {m['duplicates']:.0%} | {method} | {m['merged']} | "
                f"{m['seconds']:.1f} | {m['cpu']:.1f} | {m['memory']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
