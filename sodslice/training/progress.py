"""A training as seen from outside: when it is to stop, what it tells, what it came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sodslice.metrics import CocoMetrics


@dataclass(frozen=True)
class Limits:
    """When to stop before the last step, with a checkpoint to resume from.

    Attributes:
        minutes: of the clock; None: no limit.
        steps: done in all; None: no limit.
        stop: asked after each step; true ends the training, as on an interrupt.
    """

    minutes: float | None = None
    steps: int | None = None
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes:
        step: steps done in all.
        finished: whether these were all.
        weights: the file of the best weights by validation AP; the last ones where nothing was validated.
        best: validation AP of those, None where nothing was validated.
        crops_per_second: canvases learned from in a second, validation apart.
    """

    step: int
    finished: bool
    weights: Path
    best: float | None
    crops_per_second: float


class TrainingProgress(Protocol):
    """Is told what happens while a training runs."""

    def checked(self, done: int, total: int) -> None:
        """So many of the image files were looked through, before the first step."""

    def step(self, step: int, facts: Mapping[str, float]) -> None:
        """A step is done; `facts` has its losses, learning rate and seconds."""

    def validated(self, step: int, metrics: CocoMetrics) -> None:
        """The average weights were measured."""


class Silence:
    """Nobody wants to know."""

    def checked(self, done: int, total: int) -> None:
        """Nothing."""

    def step(self, step: int, facts: Mapping[str, float]) -> None:
        """Nothing."""

    def validated(self, step: int, metrics: CocoMetrics) -> None:
        """Nothing."""
