"""`ExportedDetector`: a PaddleDetection export on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice import boxes as box
from sodslice.detections import Detections
from sodslice.detector.base import SCORE_FLOOR, ModelInfo, Pixels, TensorRunner
from sodslice.detector.preprocess import Preprocess
from sodslice.errors import ModelError


class ExportedDetector:
    """A PaddleDetection export (an `inference.yml` folder) on an engine.

    Args:
        engine: runs the graph.
        preprocess: from tiles to the graph's input.
        info: facts about the model.
        batch: tiles per call of the graph; smaller batches are padded to it, so that engines which cache by
            shape see one shape.

    Not thread-safe.
    """

    def __init__(
        self, engine: TensorRunner, preprocess: Preprocess, info: ModelInfo, *, batch: int = 1
    ) -> None:
        self._runner = engine
        self._preprocess = preprocess
        self._batch = batch
        self.info = info

    @property
    def engine(self) -> str:
        """What runs it, in words, for the output."""
        return self._runner.description

    def detect(self, pixels: Pixels) -> list[Detections]:
        """Boxes in each tile; see `Detector`. Boxes are cut to the tile, scores are at least 0.01.

        Raises:
            ModelError: the graph's outputs are not those of a detector.
        """
        found: list[Detections] = []
        for start in range(0, len(pixels), self._batch):
            part = pixels[start : start + self._batch]
            height, width = part.shape[1:3]
            images, scale = self._preprocess(_pad_batch(part, self._batch))
            feeds = {
                "image": images,
                "scale_factor": np.tile(np.array(scale, np.float32), (self._batch, 1)),
                "im_shape": np.tile(np.array(images.shape[2:], np.float32), (self._batch, 1)),
            }
            outputs = self._runner.run({name: feeds[name] for name in self._runner.input_names})
            tables = _tables(outputs, self._batch, scale)[: len(part)]
            found += [_in_tile(*t, start + i, width, height) for i, t in enumerate(tables)]
        return found


Columns = tuple[npt.NDArray[np.float64], npt.NDArray[np.float32], npt.NDArray[np.int32]]


def _pad_batch(pixels: Pixels, batch: int) -> Pixels:
    """The tiles `(B, H, W, 3)` with black ones behind them up to the batch size."""
    if len(pixels) == batch:
        return pixels
    return np.concatenate([pixels, np.zeros((batch - len(pixels), *pixels.shape[1:]), np.uint8)])


def _tables(outputs: Sequence[npt.NDArray[Any]], batch: int, scale: tuple[float, float]) -> list[Columns]:
    """Boxes `(n, 4)`, scores, labels of each tile, from a graph with NMS inside or without.

    With NMS: rows `(M, 6)` of class, score, x0, y0, x1, y1 and counts `(N,)`; without: boxes `(N, A, 4)` in
    pixels of the graph's input and scores `(N, C, A)`. They are told apart by rank and dtype, not by name.
    """
    rows = [o for o in outputs if o.ndim == 2 and o.shape[1] == 6 and o.dtype.kind == "f"]
    counts = [o for o in outputs if o.ndim == 1 and o.dtype.kind == "i"]
    planes = [o for o in outputs if o.ndim == 3 and o.dtype.kind == "f"]
    if len(rows) == 1 and len(counts) == 1:
        if counts[0].shape != (batch,) or counts[0].sum() != len(rows[0]):
            raise ModelError(
                f"the model counts {counts[0].tolist()} boxes but gives {len(rows[0])} rows for {batch} tiles"
            )
        return [_rows(part) for part in np.split(rows[0], np.cumsum(counts[0])[:-1])]
    if len(planes) == 2:
        coordinates, scores = (
            planes if planes[0].shape[2] == 4 and planes[0].shape[1] == planes[1].shape[2] else planes[::-1]
        )
        if coordinates.shape[2] == 4 and coordinates.shape[1] == scores.shape[2]:
            return [_anchors(b, s, scale) for b, s in zip(coordinates, scores, strict=True)]
    shapes = ", ".join(f"{o.dtype} {o.shape}" for o in outputs)
    raise ModelError(f"the model's outputs are not those of a PaddleDetection export: {shapes}")


def _rows(part: npt.NDArray[np.float32]) -> Columns:
    """One tile of an export with NMS; older Paddle says "nothing" by a row of class -1."""
    part = part[(part[:, 0] >= 0) & (part[:, 1] >= SCORE_FLOOR)]
    return part[:, 2:].astype(np.float64), part[:, 1], part[:, 0].astype(np.int32)


def _anchors(
    coordinates: npt.NDArray[np.float32], scores: npt.NDArray[np.float32], scale: tuple[float, float]
) -> Columns:
    """One tile of an export without NMS: every (anchor, class) above the floor is a box."""
    labels, anchors = np.nonzero(scores >= SCORE_FLOOR)
    found = coordinates[anchors].astype(np.float64) / np.array([scale[1], scale[0]] * 2, np.float64)
    return found, scores[labels, anchors], labels.astype(np.int32)


def _in_tile(
    found: npt.NDArray[np.float64],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32],
    row: int,
    width: int,
    height: int,
) -> Detections:
    """A table of boxes cut to their tile.

    A box that the network turned inside out becomes an empty one: still a row, since the pipeline counts
    rows to notice a model that stopped at its limit, and drops empty boxes afterwards.
    """
    cut = box.clip(found, width, height)
    cut[:, 2:] = np.maximum(cut[:, 2:], cut[:, :2])
    return Detections(cut, scores, labels, np.full(len(cut), row, np.int32))
