"""`evaluate`: finished runs against the truth of their scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sodslice.errors import DataError
from sodslice.metrics.cases import Case, Comparison, build_case, median_distance
from sodslice.metrics.classes import ClassPlan, plan_classes
from sodslice.metrics.coco import SIZE_BANDS, AveragePrecision, CocoMetrics, coco_metrics
from sodslice.metrics.frames import PixelGrid, common_frame
from sodslice.metrics.layer import Layer
from sodslice.metrics.pairing import other_names, pair_up
from sodslice.system.version import __version__

HIGH_FLOOR = 0.1
"""A run that kept only scores from here on lacks the part of the curve that AP needs."""

CURVE_STEPS = 100
"""The JSON holds the curve at 0.00, 0.01, ... 1.00."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a comparison gave.

    Fields: `metrics`; `class_names`; `cases`, the scenes in order; `comparison`, how they were compared;
    `distance_px` and `distance_m`, the median distance of the centres of matched pairs (None where
    unknown); `megapixels`, the area that was searched, where known; `notes`, what the reader should know.
    """

    metrics: CocoMetrics
    class_names: tuple[str, ...]
    cases: tuple[Case, ...]
    comparison: Comparison
    distance_px: float | None
    distance_m: float | None
    megapixels: float | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form; what is not defined is None or nan (which JSON writers turn into null)."""
        metrics = self.metrics
        settings = asdict(self.comparison)
        return {
            **_numbers(metrics),
            "by_size": {name: _numbers(band) for name, band in metrics.by_size.items()},
            "by_class": {
                name: {**_numbers(one), "best": one.best._asdict()} for name, one in metrics.by_class.items()
            },
            "iou": metrics.iou,
            "images": metrics.images,
            "detections": metrics.detections,
            "best": metrics.best._asdict(),
            "curve": [metrics.curve.at(step / CURVE_STEPS)._asdict() for step in range(CURVE_STEPS + 1)],
            "center_distance": {"px": self.distance_px, "m": self.distance_m},
            "megapixels": self.megapixels,
            "comparison": {
                k: str(v) if k in ("roi", "ignored") and v is not None else v for k, v in settings.items()
            },
            "notes": list(self.notes),
            "version": __version__,
        }


def evaluate(
    found: Sequence[Layer],
    truths: Sequence[Layer],
    comparison: Comparison | None = None,
    *,
    scene: PixelGrid | None = None,
    in_order: bool = False,
) -> Evaluation:
    """Compare results with the truth of their scenes.

    Args:
        found: the results, from `read_results` or `result_layer`.
        truths: the truths, from `read_truth`.
        comparison: how to compare.
        scene: the pixel grid of the one scene, where its raster is at hand.
        in_order: whether the results are those of the truths one by one, whatever they call their images.

    Raises:
        DataError: the two sides do not fit together; one line says comparison.
        ValueError: they are said to be in order, and are not equally many.
    """
    comparison = comparison or Comparison()
    pairs = (
        list(zip(found, truths, strict=True))
        if in_order
        else pair_up(found, truths, partial=comparison.partial)
    )
    if scene is not None and len(pairs) > 1:
        raise DataError(
            f"one raster was given for {len(pairs)} scenes; compare them one by one, or without it"
        )
    plan = plan_classes(
        [mine for mine, _ in pairs],
        [truth for _, truth in pairs],
        class_map=comparison.class_map,
        agnostic=comparison.class_agnostic,
    )
    notes = [*plan.notes, *_floor_notes(found), *_pair_notes(pairs, truths)]
    cases = []
    for mine, truth in pairs:
        frame = common_frame(mine, truth, scene=scene, coordinates=comparison.coordinates)
        off = int(np.count_nonzero(~frame.kept))
        if off:
            notes.append(f"objects of {truth.source} off the scene are left out: {off}")
        cases.append(build_case(mine, truth, frame, plan, comparison))
    return _compare(cases, plan, comparison, notes)


def _compare(
    cases: Sequence[Case], plan: ClassPlan, comparison: Comparison, notes: Sequence[str]
) -> Evaluation:
    """The numbers of cases whose two sides are in one frame."""
    in_pixels = all(case.unit == "px" for case in cases)
    metrics = coco_metrics(
        [case.truth for case in cases],
        [case.found for case in cases],
        plan.names,
        iou=comparison.iou,
        size_bands=SIZE_BANDS if in_pixels else {},
        allow_empty=comparison.allow_empty,
    )
    distances = [case.center_distances(comparison.iou) for case in cases]
    areas = [case.megapixels for case in cases]
    return Evaluation(
        metrics,
        plan.names,
        tuple(cases),
        comparison,
        distance_px=median_distance([apart for apart, _ in distances]) if in_pixels else None,
        distance_m=median_distance([metres for _, metres in distances]),
        megapixels=None if None in areas else sum(area for area in areas if area is not None),
        notes=tuple(notes),
    )


def _numbers(values: AveragePrecision) -> dict[str, Any]:
    return {"ap": values.ap, "ap50": values.ap50, "ap75": values.ap75, "objects": values.objects}


def _floor_notes(found: Sequence[Layer]) -> list[str]:
    """A note where the run threw away what AP needs."""
    floors = [layer.floor for layer in found if layer.floor is not None]
    if not floors or max(floors) < HIGH_FLOOR:
        return []
    return [
        f"the run kept only scores from {max(floors):g}, so AP and the curve are cut off there; "
        "run with `threshold=0.01` for the whole"
    ]


def _pair_notes(pairs: Sequence[tuple[Layer, Layer]], truths: Sequence[Layer]) -> list[str]:
    """What was taken for granted of results and truths, and what does not count."""
    notes = list(dict.fromkeys(truth.note for truth in truths if truth.note))
    if len(pairs) < len(truths):
        notes.append(f"{len(truths) - len(pairs)} of {len(truths)} images have no result and are left out")
    if len(pairs) == 1 and other_names(*pairs[0]):
        mine, truth = pairs[0]
        notes.append(
            f"{mine.source} is about {mine.image}, the truth about {truth.image}; they are compared since "
            "there is no other, and the numbers mean nothing unless both show the same"
        )
    ignored = sum(truth.ignored for _, truth in pairs)
    if ignored:
        count = sum(len(truth) for _, truth in pairs)
        notes.append(
            f"{ignored} of {count} objects are ignored areas (iscrowd or ignore): nobody has to find them, "
            "and what is found there is neither right nor wrong"
        )
    return notes
