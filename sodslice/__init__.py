"""Sliced small-object detection on very large aerial images.

    import sodslice

    result = sodslice.run("scene.tif", output="scene.geojson")
    cars = result.detections[result.detections.scores > 0.8]

Names are loaded when they are first used, so importing sodslice is quick and pulls in no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names
from sodslice.system.version import __version__

if TYPE_CHECKING:
    from sodslice.errors import SodsliceError
    from sodslice.inference import BlobDetector, Detector, ModelInfo
    from sodslice.jobs import Outcome, run_many
    from sodslice.merging import merge
    from sodslice.models import load_model
    from sodslice.place.georef import GeoRef
    from sodslice.results import RunResult, load_result, write
    from sodslice.running import RunPlan, execute, finish, make_plan, run
    from sodslice.scene import ArrayScene, open_scene
    from sodslice.settings import Options, load_options
    from sodslice.tables.detections import Detections
    from sodslice.tables.tiles import Tile, plan_tiles

__all__ = [
    "ArrayScene",
    "BlobDetector",
    "Detections",
    "Detector",
    "GeoRef",
    "ModelInfo",
    "Options",
    "Outcome",
    "RunPlan",
    "RunResult",
    "SodsliceError",
    "Tile",
    "__version__",
    "execute",
    "finish",
    "load_model",
    "load_options",
    "load_result",
    "make_plan",
    "merge",
    "open_scene",
    "plan_tiles",
    "run",
    "run_many",
    "write",
]


__getattr__ = lazy_names(
    __name__,
    {
        "errors": "SodsliceError",
        "inference": "BlobDetector Detector ModelInfo",
        "jobs": "Outcome run_many",
        "merging": "merge",
        "models": "load_model",
        "place.georef": "GeoRef",
        "results": "RunResult load_result write",
        "running": "RunPlan execute finish make_plan run",
        "scene": "ArrayScene open_scene",
        "settings": "Options load_options",
        "tables.detections": "Detections",
        "tables.tiles": "Tile plan_tiles",
    },
)


def __dir__() -> list[str]:
    return sorted(__all__)
