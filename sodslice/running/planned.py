"""What a plan is made of: the scene, the tiles that are looked at, and what counts afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sodslice.place.georef import GeoRef
from sodslice.scene import Rendering
from sodslice.scene.layout import ReadingPlan
from sodslice.tables.tiles import Grid, TileIds


@dataclass(frozen=True)
class PlannedScene:
    """Where a scene is and how its pixels are read.

    Args:
        name: as the user gave it.
        location: absolute path; "" for a scene that only this process has.
        width: in pixels.
        height: in pixels.
        georef: where it lies on the map.
        gsd_m: metres per pixel at its middle; None where metres are not known.
        rendering: how its pixels are read.
        identity: what tells it from its own later self; {} where nothing does.
        gsd_from: what `gsd_m` was got from, where that is not the georeference.
        georef_from: what `georef` was got from, where that is not the file's own.
        orientation: EXIF's, by which the picture is turned when it is read; 1: it is not turned.
    """

    name: str
    location: str
    width: int
    height: int
    georef: GeoRef
    gsd_m: float | None
    rendering: Rendering
    identity: Mapping[str, Any]
    gsd_from: str = ""
    georef_from: str = ""
    orientation: int = 1


@dataclass(frozen=True)
class LookedAt:
    """Which tiles of a grid are looked at, and in which order.

    Args:
        runs: ids, increasing, as (first, last + 1) of each run of neighbours.
        reading: the order, and the cache that makes it cheap.
        span: of that order, from here to there, as (first, last + 1): all of it, or a part.
    """

    runs: tuple[tuple[int, int], ...]
    reading: ReadingPlan
    span: tuple[int, int]

    @classmethod
    def of(cls, ids: TileIds, reading: ReadingPlan) -> LookedAt:
        """All of some tiles `(N,)`, given by increasing ids."""
        breaks = np.flatnonzero(np.diff(ids) != 1) + 1
        starts, ends = ids[np.append(0, breaks)], ids[np.append(breaks, len(ids)) - 1] + 1
        return cls(tuple(zip(starts.tolist(), ends.tolist(), strict=True)), reading, (0, len(ids)))

    def __len__(self) -> int:
        return self.span[1] - self.span[0]

    def ids(self, grid: Grid) -> TileIds:
        """Ids `(N,)` in the order in which they are read."""
        every = np.concatenate([np.arange(first, last) for first, last in self.runs])
        return self.reading.order(grid, every)[slice(*self.span)]


@dataclass(frozen=True)
class Finishing:
    """What counts when all tiles have been seen.

    Args:
        thresholds: lowest score kept, by class.
        classes: ids of the classes that are kept.
        merge: method.
        iou: overlap from which two boxes are one object.
        joined: which classes can be one object: True for all, or the ids of each group.
        min_size: least longer side of an object, in metres or pixels; None for no limit.
        max_size: greatest; None for no limit.
    """

    thresholds: tuple[float, ...]
    classes: tuple[int, ...]
    merge: str
    iou: float
    joined: bool | tuple[tuple[int, ...], ...]
    min_size: float | None = None
    max_size: float | None = None


class Unit(NamedTuple):
    """Some tiles of a plan that are done together: `number` in the plan, and `ids` in reading order."""

    number: int
    ids: TileIds
