"""An evaluation as text that a person can read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sodslice.metrics.coco import AveragePrecision
from sodslice.metrics.curve import OperatingPoint
from sodslice.metrics.evaluation import Evaluation

TENTHS = tuple(step / 10 for step in range(1, 10))


def as_table(evaluation: Evaluation, *, marks: Sequence[tuple[str, float]] = ()) -> str:
    """AP by class and size, then precision and recall by threshold.

    Args:
        evaluation: what to show.
        marks: names and score thresholds to show beside the tenths and the best F1.
    """
    metrics = evaluation.metrics
    rows: dict[str, AveragePrecision] = {"all": metrics}
    if len(metrics.by_class) > 1:
        rows |= metrics.by_class
    rows |= {name: band for name, band in metrics.by_size.items() if band.objects}
    named = {threshold: name for name, threshold in marks}
    points = [(metrics.curve.at(score), named.get(score, "")) for score in sorted({*TENTHS, *named})]
    if not math.isnan(metrics.best.threshold):
        points.append((metrics.best, "best F1"))
        points.sort(key=lambda row: row[0].threshold)
    lines = [
        _headline(evaluation),
        "",
        *_precision_lines(rows),
        "",
        f"At IoU {metrics.iou:g}, all classes as one:",
    ]
    lines += [*_point_lines(points, evaluation.megapixels), *_distance_lines(evaluation)]
    return "\n".join(lines)


def _headline(evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    images = "1 image" if metrics.images == 1 else f"{metrics.images} images"
    area = "" if evaluation.megapixels is None else f" on {evaluation.megapixels:.4g} megapixels"
    return f"{images}, {metrics.objects} objects, {metrics.detections} detections{area}"


def _precision_lines(rows: Mapping[str, AveragePrecision]) -> list[str]:
    width = max(len(name) for name in rows)
    lines = [f"{'':<{width}}      AP    AP50    AP75  objects"]
    for name, row in rows.items():
        numbers = "".join(f"{_share(value):>8}" for value in (row.ap, row.ap50, row.ap75))
        lines.append(f"{name:<{width}}{numbers}{row.objects:>9}")
    return lines


def _point_lines(points: Sequence[tuple[OperatingPoint, str]], megapixels: float | None) -> list[str]:
    per_area = "" if not megapixels else "  wrong/Mpx"
    lines = [f"threshold  precision  recall      F1   right   wrong  missed{per_area}"]
    for point, name in points:
        density = "" if not megapixels else f"{point.wrong / megapixels:>11.2f}"
        lines.append(
            f"{point.threshold:>9.3f}{_share(point.precision):>11}{_share(point.recall):>8}{_share(point.f1):>8}"
            f"{point.right:>8}{point.wrong:>8}{point.missed:>8}{density}{f'  {name}' if name else ''}"
        )
    return lines


def _distance_lines(evaluation: Evaluation) -> list[str]:
    parts = []
    if evaluation.distance_px is not None:
        parts.append(f"{evaluation.distance_px:.2f} px")
    if evaluation.distance_m is not None:
        parts.append(f"{evaluation.distance_m:.3f} m")
    return ["", f"Median distance of matched centres: {', '.join(parts)}"] if parts else []


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
