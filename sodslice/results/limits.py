"""Which objects count: by place and size."""

from __future__ import annotations

import numpy as np

from sodslice.place.extent import Restriction
from sodslice.place.georef import GeoRef
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections


def within_limits(
    found: Detections,
    georef: GeoRef,
    *,
    within: Restriction,
    gsd_m: float | None = None,
    min_size: float | None = None,
    max_size: float | None = None,
) -> Detections:
    """The objects whose centre lies where the run is, and whose size lies between the limits.

    The size of an object is the longer side of its box: in metres on the ground, or in scene pixels where
    metres are not known. Of the measures of an upright box it depends least on how an object is turned.
    What lies where the CRS has no place, as beyond the edge of the Earth, has no size and is kept.

    Args:
        found: in scene pixels.
        georef: where the scene lies.
        within: to what the run is restricted.
        gsd_m: metres per pixel of a scene whose metres are known though no map holds it.
        min_size: least size; None for no limit.
        max_size: greatest size; None for no limit.
    """
    flags = within.holds(box.centers(found.boxes))
    if min_size is not None or max_size is not None:
        sides = georef.ground_size_m(found.boxes) if georef.measurable else _sides_px(found) * (gsd_m or 1.0)
        size = sides.max(axis=1, initial=0.0)
        flags &= ~(size < (min_size or 0.0))
        flags &= ~(size > (np.inf if max_size is None else max_size))
    return found[flags]


def _sides_px(found: Detections) -> box.Boxes:
    sides: box.Boxes = found.boxes[:, 2:] - found.boxes[:, :2]
    return sides
