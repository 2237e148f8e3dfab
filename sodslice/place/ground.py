"""Metres on the ground: on a CRS's own ellipsoid, or by its unit where it has none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj
from pyproj.exceptions import CRSError, ProjError

from sodslice.errors import GeoRefError
from sodslice.place.edges import Groups
from sodslice.place.newton import Points
from sodslice.tables.boxes import Mask

SURE = frozenset(
    {"Transverse Mercator", "Polar Stereographic (variant A)", "Polar Stereographic (variant B)"}
)
"""Projections whose way back is right all over the plane."""
CYLINDERS = frozenset(
    {
        "Equidistant Cylindrical",
        "Equidistant Cylindrical (Spherical)",
        "Gall Stereographic",
        "Lambert Cylindrical Equal Area",
        "Lambert Cylindrical Equal Area (Spherical)",
        "Mercator (variant A)",
        "Mercator (variant B)",
        "Miller Cylindrical",
        "Popular Visualisation Pseudo Mercator",
    }
)
"""Projections that go on beyond the antimeridian, turn after turn."""
AGREES = 1e-7
"""Share of the Earth's radius within which a way there and back ends where it began."""
MEASURED_M = 200.0
"""Least extent at which metres are taken: a projection is straight over so short a way."""
LARGE = 1 / 60
"""Radians, about 100 km: larger boxes may be bent."""
METRE = re.compile(r"m|.*(m[eè]tr|meter).*", re.IGNORECASE)
NAMELESS = re.compile(
    r"|(unknown|unnamed|unspecified|undefined).*|units?|unity|none|other|pixels?|px", re.IGNORECASE
)
"""Names of units that are none."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What a CRS says about metres.

    Args:
        geodetic: from the CRS to longitude and latitude on its own ellipsoid; None where the CRS is flat.
        unit: radians per unit of these, or metres per unit of a flat CRS; 0 where that is not known.
        axis_m: semi-major axis of the ellipsoid, in metres.
        eccentricity: of the ellipsoid, squared.
        linear: metres per unit of a projected CRS; 0 for other ones.
        method: of the projection, in PROJ's words; "" without one.
    """

    geodetic: pyproj.Transformer | None
    unit: float
    axis_m: float = 0.0
    eccentricity: float = 0.0
    linear: float = 0.0
    method: str = ""

    @property
    def quarter(self) -> float:
        """The latitude of the pole, in the units of latitudes."""
        return np.pi / 2 / self.unit

    @property
    def in_angles(self) -> bool:
        """Whether map coordinates are longitude and latitude."""
        return self.geodetic is not None and not self.method

    @property
    def in_turns(self) -> bool:
        """Whether x goes on beyond the antimeridian, turn after turn."""
        return self.in_angles or self.method in CYLINDERS

    def on_earth(self, points: Points, slack: float = 0.0) -> Points:
        """Map points `(N, 2)` as they lie on the ellipsoid; NaN where the CRS has none.

        Many a projection has an edge, and beyond it PROJ fails, or gives places of the other side.

        Args:
            points: in the units of the CRS.
            slack: how far latitudes may go beyond a pole and still mean the pole.
        """
        known: Points = points.copy()
        off: Mask
        if self.in_angles:
            known[:, 1] = np.clip(known[:, 1], -self.quarter, self.quarter)
            off = np.abs(points[:, 1]) > self.quarter + slack
        elif self.geodetic is None or self.method in SURE:
            off = np.zeros(len(points), bool)
        else:
            off = np.isnan(self._angles(points)[:, 0])
        known[off | ~_finite(points)] = np.nan
        return known

    def metres(self, points: Groups, slack: float = 0.0) -> Groups:
        """Metres `(N, K, 2)` of map points `(N, K, 2)` from the middle of each group; NaN where unknown.

        In a plane that touches the ellipsoid under the group, at the distances of an equal-area azimuthal
        projection: so it holds in any projection, on any planet, and at the poles. Axes have any direction.

        Args:
            points: in the units of the CRS.
            slack: see `on_earth`.
        """
        if self.geodetic is None:
            flat: Groups = (points - points.mean(axis=1, keepdims=True)) * (self.unit or np.nan)
            return flat
        if not self.linear:
            return self._tangent(points, slack)
        middle, extent = _middle_and_extent(points)
        # PROJ's own rounding is centimetres at the poles of some projections
        growth = np.maximum(1.0, MEASURED_M / (np.where(extent > 0, extent, np.inf) * self.linear))
        steps = (points - middle[:, None]) * growth[:, None, None]
        metres: Groups = self._tangent(middle[:, None] + steps, slack) / growth[:, None, None]
        lost = np.isnan(metres[:, 0, 0])  # a part of them loses all
        if lost.any():
            metres[lost] = self._tangent(points[lost], slack)
        return metres

    def areas_m2(self, rings: Groups, slack: float = 0.0) -> npt.NDArray[np.float64]:
        """Areas `(N,)` in square metres within map points `(N, K, 2)` in order; see `metres`."""
        return areas_within(self.metres(rings, slack))

    def are_large(self, points: Groups) -> Mask:
        """Which groups of map points `(N, K, 2)` are so large that lines between them may be bent."""
        extent = _middle_and_extent(points)[1]
        scale = self.linear / self.axis_m if self.linear else self.unit if self.in_angles else 0.0
        large: Mask = extent * scale > LARGE
        return large

    def angles(self, points: Points) -> Points:
        """Longitude, latitude `(N, 2)` in radians on the CRS's own ellipsoid; NaN where it has none.

        What PROJ gives is believed only where its way back ends where it began.
        """
        way: Any = self.geodetic
        places = self._places(points)
        back = np.stack(way.transform(places[:, 0], places[:, 1], direction="INVERSE"), axis=1)
        error = np.abs(back - points)[:, (1,) if self.in_turns else (0, 1)]
        least = AGREES * (self.axis_m / self.linear if self.linear else self.quarter)
        places[~(error <= least).all(axis=1)] = np.nan
        return places * self.unit

    def _angles(self, points: Points) -> Points:
        """As `angles`, as quickly as can be."""
        surely = self.in_angles or self.method in SURE
        return self._places(points) * self.unit if surely else self.angles(points)

    def _places(self, points: Points) -> Points:
        """What PROJ gives for longitude and latitude `(N, 2)`, in the CRS's unit; NaN where it fails."""
        way: Any = self.geodetic
        places: Points = np.stack(way.transform(points[:, 0], points[:, 1]), axis=1)
        places[~(_finite(places) & (np.abs(places[:, 1]) <= self.quarter * (1 + AGREES)))] = np.nan
        return places

    def _tangent(self, points: Groups, slack: float) -> Groups:
        """See `metres`, which it gives without regard to PROJ's rounding."""
        known = self.on_earth(points.reshape(-1, 2), slack) if self.in_angles else points.reshape(-1, 2)
        places = self._geocentric(self._angles(known)).reshape(*points.shape[:2], 3)
        squares = np.array([1.0, 1.0, 1 - self.eccentricity]) * self.axis_m**2
        with np.errstate(invalid="ignore", divide="ignore"):
            middle, _ = _middle_and_extent(places)
            middle /= np.sqrt((middle**2 / squares).sum(axis=1))[:, None]
            steps = places - middle[:, None]
            flat = np.einsum("nkx,nxa->nka", steps, _level_axes(middle / squares))
            near, chord = (
                np.hypot(flat[..., 0], flat[..., 1]),
                np.sqrt(np.einsum("nkx,nkx->nk", steps, steps)),
            )
            longer: Groups = flat * np.where(near > 0, chord / near, 1.0)[..., None]
        return longer

    def _geocentric(self, angles: Points) -> Groups:
        """x, y, z `(N, 3)` in metres of points on the ellipsoid (EPSG method 9602)."""
        longitude, latitude = angles.T
        sine = np.sin(latitude)
        normal = self.axis_m / np.sqrt(1 - self.eccentricity * sine**2)
        radius = normal * np.cos(latitude)
        height = normal * (1 - self.eccentricity) * sine
        return np.stack([radius * np.cos(longitude), radius * np.sin(longitude), height], axis=1)


