"""`truth`: what is in a scene, to a fraction of a pixel, without drawing it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.sketch import Points
from sodslice.synthetic.spec import HalfPlane, SceneSpec
from sodslice.synthetic.town import town_of
from sodslice.synthetic.vehicles import KINDS, Vehicle, rectangle_of, silhouette, turn
from sodslice.tables.boxes import Boxes, clip


@dataclass(frozen=True, eq=False)
class DrawnTruth:
    """The vehicles of a scene as columns, ordered by (y0, x0, x1, y1); read-only.

    Args:
        boxes: `(N, 4)` float64, pixel edges x0, y0, x1, y1 in scene pixels: the bounds of body and mirrors,
            without the shadow, cut at the scene's edge and at the no-data wedge, whole where a crown hides
            a part.
        corners: `(N, 4, 2)` float64, x, y in scene pixels of the body's turned rectangle, without mirrors,
            from the front left corner on, clockwise on the image; not cut.
        kinds: `(N,)` int32, rows of `KINDS`.
        visible: `(N,)` float64, the share of the body that is in the scene, photographed, and not below a
            crown: 0.5 to 1. Vehicles of which less can be seen are not in the scene at all.
    """

    boxes: Boxes
    corners: npt.NDArray[np.float64]
    kinds: npt.NDArray[np.int32]
    visible: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        for column in (self.boxes, self.corners, self.kinds, self.visible):
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def kind_names(self) -> list[str]:
        """The kind of each row: compact, sedan, estate, suv, van, pickup, truck or bus."""
        return [KINDS[kind] for kind in self.kinds]


def truth(spec: SceneSpec) -> DrawnTruth:
    """The vehicles of a scene; memory grows with their number, not with the scene's pixels."""
    town = town_of(spec)
    boxes, corners, kinds, visible = [], [], [], []
    for cell in town.all_cells():
        for vehicle, share in town.vehicles(cell):
            boxes.append(_box(vehicle, spec))
            corners.append(rectangle_of(vehicle) / spec.gsd_m)
            kinds.append(vehicle.kind)
            visible.append(share)
    table = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    order = np.lexsort((table[:, 3], table[:, 2], table[:, 0], table[:, 1]))
    return DrawnTruth(
        table[order],
        np.array(corners, dtype=np.float64).reshape(-1, 4, 2)[order],
        np.array(kinds, dtype=np.int32)[order],
        np.array(visible, dtype=np.float64)[order],
    )


def _box(vehicle: Vehicle, spec: SceneSpec) -> Points:
    """Pixel edges `(4,)` of what of a vehicle lies in the scene and was photographed."""
    parts = [polygon / spec.gsd_m for polygon in turn(vehicle, silhouette(vehicle))]
    points = np.concatenate(parts)
    for side in _limits(spec):
        # The box of what is left, not what is left of the box: a turned car's corner may lie outside.
        if (points @ (side.a, side.b) > side.c).any():
            parts = [left for left in (_cut(part, side) for part in parts) if len(left)]
            points = np.concatenate(parts)
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])[None]
    # Cutting rounds: what lies on the edge must not lie beyond it.
    cut: Points = clip(box, spec.width, spec.height)[0]
    return cut


def _limits(spec: SceneSpec) -> tuple[HalfPlane, ...]:
    """The photographed part of the scene as four or five half-planes."""
    edges = (
        HalfPlane(-1.0, 0.0, 0.0),
        HalfPlane(0.0, -1.0, 0.0),
        HalfPlane(1.0, 0.0, float(spec.width)),
        HalfPlane(0.0, 1.0, float(spec.height)),
    )
    return edges if spec.photographed is None else (*edges, spec.photographed)


def _cut(polygon: Points, side: HalfPlane) -> Points:
    """The part `(m, 2)` of a convex polygon `(n, 2)` in a half-plane; m may be 0.

    Sutherland and Hodgman 1974, Reentrant polygon clipping.
    """
    beyond = polygon @ (side.a, side.b) - side.c
    kept = []
    for point, following, here, there in zip(
        polygon, np.roll(polygon, -1, axis=0), beyond, np.roll(beyond, -1), strict=True
    ):
        if here <= 0:
            kept.append(point)
        if (here <= 0) != (there <= 0):
            kept.append(point + (following - point) * (here / (here - there)))
    return np.array(kept).reshape(-1, 2)
