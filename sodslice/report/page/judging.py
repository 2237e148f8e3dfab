"""What a truth says of each detection of a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sodslice.errors import DataError
from sodslice.metrics import Comparison, evaluate, match, read_truth, result_layer
from sodslice.report.page.data import FALSE_ALARM, FOUND, IGNORED, Judged
from sodslice.results import RunResult


def judged_by(result: RunResult, truth: str | Path, *, iou: float = 0.5) -> Judged:
    """Which detections are found objects and which false alarms, and what is missed.

    Args:
        result: of a run.
        truth: COCO JSON, GeoJSON, or an export of Label Studio or CVAT.
        iou: overlap from which a detection is its object.

    Raises:
        DataError: the truth cannot be read, or is that of another scene.
    """
    layer = result_layer(result, result.scene.path)
    evaluation = evaluate([layer], read_truth(truth, allow_empty=True), Comparison(iou=iou, allow_empty=True))
    (case,) = evaluation.cases
    if case.unit != "px" or len(case.found) != len(result):
        raise DataError(f"{truth} cannot be brought into the pixels of {result.scene.path}")
    matching = match(case.truth, case.found, iou=iou)
    kinds = np.full(len(result), IGNORED, np.uint8)
    kinds[matching.right], kinds[matching.wrong] = FOUND, FALSE_ALARM
    gone = matching.counted & ~matching.hit
    names = tuple(evaluation.class_names[label] for label in case.truth.labels[gone])
    return Judged(kinds, case.truth.boxes[gone], names)