def areas_within(metres: Groups) -> npt.NDArray[np.float64]:
    """Areas `(N,)` in square metres within points `(N, K, 2)` in metres, in order."""
    x, y = metres.transpose(2, 0, 1)
    twice = x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y
    area: npt.NDArray[np.float64] = np.abs(twice.sum(axis=1)) / 2
    return area


def _finite(points: Points) -> Mask:
    return np.isfinite(points[:, 0]) & np.isfinite(points[:, 1])


def _middle_and_extent(points: Groups) -> tuple[Points, npt.NDArray[np.float64]]:
    """Mean `(N, D)` and about the diameter `(N,)` of groups `(N, K, D)`."""
    middle = np.einsum("nkx->nx", points) / points.shape[1]
    steps = points - middle[:, None]
    return middle, 2 * np.sqrt(np.einsum("nkx,nkx->n", steps, steps) / points.shape[1])


def _level_axes(up: Groups) -> Groups:
    """Two unit vectors each `(N, 3, 2)` at right angles to vectors `(N, 3)` and to each other."""
    x, y, z = (up / np.sqrt((up**2).sum(axis=1))[:, None]).T
    # without a division by 0 at any of them (Duff et al. 2017, Building an Orthonormal Basis, Revisited)
    sign = np.where(z < 0, -1.0, 1.0)
    a = -1 / (sign + z)
    b = x * y * a
    first = [1 + sign * x * x * a, sign * b, -sign * x]
    second = [b, sign + y * y * a, -y]
    return np.stack([np.stack(first, axis=1), np.stack(second, axis=1)], axis=2)


