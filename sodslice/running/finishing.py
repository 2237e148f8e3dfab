"""`finish`: from all that the tiles of a plan gave to a result. Pure: stores in, a result out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from sodslice.errors import StoreError
from sodslice.merging import THRESHOLD_FIRST, TileTable, merge
from sodslice.results import (
    FailedTile,
    ModelRecord,
    Provenance,
    RunResult,
    SceneFacts,
    TileCounts,
    within_limits,
)
from sodslice.results.result import BOX_DECIMALS
from sodslice.running.events import Events
from sodslice.running.plan import RunPlan
from sodslice.running.records import read_records
from sodslice.running.seen import EMPTY, FAILED, READ, UNKNOWN, Seen
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections

GSD_DECIMALS = 6
STICKS_OUT = "boxes of the model reach beyond their tiles by more than a pixel; they are cut to them"


def finish(plan: RunPlan, stores: Sequence[str | Path], *, events: Events | None = None) -> RunResult:
    """The result of a plan, from what was seen of its parts.

    Args:
        plan: the whole.
        stores: files that `execute` wrote, in any order, which together hold every tile of the plan.
        events: told what the user should know.

    Raises:
        StoreError: a store is damaged or of another run, or tiles have not been seen.
    """
    seen = Seen(len(plan.grid))
    for store in stores:
        _take_store(plan, Path(store), seen)
    return finish_seen(plan, seen, events=events)


def finish_seen(plan: RunPlan, seen: Seen, *, events: Events | None = None) -> RunResult:
    """See `finish`; from what was seen.

    Raises:
        StoreError: tiles have not been seen.
    """
    _check_complete(plan, seen)
    watcher = events or Events()
    _say_limits(plan, seen, watcher)
    found = _objects(plan, seen)
    unplaced = _count_unplaced(plan, found)
    facts, notes = _scene_facts(plan, seen), _unplaced_notes(plan, unplaced, len(found))
    for note in notes:
        watcher.note(note)
    return RunResult(
        detections=found,
        class_names=plan.model.info.class_names,
        georef=plan.scene.georef,
        scene=replace(facts, notes=(*facts.notes, *notes)),
        provenance=replace(_provenance(plan, seen), unplaced=unplaced),
    )


def _take_store(plan: RunPlan, path: Path, seen: Seen) -> None:
    """Add all records of a store.

    Raises:
        StoreError: it is of other tiles than those of the plan.
    """
    head = orjson.loads(orjson.dumps(plan.head))
    for record, _ in read_records(path):
        if record.kind == b"HEAD" and record.content != head:
            raise StoreError(f"{path} is of another run than the plan; give the stores of this plan")
        seen.take(record)


def _check_complete(plan: RunPlan, seen: Seen) -> None:
    """Refuse to take tiles that nobody looked at for empty ones.

    Raises:
        StoreError: there are such tiles.
    """
    states = seen.states[plan.ids]
    missing = int(np.count_nonzero(states == UNKNOWN))
    if missing:
        raise StoreError(
            f"{missing} of {len(plan)} tiles of {plan.scene.name} have not been seen; "
            "execute the plan to its end, and give the stores of all of its parts"
        )
    read_by_nobody = states == FAILED
    read_by_nobody[np.isin(plan.ids, np.array(sorted(seen.deadly), np.int64))] = False
    failed = int(np.count_nonzero(read_by_nobody))
    if failed and not plan.skip_failed:
        raise StoreError(
            f"{failed} tiles of {plan.scene.name} could not be read; execute the plan again, "
            "or plan with `on_error=skip`"
        )


def _objects(plan: RunPlan, seen: Seen) -> Detections:
    """From what all tiles saw to objects in scene pixels."""
    rule, info = plan.finishing, plan.model.info
    thresholds = np.asarray(rule.thresholds, np.float32)
    found = seen.on_grid(plan.grid)
    kept = found[np.isin(found.labels, rule.classes)]
    if rule.merge in THRESHOLD_FIRST:
        kept = kept[kept.scores >= thresholds[kept.labels]]
    joined = merge(
        kept,
        _speaking_tiles(plan, seen, kept),
        method=rule.merge,
        iou=rule.iou,
        class_agnostic=rule.joined,
        suppressed=info.suppressed,
    )
    final = joined[joined.scores >= thresholds[joined.labels]]
    final = _on_scene(plan, final)
    final = final[final.canonical_order()]
    return within_limits(
        final,
        plan.scene.georef,
        within=plan.within,
        gsd_m=plan.scene.gsd_m,
        min_size=rule.min_size,
        max_size=rule.max_size,
    )


def _speaking_tiles(plan: RunPlan, seen: Seen, found: Detections) -> TileTable:
    """The tiles that have a say: those that reported something, and all that see a part of one of these.

    No other tile can see an object whole that one of them reported. A tile that failed has no say: it would
    speak against its neighbours.
    """
    grid = plan.grid
    ids = grid.near(np.unique(found.tile_ids))
    ids = ids[seen.states[ids] != FAILED]
    return TileTable.of(grid.fields(ids), outline=(0, 0, grid.width, grid.height))


def _on_scene(plan: RunPlan, found: Detections) -> Detections:
    """Objects in the pixels that were seen, cut to these, as objects in scene pixels."""
    seen, size = (plan.grid.width, plan.grid.height), (plan.scene.width, plan.scene.height)
    boxes = box.clip(found.boxes, *seen)
    if seen != size:
        boxes = box.clip(boxes * np.tile(plan.per_pixel, 2), *size)
    return replace(found, boxes=boxes)


def _say_limits(plan: RunPlan, seen: Seen, events: Events) -> None:
    """Say what was cut, and where the model stopped at its limit before it came down to the threshold."""
    for note in _own_notes(seen):
        events.note(note)
    cut_short = seen.cut_short(_threshold(plan))
    if cut_short:
        events.note(
            f"{cut_short} of {seen.count(READ)} tiles were cut short: the model gave its most boxes there, "
            "all above the threshold, so objects may be missing; use smaller tiles, and run again where the "
            "threshold is lower than that of the run"
        )


def _count_unplaced(plan: RunPlan, found: Detections) -> int:
    """How many objects lie where the scene's CRS has no place, though it has for the scene."""
    georef = plan.scene.georef
    if not (georef.on_map or georef.measurable):
        return 0
    return int(np.count_nonzero(~georef.has_place(np.round(found.boxes, BOX_DECIMALS))))


