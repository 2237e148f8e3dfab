"""The methods by name, and `merge`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.boxes import Labels
from sodslice.detections import Detections
from sodslice.errors import OptionError, did_you_mean
from sodslice.merging.suppression import suppress
from sodslice.tiles import Tile


@dataclass(frozen=True)
class Rule:
    """What a method is told besides the table: see `merge` for the fields."""

    iou: float
    joined: Labels
    suppressed: bool


def merge(
    found: Detections,
    tiles: Sequence[Tile] | npt.NDArray[np.integer],
    *,
    method: str = "nms",
    iou: float = 0.5,
    class_agnostic: bool | Sequence[Sequence[int]] = False,
    suppressed: bool = True,
) -> Detections:
    """One table of objects from what all tiles reported.

    Args:
        found: detections in scene pixels; tile_ids are `Tile.id`, -1 where the tile is not known.
        tiles: the tiles of the run, as `Tile` or as `(T, 5)` integers id, x, y, width, height.
        method: a name of `METHODS`.
        iou: two boxes of one class with at least this intersection over union are one object.
        class_agnostic: True: boxes of different classes can be one object, and the best one names it. Or
            sets of labels for which that holds, such as [[3, 4]] for car and van.
        suppressed: the detector already removed duplicates of a class within each tile.

    Returns:
        The merged table, rows in canonical order.

    Raises:
        OptionError: an unknown method, an IoU outside (0, 1], or a label in two groups.
    """
    if method not in METHODS:
        raise OptionError(
            f"--merge must be one of {', '.join(METHODS)}, got {method!r}{did_you_mean(method, METHODS)}"
        )
    if not 0 < iou <= 1:
        raise OptionError(f"--iou must be above 0 and at most 1, got {iou:g}")
    found = found[_distinct(found)]
    joined = _joined_labels(found.labels, class_agnostic)
    merged = METHODS[method](found, tiles, Rule(iou, joined, suppressed))
    return merged[merged.canonical_order()]


def _distinct(found: Detections) -> npt.NDArray[np.intp]:
    """Rows in canonical order, of those identical in all columns only the first."""
    order = found.canonical_order()
    if not len(found):
        return order
    new = np.ones(len(found), bool)
    new[1:] = (
        (np.diff(found.boxes[order], axis=0) != 0).any(axis=1)
        | (np.diff(found.scores[order]) != 0)
        | (np.diff(found.labels[order]) != 0)
        | (np.diff(found.tile_ids[order]) != 0)
    )
    return order[new]


def _joined_labels(labels: Labels, joined: bool | Sequence[Sequence[int]]) -> Labels:  # noqa: FBT001
    """One number `(N,)` for all labels that can be one object."""
    if isinstance(joined, bool):
        return np.zeros_like(labels) if joined else labels
    groups = [sorted(set(group)) for group in joined if len(group)]
    members = [label for group in groups for label in group]
    if len(members) != len(set(members)):
        raise OptionError(f"a class can be in one group only, got {groups}; join those groups")
    numbers = labels.copy()
    for group in groups:
        numbers[np.isin(labels, group)] = group[0]
    return numbers


def _none(found: Detections, tiles: object, rule: Rule) -> Detections:  # noqa: ARG001 (a method's signature)
    """Every row as reported."""
    return found


def _nms(found: Detections, tiles: object, rule: Rule) -> Detections:  # noqa: ARG001 (a method's signature)
    """Greedy non-maximum suppression by IoU, blind to tiles."""
    kept = suppress(
        found.boxes,
        rule.joined,
        np.arange(len(found)),
        priority=np.arange(len(found)),
        least_iou=rule.iou,
    )
    return found[kept]


METHODS: dict[str, Callable[[Detections, Sequence[Tile] | npt.NDArray[np.integer], Rule], Detections]] = {
    "nms": _nms,
    "none": _none,
}
