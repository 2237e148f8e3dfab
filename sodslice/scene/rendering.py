"""How a scene is read: which bands, how levels become 8 bits, what hides pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sodslice.errors import GeoRefError
from sodslice.values.kinds import Kind, Maybe, OneOf, Real, Schema, Switch, Whole, finite, parts
from sodslice.values.setting import Setting, check_settings, setting

PERCENTILES = (2.0, 98.0)
"""What `stretch=auto` takes."""

EXACT = 2**53
"""Below it a float holds every whole number."""

LARGEST_CRS = 2**20
"""Bytes of a file that holds a CRS."""


class StretchRule(NamedTuple):
    """How levels become 8 bits, as a user asks for it.

    Fields: `kind`, one of "auto", "none", "percentiles" and "minmax"; `low`, `high`: percentiles of "auto"
    and "percentiles", levels of "minmax".
    """

    kind: str
    low: float = PERCENTILES[0]
    high: float = PERCENTILES[1]

    def __str__(self) -> str:
        if self.kind in ("auto", "none"):
            return self.kind
        low, high = (repr(level).removesuffix(".0") for level in (self.low, self.high))
        return f"{'minmax:' if self.kind == 'minmax' else ''}{low},{high}"


def parse_stretch(value: Any) -> StretchRule:
    """The rule that a text names: auto, none, LOW,HIGH percentiles, or minmax:A,B levels.

    Raises:
        ValueError: it names none; the message says what was expected.
    """
    if isinstance(value, str) and value in ("auto", "none"):
        return StretchRule(value)
    text = value if isinstance(value, str) else None
    kind, _, numbers = text.rpartition(":") if text is not None else ("", "", value)
    try:
        low, high = (finite(part) for part in parts(numbers))
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if kind == "minmax" and low < high:
        return StretchRule("minmax", low, high)
    if kind == "" and 0 <= low < high <= 100:
        return StretchRule("percentiles", low, high)
    raise ValueError("auto, none, two percentiles such as 2,98, or two levels such as minmax:0,3000")


class Stretching(Kind):
    """The text of a stretch rule, always spelt the same way."""

    def read(self, given: Any) -> str:
        """See `Kind`."""
        return str(parse_stretch(given))

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "string", "examples": ["auto", "none", "2,98", "minmax:0,3000"]}


class Bands(Kind):
    """One band or three, or None for what the file says."""

    def read(self, given: Any) -> tuple[int, ...] | None:
        """See `Kind`."""
        if given is None or given in ("auto", ()):
            return None
        try:
            chosen = tuple(int(part) for part in parts(given))
        except (TypeError, ValueError, OverflowError):
            chosen = ()
        if len(chosen) not in (1, 3) or min(chosen) < 1:
            raise ValueError("one band or three, counted from 1, for example 4,3,2")
        return chosen

    def schema(self) -> Schema:
        """See `Kind`."""
        band = {"type": "integer", "minimum": 1}
        one, three = ({"type": "array", "items": band, "minItems": n, "maxItems": n} for n in (1, 3))
        return {"anyOf": [one, three, {"type": "null"}]}


def _exact(given: Any, number: float) -> float:
    """A whole number of 64 bits to its last digit, which a float may not hold; any other as a float."""
    try:
        whole = int(given) if isinstance(given, (int, str)) else 0
    except ValueError:
        return number
    return whole if whole and -(2**63) <= whole < 2**64 else number


class NoData(Kind):
    """A number, "nan", or "none" for no value at all; None leaves it to the file."""

    def read(self, given: Any) -> float | str | None:
        """See `Kind`."""
        if given is None or given == "auto":
            return None
        if isinstance(given, str) and given.strip().lower() in ("none", "nan"):
            return given.strip().lower()
        try:
            number = finite(given)
        except ValueError:
            raise ValueError("a number, nan or none") from None
        return number if abs(number) < EXACT else _exact(given, number)

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"anyOf": [{"type": "number"}, {"enum": ["nan", "none"]}, {"type": "null"}]}


class Reference(Kind):
    """A CRS as a text that PROJ knows, out of a code, WKT or PROJ text, or a file that holds one."""

    def read(self, given: Any) -> str | None:
        """See `Kind`."""
        if given is None or given == "auto":
            return None
        from sodslice.place.reference import known_crs  # pyproj loads slowly

        words = "a CRS that PROJ knows: a code such as EPSG:32633, WKT or PROJ text, or a file that holds one"
        if isinstance(given, bool) or not isinstance(given, (str, Path, int)):
            raise ValueError(words)  # noqa: TRY004 -- as all kinds do
        try:
            return known_crs(_content(str(given)))
        except GeoRefError as error:
            raise ValueError(f"{words} ({error})") from None

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"anyOf": [{"type": "string", "examples": ["EPSG:32633", "site.prj"]}, {"type": "null"}]}


def _content(text: str) -> str:
    """What a file holds, if the text names one; else the text."""
    try:
        path = Path(text)
        content = path.read_bytes() if path.is_file() and path.stat().st_size <= LARGEST_CRS else None
    except (OSError, ValueError):  # a long WKT can be no name of a file
        content = None
    if content is None:
        return text
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


@dataclass(frozen=True)
class Rendering:
    """How a raster becomes RGB with a place on the map.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    bands: tuple[int, ...] | None = setting(
        None,
        Setting(
            Bands(),
            "One band (grey) or three (red,green,blue), counted from 1.",
            "Pixels",
            "by the file",
            changes_tiles=True,
        ),
    )
    stretch: str = setting(
        "auto",
        Setting(
            Stretching(),
            "How levels become 8 bits, the same for all of a scene: auto (uint8 as it is, others by the "
            "percentiles 2,98), none, LOW,HIGH percentiles, or minmax:A,B levels.",
            "Pixels",
            changes_tiles=True,
        ),
    )
    nodata: float | str | None = setting(
        None,
        Setting(
            NoData(),
            "The value that hides pixels, nan, or none for no value at all.",
            "Pixels",
            "the file's",
            changes_tiles=True,
        ),
    )
    mask: str = setting(
        "auto",
        Setting(
            OneOf(("auto", "none")),
            "What hides pixels besides values: auto (the alpha band, the file's masks, the clear colours of "
            "a palette), or none of these.",
            "Pixels",
            changes_tiles=True,
        ),
    )
    page: int | None = setting(
        None,
        Setting(
            Maybe(Whole(1)),
            "Which picture of a file that holds several, such as the pages of a TIFF, counted from 1.",
            "Pixels",
            "the first",
            changes_tiles=True,
        ),
    )
    allow_vrt: bool = setting(
        False,
        Setting(
            Switch(),
            "Read VRTs and other files that point to images outside their own folder.",
            "Pixels",
            changes_result=False,
        ),
    )
    rpc_height: float | None = setting(
        None,
        Setting(
            Maybe(Real()),
            "Metres above the ellipsoid at which a scene lies that is placed by RPCs only.",
            "Place",
            "the RPCs' own middle",
            changes_tiles=True,
        ),
    )

    crs: str | None = setting(
        None,
        Setting(
            Reference(),
            "The CRS of the scene, in place of what its file says: a code such as EPSG:32633, WKT or PROJ "
            "text, or a file that holds one of these, such as a .prj.",
            "Place",
            "the file's",
            changes_tiles=True,
        ),
    )

    def __post_init__(self) -> None:
        check_settings(self)
