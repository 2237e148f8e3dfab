"""`tables_of`: what a graph of PaddleDetection gives, as columns of boxes, scores and labels, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.inference.answers import SCORE_SLACK, check_rows
from sodslice.inference.detector import SCORE_FLOOR, ModelInfo
from sodslice.inference.limits import Columns


def tables_of(
    outputs: Sequence[npt.NDArray[Any]], batch: int, scale: tuple[float, float], info: ModelInfo
) -> list[Columns]:
    """Boxes `(n, 4)`, scores, labels of each tile, from a graph with NMS inside or without; all checked.

    With NMS: rows `(M, 6)` of class, score, x0, y0, x1, y1 and counts `(N,)`; without: boxes `(N, A, 4)` in
    pixels of the graph's input and scores `(N, C, A)`. They are told apart by rank and dtype, not by name.
    """
    rows = [o for o in outputs if o.ndim == 2 and o.shape[1] == 6 and o.dtype.kind == "f"]
    counts = [o for o in outputs if o.ndim == 1 and o.dtype.kind == "i"]
    planes = [o for o in outputs if o.ndim == 3 and o.dtype.kind == "f"]
    if len(rows) == 1 and len(counts) == 1:
        if counts[0].shape != (batch,) or counts[0].sum() != len(rows[0]):
            raise ModelError(
                f"the model counts {counts[0].tolist()} boxes but gives {len(rows[0])} rows for {batch} tiles"
            )
        return [_rows(part, info) for part in np.split(rows[0], np.cumsum(counts[0])[:-1])]
    if len(planes) == 2:
        coordinates, scores = (
            planes if planes[0].shape[2] == 4 and planes[0].shape[1] == planes[1].shape[2] else planes[::-1]
        )
        if coordinates.shape[2] == 4 and coordinates.shape[1] == scores.shape[2]:
            return [_anchors(b, s, scale, info) for b, s in zip(coordinates, scores, strict=True)]
    shapes = ", ".join(f"{o.dtype} {o.shape}" for o in outputs)
    raise ModelError(f"the model's outputs are not those of a PaddleDetection export: {shapes}")


def _rows(part: npt.NDArray[np.float32], info: ModelInfo) -> Columns:
    """One tile of an export with NMS; older Paddle says "nothing" by a row of class -1."""
    part = part[(part[:, 0] != -1) | (part[:, 1] >= SCORE_FLOOR)]
    check_rows(part[:, 2:], part[:, 1], part[:, 0], info)
    part = part[part[:, 1] >= SCORE_FLOOR]
    return part[:, 2:].astype(np.float64), part[:, 1].clip(max=1), part[:, 0].astype(np.int32)


def _anchors(
    coordinates: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    scale: tuple[float, float],
    info: ModelInfo,
) -> Columns:
    """One tile of an export without NMS: every (anchor, class) above the floor is a box."""
    if len(scores) > len(info.class_names):
        raise ModelError(
            f"the model {info.name} gives scores of {len(scores)} classes, and names "
            f"{len(info.class_names)}; complete the label_list of its yml"
        )
    labels, anchors = np.nonzero(~((scores >= -SCORE_SLACK) & (scores < SCORE_FLOOR)))
    found = coordinates[anchors].astype(np.float64) / np.array([scale[1], scale[0]] * 2, np.float64)
    check_rows(found, scores[labels, anchors], labels, info)
    return found, scores[labels, anchors].clip(max=1), labels.astype(np.int32)
