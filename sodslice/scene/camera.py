"""What a camera wrote of its flight, its view and its lens, from the texts of EXIF and XMP by name.

Heights and angles are those of drones: DJI, Autel, Skydio, Parrot, Yuneec, and the namespace `Camera` of
Pix4D, which senseFly, Sentera and MicaSense write. EXIF alone has neither a height above ground nor a view.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.scene.xmp import number

Texts = Mapping[str, str]
Vector = tuple[float, float, float]

HIGHEST_M = 20_000.0

HEIGHTS = ("AboveGroundAltitude", "RelativeAltitude", "AboveHomeAltitude")
"""Names of heights in metres above the ground or above the take-off, the best first."""

ANGLES = (
    ("GimbalPitchDegree", "GimbalYawDegree", "GimbalRollDegree"),
    ("CameraPitchDegree", "CameraYawDegree", "CameraRollDegree"),
    ("GimbalPitch", "GimbalYaw", "GimbalRoll"),
    ("CameraOrientationNED/Pitch", "CameraOrientationNED/Yaw", "CameraOrientationNED/Roll"),
    ("Camera:Pitch", "Camera:Yaw", "Camera:Roll"),
)
"""Names of pitch, yaw and roll in degrees, the best first; turned in the order yaw, pitch, roll."""

FROM_NADIR = "Camera:Pitch"
"""The pitch that is 0 straight down and 90 at the horizon; the others are -90 and 0."""
LOWEST_FROM_NADIR = -45.0
"""Below it, such a pitch is one from the horizon all the same: some Autel drones write it so."""

CALIBRATED = ("CalibratedFocalLength", "CalibratedFocalLength/X", "CalibratedFocalLengthX")
"""Names of focal lengths in pixels of the picture as it was taken."""


def _width(width: float, _height: float) -> float:
    return width


def _height(_width: float, height: float) -> float:
    return height


FIELDS_OF_VIEW: Mapping[str, Callable[[float, float], float]] = {
    "HorizontalFieldOfView": _width,
    "HorizontalFOV": _width,
    "VerticalFieldOfView": _height,
    "VerticalFOV": _height,
    "DiagonalFieldOfView": math.hypot,
    "DiagonalFOV": math.hypot,
    "FieldOfView": max,
    "FOV": max,
}
"""Names of fields of view in degrees, and the pixels that each spans."""

BELIEVED = (0.1, 50.0)
"""Focal lengths in units of the longer side that are believed: fields of view from 157 degrees to 1.1."""
MOST_CONTRADICTION = 1.5
"""Factor between two focal lengths of one photo from which on neither is believed."""
MOST_CUT = 0.01
"""Relative difference of aspect ratios from which on a photo was cut after it was taken."""
FILM_WIDTH_MM = 36.0

_MM_PER_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
_DEGREES = re.compile(r"(\d+),(\d+(?:\.\d*)?)(?:,(\d+(?:\.\d*)?))?([NSEW])")
_PARTS = re.compile(r"\(([^()]*)\)")


class Said(NamedTuple):
    """A number, and the statement that it was got from, for people."""

    value: float
    words: str


class Aim(NamedTuple):
    """Where a camera looked.

    Fields: `tilt` from straight down in degrees; `right`, what is to the right in the picture, and `view`,
    what the camera looked at, both as unit vectors (east, north, down); `heading`, whether east and north
    are known; `words`, the statement that it was got from.
    """

    tilt: float
    right: Vector
    view: Vector
    heading: bool
    words: str


def height_of(xmp: Texts) -> Said | None:
    """Metres above the ground, or above where the drone took off."""
    for name in HEIGHTS:
        height = number(xmp.get(name))
        if height is not None and 0 < height <= HIGHEST_M:
            return Said(height, f"{name} {height:g} m")
    return None


def aim_of(xmp: Texts) -> Aim | None:
    """Where the camera looked; the aircraft's own angles do not count."""
    for names in ANGLES:
        pitch, yaw, roll = (number(xmp.get(name)) for name in names)
        if pitch is None:
            continue
        down = names[0] == FROM_NADIR and pitch > LOWEST_FROM_NADIR
        turn = _turned(yaw or 0.0, pitch, roll or 0.0)
        view = turn[:, 2] if down else turn[:, 0]
        tilt = math.degrees(math.acos(np.clip(view[2], -1, 1)))
        return Aim(tilt, _vector(turn[:, 1]), _vector(view), yaw is not None, f"{names[0]} {pitch:g}")
    return None


def lens_of(texts: Texts, size: tuple[int, int]) -> Said:
    """The focal length in pixels of a picture.

    Args:
        texts: of EXIF and XMP.
        size: width and height of the stored picture in pixels.

    Raises:
        ValueError: it is not stated, or statements contradict each other; half a sentence says so.
    """
    low, high = (max(size) * factor for factor in BELIEVED)
    lenses = [lens for lens in _lenses(texts, size) if low <= lens.value <= high]
    if not lenses:
        raise ValueError("the photo does not state its focal length or field of view")
    values = [lens.value for lens in lenses]
    if max(values) > MOST_CONTRADICTION * min(values):
        words = " and ".join(lens.words for lens in lenses)
        raise ValueError(f"the photo contradicts itself ({words})")
    return lenses[0]


