"""The settings of one source of pictures."""

from __future__ import annotations

from dataclasses import dataclass

from sodslice.place.coverage import Coverage, check_one_scale
from sodslice.scene import Rendering, ScaleWish
from sodslice.values.kinds import Real, Switch, Whole, Word
from sodslice.values.setting import Setting, check_settings, setting, settings_of

MOST = 1_000_000_000
"""The largest count and seed."""

_SHARE = Real(0, 1)
_TEXT = Word(empty=True)
_OF_RUNS = settings_of(Coverage)


@dataclass(frozen=True)
class SourceSettings(Rendering):
    """Where some of the pictures come from: a COCO set, one large scene, or drawn scenes.

    Its images are read as `Rendering` says, in the very way in which `run` reads them.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    name: str = setting(
        "", Setting(_TEXT, "what to call it in messages; the json, scene or 'synthetic' where not given")
    )
    images: str = setting("", Setting(_TEXT, "COCO set: folder of the images"))
    annotations: str = setting("", Setting(_TEXT, "COCO set: its json, or an export of Label Studio or CVAT"))
    files: str = setting("*", Setting(_TEXT, "COCO set: only images whose file name fits this pattern"))
    scene: str = setting("", Setting(_TEXT, "large scene: the raster, read window by window"))
    truth: str = setting(
        "", Setting(_TEXT, "large scene: its truth, COCO json or GeoJSON; none for a scene without objects")
    )
    window: int = setting(
        1024, Setting(Whole(256, 8192), "large and drawn scenes: side of a window in pixels that are seen")
    )
    synthetic: int = setting(
        0, Setting(Whole(0, 10_000), "how many scenes to draw with `sodslice.synthetic`")
    )
    synthetic_seed: int = setting(0, Setting(Whole(0, MOST), "drawn scenes: seed of the first one"))
    weight: float = setting(
        1.0, Setting(Real(0, 1e6), "how often it is drawn from, next to the others of its kind")
    )
    background: bool = setting(
        False,
        Setting(
            Switch(), "whether it gives pictures without objects: of a COCO set only the images without boxes"
        ),
    )
    free_rotation: float = setting(
        0.0,
        Setting(
            _SHARE,
            "share of pictures turned by any angle where all boxes are elongated; the others by right angles",
        ),
    )
    label_offset: float = setting(
        0.0,
        Setting(
            Real(-2, 2),
            "pixels that the labels lie up and left of the edges they mean (0.5 where they are pixel "
            "indices); kept through flips and turns, so that the network learns it",
        ),
    )
    gsd: float | None = setting(None, _OF_RUNS["gsd"])
    scale: float | None = setting(None, _OF_RUNS["scale"])

    def __post_init__(self) -> None:
        check_settings(self)
        check_one_scale(self.gsd, self.scale)

    @property
    def wish(self) -> ScaleWish:
        """At which scale its images are seen."""
        return ScaleWish(self.gsd, self.scale)

    @property
    def rendering(self) -> Rendering:
        """How its images are read, and nothing else."""
        return Rendering(**{name: getattr(self, name) for name in settings_of(Rendering)})
