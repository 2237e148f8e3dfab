"""Sliced small-object detection on very large aerial images.

    import sodslice

    result = sodslice.run("scene.tif", output="scene.geojson")
    cars = result.detections[result.detections.scores > 0.8]

Names are loaded when they are first used, so importing sodslice is quick and pulls in no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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

_HOMES = {
    "ArrayScene": "scene",
    "BlobDetector": "inference",
    "Detections": "tables.detections",
    "Detector": "inference",
    "GeoRef": "place.georef",
    "ModelInfo": "inference",
    "Options": "settings",
    "Outcome": "jobs",
    "RunPlan": "running",
    "RunResult": "results",
    "SodsliceError": "errors",
    "Tile": "tables.tiles",
    "execute": "running",
    "finish": "running",
    "load_model": "models",
    "load_options": "settings",
    "load_result": "results",
    "make_plan": "running",
    "merge": "merging",
    "open_scene": "scene",
    "plan_tiles": "tables.tiles",
    "run": "running",
    "run_many": "jobs",
    "write": "results",
}

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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sodslice' has no attribute {name!r}")
    value = getattr(import_module(f"sodslice.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
