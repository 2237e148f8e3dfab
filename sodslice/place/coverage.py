"""What of a scene is looked at, in which tiles, and at which scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sodslice.errors import OptionError
from sodslice.tables.limits import SMALLEST_TILE, size_words
from sodslice.values.kinds import Kind, Maybe, Real, Schema, Switch, Whole, Word, finite, parts
from sodslice.values.setting import Setting, check_settings, setting


class Overlap(Kind):
    """A share of the tile (below 1, or with a percent sign), or whole pixels."""

    metavar = "NUMBER"

    def read(self, given: Any) -> float:
        """See `Kind`."""
        words = "a share from 0 to below 1 (or to below 100%), or whole pixels from 1"
        text = str(given).strip()
        share = finite(text[:-1], words) / 100 if text.endswith("%") else None
        number = finite(given, words) if share is None else share
        if number < 0 or (number >= 1 and (share is not None or number != int(number))):
            raise ValueError(words)
        if number == 1 and "." in text:
            raise ValueError(f"{words}; 1.0 could be all of the tile, so write 1 for one pixel")
        return number if number < 1 else int(number)

    def schema(self) -> Schema:
        """See `Kind`."""
        share = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
        return {"anyOf": [share, {"type": "integer", "minimum": 1}, {"type": "string", "pattern": "%$"}]}


class TileSize(Kind):
    """Side of square tiles in pixels; or width and height, as 1568x1440 or two numbers."""

    metavar = "N"

    def read(self, given: Any) -> int | tuple[int, int]:
        """See `Kind`."""
        side = Whole(SMALLEST_TILE)
        pair = given.split("x") if isinstance(given, str) and "x" in given else given
        if not isinstance(pair, (list, tuple)):
            return side.read(given)
        try:
            width, height = (side.read(one) for one in pair)
        except ValueError:
            raise ValueError(f"width x height in whole pixels from {SMALLEST_TILE}, as 1568x1440") from None
        return width if width == height else (width, height)

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"anyOf": [Whole(SMALLEST_TILE).schema(), {"type": "string", "pattern": "^[0-9]+x[0-9]+$"}]}

    def plain(self, value: Any) -> Any:
        """See `Kind`."""
        return size_words(value) if isinstance(value, tuple) else value


class WindowOf(Kind):
    """x, y, width, height in scene pixels; None for all of the scene."""

    def read(self, given: Any) -> tuple[int, int, int, int] | None:
        """See `Kind`."""
        if given is None:
            return None
        try:
            x, y, width, height = (int(part) for part in parts(given))
        except (TypeError, ValueError, OverflowError):
            x = y = width = height = -1
        if min(x, y) < 0 or min(width, height) < 1:
            raise ValueError("x,y,width,height in whole pixels of the scene, for example 1000,2000,4096,4096")
        return x, y, width, height

    def schema(self) -> Schema:
        """See `Kind`."""
        numbers = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 4, "maxItems": 4}
        return {"anyOf": [numbers, {"type": "null"}]}


@dataclass(frozen=True)
class Coverage:
    """What is looked at, before the scene is known.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    tile: int | tuple[int, int] | None = setting(
        None,
        Setting(
            Maybe(TileSize()),
            "Tile side in pixels as the model sees them (those of the scene, or of what gsd makes of it), or "
            "width x height (1568x1440).",
            "Tiles",
            "auto: the model's input size; where it takes any, what wastes least",
            changes_tiles=True,
        ),
    )
    overlap: float | None = setting(
        None,
        Setting(
            Maybe(Overlap()),
            "Overlap of neighbouring tiles: a share of the tile (0.2, 20%), or whole pixels (128).",
            "Tiles",
            "auto: 0.2; where tiles are fitted, what the model's objects need, 64 to 128",
            changes_tiles=True,
        ),
    )
    aoi: str | None = setting(
        None,
        Setting(
            Maybe(Word()),
            "Area of interest: a vector file with polygons, or WKT. An object counts by its centre.",
            "Place",
            "all of the scene",
            changes_tiles=True,
        ),
    )
    window: tuple[int, ...] | None = setting(
        None,
        Setting(
            WindowOf(),
            "x,y,width,height in scene pixels. An object counts by its centre.",
            "Place",
            "all of the scene",
            changes_tiles=True,
        ),
    )
    gsd: float | None = setting(
        None,
        Setting(
            Maybe(Real(0, open_=True)),
            "Metres per pixel at which the model looks: the scene is resampled as it is read.",
            "Place",
            "the scene's own",
            changes_tiles=True,
        ),
    )
    scale: float | None = setting(
        None,
        Setting(
            Maybe(Real(0, open_=True)),
            "Pixels that are seen for each of the scene, below 1 for a smaller picture; for any image, in "
            "place of gsd.",
            "Place",
            "1",
            changes_tiles=True,
        ),
    )
    photo_footprint: bool = setting(
        False,
        Setting(
            Switch(),
            "Place a photo on the map by its own GPS position, height and heading; good to metres only.",
            "Place",
        ),
    )

    def __post_init__(self) -> None:
        check_settings(self)
        check_one_scale(self.gsd, self.scale)

    @property
    def longer_side(self) -> int | None:
        """The longer side of a tile, where it is given."""
        return max(self.tile) if isinstance(self.tile, tuple) else self.tile


def check_one_scale(gsd: float | None, scale: float | None) -> None:
    """Refuse two scales for one scene.

    Raises:
        OptionError: both are given.
    """
    if gsd is not None and scale is not None:
        raise OptionError(f"give `gsd` or `scale`, not both, got `gsd={gsd:g}` and `scale={scale:g}`")
