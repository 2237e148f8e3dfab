"""Inference: `(B, H, W, 3)` uint8 RGB tiles in, one `Detections` per tile out.

Detectors, what is known about a model before it is loaded (`ModelSpec`), exported folders, what is done to
their tiles, and the engines that run them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.inference.blobs import BlobDetector
    from sodslice.inference.choice import DEFAULT_MODEL, InferenceChoice
    from sodslice.inference.detector import (
        KEPT_FROM,
        SCORE_FLOOR,
        Detector,
        Look,
        ModelInfo,
        ReadyDetector,
        ThoroughDetector,
        as_ready,
    )
    from sodslice.inference.exported import ExportedDetector
    from sodslice.inference.folder import ModelFolder, read_folder
    from sodslice.inference.preprocess import Preprocess
    from sodslice.inference.spec import ModelSpec

__all__ = [
    "DEFAULT_MODEL",
    "KEPT_FROM",
    "SCORE_FLOOR",
    "BlobDetector",
    "Detector",
    "ExportedDetector",
    "InferenceChoice",
    "Look",
    "ModelFolder",
    "ModelInfo",
    "ModelSpec",
    "Preprocess",
    "ReadyDetector",
    "ThoroughDetector",
    "as_ready",
    "read_folder",
]

__getattr__ = lazy_names(
    __name__,
    {
        "blobs": "BlobDetector",
        "choice": "DEFAULT_MODEL InferenceChoice",
        "detector": "KEPT_FROM SCORE_FLOOR Detector Look ModelInfo ReadyDetector ThoroughDetector as_ready",
        "exported": "ExportedDetector",
        "folder": "ModelFolder read_folder",
        "preprocess": "Preprocess",
        "spec": "ModelSpec",
    },
)
