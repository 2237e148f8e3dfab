"""`run`: the spine, one scene from file to file."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from sodslice import boxes as box
from sodslice._version import __version__
from sodslice.batches import Reading
from sodslice.detections import Detections
from sodslice.detector import Detector, ModelInfo
from sodslice.errors import GeoRefError, ModelError, OptionError, OutputError, SceneError
from sodslice.extent import restrict
from sodslice.journal import Journal
from sodslice.merging import THRESHOLD_FIRST, merge
from sodslice.models import load_model
from sodslice.options import Options, load_options
from sodslice.result import RunResult
from sodslice.scene import Scene, open_scene
from sodslice.scene.layout import block_cache
from sodslice.sweep import FailedTile, Progress, Swept, scene_identity, sweep
from sodslice.tiles import Tile, overlap_px
from sodslice.view import Frame, View, counting, scale_note, view_of
from sodslice.writers import check_output, write

log = logging.getLogger(__name__)

DEFAULT_TILE = 1024
JOURNAL_SUFFIX = ".journal"
RAW_SUFFIX = ".raw"


def run(
    scene: str | Path | np.ndarray[Any, Any] | Scene,
    *,
    model: str | Path | Detector | None = None,
    options: Options | Mapping[str, Any] | str | Path | None = None,
    output: str | Path | Sequence[str | Path] = (),
    progress: Progress | None = None,
) -> RunResult:
    """Find the objects in a scene.

    Args:
        scene: path of a raster, an array `(H, W)` or `(H, W, 3)` uint8, or a `Scene`.
        model: a name, folder or checkpoint, or any `Detector`; None takes the options' model.
        options: settings, a mapping of some of them, or the path of a YAML file or of a former output.
        output: files to write; the suffix chooses the format. They are checked before the work begins.
        progress: told how many tiles are done.

    Returns:
        Detections in scene pixels, and how they came to be.

    Raises:
        SodsliceError: something is wrong with the scene, model, options or outputs; one line says what.
    """
    settings = as_options(options)
    outputs = [output] if isinstance(output, (str, Path)) else list(output)
    opened = open_with(scene, settings)
    try:
        check_outputs(outputs, opened, settings)
        detector = as_detector(model, settings)
        return detect_scene(opened, detector, settings, outputs=outputs, progress=progress)
    finally:
        if opened is not scene:
            opened.close()


def open_with(scene: str | Path | np.ndarray[Any, Any] | Scene, options: Options) -> Scene:
    """Open a scene as the options say; one that is open already stays as it is.

    Raises:
        SceneError: see `open_scene`.
    """
    return open_scene(
        scene,
        bands=options.bands,
        stretch=options.stretch,
        nodata=options.nodata,
        rpc_height=options.rpc_height,
        allow_vrt=options.allow_vrt,
    )


def detect_scene(
    scene: Scene,
    detector: Detector,
    options: Options,
    *,
    outputs: Sequence[str | Path] = (),
    progress: Progress | None = None,
) -> RunResult:
    """Run a loaded detector over an open scene and write the outputs; see `run`.

    What the detector saw is kept in a journal beside the first output until all outputs are written, so
    that a run that was interrupted goes on when it is run again.
    """
    check_outputs(outputs, scene, options)
    check_classes(options, detector)
    view = view_with(scene, options, tile_side(options, detector))
    with _journal(view, detector, options, outputs) as journal:
        result = _result(scene, view, detector, options, journal=journal, progress=progress)
        for path in outputs:
            write(result, path)
        if journal is not None:
            _put_away(journal, result, keep=options.keep_raw)
    return result


def check_outputs(outputs: Sequence[str | Path], scene: Scene, options: Options) -> None:
    """Make sure, before the work is done, that the outputs can be written and overwrite nothing that is read.

    Raises:
        OutputError: see `check_output`; or an output is the scene, or the area of interest.
    """
    for path in outputs:
        check_output(path, georef=scene.georef, pixel_coords=options.pixel_coords)
        for read in (scene.name, options.aoi):
            if read and Path(path).resolve() == Path(read).resolve():
                raise OutputError(f"-o {path} would overwrite {read}, which the run reads; give another name")


def check_classes(options: Options, detector: Detector) -> None:
    """Make sure that the model knows the classes that the options name.

    Raises:
        OptionError: it does not.
    """
    names = detector.info.class_names
    options.score_thresholds(names, detector.info.threshold)
    options.class_ids(names)
    options.joined_classes(names)


def view_with(scene: Scene, options: Options, side: int) -> View:
    """What a run looks at, as the options say.

    Args:
        scene: as it was opened.
        options: overlap, gsd, window and aoi apply.
        side: of a tile in pixels that the detector sees.

    Raises:
        SodsliceError: see `view_of` and `restrict`.
    """
    within = restrict(scene.georef, (scene.width, scene.height), window=options.window, aoi=options.aoi)
    return view_of(scene, tile=side, overlap=options.overlap, gsd=options.gsd, within=within)


def _journal(
    view: View, detector: Detector, options: Options, outputs: Sequence[str | Path]
) -> AbstractContextManager[Journal | None]:
    """The journal of a run; none where nothing is written, or scene or model have no identity."""
    identity = scene_identity(view.scene)
    if not (outputs and identity and detector.info.sha256):
        if options.keep_raw:
            raise OptionError(
                "--keep-raw needs an output file, a scene from a file and a model with a sha256"
            )
        return nullcontext()
    head = {
        **identity,
        "model": detector.info.name,
        "model sha256": detector.info.sha256,
        "engine": detector.engine,
        **options.tile_settings(),
        "tile": tile_side(options, detector),
        "polygons of the aoi": view.within.aoi_sha256,
    }
    return Journal(Path(f"{outputs[0]}{JOURNAL_SUFFIX}"), head, fresh=options.fresh)


def _put_away(journal: Journal, result: RunResult, *, keep: bool) -> None:
    """A finished run needs its journal no more, unless it is to be merged again."""
    if not keep:
        journal.remove()
        return
    facts = {
        "scene": result.scene,
        "georef": result.georef.as_dict(),
        "run": result.run,
        "started": result.timings["started"],
    }
    journal.finish(facts)
    journal.keep_as(journal.path.with_suffix(RAW_SUFFIX))


def as_options(options: Options | Mapping[str, Any] | str | Path | None) -> Options:
    """Options from whatever a caller gives; see `run`."""
    if options is None:
        return Options()
    if isinstance(options, Options):
        return options
    if isinstance(options, (str, Path)):
        return load_options(options)
    return Options.from_mapping(options)


def as_detector(model: str | Path | Detector | None, options: Options) -> Detector:
    """A ready detector from whatever a caller gives; see `run`.

    Raises:
        ModelError: it is none, or cannot be loaded.
    """
    if model is None or isinstance(model, (str, Path)):
        return load_model(
            model or options.model,
            device=options.device,
            threads=options.threads,
            batch=options.batch,
            tile=options.tile,
        )
    if not (hasattr(model, "info") and callable(getattr(model, "detect", None))):
        raise ModelError(
            f"a model must be a name, a path, or have `info` and `detect`, got {type(model).__name__}"
        )
    return model


def tile_side(options: Options, detector: Detector) -> int:
    """The tile side in pixels: the one asked for, else the model's own, else 1024."""
    return options.tile or max(detector.info.input_size or (DEFAULT_TILE,))


