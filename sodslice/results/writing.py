"""How results are written: the settings of the formats."""

from __future__ import annotations

from dataclasses import dataclass

from sodslice.values.kinds import Switch
from sodslice.values.setting import Setting, check_settings, setting


@dataclass(frozen=True)
class Writing:
    """What the formats ask for.

    Raises:
        OptionError: a value is malformed.
    """

    pixel_coords: bool = setting(
        False,
        Setting(
            Switch(),
            "Write GeoJSON in scene pixels, for scenes without longitude and latitude.",
            "Output",
        ),
    )

    def __post_init__(self) -> None:
        check_settings(self)
