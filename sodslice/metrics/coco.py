"""`coco_metrics`: how good detections are, in COCO's numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.errors import DataError
from sodslice.metrics.average_precision import average_precision
from sodslice.metrics.curve import Curve, OperatingPoint, precision_recall_curve
from sodslice.metrics.matching import match
from sodslice.metrics.truth import Truth
from sodslice.tables.detections import Detections

EVERYTHING = (0.0, 1e10)

SIZE_BANDS: Mapping[str, tuple[float, float]] = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
    "0-8 px": (0.0, 8.0**2),
    "8-16 px": (8.0**2, 16.0**2),
    "16-32 px": (16.0**2, 32.0**2),
    "32-64 px": (32.0**2, 64.0**2),
    "64+ px": (64.0**2, 1e10),
}
"""Least and most area in square pixels: COCO's three, then those of AI-TOD (Wang et al. 2021) by side."""


@dataclass(frozen=True)
class AveragePrecision:
    """COCO's three numbers, 0 to 1, for one class or one size band; nan where there is no object.

    Fields: `ap` over IoU 0.50 to 0.95, `ap50`, `ap75`; `objects`, how many there are to be found.
    """

    ap: float
    ap50: float
    ap75: float
    objects: int


@dataclass(frozen=True)
class ClassMetrics(AveragePrecision):
    """One class: its average precision, and its curve at the one IoU."""

    curve: Curve

    @property
    def best(self) -> OperatingPoint:
        """The threshold of the best F1 of this class."""
        return self.curve.best()


@dataclass(frozen=True)
class CocoMetrics(AveragePrecision):
    """How good detections are on a set of images.

    Fields, beside those of `AveragePrecision` (means over the classes that have objects): `by_size` by the
    names of `SIZE_BANDS` (empty where sizes are not pixels), `by_class` by class name, `curve` of precision
    and recall over the score at IoU `iou`, all classes as one; `images`; `detections`, those that are right
    or wrong at `iou`.
    """

    by_size: Mapping[str, AveragePrecision]
    by_class: Mapping[str, ClassMetrics]
    curve: Curve
    iou: float
    images: int
    detections: int

    @property
    def best(self) -> OperatingPoint:
        """The threshold of the best F1, all classes as one."""
        return self.curve.best()


def coco_metrics(
    truths: Sequence[Truth],
    found: Sequence[Detections],
    names: Sequence[str],
    *,
    iou: float = 0.5,
    size_bands: Mapping[str, tuple[float, float]] = SIZE_BANDS,
    allow_empty: bool = False,
) -> CocoMetrics:
    """Compare detections with the truth, image by image.

    The numbers are those of pycocotools (extra `train`) without its cap of 100 detections an image. Equal
    scores are ordered by `Detections.canonical_order`, then by image: the order of the rows changes nothing.

    Args:
        truths: the objects of each image.
        found: the detections of each image, in the same order and frame, down to a low score (0.01): what
            is cut off before cannot be counted.
        names: class names; labels on both sides are rows of it.
        iou: the overlap that makes a match for the curve.
        size_bands: name -> least and most area of an object.
        allow_empty: whether there may be nothing to find: AP is nan then, the curve counts false alarms.

    Raises:
        DataError: the two lists differ in length, a label is no row of `names`, or nothing is to be found.
        DeviceError: pycocotools is not installed.
    """
    _check(truths, found, names, iou)
    if not allow_empty and not any(truth.counted().any() for truth in truths):
        raise DataError("the truth holds no object that counts; an AP needs at least one")
    bands = {"": EVERYTHING, **size_bands}
    ranges = list(bands.values())
    precision = np.stack([average_precision(truths, found, k, ranges) for k in range(len(names))])
    objects = np.stack([_objects(truths, k, ranges) for k in range(len(names))])
    matched = [match(truth, table, iou=iou) for truth, table in zip(truths, found, strict=True)]
    by_class = {
        name: ClassMetrics(
            *_three(precision[k : k + 1, :, 0]),
            int(objects[k, 0]),
            precision_recall_curve(truths, found, matched, label=k),
        )
        for k, name in enumerate(names)
    }
    by_size = {
        name: AveragePrecision(*_three(precision[:, :, a]), int(objects[:, a].sum()))
        for a, name in enumerate(bands)
        if name
    }
    return CocoMetrics(
        *_three(precision[:, :, 0]),
        objects=int(objects[:, 0].sum()),
        by_size=by_size,
        by_class=by_class,
        curve=precision_recall_curve(truths, found, matched),
        iou=iou,
        images=len(truths),
        detections=sum(int((m.right | m.wrong).sum()) for m in matched),
    )


def _check(truths: Sequence[Truth], found: Sequence[Detections], names: Sequence[str], iou: float) -> None:
    if not truths:
        raise DataError("there is no image to compare; give at least one")
    if len(truths) != len(found):
        raise DataError(
            f"got {len(truths)} truths and {len(found)} tables of detections; give one of each an image"
        )
    if not 0 < iou <= 1:
        raise DataError(f"the IoU of a match must lie above 0 and at most at 1, got {iou:g}")
    for side, tables in (("truth uses", truths), ("detections use", found)):
        used = np.unique(np.concatenate([table.labels for table in tables]))
        nameless = used[(used < 0) | (used >= len(names))]
        if len(nameless):
            listed = ", ".join(names)
            raise DataError(f"the {side} class {nameless[0]}, and there are {len(names)} names: {listed}")


def _objects(
    truths: Sequence[Truth], label: int, ranges: Sequence[tuple[float, float]]
) -> npt.NDArray[np.int64]:
    """How many objects of a class each size band holds, ends included as COCO has it."""
    areas = np.concatenate([t.areas[t.counted() & (t.labels == label)] for t in truths])
    return np.array([np.count_nonzero((areas >= least) & (areas <= most)) for least, most in ranges])


def _three(precision: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """AP, AP50, AP75 of `(K, 10)`: means over the classes that have objects; nan where none has."""
    known = precision[~np.isnan(precision[:, 0])]
    if not len(known):
        return float("nan"), float("nan"), float("nan")
    return float(known.mean()), float(known[:, 0].mean()), float(known[:, 5].mean())
