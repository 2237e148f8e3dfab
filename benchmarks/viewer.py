"""Time of a frame of a report with many boxes, while it is moved and zoomed in headless Chromium.

    python benchmarks/viewer.py --boxes 100000

The window has 1280 x 800 pixels, and no GPU helps. A frame ends when its pixels are there. The way leads
from the whole scene, where a grid of densities stands for the boxes, down to single ones.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from sodslice import Detections, GeoRef, RunResult
from sodslice.report.page import write_report
from sodslice.results import SceneFacts
from sodslice.synthetic import SceneSpec, draw_scene
from sodslice.system.chip import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.browser import browser

SIDE = 4096
WAY = """
(async () => {
  const times = [];
  fit();
  for (let step = 0; step < 120; step += 1) {
    zoomAt(480 + 100 * Math.sin(step / 9), 380 + 80 * Math.cos(step / 7), step < 60 ? 1.05 : 1 / 1.05);
    view.x += 12 / view.zoom;
    await new Promise((done) => requestAnimationFrame(done));
    const began = performance.now();
    draw();
    context.getImageData(0, 0, 1, 1);
    times.push([performance.now() - began, view.dense ? 1 : 0, view.inView]);
  }
  return times;
})()
"""


def main() -> None:
    """Draw a town, report on boxes all over it, and move about."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--boxes", type=int, default=100_000)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        scene = Path(folder) / "town.tif"
        draw_scene(scene, SceneSpec(width=SIDE, height=SIDE, seed=5, vehicles=1.0))
        low = rng.uniform(0, SIDE - 30, (given.boxes, 2))
        boxes = np.concatenate([low, low + rng.uniform(5, 30, (given.boxes, 2))], axis=1)
        scores = np.sort(rng.uniform(0.3, 1, given.boxes))[::-1]
        labels = rng.integers(0, 3, given.boxes)
        found = Detections(boxes, scores, labels, np.full(given.boxes, -1))
        georef = GeoRef((0.1, 0, 5e5, 0, -0.1, 5.7e6), "EPSG:32633")
        result = RunResult(found, ("car", "van", "bus"), georef, SceneFacts(str(scene), SIDE, SIDE, 0.1))
        report = write_report(result, Path(folder) / "town.html")
        page.open(report)
        page.wait(f"shown.count === {given.boxes}")
        page.js(WAY)  # pictures are decoded
        times = page.js(WAY)
        megabytes = report.stat().st_size / 2**20
    print(describe())
    print(f"{given.boxes} boxes, page of {megabytes:.1f} MB, 1280 x 800, {len(times)} frames")
    for name, some in (
        ("all", times),
        ("as a grid of densities", [one for one in times if one[1]]),
        ("box by box", [one for one in times if not one[1]]),
    ):
        if len(some) > 1:
            spent = [one[0] for one in some]
            most, slow = max(one[2] for one in some), quantiles(spent, n=20)[-1]
            times_of = f"median {median(spent):5.1f} ms, 95 % {slow:5.1f} ms"
            print(f"{name:24} {times_of}, up to {most} in view")


if __name__ == "__main__":
    main()
