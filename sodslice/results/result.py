"""`RunResult`: what one scene gave."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.place.georef import GeoRef
from sodslice.results.provenance import Provenance, SceneFacts, Timings
from sodslice.tables.boxes import Boxes
from sodslice.tables.detections import Detections

BOX_DECIMALS = 3
SCORE_DECIMALS = 6


@dataclass(frozen=True)
class RunResult:
    """What one run over one scene gave.

    Args:
        detections: boxes in scene pixels, ordered by score, ties by (label, x0, y0, x1, y1).
        class_names: names of the labels.
        georef: where the scene lies on the map.
        scene: facts about it.
        provenance: how it was made, as far as equal runs share it.
        timings: what differs from run to run; None where nobody ran.
    """

    detections: Detections
    class_names: tuple[str, ...]
    georef: GeoRef
    scene: SceneFacts
    provenance: Provenance = field(default_factory=Provenance)
    timings: Timings | None = None

    def __len__(self) -> int:
        return len(self.detections)

    @property
    def labels(self) -> list[str]:
        """Class name of each row."""
        return [self.class_names[i] for i in self.detections.labels]

    def rows(self, part: slice) -> RunResult:
        """The same result with some of its rows."""
        return replace(self, detections=self.detections[part])


def rounded_boxes(result: RunResult) -> Boxes:
    """Boxes `(N, 4)` as they are written: to 1/1000 pixel."""
    boxes: Boxes = np.round(result.detections.boxes, BOX_DECIMALS)
    return boxes


def rounded_scores(result: RunResult) -> npt.NDArray[np.float64]:
    """Scores `(N,)` as they are written."""
    exact: npt.NDArray[np.float64] = result.detections.scores.astype(np.float64)
    scores: npt.NDArray[np.float64] = np.round(exact, SCORE_DECIMALS)
    return scores


def written_rows(result: RunResult) -> list[tuple[int, str, float, Any]]:
    """Class id, label, score and box of each detection, as they are written."""
    ids = result.detections.labels.tolist()
    scores, boxes = rounded_scores(result).tolist(), rounded_boxes(result).tolist()
    return list(zip(ids, result.labels, scores, boxes, strict=True))
