"""What the detector gets to see of a scene, at which scale, and which of its objects count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sodslice import boxes as box
from sodslice.detections import Detections
from sodslice.errors import GeoRefError, SceneError
from sodslice.extent import Restriction
from sodslice.georef import GeoRef
from sodslice.scene import Scene
from sodslice.scene.layout import ReadingPlan, plan_reading
from sodslice.scene.scaled import ScaledScene
from sodslice.tiles import Tile, plan_tiles

LARGEST_FACTOR = 2.0
"""How much larger or smaller than in its training a model may see objects before the user is told."""


@dataclass(frozen=True)
class Frame:
    """A scene's pixels, and the pixels that the detector sees.

    Args:
        size: width and height of the scene.
        seen: width and height of what is seen of it; another size where it is resampled.
    """

    size: tuple[int, int]
    seen: tuple[int, int]

    @property
    def scale(self) -> tuple[float, float]:
        """Scene pixels per pixel that is seen, in x and y."""
        return self.size[0] / self.seen[0], self.size[1] / self.seen[1]

    def on_scene(self, found: Detections) -> Detections:
        """Detections in pixels that are seen, as boxes in scene pixels."""
        if self.seen == self.size:
            return found
        return replace(found, boxes=box.clip(found.boxes * np.tile(self.scale, 2), *self.size))


@dataclass(frozen=True)
class View:
    """What a run looks at.

    Args:
        scene: what the detector sees: the scene itself, or the scene at another scale.
        frame: from its pixels to those of the scene itself.
        tiles: the whole grid, in pixels that are seen.
        reading: the tiles of it that are looked at, in the order in which they are read.
        within: to what the run is restricted.
        gsd_m: metres per pixel that is seen; None where metres are not known.
    """

    scene: Scene
    frame: Frame
    tiles: tuple[Tile, ...]
    reading: ReadingPlan
    within: Restriction
    gsd_m: float | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know before anything is read, one sentence each."""
        return (*self.scene.notes, *self.within.notes, *self.reading.notes)


def view_of(
    scene: Scene,
    *,
    tile: int,
    overlap: float,
    gsd: float | None = None,
    within: Restriction | None = None,
) -> View:
    """Plan what is looked at.

    Args:
        scene: as it was opened.
        tile: side of a tile in pixels that are seen.
        overlap: of neighbouring tiles: below 1 a share of the tile, from 1 on pixels.
        gsd: metres per pixel that is seen; None for the scene's own.
        within: to what the run is restricted.

    Raises:
        GeoRefError: a GSD is wanted and the scene's own is not known.
        SceneError: no tile touches the extents.
    """
    own = _own_gsd(scene)
    if gsd is not None and own is None:
        raise GeoRefError(
            "--gsd needs a scene whose metres are known: "
            f"{scene.georef.why_not_on_map or 'its CRS does not reach its middle'}"
        )
    seen: Scene = scene if gsd is None else ScaledScene(scene, gsd)
    frame = Frame((scene.width, scene.height), (seen.width, seen.height))
    tiles = plan_tiles(seen.width, seen.height, tile=tile, overlap=overlap)
    corners = np.array([(t.x, t.y, t.x + t.width, t.y + t.height) for t in tiles], dtype=np.float64)
    restriction = within or Restriction()
    flags = restriction.touches(corners * np.tile(frame.scale, 2))
    if not flags.any():
        raise SceneError("no tile of the scene touches both --window and --aoi; they lie apart")
    chosen = [tile for tile, flag in zip(tiles, flags, strict=True) if flag]
    reading = plan_reading(chosen, getattr(scene, "layout", None), frame.scale)
    return View(seen, frame, tuple(tiles), reading, restriction, gsd or own)


def counting(
    found: Detections,
    georef: GeoRef,
    *,
    within: Restriction,
    min_size: float | None = None,
    max_size: float | None = None,
) -> Detections:
    """The objects that count: their centre lies where the run is, and their size between the limits.

    The size of an object is the longer side of its box: in metres on the ground, or in scene pixels where
    metres are not known. Of the measures of an upright box it depends least on how an object is turned.

    Args:
        found: in scene pixels.
        georef: where the scene lies.
        within: to what the run is restricted.
        min_size: least size; None for no limit.
        max_size: greatest size; None for no limit.
    """
    flags = within.holds(box.centers(found.boxes))
    if min_size is not None or max_size is not None:
        sides = georef.ground_size_m(found.boxes) if georef.measurable else _sides_px(found)
        size = sides.max(axis=1, initial=0.0)
        flags &= size >= (min_size or 0.0)
        flags &= size <= (np.inf if max_size is None else max_size)
    return found[flags]


def scale_note(seen_gsd: float | None, model_gsd: float | None) -> list[str]:
    """What to tell the user where the model sees objects much larger or smaller than in its training.

    Args:
        seen_gsd: metres per pixel that the model sees; None where unknown.
        model_gsd: metres per pixel of its training images; None where unknown.
    """
    if not seen_gsd or not model_gsd or 1 / LARGEST_FACTOR <= seen_gsd / model_gsd <= LARGEST_FACTOR:
        return []
    factor = model_gsd / seen_gsd
    how = f"{factor:.2g} times larger" if factor > 1 else f"{1 / factor:.2g} times smaller"
    return [
        f"the model sees {seen_gsd:.3g} m per pixel and was trained at {model_gsd:.3g}, so objects look "
        f"{how} than it knows them; try --gsd {model_gsd:.3g}"
    ]


def _sides_px(found: Detections) -> box.Boxes:
    sides: box.Boxes = found.boxes[:, 2:] - found.boxes[:, :2]
    return sides


def _own_gsd(scene: Scene) -> float | None:
    """Metres per pixel in the middle of a scene; None where the scene or its CRS does not tell."""
    if not scene.georef.measurable:
        return None
    try:
        return scene.georef.gsd_m(scene.width, scene.height)
    except GeoRefError:
        return None
