"""`GeoRef`: from scene pixels to the map, to longitude and latitude, and to metres on the ground.

Pixel coordinates are edges: (0, 0) is the outer corner of the first pixel, so they go straight through the
affine transform. `rasterio.transform.xy` would add half a pixel, and so would every box.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
from pyproj.exceptions import CRSError, ProjError

from sodslice.boxes import Boxes, centers
from sodslice.errors import GeoRefError

Points = npt.NDArray[np.float64]
Affine = tuple[float, float, float, float, float, float]

WGS84_A = 6378137.0
WGS84_E2 = 0.0066943799901413165


@dataclass(frozen=True)
class GeoRef:
    """Where a scene lies on the map.

    Args:
        transform: affine (a, b, c, d, e, f): x = a col + b row + c, y = d col + e row + f, with col and row
            counted from the outer corner of the first pixel; None where the scene has none.
        crs: the coordinate reference system of x and y as WKT (or any text that PROJ reads); None where
            the scene has none.
    """

    transform: Affine | None = None
    crs: str | None = None

    def __post_init__(self) -> None:
        if self.transform is None:
            return
        a, b, _, d, e, _ = self.transform
        if not np.isfinite(self.transform).all() or a * e - b * d == 0:
            raise GeoRefError(f"the transform must be finite and invertible, got {self.transform}")

    @property
    def on_map(self) -> bool:
        """Whether pixels can be turned into longitude and latitude."""
        return self.transform is not None and self.crs is not None

    def to_map(self, pixels: Points) -> Points:
        """Map coordinates `(N, 2)` x, y in the CRS's own units for pixel edges `(N, 2)` col, row.

        Raises:
            GeoRefError: the scene has no transform.
        """
        a, b, c, d, e, f = self._affine()
        col, row = pixels[:, 0], pixels[:, 1]
        return np.stack([a * col + b * row + c, d * col + e * row + f], axis=1)

    def to_pixels(self, points: Points) -> Points:
        """Pixel edges `(N, 2)` col, row for map coordinates `(N, 2)` x, y: the inverse of `to_map`.

        Raises:
            GeoRefError: the scene has no transform.
        """
        a, b, c, d, e, f = self._affine()
        determinant = a * e - b * d
        x, y = points[:, 0] - c, points[:, 1] - f
        return np.stack([(e * x - b * y) / determinant, (a * y - d * x) / determinant], axis=1)

    def to_lonlat(self, pixels: Points) -> Points:
        """WGS 84 longitude, latitude `(N, 2)` in degrees for pixel edges `(N, 2)` col, row.

        Raises:
            GeoRefError: the scene has no transform or no CRS, or PROJ cannot leave its CRS.
        """
        return self._to_wgs84(self.to_map(pixels))

    def from_lonlat(self, lonlat: Points) -> Points:
        """Pixel edges `(N, 2)` col, row for WGS 84 longitude, latitude `(N, 2)` in degrees.

        Raises:
            GeoRefError: the scene has no transform or no CRS, or PROJ cannot reach its CRS.
        """
        x, y = _project(self._transformer(), lonlat, inverse=True)
        return self.to_pixels(np.stack([x, y], axis=1))

    def ground_size_m(self, boxes: Boxes) -> Points:
        """Width and height `(N, 2)` of boxes `(N, 4)` in metres on the ground, along the scene's own axes.

        Measured between the midpoints of opposite edges with the radii of curvature of the WGS 84
        ellipsoid at the box (Snyder 1987, Map Projections: A Working Manual, p. 24-25), so it holds in any
        projection: Web Mercator is not off by 1/cos(latitude).
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
        return {"crs": self.crs, "transform": None if self.transform is None else list(self.transform)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GeoRef:
        """The inverse of `as_dict`.

        Raises:
            GeoRefError: the values are not those of a georeference.
        """
        transform = values.get("transform")
        if transform is not None:
            try:
                numbers = [float(v) for v in transform]
            except (TypeError, ValueError):
                numbers = []
            if len(numbers) != 6:
                raise GeoRefError(f"a georeference needs six transform numbers, got {transform!r}")
            transform = tuple(numbers)
        return cls(transform, values.get("crs"))

    def _affine(self) -> Affine:
        if self.transform is None:
            raise GeoRefError("the scene has no geotransform, so pixels cannot be placed on a map")
        return self.transform

    def _transformer(self) -> pyproj.Transformer:
        if self.crs is None:
            raise GeoRefError(
                "the scene has no CRS, so longitude and latitude are unknown; write .json instead"
            )
        return _to_wgs84(self.crs)

    def _to_wgs84(self, points: Points) -> Points:
        return np.stack(_project(self._transformer(), points), axis=1)

    def _local_metres(self, pixels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Metres east and north `(N, K, 2)` of pixel points `(N, K, 2)` from each group's first point."""
        shape = pixels.shape
        lonlat = np.radians(self.to_lonlat(pixels.reshape(-1, 2))).reshape(shape)
        turn = lonlat[..., 0] - lonlat[:, :1, 0]
        east = np.mod(turn + np.pi, 2 * np.pi) - np.pi
        north = lonlat[..., 1] - lonlat[:, :1, 1]
        latitude = lonlat[..., 1].mean(axis=1, keepdims=True)
        bend = 1 - WGS84_E2 * np.sin(latitude) ** 2
        meridian = WGS84_A * (1 - WGS84_E2) / bend**1.5
        normal = WGS84_A / np.sqrt(bend)
        return np.stack([east * normal * np.cos(latitude), north * meridian], axis=-1)


def corners(boxes: Boxes) -> npt.NDArray[np.float64]:
    """Corner points `(N, 4, 2)` of boxes `(N, 4)`: top left, bottom left, bottom right, top right."""
    x0, y0, x1, y1 = boxes.T
    points: npt.NDArray[np.float64] = np.stack([[x0, y0], [x0, y1], [x1, y1], [x1, y0]]).transpose(2, 0, 1)
    return points


@lru_cache(maxsize=32)
def _to_wgs84(crs: str) -> pyproj.Transformer:
    try:
        return pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    except (CRSError, ProjError) as error:
        raise GeoRefError(f"PROJ cannot turn the scene's CRS into longitude and latitude: {error}") from None


def _project(
    transformer: pyproj.Transformer, points: Points, *, inverse: bool = False
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    direction = "INVERSE" if inverse else "FORWARD"
    x, y = transformer.transform(points[:, 0], points[:, 1], direction=direction)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise GeoRefError("some pixels lie where the CRS has no longitude and latitude; write .json instead")
    return x, y
