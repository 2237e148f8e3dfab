"""A folder of drawn images of mixed sizes and formats: what a job costs beside its model and its decoding.

    python benchmarks/jobs.py [--images 500] [--largest 4000] [--rounds 3] [--memory 5000]

Images of 300 pixels a side up to the largest (log-uniform) are cut from one drawn town as JPEG, PNG and
GeoTIFF, with names that hold spaces and umlauts, or share a stem; seven are broken, each in its own way. The
job runs in a process of its own. Beside it, in another: the graph alone, called with all cores on each tile
that the job's plans have, and the decoding of each image, once, with rasterio. `overhead` is the wall of the
job, from the first image to the manifest, over graph + decoding / cores. With `--memory`, the peak memory of
a job over so many images of 300 to 500 pixels, after a tenth of them and at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from sodslice import make_plan, run_many
from sodslice.inference import ExportedDetector
from sodslice.jobs import list_scenes
from sodslice.models import load_model
from sodslice.synthetic import SceneSpec, draw_scene
from sodslice.system import chip
from sodslice.system.memory import peak_mb

LEAST = 300
TOWN = 6144
NAMES = ("bild {} ü.jpg", "Straße/img_{}.png", "img_{}.tif", "img_{}.png")
DRIVERS = {".jpg": "JPEG", ".png": "PNG", ".tif": "GTiff"}


def main() -> None:
    """Parse, draw, measure in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--largest", type=int, default=4000, help="side in pixels")
    parser.add_argument("--model", default="vehicle-t")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory", type=int, default=0, metavar="IMAGES")
    parser.add_argument("--one", choices=ALONE, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="keep the images here")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(ALONE[given.one](given.folder, given.model)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary) / "images"
        draw(folder, given.images, given.largest)
        print(chip.describe())
        rounds = [{name: run_one(name, folder, given.model) for name in ("job", "bare")}
                  for _ in range(given.rounds)]  # fmt: skip
        for measured in rounds:
            show(measured)
        shares = [overhead(measured) for measured in rounds]
        print(f"overhead: median {median(shares):.3f} of {len(shares)}")
        if given.memory:
            many = Path(temporary) / "many"
            draw_many(many, given.memory)
            print(f"memory: {run_one('memory', many, given.model)}")


def draw(folder: Path, count: int, largest: int) -> None:
    """Make the images, unless they are there."""
    if folder.is_dir():
        return
    town = folder.parent / "town.tif"
    draw_scene(town, SceneSpec(width=TOWN, height=TOWN, seed=4))
    random = np.random.default_rng(0)
    with rasterio.open(town) as source:
        for number in range(count - 7):
            sides = np.exp(random.uniform(np.log(LEAST), np.log(largest), 2)).astype(int).tolist()
            name = NAMES[number % len(NAMES)].format(number - number % len(NAMES))
            cut(source, folder / name, sides, random)
    break_some(folder)


def cut(source: Any, path: Path, sides: list[int], random: np.random.Generator) -> None:
    """Write a part of the town as an image."""
    x, y = (int(random.integers(0, TOWN - side)) for side in sides)
    window = Window(x, y, *sides)
    path.parent.mkdir(parents=True, exist_ok=True)
    driver = DRIVERS[path.suffix]
    place = {"crs": source.crs, "transform": source.window_transform(window), "tiled": True}
    profile = place if driver == "GTiff" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", driver=driver, width=sides[0], height=sides[1], count=3, dtype="uint8",
                           **profile) as image:  # fmt: skip
            image.write(source.read((1, 2, 3), window=window))
    path.with_name(f"{path.name}.aux.xml").unlink(missing_ok=True)


def break_some(folder: Path) -> None:
    """Seven images that cannot be read, each for a reason of its own."""
    whole = {suffix: next(folder.rglob(f"*{suffix}")).read_bytes() for suffix in DRIVERS}
    for name, content in {
        "empty.tif": b"",
        "text.jpg": b"no image at all",
        "half.tif": whole[".tif"][: len(whole[".tif"]) // 2],
        "head only.png": whole[".png"][:40],
        "start.jpg": whole[".jpg"][:100],
        "zeros.tif": bytes(5000),
        "swapped.png": whole[".tif"][::-1],
    }.items():
        (folder / name).write_bytes(content)


def draw_many(folder: Path, count: int) -> None:
    """Many small images: few that are drawn, and links to them."""
    draw(folder, 47, 500)
    drawn = sorted(
        path for path in folder.rglob("*.*") if path.suffix == ".tif" and path.stat().st_size > 10_000
    )
    for number in range(count - 47):
        os.link(drawn[number % len(drawn)], folder / f"link {number}.tif")


def job(folder: Path, model: str) -> dict[str, float]:
    """The whole job."""
    with tempfile.TemporaryDirectory() as out:
        began, counts = time.perf_counter(), dict.fromkeys(("done", "failed"), 0)
        for outcome in run_many(folder, model=model, output=out):
            counts[outcome.status] += 1
        return {"wall": time.perf_counter() - began, "peak MB": peak_mb(), **counts}


def bare(folder: Path, model: str) -> dict[str, float]:
    """The graph on every tile, and the decoding of every image."""
    detector = load_model(model)
    assert isinstance(detector, ExportedDetector)
    graph = decoding = tiles = 0
    for scene in list_scenes(folder).scenes:
        try:
            plan = make_plan(scene.path, model=model)
            began = time.perf_counter()
            with warnings.catch_warnings(), rasterio.open(scene.path) as image:
                warnings.simplefilter("ignore")
                pixels = np.ascontiguousarray(image.read((1, 2, 3)).transpose(1, 2, 0))
            decoding += time.perf_counter() - began
        except (OSError, ValueError):
            continue
        for tile in plan.grid.tiles():
            call = detector.bare_call(
                pixels[None, tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
            )
            began = time.perf_counter()
            call()
            graph += time.perf_counter() - began
            tiles += 1
    return {"graph": graph, "decoding": decoding, "tiles": tiles}


def memory(folder: Path, model: str) -> dict[str, float]:
    """The peak memory of a job after a tenth of its images, and at the end."""
    peaks = []
    with tempfile.TemporaryDirectory() as out:
        count = sum(1 for _ in list_scenes(folder).scenes)
        for number, _ in enumerate(run_many(folder, model=model, output=out), start=1):
            if number in (count // 10, count):
                peaks.append(peak_mb())
    return {"images": count, "MB after a tenth": peaks[0], "MB at the end": peaks[-1]}


ALONE = {"job": job, "bare": bare, "memory": memory}


def run_one(name: str, folder: Path, model: str) -> dict[str, float]:
    """Measure in a process of its own."""
    words = [sys.executable, __file__, "--one", name, "--folder", str(folder), "--model", model]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def overhead(measured: dict[str, dict[str, float]]) -> float:
    """The wall of the job over what it could not do without."""
    alone = measured["bare"]
    return measured["job"]["wall"] / (alone["graph"] + alone["decoding"] / chip.cores())


def show(measured: dict[str, dict[str, float]]) -> None:
    """One line."""
    words = ", ".join(f"{key} {value:.1f}" for part in measured.values() for key, value in part.items())
    print(f"{words}: overhead {overhead(measured):.3f}")


if __name__ == "__main__":
    main()