def _result(
    scene: Scene,
    view: View,
    detector: Detector,
    options: Options,
    *,
    journal: Journal | None,
    progress: Progress | None,
) -> RunResult:
    """Sweep the scene, merge what was seen, and say how it came to be."""
    started = datetime.now(timezone.utc)
    clock = _Clock()
    info = detector.info
    side = tile_side(options, detector)
    settings = _resolved(options, detector)
    tiles = view.reading.tiles
    notes = [*view.notes, *_resize_note(side, detector), *_scale_note(view, side, detector)]
    for note in notes:
        log.warning(note)
    reading = Reading(
        options.batch,
        _batch_shape(tiles[0], detector, side),
        options.readers,
        skip_failed=options.on_error == "skip",
    )
    with clock.stage("sweep"), block_cache(view.reading.cache_bytes):
        swept = sweep(view.scene, tiles, detector, reading, journal=journal, progress=progress)
    _warn_of_limits(swept, detector, settings)
    with clock.stage("merge"):
        failed = {tile.id for tile, _ in swept.failed}
        grid = [tile for tile in view.tiles if tile.id not in failed]
        found = merged(swept.on_scene(grid), grid, info, settings, frame=view.frame)
        found = counting(
            found, scene.georef, within=view.within, min_size=options.min_size, max_size=options.max_size
        )
    return RunResult(
        detections=found,
        class_names=info.class_names,
        georef=scene.georef,
        scene=_scene_facts(scene, notes),
        run={
            "version": __version__,
            "model": {"name": info.name, "sha256": info.sha256, "licence": info.licence},
            "engine": detector.engine,
            "class_names": list(info.class_names),
            "suppressed": info.suppressed,
            "tile_px": side,
            "overlap_px": overlap_px(side, options.overlap),
            "seen_px": list(view.frame.seen),
            "aoi_sha256": view.within.aoi_sha256,
            "options": settings.as_dict(all_settings=False),
            "counts": _counts(swept, tiles, detector),
            "failed_tiles": [_failed_row(failed, view.frame) for failed in swept.failed],
        },
        timings={
            "started": started.isoformat(timespec="seconds"),
            "seconds": {**clock.seconds, "all": clock.total()},
            "readers": options.readers,
            "tiles_from_journal": swept.resumed,
        },
    )


