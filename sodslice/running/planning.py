"""`make_plan`: from a scene, a model and settings to everything that a run will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sodslice.errors import GeoRefError, OptionError, SceneError
from sodslice.inference import DEFAULT_MODEL, Detector, ModelInfo, ModelSpec
from sodslice.models import resolve_model
from sodslice.place.areas import read_area
from sodslice.place.extent import Restriction, restrict
from sodslice.place.georef import GeoRef
from sodslice.running.plan import RunPlan
from sodslice.running.planned import Finishing, LookedAt, PlannedScene
from sodslice.running.scale import scale_notes
from sodslice.running.tiling import chosen_grid
from sodslice.scene import ScaleWish, Scene, SceneBase, as_scene, scene_identity, seen_size
from sodslice.scene.layout import plan_reading
from sodslice.scene.photo import FOOTPRINT_FROM
from sodslice.settings import Options, as_options, names_settings
from sodslice.system.version import __version__
from sodslice.tables.limits import size_words
from sodslice.tables.tiles import Grid, TileIds

if TYPE_CHECKING:
    from PIL.Image import Image

OFTEN = 4.0
"""How often each pixel may go through the model, for the overlap's sake, before the user is told."""
TILES_AT_ONCE = 50_000
STREAMED_FROM = 8
"""Tiles from which on two go through a model at once."""
STREAMED_PX = 4_000_000
"""Pixels of the largest tiles of which two go through a model at once."""

SceneLike: TypeAlias = "str | Path | bytes | npt.NDArray[Any] | Image | Scene | SceneBase"
ModelLike = str | Path | Detector | ModelSpec
OptionsLike = Options | Mapping[str, Any] | str | Path


@names_settings
def make_plan(
    scene: SceneLike, *, model: ModelLike | None = None, options: OptionsLike | None = None
) -> RunPlan:
    """Everything that a run over a scene will do; no model is loaded and no pixels are read.

    Args:
        scene: as for `run`.
        model: a name, folder or file, a detector, or what `resolve_model` gave; None takes the
            options' model.
        options: settings, a mapping of some of them, or the path of a YAML file or of a former output.

    Raises:
        SodsliceError: something is wrong with the scene, the model or the settings.
    """
    settings = as_options(options)
    opened = as_scene(scene, settings.rendering)
    try:
        chosen = settings.inference.model if model is None else model
        spec = resolve_model(chosen, settings.inference, tile=settings.coverage.longer_side)
        return plan_for(opened, spec, settings)
    finally:
        if opened is not scene:
            opened.close()


def plan_for(scene: SceneBase, spec: ModelSpec, options: Options) -> RunPlan:
    """The plan of a run over an open scene.

    Raises:
        SodsliceError: the settings do not fit the scene or the model.
    """
    finishing = finishing_of(options, spec)
    coverage, info = options.coverage, spec.info
    planned, place_notes = _planned_scene(scene, options)
    width, height = seen_size(scene, ScaleWish(coverage.gsd, coverage.scale))
    area = None if coverage.aoi is None else read_area(coverage.aoi)
    within = restrict(planned.georef, (scene.width, scene.height), window=coverage.window, area=area)
    per_pixel = scene.width / width, scene.height / height
    grid = chosen_grid(coverage, info, (width, height))
    resolved = _resolved(options, grid, spec)
    ids = _touching(grid, within, per_pixel)
    reading = plan_reading(grid, ids, scene.layout, per_pixel)
    notes = (*scene.notes, *within.notes, *reading.notes, *_size_notes(grid, spec), *_overlap_notes(grid))
    plan = RunPlan(
        scene=planned,
        model=_streamed(spec, grid, len(ids)),
        grid=grid,
        looked_at=LookedAt.of(ids, replace(reading, notes=())),
        gsd=coverage.gsd,
        window=coverage.window,  # type: ignore[arg-type]
        area=area,
        finishing=finishing,
        tile_settings=resolved.tile_settings(),
        options=resolved.as_dict(changes_result=True),
        readers=options.work.readers,
        skip_failed=options.work.on_error == "skip",
        notes=(*notes, *place_notes, *_limit_notes(planned, options)),
        version=__version__,
    )
    said = scale_notes(
        info,
        max(grid.full_size),
        own_gsd=planned.gsd_m,
        seen_gsd=plan.gsd_seen_m,
        chosen=coverage.scale is not None or not planned.location,
    )
    plan = replace(plan, notes=(*plan.notes, *said))
    vars(plan)["within"] = within  # which it would work out again
    return plan


def _streamed(spec: ModelSpec, grid: Grid, tiles: int) -> ModelSpec:
    """The model, run on two tiles at once where there are enough of them to keep the cores busy.

    That is faster than all cores on one tile, whose threads wait for each other, and costs the memory of one
    tile more, so large ones go one by one.
    """
    width, height = spec.info.input_size or grid.tile_size
    two = tiles >= STREAMED_FROM and width * height <= STREAMED_PX
    return replace(spec, streams=2) if two else spec


