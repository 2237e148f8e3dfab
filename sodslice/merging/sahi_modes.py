"""SAHI's methods, by its own array functions: for people who compare, or come from there.

They know nothing of tiles. The overlap is SAHI's default, intersection over the smaller box. The rows are
handed to them best first, since what SAHI's NMM gives depends on their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DeviceError
from sodslice.merging.rule import Rule, Tiles
from sodslice.merging.table_order import distinct_detections
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections

METRIC = "IOS"


def sahi_nms(found: Detections, _tiles: Tiles, rule: Rule) -> Detections:
    """`NMSPostprocess`: the best box stays, what overlaps it goes."""
    found = distinct_detections(found)
    if not len(found):
        return found
    return found[np.array(_combine().batched_nms(_as_array(found, rule), METRIC, rule.iou), np.intp)]


def sahi_nmm(found: Detections, _tiles: Tiles, rule: Rule) -> Detections:
    """`NMMPostprocess`: what overlaps the best box, or what overlaps that, is joined to it."""
    found = distinct_detections(found)
    return _joined(found, _combine().batched_nmm(_as_array(found, rule), METRIC, rule.iou), rule)


def sahi_greedy_nmm(found: Detections, _tiles: Tiles, rule: Rule) -> Detections:
    """`GreedyNMMPostprocess`, SAHI's default: what overlaps the best box is joined to it."""
    found = distinct_detections(found)
    return _joined(found, _combine().batched_greedy_nmm(_as_array(found, rule), METRIC, rule.iou), rule)


def _combine() -> Any:
    """`sahi.postprocess.combine`, loaded when it is wanted: it brings OpenCV along."""
    try:
        from sahi.postprocess import combine
    except ImportError as error:
        raise DeviceError(
            f"SAHI cannot load ({' '.join(str(error).split())}); install the system's libGL, "
            "on Debian: apt install libgl1 libglib2.0-0, or take `merge=seam`"
        ) from None
    return combine


def _as_array(found: Detections, rule: Rule) -> npt.NDArray[np.float32]:
    """`(N, 6)` float32 as SAHI makes it: x0, y0, x1, y1, score, class."""
    return np.column_stack([found.boxes, found.scores, rule.groups(found)]).astype(np.float32)


def _joined(found: Detections, wanted: dict[int, list[int]], rule: Rule) -> Detections:
    """Each keeper's box grown around those that SAHI merges into it, one by one while they still match."""
    rows = np.array(list(wanted), np.intp)
    boxes, labels = found.boxes[rows].copy(), found.labels[rows].copy()
    scores = found.scores[rows].copy()
    for k, parts in enumerate(wanted.values()):
        for part in parts:
            other = found.boxes[part : part + 1]
            if box.ios(boxes[k : k + 1], other)[0] >= rule.iou:
                boxes[k] = np.append(
                    np.minimum(boxes[k, :2], other[0, :2]), np.maximum(boxes[k, 2:], other[0, 2:])
                )
                if found.scores[part] >= scores[k]:
                    scores[k], labels[k] = found.scores[part], found.labels[part]
    return Detections(boxes, scores, labels, found.tile_ids[rows])
