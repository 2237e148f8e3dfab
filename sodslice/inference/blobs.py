"""`BlobDetector`: the weightless detector."""

from __future__ import annotations

import numpy as np

from sodslice.errors import ModelError
from sodslice.inference.answers import check_pixels
from sodslice.inference.detector import ModelInfo, Pixels
from sodslice.system.hashes import sha256_of_bytes
from sodslice.system.opencv import opencv
from sodslice.tables.detections import Detections


class BlobDetector:
    """Finds bright blobs: connected pixels whose three channels are all at a level or above.

    For tests, notebooks and for trying a pipeline on a scene. Its boxes are exact pixel edges; its score is
    the blob's mean brightness over 255.

    Args:
        level: grey level from which a pixel is bright, 1 to 255.
        smallest: blobs of fewer pixels are noise.

    Raises:
        ModelError: the level or the size is out of range.
    """

    engine = "opencv"

    def __init__(self, *, level: int = 200, smallest: int = 1) -> None:
        if not 1 <= level <= 255 or smallest < 1:
            raise ModelError(
                f"blobs need a level of 1..255 and a size of 1 or more, got {level} and {smallest}"
            )
        self._level = level
        self._smallest = smallest
        self.info = ModelInfo(
            class_names=("blob",),
            name="blobs",
            stride=1,
            suppressed=True,
            sha256=sha256_of_bytes(f"blobs {level} {smallest}".encode()),
        )

    def detect(self, pixels: Pixels) -> list[Detections]:
        """Boxes around bright blobs (8-connected) of each tile; see `Detector`.

        Raises:
            ModelError: the pixels are no tiles.
        """
        check_pixels(pixels)
        return [self._in_tile(tile, row) for row, tile in enumerate(pixels)]

    def close(self) -> None:
        """Nothing is held."""

    def _in_tile(self, tile: Pixels, row: int) -> Detections:
        """Blobs of one tile `(H, W, 3)`."""
        cv2 = opencv()
        dimmest = tile.min(axis=2)
        bright = (dimmest >= self._level).astype(np.uint8)
        count, blob_of, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
        light = np.bincount(blob_of.ravel(), weights=dimmest.ravel(), minlength=count)
        x, y, width, height, pixels = stats[1:].T
        boxes = np.stack([x, y, x + width, y + height], axis=1).astype(np.float64)
        scores = light[1:] / np.maximum(pixels, 1) / 255
        big = pixels >= self._smallest
        return Detections(boxes[big], scores[big], np.zeros(big.sum()), np.full(big.sum(), row))
