"""`PooledDetector`: tiles of several callers share the calls of one detector."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, replace
from threading import Condition
from typing import Any

import numpy as np

from sodslice.inference.detector import (
    KEPT_FROM,
    ConcurrentDetector,
    ExpectingDetector,
    FittedDetector,
    Look,
    ModelInfo,
    Pixels,
    ReadyDetector,
    ThoroughDetector,
)
from sodslice.tables.detections import Detections


@dataclass(frozen=True, eq=False)
class _Asked:
    """What one caller wants.

    Args:
        pixels: his tiles.
        lowest: score down to which he wants all boxes.
        answer: where what was seen goes.
    """

    pixels: Pixels
    lowest: float
    answer: Future[list[Look]]

    @property
    def kind(self) -> tuple[Any, ...]:
        """Tiles of one kind can share a call."""
        return self.pixels.shape[1:], self.lowest


class PooledDetector:
    """A detector of which each call takes several tiles, for threads that have fewer each.

    Whoever waits while nobody makes a call makes the next one, for those who have waited longest: calls are
    as full as those who ask keep them, and nobody waits for others to come.

    Args:
        detector: that can be told how deep to look; it is closed with this.
        batch: tiles that a call takes.
    """

    concurrent = True

    def __init__(self, detector: Any, batch: int) -> None:
        self._detector = detector
        self._waiting: deque[_Asked] = deque()
        self._state = Condition()
        self._busy = False
        self.info: ModelInfo = detector.info
        self.batch = batch

    @classmethod
    def of(cls, detector: ReadyDetector) -> ReadyDetector:
        """A detector whose calls are shared, where it takes several tiles a call and can share them."""
        able = isinstance(detector, ThoroughDetector) and isinstance(detector, ConcurrentDetector)
        batch = detector.batch if isinstance(detector, FittedDetector) else 1
        return cls(detector, batch) if able and batch > 1 else detector

    @property
    def engine(self) -> str:
        """What runs it, in words."""
        words: str = self._detector.engine
        return words

    def detect(self, pixels: Pixels) -> list[Detections]:
        """See `Detector`."""
        return [look.found for look in self.look_down_to(pixels, KEPT_FROM)]

    def look_down_to(self, pixels: Pixels, lowest: float) -> list[Look]:
        """See `ThoroughDetector`.

        Raises:
            ModelError: whatever the detector raises, for all whose tiles shared the call.
        """
        asked = _Asked(pixels, lowest, Future())
        with self._state:
            self._waiting.append(asked)
            self._state.wait_for(lambda: asked.answer.done() or not self._busy)
        while not asked.answer.done():
            self._answer_some()
            with self._state:
                self._state.wait_for(lambda: asked.answer.done() or not self._busy)
        return asked.answer.result()

    def expect(self, side: tuple[int, int], *, many: bool) -> None:
        """See `ExpectingDetector`."""
        if isinstance(self._detector, ExpectingDetector):
            self._detector.expect(side, many=many)

    def close(self) -> None:
        """Close the detector."""
        self._detector.close()

    def _answer_some(self) -> None:
        """Make one call for those who have waited longest, unless somebody is at that."""
        with self._state:
            if self._busy or not self._waiting:
                return
            together, self._busy = self._next(), True
        try:
            pixels = np.concatenate([asked.pixels for asked in together])
            looks = self._detector.look_down_to(pixels, together[0].lowest)
            for asked in together:
                own, looks = looks[: len(asked.pixels)], looks[len(asked.pixels) :]
                asked.answer.set_result([_of_row(look, row) for row, look in enumerate(own)])
        except BaseException as error:  # noqa: BLE001 -- whoever waits must hear it
            for asked in together:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
        finally:
            with self._state:
                self._busy = False
                self._state.notify_all()

    def _next(self) -> list[_Asked]:
        """Who is answered together: the first who waits, and others of his kind, if a call has room."""
        first = self._waiting.popleft()
        together, rows = [first], len(first.pixels)
        for other in [asked for asked in self._waiting if asked.kind == first.kind]:
            if rows + len(other.pixels) <= self.batch:
                self._waiting.remove(other)
                together.append(other)
                rows += len(other.pixels)
        return together


def _of_row(look: Look, row: int) -> Look:
    """What was seen in a tile, which is that of a row."""
    return look._replace(found=replace(look.found, tile_ids=np.full(len(look.found), row, np.int32)))
