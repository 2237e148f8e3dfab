"""`Truth`: what is really there on one image, and where on it things count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry.base import BaseGeometry

from sodslice.errors import DataError
from sodslice.tables import boxes as box_math
from sodslice.tables.boxes import Boxes


@dataclass(frozen=True)
class Region:
    """Where on an image objects and detections count: by their centre.

    Args:
        roi: polygon in the frame of the boxes; only what lies in it or on its edge counts. None: everywhere.
        ignored: polygon in the frame of the boxes; what lies in it does not count. None: nowhere.
    """

    roi: BaseGeometry | None = None
    ignored: BaseGeometry | None = None

    def holds(self, boxes: Boxes) -> npt.NDArray[np.bool_]:
        """Which boxes `(N, 4)` have their centre where things count, `(N,)`."""
        x, y = box_math.centers(boxes).T
        held = np.ones(len(boxes), dtype=bool)
        if self.roi is not None:
            shapely.prepare(self.roi)
            held &= shapely.intersects_xy(self.roi, x, y)
        if self.ignored is not None:
            shapely.prepare(self.ignored)
            held &= ~shapely.contains_xy(self.ignored, x, y)
        return held


EVERYWHERE = Region()


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of one image or scene as columns; frozen, always complete, read-only.

    Args:
        boxes: `(N, 4)` float64, edges x0, y0, x1, y1 in the frame of the detections: pixels of the image or
            scene, or metres of a map frame.
        labels: `(N,)` int32, rows of the class names that both sides share.
        crowd: `(N,)` bool, COCO's `iscrowd`: a region of many objects. A detection that takes no single
            object, but lies in a crowd to a share of at least the wanted IoU, is neither right nor wrong.
        areas: `(N,)` float64, what decides the size band of an object, in the frame's units squared: COCO's
            `area`.
        region: where things count.

    Raises:
        DataError: a column has a wrong shape, or a box is not finite or turned inside out.
    """

    boxes: Boxes
    labels: npt.NDArray[np.int32]
    crowd: npt.NDArray[np.bool_]
    areas: npt.NDArray[np.float64]
    region: Region = EVERYWHERE

    def __post_init__(self) -> None:
        boxes = _frozen(np.asarray(self.boxes, dtype=np.float64))
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise DataError(
                f"truth boxes must have shape (N, 4), got {boxes.shape}; give one row x0,y0,x1,y1 a box"
            )
        if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
            raise DataError(
                "truth boxes must be finite with x0 <= x1 and y0 <= y1; check the order of the columns"
            )
        object.__setattr__(self, "boxes", boxes)
        for name, dtype in (("labels", np.int32), ("crowd", np.bool_), ("areas", np.float64)):
            column = _frozen(np.asarray(getattr(self, name), dtype=dtype))
            if column.shape != (len(boxes),):
                raise DataError(
                    f"truth {name} must have shape ({len(boxes)},) like its boxes, got {column.shape}"
                )
            object.__setattr__(self, name, column)

    @classmethod
    def of(cls, boxes: Any, labels: Any, *, crowd: Any = None, region: Region = EVERYWHERE) -> Truth:
        """A truth from boxes `(N, 4)` and labels `(N,)`; no crowds unless given, areas those of the boxes."""
        table = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        flags = np.zeros(len(table), dtype=bool) if crowd is None else crowd
        return cls(table, labels, flags, box_math.area(table), region)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> Truth:
        """The objects chosen by a slice, a mask `(N,)` or an index array."""
        return Truth(self.boxes[rows], self.labels[rows], self.crowd[rows], self.areas[rows], self.region)

    def counted(self) -> npt.NDArray[np.bool_]:
        """Which objects `(N,)` must be found: no crowd, and the centre where things count."""
        return self.region.holds(self.boxes) & ~self.crowd


def _frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The values, read-only; copied only where somebody could still write to them."""
    if values.flags.writeable:
        values = values.copy()
        values.flags.writeable = False
    return values
