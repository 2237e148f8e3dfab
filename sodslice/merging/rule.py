"""`Rule`: what every method is told besides the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.errors import OptionError
from sodslice.merging.tile_table import TileTable
from sodslice.tables.boxes import Labels
from sodslice.tables.detections import NO_TILE, Detections
from sodslice.tables.tiles import Tile

Tiles = Sequence[Tile] | npt.NDArray[np.integer] | TileTable
"""The tiles of a run: `Tile`s, or a table of them, or `(T, 5)` integers id, x, y, width, height."""


@dataclass(frozen=True)
class Rule:
    """What every method is told besides the table.

    Args:
        iou: overlap from which two boxes are one object.
        joined: True if all classes can be one object, or the sets of labels for which that holds.
        suppressed: the detector already removed duplicates of a class within each tile.

    Raises:
        OptionError: the IoU lies outside (0, 1], or a label is in two sets.
    """

    iou: float
    joined: bool | Sequence[Sequence[int]] = False
    suppressed: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.iou <= 1:
            raise OptionError(f"`iou` must be above 0 and at most 1, got {self.iou:g}")
        if not isinstance(self.joined, bool):
            members = [label for group in self.joined for label in set(group)]
            if len(members) != len(set(members)):
                groups = [sorted(set(group)) for group in self.joined]
                raise OptionError(f"a class can be in one group only, got {groups}; join those groups")

    def groups(self, found: Detections) -> Labels:
        """One number `(N,)` for all boxes that can be one object: the class, or the first one of its set."""
        if isinstance(self.joined, bool):
            return np.zeros(len(found), np.int32) if self.joined else found.labels
        numbers: Labels = found.labels.copy()
        for group in filter(None, self.joined):
            numbers[np.isin(found.labels, list(group))] = min(group)
        return numbers

    def sources(self, found: Detections) -> Labels | None:
        """Boxes of one number `(N,)` leave each other alone, since their detector took them for two objects.

        That is said by tile and class. A box of an unknown tile stands for itself. None: all boxes do.
        """
        if not self.suppressed:
            return None
        labels = found.labels - found.labels.min(initial=0)
        sources: Labels = tile_sources(found) * (int(labels.max(initial=0)) + 1) + labels
        return sources


def tile_sources(found: Detections) -> npt.NDArray[np.int64]:
    """Boxes of one number `(N,)` come from one tile; a box of an unknown tile from none but itself."""
    tiles = found.tile_ids.astype(np.int64)
    alone = int(tiles.max(initial=0)) + 1 + np.arange(len(found))
    return np.where(tiles == NO_TILE, alone, tiles)
