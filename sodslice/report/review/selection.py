"""`Selection`: what of results is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sodslice.errors import OptionError
from sodslice.results import RunResult
from sodslice.values import cells

SMALLEST, LARGEST = 64, 8192
"""Pixels of a side of a crop."""

WELL_ABOVE = 0.05
"""A lowest score so far above what is asked for suggests that a run kept no lower ones."""


@dataclass(frozen=True)
class Selection:
    """What is looked at.

    Args:
        between: lowest and highest score that is in doubt.
        side: of a crop in pixels of the scene as the model saw it.
        most: so many crops at most, the most doubtful; None for all.

    Raises:
        OptionError: the scores are no range, or a number is too small or too large.
    """

    between: tuple[float, float] = (0.3, 0.6)
    side: int = 512
    most: int | None = None

    def __post_init__(self) -> None:
        low, high = self.between
        if not 0 <= low < high <= 1:
            raise OptionError(
                f"`between` must be two scores from 0 to 1, the lower first, got {low:g},{high:g}"
            )
        if not SMALLEST <= self.side <= LARGEST:
            raise OptionError(f"`side` must be from {SMALLEST} to {LARGEST} pixels, got {self.side}")
        if self.most is not None and self.most < 1:
            raise OptionError(f"`most` must be at least 1, got {self.most}")


def kept_from(result: RunResult, low: float) -> float | None:
    """The score below which a run kept nothing, where that is above a score; else None.

    Where the run took the model's own threshold, the lowest score that it found stands for it, if that is
    well above.
    """
    chosen = result.provenance.options.get("threshold")
    floors = [cells.number(floor) for floor in chosen.values()] if isinstance(chosen, Mapping) else []
    known = [floor for floor in floors if floor is not None]
    if known:
        return max(known) if max(known) > low else None
    lowest = float(result.detections.scores.min(initial=1.0)) if len(result) else 0.0
    return lowest if lowest > low + WELL_ABOVE else None
