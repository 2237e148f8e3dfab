"""`look`: what a model sees in tiles, and in parts of them where it stopped before it had said all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sodslice.inference import Look, ReadyDetector, ThoroughDetector
from sodslice.inference.answers import checked_tables
from sodslice.inference.detector import Pixels, just_above
from sodslice.merging import TileTable, merge
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import Tile

SECOND = 0.4
"""Where the second part of a side begins; the two share a fifth of it, or a little more."""

STEP = 32
"""Parts begin at multiples of it, in pixels: there the anchors of a network lie as they lie in the whole."""

SMALLEST_PART = 64
"""Pixels; a smaller part would show a model hardly more than one object."""

SAME = 0.5
"""Overlap (IoU) from which a box of a part is one that was seen in the whole."""


def look(detector: ReadyDetector, pixels: Pixels, tiles: Sequence[Tile], lowest: float) -> list[Look]:
    """What a model sees in a batch of tiles; all of it, as far as that can be had.

    A tile for which the model gives as many boxes as it can, all of at least `lowest`, is looked at again: in
    four parts that overlap, at the same scale, each of them in parts again where it needs be. A model that
    resizes what it is shown sees them in the corner of a black tile.

    Args:
        detector: the model.
        pixels: `(B, H, W, 3)` uint8 RGB.
        tiles: of the batch, whose width and height say what of the pixels is the tile.
        lowest: score down to which all boxes are wanted.

    Returns:
        One look a tile, boxes in tile pixels.

    Raises:
        ModelError: the detector does not give one table a tile, or a row is one that could only be dropped.
    """
    looks = _seen(detector, pixels, lowest)
    magnifier = _Magnifier(detector, lowest)
    return [
        magnifier.all_of(image, Tile(0, 0, 0, tile.width, tile.height), seen)
        for image, tile, seen in zip(pixels, tiles, looks, strict=True)
    ]


def _seen(detector: ReadyDetector, pixels: Pixels, lowest: float) -> list[Look]:
    """What the model gives, checked, and down to which score that is all."""
    info = detector.info
    if isinstance(detector, ThoroughDetector):
        looks = detector.look_down_to(pixels, lowest)
        tables = checked_tables([seen.found for seen in looks], info, pixels)
        return [seen._replace(found=table) for seen, table in zip(looks, tables, strict=True)]
    tables = checked_tables(detector.detect(pixels), info, pixels)
    limit = info.max_per_tile
    return [
        Look(table, 0.0 if limit is None or len(table) < limit else just_above(table.scores.min()))
        for table in tables
    ]


@dataclass(frozen=True)
class _Magnifier:
    """Looks at parts of a tile.

    Args:
        detector: the model.
        lowest: score down to which all boxes are wanted.
    """

    detector: ReadyDetector
    lowest: float

    def all_of(self, image: Pixels, whole: Tile, seen: Look) -> Look:
        """What is in a part of an image, from what was seen there and in parts of it.

        Args:
            image: `(H, W, 3)`.
            whole: the part, in pixels of the image.
            seen: in the part, in its own pixels.
        """
        parts = _parts(whole)
        if seen.whole_from <= self.lowest or not parts:
            return seen
        for_all = parts[0].height, parts[0].width  # all are of one size
        height, width = for_all if self.detector.info.input_size is None else image.shape[:2]
        shown = np.zeros((len(parts), height, width, 3), np.uint8)
        for canvas, part in zip(shown, parts, strict=True):
            x, y = whole.x + part.x, whole.y + part.y
            canvas[: part.height, : part.width] = image[y : y + part.height, x : x + part.width]
        looks = [
            self.all_of(image, part._replace(x=whole.x + part.x, y=whole.y + part.y), one)
            for part, one in zip(parts, _seen(self.detector, shown, self.lowest), strict=True)
        ]
        found = Detections.concatenate([_placed(one.found, p) for one, p in zip(looks, parts, strict=True)])
        table = TileTable.of(parts, outline=(0, 0, whole.width, whole.height))
        merged = merge(found, table, suppressed=self.detector.info.suppressed)
        worst = max(one.whole_from for one in looks)
        return Look(_joined(seen.found, merged), min(seen.whole_from, max(worst, self.lowest)))


def _parts(whole: Tile) -> list[Tile]:
    """Up to four parts that overlap and cover a tile, in its pixels; none if they would be too small."""
    columns, rows = (_halves(side) for side in (whole.width, whole.height))
    if len(columns) == len(rows) == 1:
        return []
    windows = [(x, y, width, height) for y, height in rows for x, width in columns]
    return [Tile(number, *window) for number, window in enumerate(windows)]


def _halves(side: int) -> list[tuple[int, int]]:
    """First pixel and length of two parts of a side; of one where they would be too small."""
    second = int(SECOND * side) // STEP * STEP
    part = side - second
    return [(0, part), (second, part)] if second and part >= SMALLEST_PART else [(0, side)]


def _placed(found: Detections, part: Tile) -> Detections:
    """Boxes of a part in pixels of the whole, cut to the part."""
    cut = replace(found, boxes=box.clip(found.boxes, part.width, part.height))
    return cut[box.area(cut.boxes) > 0].on_tile(part.id, part.x, part.y)


def _joined(first: Detections, more: Detections) -> Detections:
    """The boxes that were seen at first, and those of more that are others."""
    both = Detections.concatenate([first, more])
    fresh = np.ones(len(both), bool)
    is_first = np.arange(len(both)) < len(first)
    pairs = box.touching_pairs(
        both.boxes, groups=both.labels, owners=is_first.astype(np.int32), least_iou=SAME
    )
    for one, other in pairs:
        close = box.iou(both.boxes[one], both.boxes[other]) >= SAME
        fresh[np.maximum(one, other)[close]] = False
    return both[is_first | fresh]
