"""Detectors: `(B, H, W, 3)` uint8 RGB tiles in, one `Detections` per tile out."""

from sodslice.detector.base import SCORE_FLOOR, Detector, ModelInfo, TensorRunner
from sodslice.detector.blobs import BlobDetector
from sodslice.detector.exported import ExportedDetector
from sodslice.detector.folder import ModelFolder, read_folder
from sodslice.detector.preprocess import Preprocess

__all__ = [
    "SCORE_FLOOR",
    "BlobDetector",
    "Detector",
    "ExportedDetector",
    "ModelFolder",
    "ModelInfo",
    "Preprocess",
    "TensorRunner",
    "read_folder",
]
