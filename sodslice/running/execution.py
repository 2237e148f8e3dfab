"""`execute`: carry out a plan, or a part of one, into a store."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import Cancelled, SodsliceError
from sodslice.running.events import Events, watching
from sodslice.running.hands import Hands, Here
from sodslice.running.plan import RunPlan
from sodslice.running.processes import Processes
from sodslice.running.seen import FAILED, Seen
from sodslice.running.shares import crew_of
from sodslice.running.store import FileStore, Store

NAMED_WINDOWS = 4
MOST_TRIES = 3
"""How often a tile is handed out before it is said that no hand gives it back alive."""


def execute(
    plan: RunPlan,
    store: str | Path,
    *,
    hands: Hands | None = None,
    events: Events | None = None,
    fresh: bool = False,
) -> Path:
    """Look at all tiles of a plan, or of a part of one, and keep what was seen in a file.

    What the file holds already of the same plan is gone on with, so an interrupted execution is run again as
    it was.

    Args:
        plan: whole, or `RunPlan.part` of one.
        store: file to keep records in; `finish` takes it.
        hands: who looks; None for this process, or one worker a device where the plan names several.
        events: told how it goes.
        fresh: start over if there is a store.

    Returns:
        The path of the store.

    Raises:
        SodsliceError: scene or model are not those of the plan, a tile cannot be read, or the store cannot be
            written. What was seen is kept.
    """
    path = Path(store)
    _check_storable(plan, path)
    with FileStore(path, plan, fresh=fresh) as opened, watching(events) as watcher:
        carry_out(plan, opened, hands=hands, events=watcher)
    return path


def carry_out(
    plan: RunPlan, store: Store, *, hands: Hands | None = None, events: Events | None = None
) -> dict[str, Any]:
    """See `execute`; into an open store.

    Returns:
        Facts: when it `started`, `seconds` that it took, `readers` and `workers`, and how many tiles were
        `resumed`.
    """
    watcher = events or Events()
    started, began = datetime.now(timezone.utc), time.perf_counter()
    resumed = store.seen.settled
    _say_what_was_under_way(plan, store, watcher)
    chosen = hands or hands_for(plan)
    try:
        _hand_out(plan, store, chosen, watcher)
    finally:
        if hands is None:
            chosen.close()
    _say_what_failed(store.seen, watcher)
    facts = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - began, 4),
        "readers": plan.readers,
        "workers": getattr(chosen, "workers", 1),
        "resumed": resumed,
    }
    if isinstance(store, FileStore):
        store.finish(facts)
    return facts


def hands_for(plan: RunPlan, workers: int = 1, *, here: Here | None = None) -> Here | Processes:
    """The hands that carry out a plan.

    Args:
        plan: to be carried out.
        workers: that are wanted; there will be one for each device of the plan at least.
        here: what one worker is; None for new hands of this process.
    """
    return here or Here() if crew_of(plan.model, workers) == 1 else Processes(workers)


def _hand_out(plan: RunPlan, store: Store, hands: Hands, events: Events) -> None:
    """Units out and records back, until there is a word on every tile.

    Raises:
        Cancelled: the watcher called it off.
        SodsliceError: some tiles are given back again and again.
    """
    ids, seen = plan.ids, store.seen
    todo = seen.reopen(ids)
    outside = seen.settled + seen.count(FAILED) - (len(ids) - len(todo))
    tries, told = 0, 0
    while True:
        with closing(hands.run(plan, plan.units(todo), store.starting)) as coming:
            for records in coming:
                store.append(records)
                done = seen.settled + seen.count(FAILED) - outside
                if done != told:
                    events.progress(done, len(ids))
                told = done
                if events.cancelled():
                    raise Cancelled(f"{plan.scene.name} was called off; what was seen is kept")
        left = todo[seen.states[todo] == 0]
        if not len(left):
            return
        tries = tries + 1 if len(left) == len(todo) else 0
        if tries == MOST_TRIES:
            raise SodsliceError(
                f"{len(left)} tiles of {plan.scene.name} were given back {tries} times by hands that died; "
                f"the first is {_window(plan, int(left[0]))}"
            )
        todo = left


def _check_storable(plan: RunPlan, path: Path) -> None:
    """Refuse a store for a scene or a model that nothing tells from others, or in place of the scene.

    Raises:
        SodsliceError: it would be of no use, or do harm.
    """
    if not plan.resumable:
        raise SodsliceError(
            "what was seen can be kept of a scene from a file and a model with a sha256 only; "
            "use `sodslice.run` instead"
        )
    if path.resolve() == Path(plan.scene.location).resolve():
        raise SodsliceError(f"the store {path} would overwrite the scene; give another name")


def _say_what_was_under_way(plan: RunPlan, store: Store, events: Events) -> None:
    """Name the windows at which the last run ended: if one of them crashes GDAL, the user must know which."""
    seen = store.seen
    if not isinstance(store, FileStore) or not (seen.settled or seen.under_way):
        return
    ids = plan.ids
    at = ids[np.isin(ids, np.array(sorted(seen.under_way), np.int64))].tolist()
    windows = ", ".join(_window(plan, tile_id) for tile_id in at[:NAMED_WINDOWS])
    where = f"; the last run ended at the windows {windows}" if windows else ""
    more = f" and {len(at) - NAMED_WINDOWS} more" if len(at) > NAMED_WINDOWS else ""
    events.note(f"going on with {store.path}: {seen.settled} of {len(plan)} tiles are done{where}{more}")
    seen.under_way.clear()


def _say_what_failed(seen: Seen, events: Events) -> None:
    if seen.failures:
        first = next(iter(seen.failures.values()))
        events.note(f"{len(seen.failures)} tiles cannot be looked at and are left out; the first: {first}")


def _window(plan: RunPlan, tile_id: int) -> str:
    tile = plan.grid[tile_id]
    return f"x {tile.x} y {tile.y} {tile.width} x {tile.height}"
