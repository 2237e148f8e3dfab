"""`ExportedDetector`: a PaddleDetection export on an engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.inference.answers import SCORE_SLACK, check_pixels, check_rows
from sodslice.inference.detector import KEPT_FROM, SCORE_FLOOR, Look, ModelInfo, Pixels
from sodslice.inference.engines.session import Session
from sodslice.inference.limits import Columns, Limits
from sodslice.inference.preprocess import Preprocess
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections


class ExportedDetector:
    """A PaddleDetection export (an `inference.yml` folder) on an engine.

    Several threads may use it: they get what each would get alone, one after the other.

    Args:
        session: runs the graph.
        preprocess: from tiles to the graph's input.
        info: facts about the model.
        batch: tiles per call of the graph; smaller batches are padded to it, so that engines which cache by
            shape see one shape.
        limits: what stops the graph's NMS; None takes `max_per_tile` of the info.
    """

    def __init__(
        self,
        session: Session,
        preprocess: Preprocess,
        info: ModelInfo,
        *,
        batch: int = 1,
        limits: Limits | None = None,
    ) -> None:
        self._session = session
        self._deep: Session | None = None
        self._preprocess = preprocess
        self._batch = batch
        self._limits = Limits(kept=info.max_per_tile) if limits is None else limits
        self._lock = RLock()
        self.info = info

    @property
    def engine(self) -> str:
        """What runs it, in words, for the output."""
        return self._session.description

    def detect(self, pixels: Pixels) -> list[Detections]:
        """Boxes in each tile; see `Detector`. Boxes are cut to the tile, scores are at least 0.01.

        All boxes of at least `KEPT_FROM` are there, and of a tile with NMS the best 500 of any score.

        Raises:
            ModelError: the pixels are no tiles, or the graph's outputs are not those of a detector.
        """
        return [look.found for look in self.look_down_to(pixels, KEPT_FROM)]

    def look_down_to(self, pixels: Pixels, lowest: float) -> list[Look]:
        """See `ThoroughDetector`.

        Raises:
            ModelError: as `detect`.
        """
        check_pixels(pixels)
        looks: list[Look] = []
        for start in range(0, len(pixels), self._batch):
            part = pixels[start : start + self._batch]
            size = part.shape[2], part.shape[1]
            for columns, whole_from in self._looked(part, lowest):
                looks.append(Look(_in_tile(columns, len(looks), size), whole_from))
        return looks

    def close(self) -> None:
        """Give back what the engine holds."""
        with self._lock:
            self._limits = replace(self._limits, deeper=None)
            for session in filter(None, (self._session, self._deep)):
                session.close()

    def _looked(self, part: Pixels, lowest: float) -> list[tuple[Columns, float]]:
        """The rows that are kept of each tile of a batch, and from which score on they are all."""
        limits = self._limits
        thorough = lowest <= SCORE_FLOOR and self._deeper() is not None
        tables = self._run(self._deep if thorough else self._session, part)
        lacking = [] if thorough else [i for i, t in enumerate(tables) if limits.may_lack(t, lowest)]
        if lacking and self._deeper() is not None:
            for place, table in zip(lacking, self._run(self._deep, part[lacking]), strict=True):
                tables[place] = table
        return [limits.kept_of(table, lowest) for table in tables]

    def _deeper(self) -> Session | None:
        """The graph whose NMS compares all candidates, loaded when it is first needed; None without one."""
        with self._lock:
            if self._deep is None and self._limits.deeper is not None:
                self._deep = self._limits.deeper()
                if self._deep is None:
                    self._limits = replace(self._limits, candidates=None, deeper=None)
            return self._deep

    def _run(self, session: Session | None, part: Pixels) -> list[Columns]:
        """Checked rows of each tile of a batch."""
        images, scale = self._preprocess(_pad_batch(part, self._batch))
        feeds = {
            "image": images,
            "scale_factor": np.tile(np.array(scale, np.float32), (self._batch, 1)),
            "im_shape": np.tile(np.array(images.shape[2:], np.float32), (self._batch, 1)),
        }
        running = self._session if session is None else session
        with self._lock:
            outputs = running.run({name: feeds[name] for name in running.input_names})
        return _tables(outputs, self._batch, scale, self.info)[: len(part)]


def _pad_batch(pixels: Pixels, batch: int) -> Pixels:
    """The tiles `(B, H, W, 3)` with black ones behind them up to the batch size."""
    if len(pixels) == batch:
        return pixels
    return np.concatenate([pixels, np.zeros((batch - len(pixels), *pixels.shape[1:]), np.uint8)])


def _tables(
    outputs: Sequence[npt.NDArray[Any]], batch: int, scale: tuple[float, float], info: ModelInfo
) -> list[Columns]:
    """Boxes `(n, 4)`, scores, labels of each tile, from a graph with NMS inside or without; all checked.

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
        return [_rows(part, info) for part in np.split(rows[0], np.cumsum(counts[0])[:-1])]
    if len(planes) == 2:
        coordinates, scores = (
            planes if planes[0].shape[2] == 4 and planes[0].shape[1] == planes[1].shape[2] else planes[::-1]
        )
        if coordinates.shape[2] == 4 and coordinates.shape[1] == scores.shape[2]:
            return [_anchors(b, s, scale, info) for b, s in zip(coordinates, scores, strict=True)]
    shapes = ", ".join(f"{o.dtype} {o.shape}" for o in outputs)
    raise ModelError(f"the model's outputs are not those of a PaddleDetection export: {shapes}")


def _rows(part: npt.NDArray[np.float32], info: ModelInfo) -> Columns:
    """One tile of an export with NMS; older Paddle says "nothing" by a row of class -1."""
    part = part[(part[:, 0] != -1) | (part[:, 1] >= SCORE_FLOOR)]
    check_rows(part[:, 2:], part[:, 1], part[:, 0], info)
    part = part[part[:, 1] >= SCORE_FLOOR]
    return part[:, 2:].astype(np.float64), part[:, 1].clip(max=1), part[:, 0].astype(np.int32)


def _anchors(
    coordinates: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    scale: tuple[float, float],
    info: ModelInfo,
) -> Columns:
    """One tile of an export without NMS: every (anchor, class) above the floor is a box."""
    if len(scores) > len(info.class_names):
        raise ModelError(
            f"the model {info.name} gives scores of {len(scores)} classes, and names "
            f"{len(info.class_names)}; complete the label_list of its yml"
        )
    labels, anchors = np.nonzero(~((scores >= -SCORE_SLACK) & (scores < SCORE_FLOOR)))
    found = coordinates[anchors].astype(np.float64) / np.array([scale[1], scale[0]] * 2, np.float64)
    check_rows(found, scores[labels, anchors], labels, info)
    return found, scores[labels, anchors].clip(max=1), labels.astype(np.int32)


def _in_tile(columns: Columns, row: int, size: tuple[int, int]) -> Detections:
    """A table of boxes cut to their tile.

    A box that the network turned inside out becomes an empty one, which the pipeline drops.
    """
    found, scores, labels = columns
    cut = box.clip(found, *size)
    cut[:, 2:] = np.maximum(cut[:, 2:], cut[:, :2])
    return Detections(cut, scores, labels, np.full(len(cut), row, np.int32))
