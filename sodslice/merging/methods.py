"""The methods by name, and `merge`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from sodslice.errors import OptionError, did_you_mean
from sodslice.merging.names import METHOD_NAMES
from sodslice.merging.rule import Rule, Tiles
from sodslice.merging.sahi_modes import sahi_greedy_nmm, sahi_nmm, sahi_nms
from sodslice.merging.seam import seam
from sodslice.merging.suppression import suppressed_by
from sodslice.merging.table_order import canonical_rows, distinct_detections
from sodslice.merging.tile_table import TileTable
from sodslice.tables.detections import Detections

ROWS_AT_ONCE = 1 << 20
"""Of tables with more rows the groups of classes are merged one after the other."""

Method = Callable[[Detections, Tiles, Rule], Detections]


def merge(
    found: Detections,
    tiles: Tiles,
    *,
    method: str = "seam",
    iou: float = 0.5,
    class_agnostic: bool | Sequence[Sequence[int]] = False,
    suppressed: bool = True,
) -> Detections:
    """One table of objects from what all tiles reported.

    A pure function of the table: the order of rows and tiles changes nothing, rows that are equal in all
    columns count once, and merging again by `seam`, `nms` or `none` changes nothing.

    Args:
        found: detections in scene pixels, cut to their tiles; tile_ids are `Tile.id`, -1 where the tile is
            not known. Such boxes are never taken for fragments, and are compared with all others.
        tiles: the tiles that were detected on, as `Tile`s or as `(T, 5)` integers id, x, y, width, height.
            A tile that failed does not belong here: it would speak against its neighbours.
        method: a name of `METHODS`.
        iou: two boxes with at least this overlap are one object; for the methods of SAHI its match
            threshold, which is on intersection over the smaller box.
        class_agnostic: True: boxes of different classes can be one object, and the best one names it. Or
            sets of labels for which that holds, such as [[3, 4]] for car and van.
        suppressed: the detector already removed duplicates of a class within each tile.

    Returns:
        The merged table, rows in canonical order. No box reaches beyond the boxes it stands for, so boxes
        that were cut to the scene stay inside.

    Raises:
        OptionError: an unknown method, an IoU outside (0, 1], or a label in two sets.
        DetectionsError: a tile id that is none of the tiles'.
        DeviceError: a method of SAHI cannot load OpenCV.
    """
    if method not in METHODS:
        raise OptionError(
            f"`merge` must be one of {', '.join(METHODS)}, got {method!r}{did_you_mean(method, METHODS)}"
        )
    rule = Rule(iou, class_agnostic, suppressed)
    merged = (
        METHODS[method](found, tiles, rule)
        if len(found) <= ROWS_AT_ONCE
        else _by_groups(found, tiles, rule, METHODS[method])
    )
    return merged[canonical_rows(merged)]


def _by_groups(found: Detections, tiles: Tiles, rule: Rule, method: Method) -> Detections:
    """The same as the method on all rows: boxes of different groups have nothing to say to each other.

    Sorting and gathering 10 million rows at once would miss the processor's caches at every step.
    """
    table = TileTable.of(tiles)
    groups = rule.groups(found)
    return Detections.concatenate(
        [method(found[groups == group], table, rule) for group in np.unique(groups)]
    )


def _none(found: Detections, _tiles: Tiles, _rule: Rule) -> Detections:
    """Every row as reported, once."""
    return distinct_detections(found)


def _nms(found: Detections, _tiles: Tiles, rule: Rule) -> Detections:
    """Greedy non-maximum suppression by IoU, blind to tiles."""
    found = distinct_detections(found)
    rows = np.arange(len(found))
    keepers = suppressed_by(found.boxes, rule.groups(found), None, order=rows, least_iou=rule.iou)
    return found[keepers == rows]


METHODS: Mapping[str, Method] = MappingProxyType(
    dict(zip(METHOD_NAMES, (seam, _nms, _none, sahi_nms, sahi_nmm, sahi_greedy_nmm), strict=True))
)
"""What `merge` can do, by name: functions of the table, the tiles and the rule, in any order of rows."""

THRESHOLD_FIRST = frozenset(name for name in METHODS if name.startswith("sahi-"))
"""Methods that want the score threshold before the merge, where SAHI has it: what they join grows, so noise
of low scores must not be among it. The others want all rows: a low score, too, says what a tile saw."""
