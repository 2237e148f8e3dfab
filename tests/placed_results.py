"""Results of scenes in many places, for tests of what is written of them."""

from __future__ import annotations

import numpy as np

from sodslice import Detections, GeoRef, RunResult
from sodslice.results import Provenance, SceneFacts

UTM = GeoRef((0.12, 0, 305_000.0, 0, -0.12, 4_770_000.0), "EPSG:32616")
ROTATED = GeoRef((0.1, 0.05, 500_000.0, 0.05, -0.1, 5_300_000.0), "EPSG:32632")
SOUTHERN = GeoRef((0.2, 0, 335_000.0, 0, -0.2, 6_250_000.0), "EPSG:32756")
MERIDIAN = GeoRef((1e-5, 0, 179.995, 0, -1e-5, 0.1), "EPSG:4326")
POLAR = GeoRef((0.5, 0, -250.0, 0, -0.5, 200.0), "EPSG:3031")
DEGREES = GeoRef((1e-6, 0, 11.5, 0, -1e-6, 48.1), "EPSG:4326")

SCENES = {
    "UTM": UTM,
    "rotated": ROTATED,
    "southern": SOUTHERN,
    "antimeridian": MERIDIAN,
    "polar": POLAR,
    "degrees": DEGREES,
}
"""The antimeridian and the pole are at 500, 400 of their scenes."""

CLASSES = ("car", "van", 'a "b", <c>')


def placed_result(
    georef: GeoRef = UTM, count: int = 40, *, path: str = "a.tif", **options: object
) -> RunResult:
    """Boxes all over a scene of 1000 x 800 pixels, one of them over its middle."""
    rng = np.random.default_rng(7)
    low = rng.uniform((0, 0), (960, 760), (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(3, 40, (count, 2))], axis=1)
    boxes[:1] = 480, 380, 520.5, 420.25
    scores, labels = np.linspace(0.95, 0.3, count), np.arange(count) % len(CLASSES)
    found = Detections(boxes, scores, labels, np.full(count, -1))
    facts = SceneFacts(path, 1000, 800, 0.12)
    return RunResult(found, CLASSES, georef, facts, Provenance(options=dict(options)))


def nothing(georef: GeoRef = UTM, **options: object) -> RunResult:
    """A result without objects."""
    return placed_result(georef, 0, **options)
