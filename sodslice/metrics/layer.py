"""`Layer`: the objects of one scene as a file holds them, before both sides share a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from sodslice.errors import DataError
from sodslice.place.geojson import Shapes
from sodslice.place.georef import GeoRef
from sodslice.tables.boxes import Boxes


@dataclass(frozen=True, eq=False)
class Layer:
    """Objects or detections of one scene: their classes, and where they are in pixels, on the map, or both.

    Args:
        source: the file, for messages.
        names: class name of each row.
        classes: all class names this side knows, used or not.
        pixels: `(N, 4)` float64 edges x0, y0, x1, y1 in scene pixels; None where the file has none.
        shapes: `(N,)` polygons in longitude and latitude; None where the file has none.
        scores: `(N,)` float32; None for a truth.
        crowd: `(N,)` bool, areas where finding something is neither right nor wrong (COCO's `iscrowd`, or
            `ignore`); None: there are none.
        areas: `(N,)` float64 in square pixels, COCO's `area`; None: those of the boxes.
        image: file name of the scene's image, "" where the file names none.
        size: (width, height) of the scene in pixels, where the file says it.
        georef: where the scene lies, as far as the file says it.
        floor: the lowest score that its makers kept, where the file says it.
        note: what the reader should know of the file; "" for nothing.
    """

    source: str
    names: tuple[str, ...]
    classes: tuple[str, ...]
    pixels: Boxes | None = None
    shapes: Shapes | None = None
    scores: npt.NDArray[np.float32] | None = None
    crowd: npt.NDArray[np.bool_] | None = None
    areas: npt.NDArray[np.float64] | None = None
    image: str = ""
    size: tuple[int, int] | None = None
    georef: GeoRef = field(default_factory=GeoRef)
    floor: float | None = None
    note: str = ""

    def __len__(self) -> int:
        return len(self.names)

    @property
    def to_find(self) -> int:
        """How many objects there are besides ignored areas."""
        return len(self) - self.ignored

    @property
    def ignored(self) -> int:
        """How many ignored areas there are."""
        return 0 if self.crowd is None else int(np.count_nonzero(self.crowd))

    def boxes_on(self, grid: GeoRef) -> Boxes:
        """Envelopes `(N, 4)` of the polygons in the pixels of a grid.

        Raises:
            DataError: the file has no polygons.
            GeoRefError: the grid is not on the map.
        """
        if self.shapes is None:
            raise DataError(f"{self.source} has pixel boxes only, no place on the map; compare in pixels")
        return envelopes(self.shapes, grid)


def envelopes(shapes: Shapes, grid: GeoRef) -> Boxes:
    """Smallest boxes `(N, 4)`, in the pixels of a grid, around polygons in longitude and latitude."""
    if not len(shapes):
        return np.empty((0, 4))
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    pixels = grid.from_lonlat(points)
    starts = np.searchsorted(owner, np.arange(len(shapes)))
    low = np.minimum.reduceat(pixels, starts, axis=0)
    high = np.maximum.reduceat(pixels, starts, axis=0)
    return np.concatenate([low, high], axis=1)


def distinct_names(names: Sequence[Any]) -> tuple[str, ...]:
    """The distinct names, in the order in which they first appear."""
    return tuple(dict.fromkeys(str(name) for name in names))
