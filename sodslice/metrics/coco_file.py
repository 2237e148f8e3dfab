"""COCO's files: the truth of a folder of images, and detections as a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DataError
from sodslice.metrics.layer import Layer
from sodslice.tables.coco import CocoTable, parse_coco, parse_coco_results

MOST_SHOWN = 3
"""How many faults of a file a message names."""


def coco_truth(document: Any, source: str) -> list[Layer]:
    """The objects of each image of a COCO file, in the order of its images.

    Args:
        document: the parsed file: `images`, `annotations`, `categories`. An annotation without `bbox` gets
            the envelope of its `segmentation` polygons.
        source: its name, for messages.

    Raises:
        DataError: keys are missing, or ids and boxes contradict each other; the first faults are named.
    """
    return _layers(_table(document, source), source)


def coco_results(document: Any, source: str, truth: Any, truth_source: str) -> list[Layer]:
    """Detections in COCO's results format, one layer for each image of the COCO truth.

    Args:
        document: the parsed list of `image_id`, `category_id`, `bbox` (x, y, width, height) and `score`.
        source: its name, for messages.
        truth: the parsed COCO truth, whose ids the list uses.
        truth_source: its name, for messages.

    Raises:
        DataError: keys are missing, or ids are not those of the truth.
    """
    table, scores, faults = parse_coco_results(document, _table(truth, truth_source))
    _refuse(faults, source)
    return _layers(table, source, scores)


def _table(document: Any, source: str) -> CocoTable:
    table, faults = parse_coco(document)
    _refuse(faults, source)
    return table


def _layers(table: CocoTable, source: str, scores: npt.NDArray[np.float32] | None = None) -> list[Layer]:
    """A layer of each image; without scores it is a truth, with areas and crowds."""
    names = [label.name for label in table.classes]
    return [
        Layer(
            source,
            tuple(names[label] for label in table.class_rows[rows].tolist()),
            tuple(names),
            pixels=table.boxes[rows],
            scores=None if scores is None else scores[rows],
            crowd=table.ignored[rows] if scores is None else None,
            areas=table.areas[rows] if scores is None else None,
            image=image.file_name,
            size=(image.width, image.height) if image.width and image.height else None,
        )
        for image, rows in zip(table.images, table.rows_by_image(), strict=True)
    ]


def _refuse(faults: Sequence[str], source: str) -> None:
    if faults:
        more = f"; and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
        raise DataError(f"{source}: " + "; ".join(faults[:MOST_SHOWN]) + more)
