"""`SceneSpec`: the few numbers from which every pixel and every truth box of a scene follows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.dice import Dice
from sodslice.values.kinds import Maybe, Real, Switch, Whole, Word
from sodslice.values.lists import Numbers
from sodslice.values.setting import Setting, check_settings, described, setting

NODATA = 0
"""The value of all three bands where nothing was photographed; no photographed pixel is darker than 1."""

GSD_RANGE_M = (0.03, 1.0)
LARGEST_SIDE = 1_000_000


class Sun(NamedTuple):
    """One light for the whole scene.

    Fields: `toward` is the unit vector (x, y) on the image, y down, that points to the sun; `reach` is the
    length of a shadow per metre of height; `shade` is what a full shadow leaves of each band.
    """

    toward: tuple[float, float]
    reach: float
    shade: tuple[float, float, float]


class HalfPlane(NamedTuple):
    """The pixels x, y with a x + b y <= c; (a, b) has length 1."""

    a: float
    b: float
    c: float


@dataclass(frozen=True)
class SceneSpec:
    """A scene to be drawn; equal specs give equal bytes.

    The same seed at another GSD or size shows the same town: layout is made in metres from the scene's
    upper left corner on.

    Raises:
        OptionError: a value is malformed or out of its range.
    """

    width: int = field(metadata=described(Setting(Whole(1, LARGEST_SIDE), "Scene width in pixels.")))
    height: int = field(metadata=described(Setting(Whole(1, LARGEST_SIDE), "Scene height in pixels.")))
    gsd_m: float = setting(0.12, Setting(Real(*GSD_RANGE_M), "Metres a pixel, 0.03 to 1."))
    seed: int = setting(0, Setting(Whole(0, 2**63 - 1), "Which town; 0 or more."))
    vehicles: float = setting(
        1.0,
        Setting(
            Real(0, 10),
            "How many vehicles, 0 to 10: 1 is a usual day, 0 none, 2 nearly everywhere; all else stays.",
        ),
    )
    nodata: bool = setting(
        True,
        Setting(
            Switch(), "Whether one corner of the scene is a wedge without data, as at the rim of a survey."
        ),
    )
    crs: str | None = setting(
        "EPSG:32632",
        Setting(
            Maybe(Word(), word="none"),
            "A projected CRS in metres that rasterio understands; none for a scene without georeference.",
        ),
    )
    origin: tuple[float, float] = setting(
        (690_000.0, 5_336_000.0),
        Setting(
            Numbers("two map coordinates (easting, northing)", (2, 2)),
            "Map coordinates (easting, northing) of the upper left corner of the upper left pixel.",
        ),
    )
    sun_elevation_deg: float | None = setting(
        None,
        Setting(
            Maybe(Real(15, 90)), "Height of the sun over the horizon in degrees, 15 to 90.", "", "by the seed"
        ),
    )
    blur_px: float = setting(
        0.6, Setting(Real(0, 3), "Standard deviation of the camera's blur in pixels, 0 to 3.")
    )
    noise: float = setting(
        2.5, Setting(Real(0, 20), "Standard deviation of the sensor's noise in grey levels, 0 to 20.")
    )

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def affine(self) -> tuple[float, float, float, float, float, float]:
        """Coefficients a, b, c, d, e, f: map x = a column + b row + c, map y = d column + e row + f."""
        return (self.gsd_m, 0.0, self.origin[0], 0.0, -self.gsd_m, self.origin[1])

    @property
    def sun(self) -> Sun:
        """The sun of this scene: in the south of the image, high or low, hazy or bright by the seed."""
        dice = Dice(self.seed, "sun")
        azimuth = math.radians(dice.between(-65.0, 65.0))
        elevation = dice.between(34.0, 62.0)
        depth = dice.between(0.30, 0.58)
        if self.sun_elevation_deg is not None:
            elevation = self.sun_elevation_deg
        reach = 0.0 if elevation >= 90.0 else 1.0 / math.tan(math.radians(elevation))
        # A shadow is lit by the sky alone, so its blue fades less than its red.
        shade = (1.0 - depth, 1.0 - 0.96 * depth, 1.0 - 0.86 * depth)
        return Sun((math.sin(azimuth), math.cos(azimuth)), reach, shade)

    @property
    def photographed(self) -> HalfPlane | None:
        """The side that holds data, in scene pixels; None where the whole scene does."""
        if not self.nodata:
            return None
        dice = Dice(self.seed, "wedge")
        corner = dice.whole(0, 3)
        legs = (dice.between(0.10, 0.24) * self.width, dice.between(0.10, 0.24) * self.height)
        right, bottom = corner % 2 == 1, corner // 2 == 1
        a = (1.0 if right else -1.0) / legs[0]
        b = (1.0 if bottom else -1.0) / legs[1]
        # On the cut, x / leg_x + y / leg_y measured from the corner is 1.
        c = a * (self.width if right else 0.0) + b * (self.height if bottom else 0.0) - 1.0
        length = math.hypot(a, b)
        return HalfPlane(a / length, b / length, c / length)

    def holds_data(
        self, x_px: npt.NDArray[np.float64], y_px: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Whether places of the scene, in pixels, lie inside it and outside the no-data wedge."""
        inside = (x_px >= 0) & (y_px >= 0) & (x_px <= self.width) & (y_px <= self.height)
        side = self.photographed
        return inside if side is None else inside & (side.a * x_px + side.b * y_px <= side.c)
