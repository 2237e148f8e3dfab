"""Sliced small-object detection on very large aerial images.

    import sodslice

    result = sodslice.run("scene.tif", output="scene.geojson")
    cars = result.detections[result.detections.scores > 0.8]

Names are loaded when they are first used, so importing sodslice is quick and pulls in no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sodslice._version import __version__

if TYPE_CHECKING:
    from sodslice.detections import Detections
    from sodslice.detector import BlobDetector, Detector, ModelInfo
    from sodslice.errors import SodsliceError
    from sodslice.georef import GeoRef
    from sodslice.jobs import ScenesFailed, run_many
    from sodslice.merging import merge
    from sodslice.models import load_model
    from sodslice.options import Options, load_options
    from sodslice.pipeline import run
    from sodslice.result import RunResult, load_result
    from sodslice.scene import ArrayScene, open_scene
    from sodslice.tiles import Tile, plan_tiles
    from sodslice.writers import write

__all__ = [
    "ArrayScene",
    "BlobDetector",
    "Detections",
    "Detector",
    "GeoRef",
    "ModelInfo",
    "Options",
    "RunResult",
    "ScenesFailed",
    "SodsliceError",
    "Tile",
    "__version__",
    "load_model",
    "load_options",
    "load_result",
    "merge",
    "open_scene",
    "plan_tiles",
    "run",
    "run_many",
    "write",
]

_HOMES = {
    "ArrayScene": "scene",
    "BlobDetector": "detector",
    "Detections": "detections",
    "Detector": "detector",
    "GeoRef": "georef",
    "ModelInfo": "detector",
    "Options": "options",
    "RunResult": "result",
    "ScenesFailed": "jobs",
    "SodsliceError": "errors",
    "Tile": "tiles",
    "load_model": "models",
    "load_options": "options",
    "load_result": "result",
    "merge": "merging",
    "open_scene": "scene",
    "plan_tiles": "tiles",
    "run": "pipeline",
    "run_many": "jobs",
    "write": "writers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sodslice' has no attribute {name!r}")
    value = getattr(import_module(f"sodslice.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
