"""`run`: the spine, one scene from file to file."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from sodslice import boxes as box
from sodslice._version import __version__
from sodslice.batches import read_batches
from sodslice.detections import Detections
from sodslice.detector import Detector
from sodslice.errors import GeoRefError, ModelError
from sodslice.merging import merge
from sodslice.models import load_model
from sodslice.options import Options, load_options
from sodslice.result import RunResult
from sodslice.scene import Scene, open_scene
from sodslice.tiles import Tile, overlap_px, plan_tiles
from sodslice.writers import check_output, write

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of tiles that are done and of all tiles."""

DEFAULT_TILE = 1024


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
    opened = open_scene(scene, bands=settings.bands)
    try:
        for path in outputs:
            check_output(path, on_map=opened.georef.on_map)
        detector = as_detector(model, settings)
        result = detect_scene(opened, detector, settings, progress=progress)
    finally:
        if opened is not scene:
            opened.close()
    for path in outputs:
        write(result, path)
    return result


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


def detect_scene(
    scene: Scene, detector: Detector, options: Options, *, progress: Progress | None = None
) -> RunResult:
    """Run a loaded detector over an open scene; see `run`.

    Raises:
        SodsliceError: see `run`.
    """
    started = datetime.now(timezone.utc)
    clock = _Clock()
    info = detector.info
    side = tile_side(options, detector)
    thresholds = options.score_thresholds(info.class_names, info.threshold)
    kept_classes = options.class_ids(info.class_names)
    tiles = plan_tiles(scene.width, scene.height, tile=side, overlap=options.overlap)
    notes = list(scene.notes) + _resize_note(side, detector)
    for note in notes:
        log.warning(note)
    found, counts = _detect_tiles(scene, tiles, detector, options, clock=clock, progress=progress)
    with clock.stage("merge"):
        found = found[np.isin(found.labels, kept_classes)]
        merged = merge(
            found,
            tiles,
            method=options.merge,
            iou=options.iou,
            class_agnostic=options.class_agnostic,
            suppressed=info.suppressed,
        )
        final = _finish(merged, thresholds, scene)
    resolved = options.replace(
        {
            "tile": side,
            "model": info.name if options.model == Options().model else options.model,
            "threshold": {"all": info.threshold, **{k or "all": v for k, v in options.threshold}},
        }
    )
    return RunResult(
        detections=final,
        class_names=info.class_names,
        georef=scene.georef,
        scene=_scene_facts(scene, notes),
        run={
            "version": __version__,
            "model": {"name": info.name, "sha256": info.sha256, "licence": info.licence},
            "engine": detector.engine,
            "class_names": list(info.class_names),
            "tile_px": side,
            "overlap_px": overlap_px(side, options.overlap),
            "options": resolved.as_dict(all_settings=False),
            "counts": counts,
        },
        timings={
            "started": started.isoformat(timespec="seconds"),
            "seconds": {**clock.seconds, "all": clock.total()},
            "readers": options.readers,
        },
    )


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


def _detect_tiles(
    scene: Scene,
    tiles: Sequence[Tile],
    detector: Detector,
    options: Options,
    *,
    clock: _Clock,
    progress: Progress | None,
) -> tuple[Detections, dict[str, int]]:
    """All boxes of all tiles in scene pixels, unmerged, and what became of the tiles."""
    tables: list[Detections] = []
    counts = {"tiles": len(tiles), "read": 0, "skipped_nodata": 0, "saturated": 0, "failed": 0}
    limit = detector.info.max_per_tile
    lowest = min(options.score_thresholds(detector.info.class_names, detector.info.threshold))
    cut_short = 0
    shape = _batch_shape(tiles[0], detector, tile_side(options, detector))
    batches = read_batches(scene, tiles, batch=options.batch, shape=shape, readers=options.readers)
    while True:
        with clock.stage("wait_for_tiles"):
            batch = next(batches, None)
        if batch is None:
            break
        counts["skipped_nodata"] += len(batch.skipped)
        counts["read"] += len(batch.tiles)
        if batch.tiles:
            with clock.stage("detect"):
                found = detector.detect(batch.pixels)
            if len(found) != len(batch.tiles):
                raise ModelError(
                    f"the model gave {len(found)} tables for {len(batch.tiles)} tiles; one per tile is needed"
                )
            for tile, table in zip(batch.tiles, found, strict=True):
                full = limit is not None and len(table) >= limit
                counts["saturated"] += full
                cut_short += full and float(table.scores.min()) >= lowest
                tables.append(_on_scene(table, tile))
        if progress:
            progress(counts["read"] + counts["skipped_nodata"], len(tiles))
    if cut_short:
        log.warning(
            "%d of %d tiles held the most boxes that the model gives (%s), all above the threshold, "
            "so objects may be missing there; use smaller tiles",
            cut_short,
            counts["read"],
            limit,
        )
    return Detections.concatenate(tables), counts


def _batch_shape(tile: Tile, detector: Detector, side: int) -> tuple[int, int]:
    """(height, width) of the batch: a model of fixed size sees small scenes at the scale of full tiles."""
    if detector.info.input_size is not None:
        return side, side
    return tile.height, tile.width


def _on_scene(found: Detections, tile: Tile) -> Detections:
    """One tile's boxes in scene pixels, cut to the tile; empty ones are no objects."""
    cut = replace(found, boxes=box.clip(found.boxes, tile.width, tile.height))
    return cut[box.area(cut.boxes) > 0].on_tile(tile.id, tile.x, tile.y)


def _finish(merged: Detections, thresholds: Sequence[float], scene: Scene) -> Detections:
    """Detections at or above their thresholds, cut to the scene, in the order of results."""
    final = merged[merged.scores >= np.asarray(thresholds, np.float32)[merged.labels]]
    final = replace(final, boxes=box.clip(final.boxes, scene.width, scene.height))
    return final[final.canonical_order()]


def _scene_facts(scene: Scene, notes: Sequence[str]) -> dict[str, Any]:
    gsd = None
    if scene.georef.on_map:
        try:
            gsd = round(scene.georef.gsd_m(scene.width, scene.height), 6)
        except GeoRefError as error:
            log.warning("%s", error)
    return {
        "path": scene.name,
        "width": scene.width,
        "height": scene.height,
        "gsd_m": gsd,
        "notes": list(notes),
    }


def _resize_note(side: int, detector: Detector) -> list[str]:
    size = detector.info.input_size
    if size is None or size == (side, side):
        return []
    return [
        f"tiles of {side} x {side} are resized to the model's {size[1]} x {size[0]}, "
        f"so objects change their size by a factor of {max(size) / side:.2f}"
    ]
