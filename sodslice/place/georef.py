"""`GeoRef`: from scene pixels to the map, to longitude and latitude, and to metres on the ground.

Pixel coordinates are edges: (0, 0) is the outer corner of the first pixel, so they go straight through the
affine transform. `rasterio.transform.xy` would add half a pixel, and so would every box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import GeoRefError
from sodslice.place.affine import Affine, AffineGrid, Grid, half_pixel
from sodslice.place.edges import corners, outlines
from sodslice.place.ground import Ground, ground_of
from sodslice.place.measures import Measures
from sodslice.place.newton import Points
from sodslice.place.poles import ROUGH, refined, refined_back
from sodslice.place.rational import Rpc
from sodslice.place.reference import NOWHERE, project, to_lonlat_from, why_not_earthly
from sodslice.place.spline import ControlPoint, fit_spline
from sodslice.place.turns import span_of_points, span_of_transform, turned_between
from sodslice.tables.boxes import Boxes, Mask

__all__ = ["Affine", "ControlPoint", "GeoRef", "Points", "Rpc", "corners", "outlines"]

MERIDIAN_DECIMALS = 9
"""Of a degree: what is nearer to the antimeridian lies on it, and rounding sends it to neither side."""


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
        fault: why what the scene says of its place is of no use, as half a sentence; "" where it is.

    Raises:
        GeoRefError: the transform cannot be inverted, or the control points span no plane.
    """

    transform: Affine | None = None
    crs: str | None = None
    gcps: tuple[ControlPoint, ...] = ()
    rpc: Rpc | None = None
    fault: str = ""

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
    def meant_for_map(self) -> bool:
        """Whether the scene says that it lies on the Earth, though perhaps where it cannot."""
        return self.on_map or (self.crs is not None and bool(self.fault))

    @property
    def measurable(self) -> bool:
        """Whether metres are known: on the Earth, on another planet, or by the unit of a local CRS."""
        return not self.why_not_measurable

    @property
    def why_not_on_map(self) -> str:
        """Why pixels have no longitude and latitude, as half a sentence; "" where they have."""
        if self.fault:
            return self.fault
        if self.crs is None:
            return "the scene has no CRS"
        if not self.placed:
            return "the scene has no geotransform"
        return why_not_earthly(self.crs)

    @property
    def why_not_measurable(self) -> str:
        """Why metres are not known, as half a sentence; "" where they are."""
        if self.crs is None or not self.placed or self.fault:
            return self.why_not_on_map
        try:
            return "" if self._ground.unit else "the scene's CRS counts in a unit of unknown length"
        except GeoRefError:
            return "PROJ does not know the scene's CRS"

    @property
    def slack(self) -> float:
        """Half a pixel, in the units of the map's y: how far a pole may be missed. See `Ground.on_earth`."""
        return 0.0 if self.transform is None else half_pixel(self.transform)

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

        Longitudes are within -180 to 180, also where those of the scene go on to 360. Latitudes of half a
        pixel beyond a pole, as grids of pixel centres have them, are those of the pole.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS, or some pixels have no place in it.
        """
        places = self.to_known_lonlat(pixels)
        if np.isnan(places).any():
            raise GeoRefError(NOWHERE)
        return places

    def on_earth(self, pixels: Points) -> Points:
        """As `to_map`; NaN where the CRS has no place on its planet.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS, or PROJ does not know its CRS.
        """
        return self._ground.on_earth(self.to_map(pixels), self.slack)

    def to_known_lonlat(self, pixels: Points) -> Points:
        """As `to_lonlat`; NaN where the CRS has no longitude and latitude, as beyond the edge of the Earth.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS, or PROJ cannot leave its CRS.
        """
        way = to_lonlat_from(self._crs())
        points = self.on_earth(pixels)
        lonlat = np.stack(way.transform(points[:, 0], points[:, 1]), axis=1)
        if self._ground.method == ROUGH:
            lonlat = refined(way, points, lonlat, self._ground.linear)
        lon, lat = lonlat.T
        known = np.isfinite(lon) & (np.abs(lat) <= 90)
        turns = np.rint(np.round(np.where(known, lon, 0.0), MERIDIAN_DECIMALS) / 360)
        places = np.stack([np.clip(lon - 360 * turns, -180, 180), lat], axis=1)
        places[~known] = np.nan
        return places

    def from_lonlat(self, lonlat: Points) -> Points:
        """Pixel edges `(N, 2)` col, row for WGS 84 longitude, latitude `(N, 2)` in degrees.

        Longitudes are turned to where the scene has them: -1 lies in a scene from 358 to 360.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS, or PROJ cannot reach its CRS.
        """
        way, ground = to_lonlat_from(self._crs()), ground_of(self._crs())
        points = project(way, lonlat, inverse=True)
        if ground.method == ROUGH:
            points = refined_back(way, lonlat, points)
        if not ground.in_angles or (self.transform is None and not self.gcps):  # RPCs turn by themselves
            return self.to_pixels(points)
        turn = 4 * ground.quarter
        span = span_of_transform(self.transform, turn) if self.transform else span_of_points(self.gcps, turn)
        return self.to_pixels(turned_between(points, *span, turn))

    def has_place(self, boxes: Boxes) -> Mask:
        """Which boxes `(N, 4)` lie with all corners where the CRS has a place, `(N,)`; see `on_earth`."""
        points = corners(boxes).reshape(-1, 2)
        places = self.to_known_lonlat(points) if self.on_map else self.on_earth(points)
        known: Mask = np.asarray(np.isfinite(places).reshape(-1, 8).all(axis=1))
        return known

    def ground_size_m(self, boxes: Boxes) -> Points:
        """Width and height `(N, 2)` of boxes `(N, 4)` in metres on the ground, along the scene's own axes.

        Measured between the midpoints of opposite edges on the CRS's own ellipsoid, so it holds in any
        projection: Web Mercator is not off by 1/cos(latitude). NaN where the CRS has no place.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS.
        """
        return self._measures.sides_m(boxes)

    def area_m2(self, boxes: Boxes) -> npt.NDArray[np.float64]:
        """Areas `(N,)` of boxes `(N, 4)` in square metres on the ground; see `ground_size_m`."""
        return self._measures.areas_m2(boxes)

    def ground_measures_m(self, boxes: Boxes) -> tuple[Points, npt.NDArray[np.float64]]:
        """What `ground_size_m` and `area_m2` give, in half the time of both."""
        return self._measures.sides_and_areas(boxes)

    def gsd_m(self, width: int, height: int) -> float:
        """Ground sample distance at the middle of a scene of width x height pixels, in metres per pixel.

        Raises:
            GeoRefError: the scene has no place on a map or no CRS, or its middle has no place in it.
        """
        middle = np.array([[width / 2 - 0.5, height / 2 - 0.5, width / 2 + 0.5, height / 2 + 0.5]])
        gsd = float(np.sqrt(self.area_m2(middle)[0]))
        if not np.isfinite(gsd):
            raise GeoRefError(self.why_not_measurable or NOWHERE)
        return gsd

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
        if self.fault:
            values["fault"] = self.fault
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
            str(values.get("fault", "")),
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

    def _crs(self) -> str:
        if self.crs is None:
            raise GeoRefError(
                "the scene has no CRS, so longitude and latitude are unknown; write .json instead"
            )
        return self.crs

    @property
    def _ground(self) -> Ground:
        """What the CRS says about metres.

        Raises:
            GeoRefError: there is no CRS, PROJ does not know it, or it cannot be that of the scene.
        """
        if self.fault:
            raise GeoRefError(f"places cannot be computed: {self.fault}")
        return ground_of(self._crs())

    @property
    def _measures(self) -> Measures:
        return Measures(self._ground, self.to_map, self.slack, self.transform is not None)


def _numbers(values: Any, count: int, what: str) -> Any:
    """A tuple of so many floats from whatever a file holds."""
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count:
        raise GeoRefError(f"a georeference needs {what}, got {values!r}")
    return numbers