@lru_cache(maxsize=32)
def ground_of(crs: str) -> Ground:
    """How metres are measured in a CRS: on its own ellipsoid, or by its unit where it has none.

    Raises:
        GeoRefError: PROJ does not know the CRS.
    """
    try:
        system = _horizontal(pyproj.CRS.from_user_input(crs))
        geodetic = system.geodetic_crs
        if geodetic is None or geodetic.ellipsoid is None or geodetic.is_geocentric:
            return Ground(None, _metres_per_unit(system, crs))
        ellipsoid, unit = geodetic.ellipsoid, geodetic.axis_info[0].unit_conversion_factor
        flattening = 1 / ellipsoid.inverse_flattening if ellipsoid.inverse_flattening else 0.0
        projected = not system.is_geographic
        operation = system.coordinate_operation if projected else None
        return Ground(
            pyproj.Transformer.from_crs(system, geodetic, always_xy=True),
            unit,
            ellipsoid.semi_major_metre,
            flattening * (2 - flattening),
            system.axis_info[0].unit_conversion_factor if projected and system.axis_info else 0.0,
            (operation.method_name if operation else "unknown") if projected else "",
        )
    except (CRSError, ProjError) as error:
        raise GeoRefError(f"PROJ does not know the scene's CRS: {' '.join(str(error).split())}") from None


def _horizontal(system: pyproj.CRS) -> pyproj.CRS:
    """A CRS without the shift to another datum and without the heights that it may come with."""
    while system.is_bound or system.is_compound:
        system = system.source_crs if system.is_bound else system.sub_crs_list[0]
    return system


def _metres_per_unit(system: pyproj.CRS, text: str) -> float:
    """Metres per unit of a CRS that is flat; 0 where its axes do not say one and the same."""
    said = text.lstrip().upper()
    if said.startswith("LOCAL_CS") and "UNIT[" not in said.replace(" ", ""):
        return 0.0
    axes = system.to_json_dict().get("coordinate_system", {}).get("axis", [])[:2]
    factors = {_metres_of(axis.get("unit")) for axis in axes}
    return factors.pop() if len(factors) == 1 else 0.0


def _metres_of(unit: Any) -> float:
    """Metres of a unit in PROJJSON: a text, or a mapping of type, name and conversion_factor."""
    if unit == "metre":
        return 1.0
    if not isinstance(unit, dict) or unit.get("type") != "LinearUnit":
        return 0.0
    name, factor = str(unit.get("name", "")).strip(), float(unit.get("conversion_factor", 0))
    known = METRE.fullmatch(name) if factor == 1 else not NAMELESS.fullmatch(name)
    return factor if known and 0 < factor < np.inf else 0.0
