"""`Objects`: from what the tiles of a plan saw to objects in scene pixels, all at once or part by part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sodslice.merging import THRESHOLD_FIRST, TileTable, merge
from sodslice.merging.neighbourhood import hulls_of_neighbours
from sodslice.results import within_limits
from sodslice.running.plan import RunPlan
from sodslice.running.seen import FAILED, UNKNOWN, Seen
from sodslice.tables import boxes as box
from sodslice.tables.boxes import Mask
from sodslice.tables.detections import Detections


class Objects:
    """The objects of a plan. Taken in parts they are the same, bit for bit, and fewer boxes are held at once.

    Args:
        plan: the whole.
    """

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._waiting = Detections.empty()
        self._done: list[Detections] = []

    def take(self, seen: Seen, *, last: bool = True) -> None:
        """Join the boxes that were seen.

        Args:
            seen: all that is known of the tiles so far, with the boxes that were not taken yet.
            last: nothing comes after it; else what tiles that nobody has looked at yet may change waits.
        """
        boxes = Detections.concatenate([self._waiting, self._counted(seen.on_grid(self._plan.grid))])
        waits = np.zeros(len(boxes), bool) if last else self._may_change(boxes, seen)
        self._waiting = boxes[waits]
        self._done.append(self._joined(boxes[~waits], seen))

    def found(self) -> Detections:
        """All objects in scene pixels, in canonical order."""
        every = Detections.concatenate(self._done)
        return every[every.canonical_order()]

    def _counted(self, found: Detections) -> Detections:
        """The boxes that have a say."""
        rule = self._plan.finishing
        kept = found[np.isin(found.labels, rule.classes)]
        return self._above(kept) if rule.merge in THRESHOLD_FIRST else kept

    def _above(self, found: Detections) -> Detections:
        thresholds = np.asarray(self._plan.finishing.thresholds, np.float32)
        return found[found.scores >= thresholds[found.labels]]

    def _may_change(self, found: Detections, seen: Seen) -> Mask:
        """Boxes `(N,)` that have to do, by themselves or through others, with tiles that nobody looked at."""
        grid, ids = self._plan.grid, self._plan.ids
        hulls = hulls_of_neighbours(found, joined=self._plan.finishing.joined)
        return grid.touched(hulls, ids[seen.states[ids] == UNKNOWN])

    def _joined(self, found: Detections, seen: Seen) -> Detections:
        plan, rule = self._plan, self._plan.finishing
        joined = merge(
            found,
            _speaking_tiles(plan, seen, found),
            method=rule.merge,
            iou=rule.iou,
            class_agnostic=rule.joined,
            suppressed=plan.model.info.suppressed,
        )
        return within_limits(
            _on_scene(plan, self._above(joined)),
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
