"""COCO's average precision of scenes of any size, with pycocotools underneath.

pycocotools holds an image's detections and objects against each other in one dense matrix and three nested
Python loops: fine for 100 boxes, hopeless for the 10 000 of an orthophoto. But only boxes that overlap can
match. So the boxes are cut into islands, groups without an overlap to one another, and pycocotools gets
batches of islands as its images. Its own matching and accumulation then run unchanged, and give the very
numbers it gives for the whole, because

- no match crosses islands (their overlaps are below the lowest threshold), and
- the order of detections, equal scores included, is handed over as ranks in place of scores.

`maxDets` is the number of detections: nothing is capped at COCO's 100.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.errors import DeviceError
from sodslice.metrics.matching import Pairs, overlapping_pairs
from sodslice.metrics.truth import Truth
from sodslice.tables import boxes as box_math
from sodslice.tables.detections import Detections

COCO_IOUS = np.linspace(0.5, 0.95, 10)
"""The thresholds that COCO's AP averages over."""

NEVER = -1.0
"""An area outside all size bands: what does not count in any of them."""

BOXES_A_BATCH = 16
"""Balances pycocotools' cost per image against its loops over detections times objects."""


class _Table(NamedTuple):
    """Boxes of one class in all images, as pycocotools wants to see them: ids from 0, areas, flags."""

    found_area: npt.NDArray[np.float64]
    found_rank: npt.NDArray[np.int64]
    truth_area: npt.NDArray[np.float64]
    crowd: npt.NDArray[np.bool_]
    pairs: Pairs


@dataclass
class _Batch:
    """What pycocotools takes for one image.

    Attributes:
        detections: their id, score and area, best first.
        objects: their id, area and crowd flag.
        overlaps: of each detection with each object, `(D, G)` float64; empty if one of the two is.
    """

    detections: list[dict[str, float]] = field(default_factory=list)
    objects: list[dict[str, float]] = field(default_factory=list)
    overlaps: npt.NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))

    def touches(self, band: Sequence[float]) -> bool:
        """Whether any box is in a size band; if none is, all of them are ignored in it."""
        return any(band[0] <= box["area"] <= band[1] for box in (*self.objects, *self.detections))


def average_precision(
    truths: Sequence[Truth], found: Sequence[Detections], label: int, areas: Sequence[tuple[float, float]]
) -> npt.NDArray[np.float64]:
    """COCO's AP of one class.

    Args:
        truths: the objects of each image.
        found: the detections of each image.
        label: the class.
        areas: size bands, each (least, most) area of an object that counts.

    Returns:
        `(10, A)` float64: AP at each of `COCO_IOUS` in each band; nan in a band without objects.

    Raises:
        DeviceError: pycocotools is not installed.
    """
    table = _gather(truths, found, label)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        evaluator = _evaluator(_batches(table))
        settings = evaluator.params
        settings.iouThrs = COCO_IOUS
        settings.areaRng = [list(band) for band in areas]
        settings.areaRngLbl = [str(i) for i in range(len(areas))]
        settings.maxDets = [max(1, len(table.found_area))]
        evaluator.evaluate()
        evaluator.accumulate()
    precision: npt.NDArray[np.float64] = evaluator.eval["precision"][:, :, 0, :, 0]
    return np.where(precision.min(axis=1) > -1, precision.mean(axis=1), np.nan)


