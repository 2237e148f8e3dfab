"""`Picture`: pixels with their objects, as sources hand them to the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.system.opencv import opencv
from sodslice.tables.boxes import Boxes
from sodslice.training.source_settings import SourceSettings

Pixels = npt.NDArray[np.uint8]

NO_OBJECT_SIDE = 40.0
"""Long side in pixels taken for typical where a picture has no objects to measure."""

ELONGATED = 1.5
"""Long side over short side from which on a box shows the direction of what it holds."""


@dataclass(frozen=True, eq=False)
class Objects:
    """Boxes of one picture, cell or canvas.

    Attributes:
        boxes: `(N, 4)` float64, pixel edges x0, y0, x1, y1.
        labels: `(N,)` int64 class ids from 0.
        ignored: `(N,)` bool: areas where finding something is neither right nor wrong.
    """

    boxes: Boxes
    labels: npt.NDArray[np.int64]
    ignored: npt.NDArray[np.bool_]

    @classmethod
    def none(cls) -> Objects:
        """A table without rows."""
        return cls(np.empty((0, 4)), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_))

    @classmethod
    def concatenate(cls, tables: list[Objects]) -> Objects:
        """All rows, in the order given."""
        if not tables:
            return cls.none()
        return cls(
            np.concatenate([table.boxes for table in tables]),
            np.concatenate([table.labels for table in tables]),
            np.concatenate([table.ignored for table in tables]),
        )

    def __getitem__(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Objects:
        return Objects(self.boxes[rows], self.labels[rows], self.ignored[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def shifted(self, dx: float, dy: float) -> Objects:
        """The same objects in a frame whose origin lies at (-dx, -dy)."""
        return Objects(self.boxes + (dx, dy, dx, dy), self.labels, self.ignored)

    def seen_at(self, ratio: tuple[float, float], label_offset: float) -> Objects:
        """The same objects in a picture that is seen at another size; their labels lie off as before.

        Args:
            ratio: pixels that are seen for each of the picture, across and down.
            label_offset: pixels that the labels lie up and left of the edges they mean.
        """
        if ratio == (1.0, 1.0):
            return self
        edges = (self.boxes + label_offset) * np.tile(ratio, 2)
        return Objects(edges - label_offset, self.labels, self.ignored)


@dataclass(frozen=True, eq=False)
class Picture:
    """An image at several sizes, with its objects.

    Attributes:
        levels: `(H, W, 3)` uint8 RGB, each about half as large as the one before.
        objects: in pixels of the first level.
        object_side: typical long side of an object in pixels of the first level.
        free_rotation: chance that it is turned by any angle, not only right ones.
        label_offset: pixels that the boxes of a canvas are moved up and left, as the labels were.
    """

    levels: tuple[Pixels, ...]
    objects: Objects
    object_side: float
    free_rotation: float = 0.0
    label_offset: float = 0.0

    @property
    def width(self) -> int:
        """Columns of the first level."""
        return int(self.levels[0].shape[1])

    @property
    def height(self) -> int:
        """Rows of the first level."""
        return int(self.levels[0].shape[0])


def pyramid(pixels: Pixels, smallest: int = 24) -> tuple[Pixels, ...]:
    """The image `(H, W, 3)` and its halves, down to a shorter side of `smallest` pixels."""
    cv2 = opencv()
    levels = [pixels]
    while min(levels[-1].shape[:2]) >= 2 * smallest:
        height, width = levels[-1].shape[:2]
        levels.append(cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA))
    return tuple(levels)


def picture_of(pixels: Pixels, objects: Objects, side: float, settings: SourceSettings) -> Picture:
    """A picture of a source, with its boxes put right by `label_offset`.

    It may turn freely where all its boxes are elongated.

    Args:
        pixels: `(H, W, 3)` uint8 RGB.
        objects: as they were labelled, in its pixels.
        side: typical long side of an object in pixels.
        settings: of the source.
    """
    sizes = objects.boxes[:, 2:] - objects.boxes[:, :2]
    elongated = bool((sizes.max(axis=1) >= ELONGATED * sizes.min(axis=1)).all())
    rotation = settings.free_rotation if elongated else 0.0
    offset = settings.label_offset
    return Picture(pyramid(pixels), objects.shifted(offset, offset), side, rotation, offset)


def typical_side(tables: Sequence[Objects], otherwise: float) -> float:
    """Median long side in pixels of all objects that are not ignored."""
    boxes = np.concatenate([np.empty((0, 4)), *(table.boxes[~table.ignored] for table in tables)])
    return float(np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1))) if len(boxes) else otherwise