def position_of(exif: Texts, xmp: Texts) -> tuple[float, float] | None:
    """WGS 84 longitude and latitude in degrees; None where there is none, or no fix."""
    candidates = (
        (_sexagesimal(exif, "GPSLongitude"), _sexagesimal(exif, "GPSLatitude")),
        (number(xmp.get("GpsLongitude", xmp.get("GpsLongtitude"))), number(xmp.get("GpsLatitude"))),
        (_degrees(xmp.get("GPSLongitude")), _degrees(xmp.get("GPSLatitude"))),
        (number(xmp.get("Longitude")), number(xmp.get("Latitude"))),
    )
    for lon, lat in candidates:
        if lon is not None and lat is not None and abs(lon) <= 180 and abs(lat) <= 90 and (lon or lat):
            return lon, lat
    return None


def _lenses(texts: Texts, size: tuple[int, int]) -> list[Said]:
    """Focal lengths in pixels of the picture, the best first.

    Raises:
        ValueError: the photo was cut, so that it is not known of how many pixels a statement speaks.
    """
    shrunk = _shrunk(texts, size)
    found = [
        Said(focal * shrunk, f"CalibratedFocalLength {focal:g} px")
        for focal in (number(texts.get(name)) for name in CALIBRATED)
        if focal
    ]
    metric = number(texts.get("FocalLength")) or number(texts.get("PerspectiveFocalLength"))
    density = number(texts.get("FocalPlaneXResolution"))
    unit = _MM_PER_UNIT.get(int(number(texts.get("FocalPlaneResolutionUnit")) or 2))
    if metric and density and unit:
        zoom = max(1.0, number(texts.get("DigitalZoomRatio")) or 1.0)
        words = f"FocalLength {metric:g} mm at {density / unit:.4g} pixels per mm"
        found.append(Said(metric * density / unit * zoom * shrunk, words))
    film = number(texts.get("FocalLengthIn35mmFilm")) or number(texts.get("FocalLengthIn35mmFormat"))
    if film:
        found.append(Said(film * max(size) / FILM_WIDTH_MM, f"FocalLengthIn35mmFilm {film:g} mm"))
    for name, spanned in FIELDS_OF_VIEW.items():
        angle = number(texts.get(name))
        if angle and 0 < angle < 180:
            half = math.tan(math.radians(angle / 2))
            found.append(Said(spanned(*size) / 2 / half, f"{name} {angle:g} degrees"))
    return found


def _shrunk(texts: Texts, size: tuple[int, int]) -> float:
    """Pixels of the picture for each as it was taken.

    Raises:
        ValueError: it was cut.
    """
    width, height = (number(texts.get(name)) for name in ("PixelXDimension", "PixelYDimension"))
    if not width or not height:
        return 1.0
    longer, shorter = max(width, height), min(width, height)
    if abs(max(size) / min(size) * shorter / longer - 1) > MOST_CUT:
        raise ValueError(
            f"the photo was cut: it was taken at {width:g} x {height:g} pixels and has {size[0]} x {size[1]}"
        )
    return max(size) / longer


def _turned(yaw: float, pitch: float, roll: float) -> npt.NDArray[np.float64]:
    """The axes of a body (forward, right, below) as columns of (east, north, down); angles in degrees."""
    (a, b, c), (s, t, u) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    about_down = np.array([[a, -s, 0], [s, a, 0], [0, 0, 1]])
    about_right = np.array([[b, 0, t], [0, 1, 0], [-t, 0, b]])
    about_forward = np.array([[1, 0, 0], [0, c, -u], [0, u, c]])
    north_east_down: npt.NDArray[np.float64] = about_down @ about_right @ about_forward
    return north_east_down[[1, 0, 2]]


def _vector(axis: npt.NDArray[np.float64]) -> Vector:
    east, north, down = axis.tolist()
    return east, north, down


def _sexagesimal(exif: Texts, name: str) -> float | None:
    """Degrees from EXIF's texts `(46) (50) (33.9859)` and `N`."""
    parts = [number(part) for part in _PARTS.findall(exif.get(name, ""))]
    side = exif.get(f"{name}Ref", "").strip().upper()[:1]
    if not 1 <= len(parts) <= 3 or None in parts or side not in ("N", "S", "E", "W"):
        return None
    degrees = sum((part / 60**power for power, part in enumerate(parts) if part is not None), 0.0)
    return -degrees if side in "SW" else degrees


def _degrees(text: str | None) -> float | None:
    """Degrees from XMP's `46,50.5664N` or `46,50,34N`, or a plain number."""
    found = _DEGREES.fullmatch((text or "").strip())
    if found is None:
        return number(text)
    degrees: float = float(found[1]) + float(found[2]) / 60 + float(found[3] or 0) / 3600
    return -degrees if found[4] in "SW" else degrees
