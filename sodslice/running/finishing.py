"""`finish`: from all that the tiles of a plan gave to a result. Pure: stores in, a result out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from sodslice.errors import StoreError
from sodslice.results import (
    FailedTile,
    ModelRecord,
    Provenance,
    RunResult,
    SceneFacts,
    TileCounts,
)
from sodslice.results.result import BOX_DECIMALS
from sodslice.running.events import Events
from sodslice.running.objects import Objects
from sodslice.running.plan import RunPlan
from sodslice.running.records import read_records
from sodslice.running.seen import EMPTY, FAILED, READ, UNKNOWN, Seen
from sodslice.tables.detections import Detections

GSD_DECIMALS = 6
STICKS_OUT = "boxes of the model reach beyond their tiles by more than a pixel; they are cut to them"


def finish(plan: RunPlan, stores: Sequence[str | Path], *, events: Events | None = None) -> RunResult:
    """The result of a plan, from what was seen of its parts.

    One store after the other is joined, so memory grows with the largest of them and with the objects.

    Args:
        plan: the whole.
        stores: files that `execute` wrote, in any order, which together hold every tile of the plan.
        events: told what the user should know.

    Raises:
        StoreError: a store is damaged or of another run, or tiles have not been seen.
    """
    seen, objects = Seen(len(plan.grid)), Objects(plan)
    for path in sorted(map(Path, stores), key=_first_tile):
        _take_store(plan, path, seen)
        objects.take(seen, last=False)
        seen.forget_boxes()
    return _finished(plan, seen, objects, events or Events())


def finish_seen(plan: RunPlan, seen: Seen, *, events: Events | None = None) -> RunResult:
    """See `finish`; from what was seen.

    Raises:
        StoreError: tiles have not been seen.
    """
    return _finished(plan, seen, Objects(plan), events or Events())


def _finished(plan: RunPlan, seen: Seen, objects: Objects, events: Events) -> RunResult:
    """The result, once the boxes that were not joined yet are.

    Raises:
        StoreError: tiles have not been seen.
    """
    _check_complete(plan, seen)
    _say_limits(plan, seen, events)
    objects.take(seen)
    found = objects.found()
    unplaced = _count_unplaced(plan, found)
    facts, notes = _scene_facts(plan, seen), _unplaced_notes(plan, unplaced, len(found))
    for note in notes:
        events.note(note)
    return RunResult(
        detections=found,
        class_names=plan.model.info.class_names,
        georef=plan.scene.georef,
        scene=replace(facts, notes=(*facts.notes, *notes)),
        provenance=replace(_provenance(plan, seen), unplaced=unplaced),
    )


class Ends(NamedTuple):
    """What a store says of the work that it holds.

    Fields: `plan`, with which it was written last, whole or a part; `facts`, when that work was begun and how
    long it took, None where it has not come to its end.
    """

    plan: RunPlan
    facts: Mapping[str, Any] | None


def ends_of(store: str | Path) -> Ends:
    """What a store holds; it is read once, to its end.

    Raises:
        StoreError: it is no store, or holds no plan.
    """
    content, facts = None, None
    for record, _ in read_records(Path(store)):
        if record.kind == b"PLAN":
            content, facts = record.content, None
        elif record.kind == b"LAST":
            facts = record.content
    if content is None:
        raise StoreError(
            f"{store} is a raw store that was cut off in its first records; run the scene again, with `fresh`"
        )
    return Ends(RunPlan.from_plain(content, source=str(store)), facts)


def _first_tile(store: Path) -> int:
    """Where in the plan a store begins: neighbours that are joined one after the other leave little open."""
    for record, _ in read_records(store):
        if record.kind == b"PLAN":
            return int(record.content["looked_at"]["span"][0])
    return 0


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
