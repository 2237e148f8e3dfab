"""`GeoRef`: from scene pixels to the map, to longitude and latitude, and to metres on the ground.

Pixel coordinates are edges: (0, 0) is the outer corner of the first pixel, so they go straight through the
affine transform. `rasterio.transform.xy` would add half a pixel, and so would every box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sodslice.boxes import Boxes, centers
from sodslice.errors import GeoRefError
from sodslice.georef.affine import Affine, AffineGrid
from sodslice.georef.newton import Points
from sodslice.georef.rational import Rpc
from sodslice.georef.reference import ground_of, is_earthly, project, to_lonlat_from
from sodslice.georef.spline import ControlPoint, fit_spline

__all__ = ["Affine", "ControlPoint", "GeoRef", "Points", "Rpc", "corners"]

MERIDIAN_DECIMALS = 9
"""Of a degree: what is nearer to the antimeridian lies on it, and rounding sends it to neither side."""
MOST_COLUMNS = 2**23
"""Of a scene around the Earth from 180 degrees west to 180 east."""
MOST_COLUMNS_FROM_0 = 2**16
"""Of a scene around the Earth from 0 to 360 degrees."""


class Grid(Protocol):
    """Between pixel edges and map coordinates."""

    def to_map(self, pixels: Points) -> Points:
        """Map coordinates `(N, 2)` of pixel edges `(N, 2)` col, row."""

    def to_pixels(self, points: Points) -> Points:
        """Pixel edges `(N, 2)` of map coordinates `(N, 2)`."""


@dataclass(frozen=True)
class GeoRef:
    """Where a scene lies on the map: by a transform, by ground control points or by RPCs, whichever is given.

    Args:
        transform: affine (a, b, c, d, e, f): x = a col + b row + c, y = d col + e row + f, with col and row
            counted from the outer corner of the first pixel; None where the scene has none.
        crs: the coordinate reference system of x and y as WKT (or any text that PROJ reads); None where
            the scene has none.
        gcps: ground control points (col, row, x, y); a thin plate spline goes through them.
        rpc: rational polynomials, with the height at which they are used; the CRS is then OGC:CRS84.

    Raises:
        GeoRefError: the transform cannot be inverted, or the control points span no plane.
    """

    transform: Affine | None = None
    crs: str | None = None
    gcps: tuple[ControlPoint, ...] = ()
    rpc: Rpc | None = None

    def __post_init__(self) -> None:
        if self.placed:
            self._grid  # noqa: B018 -- made now, so that a broken one is refused now

    @property
    def placed(self) -> bool:
        """Whether pixels can be turned into map coordinates."""
        return self.transform is not None or bool(self.gcps) or self.rpc is not None

    @property
    def on_map(self) -> bool:
        """Whether pixels can be turned into longitude and latitude on the Earth."""
        return not self.why_not_on_map

    @property
    def measurable(self) -> bool:
        """Whether metres are known: on the Earth, on another planet, or in a local CRS."""
        return self.placed and self.crs is not None

    @property
    def why_not_on_map(self) -> str:
        """Why pixels have no longitude and latitude, as half a sentence; "" where they have."""
        if self.crs is None:
            return "the scene has no CRS"
        if not self.placed:
            return "the scene has no geotransform"
        if not is_earthly(self.crs):
            return "the scene's CRS has no longitude and latitude on the Earth"
        return ""

    def to_map(self, pixels: Points) -> Points:
        """Map coordinates `(N, 2)` x, y in the CRS's own units for pixel edges `(N, 2)` col, row.

        Raises:
            GeoRefError: the scene has no place on a map.
        """
        return self._grid.to_map(pixels)

    def to_pixels(self, points: Points) -> Points:
        """Pixel edges `(N, 2)` col, row for map coordinates `(N, 2)` x, y: the inverse of `to_map`.

        Raises:
            GeoRefError: the scene has no place on a map.
        """
        return self._grid.to_pixels(points)

    def to_lonlat(self, pixels: Points) -> Points:
        """WGS 84 longitude, latitude `(N, 2)` in degrees for pixel edges `(N, 2)` col, row.

        Longitudes are within -180 to 180, also where those of the scene go on to 360.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS, or PROJ cannot leave its CRS.
        """
        lon, lat = project(to_lonlat_from(self._crs()), self.to_map(pixels)).T
        turns = np.rint(np.round(lon, MERIDIAN_DECIMALS) / 360)
        return np.stack([np.clip(lon - 360 * turns, -180, 180), lat], axis=1)

    def from_lonlat(self, lonlat: Points) -> Points:
        """Pixel edges `(N, 2)` col, row for WGS 84 longitude, latitude `(N, 2)` in degrees.

        Longitudes are turned to where the scene has them: -1 lies in a scene from 358 to 360.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS, or PROJ cannot reach its CRS.
        """
        points = project(to_lonlat_from(self._crs()), lonlat, inverse=True)
        turn = _full_turn(self._crs())
        if turn is None or (self.transform is None and not self.gcps):  # RPCs turn by themselves
            return self.to_pixels(points)
        low, high = self._longitudes(turn)
        west, east = np.maximum(low - points[:, 0], 0), np.maximum(points[:, 0] - high, 0)
        turns = np.ceil(west / turn) - np.ceil(east / turn)
        return self.to_pixels(np.stack([points[:, 0] + turns * turn, points[:, 1]], axis=1))

    def ground_size_m(self, boxes: Boxes) -> Points:
        """Width and height `(N, 2)` of boxes `(N, 4)` in metres on the ground, along the scene's own axes.

        Measured between the midpoints of opposite edges on the CRS's own ellipsoid, so it holds in any
        projection: Web Mercator is not off by 1/cos(latitude).

        Raises:
            GeoRefError: the scene has no place on a map or no CRS.
        """
        x0, y0, x1, y1 = boxes.T
        middle_x, middle_y = centers(boxes).T
        ends = np.stack([[x0, middle_y], [x1, middle_y], [middle_x, y0], [middle_x, y1]]).transpose(2, 0, 1)
        metres = self._local_metres(ends)
        return np.stack(
            [
                np.hypot(*(metres[:, 1] - metres[:, 0]).T),
                np.hypot(*(metres[:, 3] - metres[:, 2]).T),
            ],
            axis=1,
        )

    def area_m2(self, boxes: Boxes) -> npt.NDArray[np.float64]:
        """Areas `(N,)` of boxes `(N, 4)` in square metres on the ground; see `ground_size_m`."""
        metres = self._local_metres(corners(boxes))
        x, y = metres[..., 0], metres[..., 1]
        twice = x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y
        area: npt.NDArray[np.float64] = np.abs(twice.sum(axis=1)) / 2
        return area

    def gsd_m(self, width: int, height: int) -> float:
        """Ground sample distance at the middle of a scene of width x height pixels, in metres per pixel."""
        middle = np.array([[width / 2 - 0.5, height / 2 - 0.5, width / 2 + 0.5, height / 2 + 0.5]])
        return float(np.sqrt(self.area_m2(middle)[0]))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form, read back by `from_dict`."""
        values: dict[str, Any] = {
            "crs": self.crs,
            "transform": None if self.transform is None else list(self.transform),
        }
        if self.gcps:
            values["gcps"] = [list(point) for point in self.gcps]
        if self.rpc is not None:
            values["rpc"] = self.rpc.as_dict()
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GeoRef:
        """The inverse of `as_dict`.

        Raises:
            GeoRefError: the values are not those of a georeference.
        """
        transform, gcps, rpc = values.get("transform"), values.get("gcps") or (), values.get("rpc")
        return cls(
            None if transform is None else _numbers(transform, 6, "six transform numbers"),
            values.get("crs"),
            tuple(_numbers(point, 4, "four numbers a ground control point") for point in gcps),
            None if rpc is None else Rpc.from_values(rpc),
        )

    @cached_property
    def _grid(self) -> Grid:
        if self.transform is not None:
            return AffineGrid(self.transform)
        if self.gcps:
            return fit_spline(self.gcps)
        if self.rpc is not None:
            return self.rpc
        raise GeoRefError("the scene has no geotransform, so pixels cannot be placed on a map")

    def _longitudes(self, turn: float) -> tuple[float, float]:
        """Between which longitudes a point may stay as it is; between them lies at least one full turn.

        How wide a scene is a transform does not tell. It is taken for small, unless its pixels are so large
        that it may go round the Earth, from 180 degrees west or from 0.

        Args:
            turn: a full turn in the units of the CRS.
        """
        if self.transform is None:
            longitudes = [x for _, _, x, _ in self.gcps]
            middle = (min(longitudes) + max(longitudes)) / 2
            return middle - turn / 2, middle + turn / 2
        step, first = self.transform[0], self.transform[2]
        low, high = first - turn / 2, first + turn / 2
        if step * MOST_COLUMNS >= turn and first >= -turn / 2 - step:
            high = first + turn
        if step * MOST_COLUMNS_FROM_0 >= turn and abs(first) <= step:
            low, high = first - step / 4, first + turn
        return low, high

    def _crs(self) -> str:
        if self.crs is None:
            raise GeoRefError(
                "the scene has no CRS, so longitude and latitude are unknown; write .json instead"
            )
        return self.crs

    def _local_metres(self, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Metres east and north `(N, K, 2)` of pixel points `(N, K, 2)` from each group's first point."""
        places = self.to_map(pixels.reshape(-1, 2)).reshape(pixels.shape)
        return ground_of(self._crs()).metres(places)


def corners(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Corner points `(N, 4, 2)` of boxes `(N, 4)`: top left, bottom left, bottom right, top right."""
    x0, y0, x1, y1 = boxes.T
    points: npt.NDArray[np.float64] = np.stack([[x0, y0], [x0, y1], [x1, y1], [x1, y0]]).transpose(2, 0, 1)
    return points


@lru_cache(maxsize=32)
def _full_turn(crs: str) -> float | None:
    """A full turn in the units of a CRS of longitudes; None for a CRS of other coordinates.

    Raises:
        GeoRefError: PROJ does not know the CRS.
    """
    system = to_lonlat_from(crs).source_crs
    return 2 * np.pi / ground_of(crs).unit if system is not None and system.is_geographic else None


def _numbers(values: Any, count: int, what: str) -> Any:
    """A tuple of so many floats from whatever a file holds."""
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count:
        raise GeoRefError(f"a georeference needs {what}, got {values!r}")
    return numbers