def _evaluator(batches: Mapping[int, _Batch]) -> Any:
    """A COCOeval of batches, whose overlaps it is told."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise DeviceError(
            "AP needs pycocotools, which is not installed; pip install 'sodslice[train]'"
        ) from None
    sets = COCO(), COCO()
    for coco, side in zip(sets, ("objects", "detections"), strict=True):
        coco.dataset = {
            "images": [{"id": image} for image in batches],
            "categories": [{"id": 0}],
            "annotations": [
                {"image_id": image, "category_id": 0, **box}
                for image, batch in batches.items()
                for box in getattr(batch, side)
            ],
        }
        coco.createIndex()
    evaluator = COCOeval(*sets, "bbox")
    evaluator.computeIoU = lambda image, _: batches[image].overlaps
    judge = evaluator.evaluateImg
    evaluator.evaluateImg = lambda image, category, band, most: (
        judge(image, category, band, most) if batches[image].touches(band) else None
    )
    return evaluator


def _gather(truths: Sequence[Truth], found: Sequence[Detections], label: int) -> _Table:
    """The boxes and pairs of one class in all images, numbered through."""
    found_area, scores, truth_area, crowd, pairs = [], [], [], [], []
    found_before = truth_before = 0
    for truth, table in zip(truths, found, strict=True):
        order = table.canonical_order()
        table = table[order[table.labels[order] == label]]
        truth = truth[truth.labels == label]
        near = overlapping_pairs(truth, table, least=float(COCO_IOUS[0]))
        pairs.append(Pairs(near.found + found_before, near.truth + truth_before, near.overlap))
        found_area.append(np.where(truth.region.holds(table.boxes), box_math.area(table.boxes), NEVER))
        truth_area.append(np.where(truth.region.holds(truth.boxes), truth.areas, NEVER))
        scores.append(table.scores)
        crowd.append(truth.crowd)
        found_before += len(table)
        truth_before += len(truth)
    joined = Pairs(*(np.concatenate([getattr(p, name) for p in pairs]) for name in Pairs._fields))
    rank = np.empty(found_before, dtype=np.int64)
    rank[np.argsort(-np.concatenate(scores), kind="stable")] = np.arange(found_before)
    return _Table(np.concatenate(found_area), rank, np.concatenate(truth_area), np.concatenate(crowd), joined)


def _batches(table: _Table) -> dict[int, _Batch]:
    """The boxes as pycocotools gets them, a batch of islands an image, by the image's id."""
    found_image, truth_image = _images(table)
    batches = {image: _Batch() for image in sorted({*found_image.tolist(), *truth_image.tolist()})}
    place = {}
    for row in np.argsort(table.found_rank):  # best first, the order pycocotools would sort them into
        members = batches[int(found_image[row])].detections
        place[int(row)] = len(members)
        members.append(
            {"id": int(row) + 1, "score": -float(table.found_rank[row]), "area": float(table.found_area[row])}
        )
    seat = []
    for row in range(len(table.truth_area)):
        members = batches[int(truth_image[row])].objects
        seat.append(len(members))
        flag = int(table.crowd[row])
        members.append({"id": row + 1, "iscrowd": flag, "area": float(table.truth_area[row])})
    for batch in batches.values():
        if batch.detections and batch.objects:
            batch.overlaps = np.zeros((len(batch.detections), len(batch.objects)))
    for row, wanted, overlap in zip(*(column.tolist() for column in table.pairs), strict=True):
        batches[int(found_image[row])].overlaps[place[row], seat[wanted]] = overlap
    return batches


def _images(table: _Table) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The image of each detection and each object.

    The lonely detections are in image 0, the lonely objects in 1, so that no loop runs over both; the rest is
    in batches of islands, like sizes together, so that a batch touches few size bands.
    """
    found, truth = len(table.found_area), len(table.truth_area)
    one, other = table.pairs.found, table.pairs.truth + found
    image = np.repeat([0, 1], [found, truth])
    linked = np.zeros(found + truth, dtype=bool)
    linked[one] = linked[other] = True
    number = np.unique(_islands(found + truth, one, other)[linked], return_inverse=True)[1]
    boxes = np.bincount(number)
    size = np.full(len(boxes), np.inf)
    np.minimum.at(size, number, np.concatenate([table.found_area, table.truth_area])[linked])
    order = np.argsort(size, kind="stable")
    batch = np.empty(len(boxes), dtype=np.int64)
    batch[order] = (np.cumsum(boxes[order]) - boxes[order]) // BOXES_A_BATCH
    image[linked] = batch[number] + 2
    return image[:found], image[found:]


def _islands(count: int, one: npt.NDArray[np.intp], other: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Connected components: the smallest node `(count,)` that each node reaches over the edges one-other.

    Nodes and their present roots take the smaller root of each edge, then roots are followed (Zhang, Azad
    and Hu 2020, FastSV): a few rounds, also for long chains.
    """
    root = np.arange(count)
    while True:
        least = np.minimum(root[one], root[other])
        grown = root.copy()
        for ends in (one, other):
            np.minimum.at(grown, ends, least)
            np.minimum.at(grown, root[ends], least)
        grown = grown[grown]
        if np.array_equal(grown, root):
            return root
        root = grown
