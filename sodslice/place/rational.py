"""Rational polynomial coefficients (RPC00B): satellite images that were never put on a map.

The polynomials send longitude, latitude and height to line and sample (STDI-0002 Vol. 1 App. E); for the way
back the height must be known. Lines and samples count pixel middles from 0, so edges are half a pixel more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import GeoRefError
from sodslice.place.newton import Points, solve

FRAMES = ("line", "samp", "lat", "long", "height")
POLYNOMIALS = ("line_num_coeff", "line_den_coeff", "samp_num_coeff", "samp_den_coeff")
TERMS = 20


@dataclass(frozen=True)
class Rpc:
    """The coefficients, and the height at which they are used.

    Args:
        offsets: of line, sample, latitude, longitude and height.
        scales: of the same.
        coefficients: 20 each of line numerator, line denominator, sample numerator, sample denominator.
        height: metres above the WGS 84 ellipsoid at which all of the scene is taken to lie.

    Raises:
        GeoRefError: a number is missing or not finite, or a scale is 0.
    """

    offsets: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    height: float

    def __post_init__(self) -> None:
        lengths = [len(row) for row in self.coefficients]
        if lengths != [TERMS] * len(POLYNOMIALS) or len(self.offsets) != 5 or len(self.scales) != 5:
            raise GeoRefError(f"RPCs need 4 x {TERMS} coefficients, 5 offsets and 5 scales")
        numbers = [*self.offsets, *self.scales, *np.ravel(self.coefficients), self.height]
        if not np.isfinite(numbers).all() or 0 in self.scales:
            raise GeoRefError("RPCs must be finite and their scales not 0")

    @classmethod
    def from_values(cls, values: Mapping[str, Any], height: float | None = None) -> Rpc:
        """From names as GDAL and rasterio give them: `line_off`, `line_scale`, `line_num_coeff`, ...

        Args:
            values: the numbers by name.
            height: metres above the ellipsoid; None takes `height`, else `height_off`, the middle of the
                heights for which the coefficients were made.

        Raises:
            GeoRefError: a number is missing, or no number.
        """
        try:
            offsets = tuple(float(values[f"{name}_off"]) for name in FRAMES)
            scales = tuple(float(values[f"{name}_scale"]) for name in FRAMES)
            coefficients = tuple(_floats(values[name]) for name in POLYNOMIALS)
            chosen = float(values.get("height", offsets[4]) if height is None else height)
        except (KeyError, TypeError, ValueError) as error:
            raise GeoRefError(
                f"the scene's RPCs are incomplete: {type(error).__name__} {' '.join(str(error).split())}"
            ) from None
        return cls(offsets, scales, coefficients, chosen)

    def as_dict(self) -> dict[str, Any]:
        """The numbers by name, read back by `from_values`."""
        offsets = {f"{name}_off": value for name, value in zip(FRAMES, self.offsets, strict=True)}
        scales = {f"{name}_scale": value for name, value in zip(FRAMES, self.scales, strict=True)}
        rows = {name: list(row) for name, row in zip(POLYNOMIALS, self.coefficients, strict=True)}
        return {**offsets, **scales, **rows, "height": self.height}

    def to_map(self, pixels: Points) -> Points:
        """Longitude, latitude `(N, 2)` in degrees of pixel edges `(N, 2)` col, row; NaN out of reach."""
        line, sample, latitude, longitude, _ = zip(self.offsets, self.scales, strict=True)
        wanted = (pixels - 0.5 - (sample[0], line[0])) / (sample[1], line[1])
        found = solve(self._scaled, wanted, np.zeros_like(wanted))
        return found * (longitude[1], latitude[1]) + (longitude[0], latitude[0])

    def to_pixels(self, points: Points) -> Points:
        """Pixel edges `(N, 2)` col, row of longitude, latitude `(N, 2)` in degrees."""
        line, sample, latitude, longitude, _ = zip(self.offsets, self.scales, strict=True)
        turned = np.mod(points[:, 0] - longitude[0] + 180, 360) - 180
        scaled = np.stack([turned / longitude[1], (points[:, 1] - latitude[0]) / latitude[1]], axis=1)
        return self._scaled(scaled) * (sample[1], line[1]) + (sample[0] + 0.5, line[0] + 0.5)

    def _scaled(self, points: Points) -> Points:
        """Scaled sample, line `(N, 2)` of scaled longitude, latitude `(N, 2)`."""
        height = (self.height - self.offsets[4]) / self.scales[4]
        terms = _terms(points[:, 0], points[:, 1], height)
        line_top, line_bottom, sample_top, sample_bottom = (terms @ np.array(c) for c in self.coefficients)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([sample_top / sample_bottom, line_top / line_bottom], axis=1)


def _floats(values: str | Sequence[float]) -> tuple[float, ...]:
    return tuple(float(v) for v in (values.split() if isinstance(values, str) else values))


def _terms(
    lon: npt.NDArray[np.float64], lat: npt.NDArray[np.float64], height: float
) -> npt.NDArray[np.float64]:
    """The 20 terms `(N, 20)` of a cubic in scaled longitude, latitude and height, in the order of RPC00B."""
    one, high = np.ones_like(lon), np.full_like(lon, height)
    first = [one, lon, lat, high, lon * lat, lon * high, lat * high, lon**2, lat**2, high**2]
    cubic = [
        lat * lon * high,
        lon**3,
        lon * lat**2,
        lon * high**2,
        lon**2 * lat,
        lat**3,
        lat * high**2,
        lon**2 * high,
        lat**2 * high,
        high**3,
    ]
    return np.stack([*first, *cubic], axis=1)