def finishing_of(options: Options, spec: ModelSpec) -> Finishing:
    """What counts afterwards, by the classes of a model.

    Raises:
        OptionError: a setting names a class that the model does not know, or a threshold is below all scores
            that it gives.
    """
    names = spec.info.class_names
    thresholds = options.keeping.score_thresholds(names, spec.info.threshold)
    classes = options.keeping.class_ids(names)
    _check_reach(min((thresholds[label] for label in classes), default=1.0), spec.info)
    return Finishing(
        thresholds=thresholds,
        classes=classes,
        merge=options.joining.merge,
        iou=options.joining.iou,
        joined=options.joining.joined_classes(names),
        min_size=options.keeping.min_size,
        max_size=options.keeping.max_size,
    )


def _check_reach(lowest: float, info: ModelInfo) -> None:
    """Refuse a threshold below which a model keeps boxes to itself: they would be missing in silence.

    Raises:
        OptionError: it is one.
    """
    if lowest < info.scores_from:
        raise OptionError(
            f"the model {info.name} gives no boxes with scores below {info.scores_from:g}, got "
            f"`threshold={lowest:g}`; take `threshold={info.scores_from:g}` or more, or make the model with "
            "a lower limit"
        )


def _planned_scene(scene: SceneBase, options: Options) -> tuple[PlannedScene, tuple[str, ...]]:
    """What the plan keeps of a scene, and what the user should know of its place and metres.

    Raises:
        GeoRefError: a photo is to be placed, and does not state what that takes.
    """
    georef, georef_from = _place(scene, by_photo=options.coverage.photo_footprint)
    gsd, gsd_from, notes = None, "", tuple[str, ...]()
    if scene.georef.measurable:
        try:
            gsd = scene.georef.gsd_m(scene.width, scene.height)
        except GeoRefError as error:
            notes = (str(error),)
    elif scene.photo is not None:
        gsd, gsd_from = scene.photo.gsd_m, scene.photo.gsd_from
    if georef_from:
        notes = (f"the scene is placed by the {georef_from}",)
    identity = scene_identity(scene)
    location = str(Path(scene.name).absolute()) if identity else ""
    size = scene.width, scene.height
    planned = PlannedScene(
        scene.name, location, *size, georef, gsd, options.rendering, identity, gsd_from, georef_from
    )
    planned = replace(planned, orientation=scene.orientation)
    return planned, notes


def _place(scene: SceneBase, *, by_photo: bool) -> tuple[GeoRef, str]:
    """Where a scene lies, and what tells that, if it is not the file's georeference.

    Raises:
        GeoRefError: a photo is to be placed, and does not state what that takes.
    """
    if not by_photo or scene.georef.placed:
        return scene.georef, ""
    if scene.photo is None:
        raise GeoRefError(
            "`photo_footprint` needs a photo with GPS position, height and view of a drone, and "
            f"{scene.name} states no height or view; leave it out"
        )
    return scene.photo.footprint(scene.width, scene.height), FOOTPRINT_FROM


def _touching(grid: Grid, within: Restriction, per_pixel: tuple[float, float]) -> TileIds:
    """Ids, increasing, of the tiles that may hold a part of what counts.

    Raises:
        SceneError: there are none.
    """
    every = np.arange(len(grid))
    if not within.extents:
        return every
    pieces = [every[start : start + TILES_AT_ONCE] for start in range(0, len(grid), TILES_AT_ONCE)]
    scale = np.tile(per_pixel, 2)
    touching = [piece[within.touches(grid.boxes(piece) * scale)] for piece in pieces]
    ids = np.concatenate(touching)
    if not len(ids):
        both = "both `window` and `aoi`; they lie" if len(within.extents) > 1 else "`aoi`; it lies"
        raise SceneError(f"no tile of the scene touches {both} apart")
    return ids


def _resolved(options: Options, grid: Grid, spec: ModelSpec) -> Options:
    """The options with what the scene and the model decide filled in."""
    info, chosen = spec.info, options.inference.model
    return options.replace(
        {
            "tile": grid.full_size,
            "overlap": grid.overlap,
            "model": info.name if chosen == DEFAULT_MODEL else chosen,
            "threshold": {"all": info.threshold, **{k or "all": v for k, v in options.keeping.threshold}},
        }
    )


def _limit_notes(planned: PlannedScene, options: Options) -> tuple[str, ...]:
    """That sizes are in pixels where a CRS made the user think that metres are known."""
    keeping, georef = options.keeping, planned.georef
    if planned.gsd_m is not None or georef.crs is None or not georef.why_not_measurable:
        return ()
    if keeping.min_size is None and keeping.max_size is None:
        return ()
    return (f"`min_size` and `max_size` are in pixels: {georef.why_not_measurable}",)


def _size_notes(grid: Grid, spec: ModelSpec) -> tuple[str, ...]:
    size, (width, height) = spec.info.input_size, grid.full_size
    if size is None or size == (height, width):
        return ()
    return (
        f"tiles of {width} x {height} are resized to the model's {size[1]} x {size[0]}, "
        f"so objects change their size by a factor of {max(size) / max(width, height):.2f}",
    )


def _overlap_notes(grid: Grid) -> tuple[str, ...]:
    """What to say where neighbouring tiles share most of their pixels."""
    (width, height), (across, down) = grid.full_size, grid.strides
    often = width / across * height / down
    if often <= OFTEN or len(grid) == 1:
        return ()
    return (
        f"tiles of {size_words(grid.full_size)} pixels that overlap by {grid.overlap_px} show the model each "
        f"pixel about {often:.0f} times ({len(grid)} tiles); a smaller `overlap` is as good and faster",
    )