def _unplaced_notes(plan: RunPlan, unplaced: int, total: int) -> tuple[str, ...]:
    """That some objects have no place on the map, and what becomes of them."""
    if not unplaced:
        return ()
    rule, limits = plan.finishing, ""
    if rule.min_size is not None or rule.max_size is not None:
        limits = "; limits of size do not apply to them"
    return (
        f"{unplaced} of {total} objects lie where the scene's CRS has no longitude and latitude: "
        f"JSON holds them, GeoJSON leaves them out{limits}",
    )


def _own_notes(seen: Seen) -> tuple[str, ...]:
    """What only those who looked at the tiles know, and the user should."""
    return (STICKS_OUT,) if seen.facts.get("sticks_out") else ()


def _threshold(plan: RunPlan) -> float:
    """The lowest one of the classes that are kept."""
    rule = plan.finishing
    return min((rule.thresholds[label] for label in rule.classes), default=1.0)


def _scene_facts(plan: RunPlan, seen: Seen) -> SceneFacts:
    scene = plan.scene
    gsd = None if scene.gsd_m is None else round(scene.gsd_m, GSD_DECIMALS)
    stretch = _stretch(plan, seen)
    origins = scene.gsd_from, scene.georef_from, scene.orientation
    return SceneFacts(
        scene.name, scene.width, scene.height, gsd, (*plan.notes, *_own_notes(seen)), stretch, *origins
    )


def _stretch(plan: RunPlan, seen: Seen) -> Mapping[str, Any] | None:
    """How levels became 8 bits.

    Raises:
        StoreError: parts of the scene were stretched differently.
    """
    said = [stretch for stretch in seen.facts.get("stretch", []) if stretch is not None]
    if len(said) > 1:
        raise StoreError(
            f"parts of {plan.scene.name} were read with different stretches ({said[0]}, {said[1]}); "
            "execute the plan anew on machines with one version of GDAL"
        )
    return said[0] if said else None


def _provenance(plan: RunPlan, seen: Seen) -> Provenance:
    info, grid = plan.model.info, plan.grid
    ids = plan.ids
    states: npt.NDArray[np.intp] = np.bincount(seen.states[ids], minlength=4)
    return Provenance(
        version=plan.version,
        model=ModelRecord(info.name, info.sha256, info.licence),
        engine=" and ".join(sorted(map(str, seen.facts.get("engine", [])))),
        suppressed=info.suppressed,
        tile_px=grid.tile if grid.tile_height is None else grid.full_size,
        overlap_px=grid.overlap_px,
        seen_px=(grid.width, grid.height),
        aoi_sha256=None if plan.area is None else plan.area.sha256,
        options=plan.options,
        counts=TileCounts(
            tiles=len(ids),
            read=int(states[READ]),
            skipped_nodata=int(states[EMPTY]),
            saturated=seen.cut_short(plan.lowest),
            failed=int(states[FAILED]),
            cut_short=seen.cut_short(_threshold(plan)),
        ),
        failed_tiles=tuple(
            FailedTile(tile_id, _window(plan, tile_id), seen.failures[tile_id])
            for tile_id in ids[seen.states[ids] == FAILED].tolist()
        ),
    )


def _window(plan: RunPlan, tile_id: int) -> tuple[int, int, int, int]:
    """x, y, width, height of a tile in scene pixels."""
    edges = np.array(plan.grid[tile_id][1:]) * np.tile(plan.per_pixel, 2)
    x, y, width, height = edges.round().astype(int).tolist()
    return x, y, width, height
