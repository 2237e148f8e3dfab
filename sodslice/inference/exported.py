"""`ExportedDetector`: a graph that was exported, on an engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from threading import RLock, Semaphore
from typing import NamedTuple

import numpy as np

from sodslice.inference.answers import check_pixels
from sodslice.inference.detector import KEPT_FROM, SCORE_FLOOR, Look, ModelInfo, Pixels
from sodslice.inference.dialect import Dialect, PaddleDialect
from sodslice.inference.engines.session import CompilingSession, DeviceMemoryError, Session
from sodslice.inference.limits import Columns, Limits
from sodslice.inference.preprocess import Preprocess
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections

log = logging.getLogger(__name__)

BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Tiles a call that are tried where the batch is fitted to a device."""

LEAST_BOXES = 1
"""Boxes of a tile that are kept whatever their scores, where these say nothing."""

WORTH_IT = 1.05
"""By so much a batch must be faster than the best before it."""


class Taking(NamedTuple):
    """How a session takes tiles.

    Fields: `pixels`, whether `image` is `(N, H, W, 3)` uint8; `at_once`, threads that may call it at once.
    """

    pixels: bool = False
    at_once: int = 1


class ExportedDetector:
    """An export on an engine: of PaddleDetection (an `inference.yml` folder), or whatever has a dialect.

    Several threads may use it: they get what each would get alone.

    Args:
        session: runs the graph.
        preprocess: from tiles to the graph's input, for PaddleDetection's; or how the graph is spoken to.
        info: facts about the model.
        batch: tiles per call of the graph; smaller batches are padded to it, so that engines which cache by
            shape see one shape.
        limits: what stops the graph's NMS; None takes `max_per_tile` of the info.
        taking: how the session takes tiles.
    """

    concurrent = True
    """Threads that call `detect` at once take turns in the graph alone, not in what is done around it."""

    def __init__(
        self,
        session: Session,
        preprocess: Preprocess | Dialect,
        info: ModelInfo,
        *,
        batch: int = 1,
        limits: Limits | None = None,
        taking: Taking | None = None,
    ) -> None:
        self._session = session
        self._deep: Session | None = None
        self._batch = batch
        self._limits = Limits(kept=info.max_per_tile) if limits is None else limits
        self._taking = taking or Taking()
        self._dialect: Dialect = (
            PaddleDialect(preprocess, self._taking.pixels)
            if isinstance(preprocess, Preprocess)
            else preprocess
        )
        self._lock = RLock()
        self._turns = Semaphore(self._taking.at_once)
        self.info = info

    @property
    def batch(self) -> int:
        """Tiles per call of the graph."""
        return self._batch

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
        size = pixels.shape[2], pixels.shape[1]
        while len(looks) < len(pixels):
            part = pixels[len(looks) : len(looks) + self._batch]
            try:
                found = self._looked(part, lowest)
            except DeviceMemoryError as error:
                self._halve(error)
                continue
            for columns, whole_from in found:
                looks.append(Look(_in_tile(columns, len(looks), size), whole_from))
        return looks

    def for_single_tiles(self) -> ExportedDetector:
        """The same model for tiles that are not merged with others; it is closed with this one.

        Where the NMS is ours, boxes below the score that is asked for are left out: they say something only
        where tiles are merged.
        """
        if self._limits.suppression is None:
            return self
        twin = copy(self)
        twin._limits = replace(self._limits, usual=LEAST_BOXES)
        return twin

    def bare_call(self, pixels: Pixels) -> Callable[[], object]:
        """A call of the graph alone on tiles that are prepared already: what nothing can be faster than.

        Args:
            pixels: `(B, H, W, 3)` uint8 RGB; fewer than a batch are padded, more are one call too.
        """
        padded = _pad_batch(pixels, max(self._batch, len(pixels)))
        feeds, _ = self._dialect.feeds(padded)
        given = {name: feeds[name] for name in self._session.input_names}
        return lambda: self._session.run(given)

    def expect(self, side: tuple[int, int], *, many: bool) -> None:
        """See `ExpectingDetector`.

        Raises:
            ModelError: the graph cannot be compiled for such tiles.
        """
        if isinstance(self._session, CompilingSession):
            tiles = np.zeros((self._batch, *side, 3), np.uint8)
            feeds, _ = self._dialect.feeds(tiles)
            self._session.compile_for(feeds, many=many)

    def fit_batch(self, side: tuple[int, int]) -> None:
        """Take as many tiles a call as make the device faster, and as its memory holds.

        Args:
            side: height and width of the tiles in pixels.
        """
        best = 0.0
        for batch in BATCHES:
            seconds = self._seconds_for(batch, side)
            if seconds is None or batch / seconds < best * WORTH_IT:
                break
            best, self._batch = batch / seconds, batch
        log.info("%d tiles a call: %.1f tiles/s", self._batch, best)

    def _seconds_for(self, batch: int, side: tuple[int, int]) -> float | None:
        """What a call takes, once it has been made before; None where there is not enough memory."""
        tiles = np.zeros((batch, *side, 3), np.uint8)
        seconds = 0.0
        for _ in range(2):
            began = time.perf_counter()
            try:
                self._run(None, tiles, KEPT_FROM)
            except DeviceMemoryError:
                return None
            seconds = max(time.perf_counter() - began, 1e-9)
        return seconds

    def close(self) -> None:
        """Give back what the engine holds, once no thread runs it."""
        with self._lock, ExitStack() as turns:
            for _ in range(self._taking.at_once):
                turns.enter_context(self._turns)
            self._limits = replace(self._limits, deeper=None)
            for session in filter(None, (self._session, self._deep)):
                session.close()

    def _looked(self, part: Pixels, lowest: float) -> list[tuple[Columns, float]]:
        """The rows that are kept of each tile of a batch, and from which score on they are all."""
        limits = self._limits
        thorough = lowest <= SCORE_FLOOR and self._deeper() is not None
        tables = self._run(self._deep if thorough else self._session, part, lowest)
        lacking = [] if thorough else [i for i, t in enumerate(tables) if limits.may_lack(t, lowest)]
        if lacking and self._deeper() is not None:
            for place, table in zip(lacking, self._run(self._deep, part[lacking], lowest), strict=True):
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

    def _halve(self, error: DeviceMemoryError) -> None:
        """Take half as many tiles a call from now on.

        Raises:
            DeviceMemoryError: it is one tile already.
        """
        with self._lock:
            if self._batch == 1:
                raise error
            self._batch //= 2
            log.warning(
                "the device has not enough memory: tiles a call go down to %d (%s)", self._batch, error
            )

    def _run(self, session: Session | None, part: Pixels, lowest: float) -> list[Columns]:
        """Checked rows of each tile of a batch, after NMS where that is left to us."""
        batch = max(self._batch, len(part))
        feeds, place = self._dialect.feeds(_pad_batch(part, batch))
        running = self._session if session is None else session
        with self._turns:
            outputs = running.run({name: feeds[name] for name in running.input_names})
        tables = self._dialect.tables(outputs, place, self.info)[: len(part)]
        rule, usual = self._limits.suppression, self._limits.usual
        return tables if rule is None else [rule(t, enough=usual, lowest=lowest) for t in tables]


def _pad_batch(pixels: Pixels, batch: int) -> Pixels:
    """The tiles `(B, H, W, 3)` with black ones behind them up to the batch size."""
    if len(pixels) == batch:
        return pixels
    return np.concatenate([pixels, np.zeros((batch - len(pixels), *pixels.shape[1:]), np.uint8)])


def _in_tile(columns: Columns, row: int, size: tuple[int, int]) -> Detections:
    """A table of boxes cut to their tile.

    A box that the network turned inside out becomes an empty one, which the pipeline drops.
    """
    found, scores, labels = columns
    cut = box.clip(found, *size)
    cut[:, 2:] = np.maximum(cut[:, 2:], cut[:, :2])
    return Detections(cut, scores, labels, np.full(len(cut), row, np.int32))