def _resolved(options: Options, detector: Detector) -> Options:
    """The options with what the model decides filled in."""
    info = detector.info
    return options.replace(
        {
            "tile": tile_side(options, detector),
            "model": info.name if options.model == Options().model else options.model,
            "threshold": {"all": info.threshold, **{k or "all": v for k, v in options.threshold}},
        }
    )


def merged(
    found: Detections, tiles: Sequence[Tile], info: ModelInfo, options: Options, *, frame: Frame
) -> Detections:
    """From what all tiles saw to objects in scene pixels.

    Args:
        found: boxes in the pixels that the detector saw, unmerged.
        tiles: of the run, without those that could not be read.
        info: of the model: class names, threshold, and whether its boxes went through NMS in the tile.
        options: classes, merge, iou, class_agnostic, class_group and threshold apply.
        frame: from these pixels to those of the scene; boxes are cut to it.
    """
    thresholds = np.asarray(options.score_thresholds(info.class_names, info.threshold), np.float32)
    kept = found[np.isin(found.labels, options.class_ids(info.class_names))]
    if options.merge in THRESHOLD_FIRST:
        kept = kept[kept.scores >= thresholds[kept.labels]]
    joined = merge(
        kept,
        tiles,
        method=options.merge,
        iou=options.iou,
        class_agnostic=options.joined_classes(info.class_names),
        suppressed=info.suppressed,
    )
    final = joined[joined.scores >= thresholds[joined.labels]]
    final = frame.on_scene(replace(final, boxes=box.clip(final.boxes, *frame.seen)))
    return final[final.canonical_order()]


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 4)

    def total(self) -> float:
        return round(time.perf_counter() - self._began, 4)


def _full_tiles(swept: Swept, limit: int | None, lowest: float = 0.0) -> int:
    """Tiles with the most boxes that the model gives, all of them scored at least `lowest`."""
    if limit is None:
        return 0
    return sum(len(t) >= limit and float(t.scores.min()) >= lowest for t in swept.tables.values())


def _warn_of_limits(swept: Swept, detector: Detector, options: Options) -> None:
    """Say so where the model stopped at its limit before it came down to the threshold."""
    info = detector.info
    lowest = min(options.score_thresholds(info.class_names, info.threshold))
    cut_short = _full_tiles(swept, info.max_per_tile, lowest)
    if cut_short:
        log.warning(
            "%d of %d tiles held the most boxes that the model gives (%s), all above the threshold, "
            "so objects may be missing there; use smaller tiles",
            cut_short,
            len(swept.tables),
            info.max_per_tile,
        )


def _counts(swept: Swept, tiles: Sequence[Tile], detector: Detector) -> dict[str, int]:
    return {
        "tiles": len(tiles),
        "read": len(swept.tables),
        "skipped_nodata": len(swept.empty),
        "saturated": _full_tiles(swept, detector.info.max_per_tile),
        "failed": len(swept.failed),
    }


def _failed_row(failed: FailedTile, frame: Frame) -> dict[str, Any]:
    """A tile that could not be read, its window x, y, width, height in scene pixels."""
    window = np.array(failed.tile[1:]) * np.tile(frame.scale, 2)
    return {"id": failed.tile.id, "window": window.round().astype(int).tolist(), "error": failed.error}


def _batch_shape(tile: Tile, detector: Detector, side: int) -> tuple[int, int]:
    """(height, width) of the batch: a model of fixed size sees small scenes at the scale of full tiles."""
    if detector.info.input_size is not None:
        return side, side
    return tile.height, tile.width


def _scene_facts(scene: Scene, notes: Sequence[str]) -> dict[str, Any]:
    gsd = None
    if scene.georef.measurable:
        try:
            gsd = round(scene.georef.gsd_m(scene.width, scene.height), 6)
        except GeoRefError as error:
            log.warning("%s", error)
    facts = {
        "path": scene.name,
        "width": scene.width,
        "height": scene.height,
        "gsd_m": gsd,
        "notes": list(notes),
    }
    stretch = _stretch_of(scene)
    return facts if stretch is None else {**facts, "stretch": stretch}


def _stretch_of(scene: Scene) -> dict[str, Any] | None:
    """How levels became 8 bits, for the output; None where they were left alone or none was ever seen."""
    try:
        stretch = getattr(scene, "stretch", None)
    except SceneError:
        return None
    facts: dict[str, Any] | None = None if stretch is None else stretch.as_dict()
    return facts


def _scale_note(view: View, side: int, detector: Detector) -> list[str]:
    """What to say of the scale at which the model sees things, after its own resizing."""
    size = detector.info.input_size
    seen = view.gsd_m and view.gsd_m * (side / max(size) if size else 1.0)
    return scale_note(seen, detector.info.gsd_m)


def _resize_note(side: int, detector: Detector) -> list[str]:
    size = detector.info.input_size
    if size is None or size == (side, side):
        return []
    return [
        f"tiles of {side} x {side} are resized to the model's {size[1]} x {size[0]}, "
        f"so objects change their size by a factor of {max(size) / side:.2f}"
    ]
