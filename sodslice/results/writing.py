"""How results are written: the settings of the formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sodslice.errors import GeoRefError, OptionError
from sodslice.values.kinds import Kind, OneOf, Schema, Switch
from sodslice.values.setting import Setting, check_settings, setting

BOX, POINT = "box", "point"
NATIVE, WGS84 = "native", "EPSG:4326"


class OutputCrs(Kind):
    """A CRS that files are written in: the scene's own, or a text that PROJ knows."""

    def read(self, given: Any) -> str:
        """See `Kind`."""
        words = "native, or a CRS that PROJ knows: a code such as EPSG:32633, or WKT"
        if given in (NATIVE, WGS84):
            return str(given)
        from sodslice.place.reference import known_crs  # pyproj loads slowly

        if isinstance(given, bool) or not isinstance(given, (str, int)):
            raise ValueError(words)  # noqa: TRY004 -- as all kinds do
        try:
            return known_crs(str(given))
        except GeoRefError as error:
            raise ValueError(f"{words} ({error})") from None

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "string", "examples": [NATIVE, WGS84, "EPSG:32633"]}


@dataclass(frozen=True)
class Writing:
    """What the formats ask for.

    Raises:
        OptionError: a value is malformed, or two contradict each other.
    """

    geometry: str = setting(
        BOX,
        Setting(
            OneOf((BOX, POINT)),
            "What stands for an object in map formats: its box, or the middle of it.",
            "Output",
            after_detection=True,
        ),
    )

    output_crs: str = setting(
        WGS84,
        Setting(
            OutputCrs(),
            "Coordinates of .gpkg, .fgb and .parquet: native (the scene's own CRS), or a code such as "
            "EPSG:32633. GeoJSON and CSV are in longitude and latitude, always.",
            "Output",
            after_detection=True,
        ),
    )

    pixel_coords: bool = setting(
        False,
        Setting(
            Switch(),
            "Write map formats in scene pixels, for scenes without longitude and latitude.",
            "Output",
            after_detection=True,
        ),
    )

    qml: bool = setting(
        False,
        Setting(
            Switch(),
            "Write a QGIS style, .qml, beside each .geojson, .geojsonl and .fgb; a .gpkg has it inside.",
            "Output",
            after_detection=True,
        ),
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.pixel_coords and self.output_crs != WGS84:
            raise OptionError(
                f"`pixel_coords` writes pixels, and `output_crs={self.output_crs}` asks for a CRS; give "
                "one of them"
            )
