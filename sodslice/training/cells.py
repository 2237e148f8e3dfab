"""One warp of one picture: scale, flip, rotation and stretch, with the boxes that belong to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.system.opencv import opencv
from sodslice.tables import boxes as box_math
from sodslice.tables.boxes import Boxes
from sodslice.training.pictures import Objects, Picture, Pixels

Matrix = npt.NDArray[np.float64]

LEAST_SIDE = 1e-6
"""Pixels; less of a box is rounding, not a part of it."""

CORNER_ROUNDING = 0.3
"""Corner radius, as a share of the shorter side, of the rounded rectangle an object is taken for."""


class Cell(NamedTuple):
    """A warped piece of a picture: pixels `(H, W, 3)` uint8 RGB, and its objects in pixels of the cell."""

    pixels: Pixels
    objects: Objects


@dataclass(frozen=True)
class CutRule:
    """When a cut object still counts.

    Attributes:
        visible_share: of the area that must be left.
        smallest_part: pixels that both sides of the rest must have.
        smallest_object: pixels that the long side of the whole object must have.
    """

    visible_share: float
    smallest_part: float
    smallest_object: float


@dataclass(frozen=True, eq=False)
class Warp:
    """An affine map from picture to cell, both in pixel edges: `cell = matrix @ picture + offset`.

    Attributes:
        matrix: `(2, 2)` float64.
        offset: `(2,)` float64.
        turned: whether the rotation is not a right angle, so that boxes must be rebuilt.
    """

    matrix: Matrix
    offset: Matrix
    turned: bool

    def boxes(self, boxes: Boxes) -> Boxes:
        """Upright boxes `(N, 4)` in the cell around what the boxes `(N, 4)` of the picture hold.

        A turned object is taken for a rounded rectangle, as cars are: its half side in a direction is its
        support function there.
        """
        centre = box_math.centers(boxes) @ self.matrix.T + self.offset
        half = (boxes[:, 2:] - boxes[:, :2]) / 2
        radius = (
            CORNER_ROUNDING * half.min(axis=1, keepdims=True) if self.turned else np.zeros((len(half), 1))
        )
        extent = (half - radius) @ abs(self.matrix).T + radius * np.linalg.norm(self.matrix, axis=1)
        return np.concatenate([centre - extent, centre + extent], axis=1)


def place_warp(
    matrix: Matrix, focus: Matrix, place: Matrix, cell: tuple[int, int], picture: Picture, *, turned: bool
) -> Warp:
    """The warp that brings `focus` to `place`, moved so that the cell shows as much of the picture as it can.

    Args:
        matrix: `(2, 2)` from picture to cell.
        focus: `(2,)` x, y in picture pixels.
        place: `(2,)` x, y in cell pixels.
        cell: width, height of the cell.
        picture: what is shown.
        turned: whether the rotation is not a right angle.
    """
    inverse = np.linalg.inv(matrix)
    corners = np.array([(0, 0), (cell[0], 0), (0, cell[1]), cell], dtype=np.float64)
    seen = (corners - place) @ inverse.T + focus
    size = np.array([picture.width, picture.height], dtype=np.float64)
    low, high = seen.min(axis=0), seen.max(axis=0)
    fits = high - low <= size
    shift = np.where(fits, np.maximum(-low, 0) - np.maximum(high - size, 0), size / 2 - (low + high) / 2)
    return Warp(matrix, place - matrix @ (focus + shift), turned)


def warp_pixels(
    picture: Picture, warp: Warp, cell: tuple[int, int], fill: tuple[int, int, int] | None
) -> Pixels:
    """Pixels `(H, W, 3)` of the cell, read from the level that needs no coarsening.

    Args:
        picture: to read.
        warp: from picture to cell.
        cell: width, height.
        fill: RGB outside the picture; None: its mirror image.
    """
    cv2 = opencv()
    scale = math.sqrt(abs(np.linalg.det(warp.matrix)))
    depth = min(max(math.floor(-math.log2(scale) + 1e-9), 0), len(picture.levels) - 1)
    level = picture.levels[depth]
    ratio = np.array([level.shape[1] / picture.width, level.shape[0] / picture.height])
    inverse = np.linalg.inv(warp.matrix)
    # From pixel indices (centres at whole numbers) of the cell to those of the level.
    matrix = inverse * ratio[:, None]
    offset = (inverse @ (0.5 - warp.offset)) * ratio - 0.5
    pixels: Pixels = cv2.warpAffine(
        level,
        np.concatenate([matrix, offset[:, None]], axis=1),
        cell,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT if fill is None else cv2.BORDER_CONSTANT,
        borderValue=fill or (0, 0, 0),
    )
    return pixels


def warp_objects(
    picture: Picture, warp: Warp, cell: tuple[int, int], rule: CutRule, *, mirrored: bool
) -> Objects:
    """Objects of the cell, cut to it; what is left of heavily cut ones is ignored.

    Args:
        picture: whose objects these are.
        warp: from picture to cell.
        cell: width, height.
        rule: when a cut object still counts.
        mirrored: whether the picture goes on as its mirror image.
    """
    seen = mirror_objects(picture, warp, cell) if mirrored else picture.objects
    if not len(seen):
        return Objects.none()
    moved = Objects(warp.boxes(seen.boxes), seen.labels, seen.ignored)
    return cut_objects(moved.shifted(-picture.label_offset, -picture.label_offset), cell, rule)


def cut_objects(objects: Objects, cell: tuple[int, int], rule: CutRule) -> Objects:
    """Objects cut to `(0, 0, width, height)`; heavily cut and tiny ones become ignored areas."""
    clipped = box_math.clip(objects.boxes, *cell)
    part = box_math.area(clipped)
    whole = objects.boxes[:, 2:] - objects.boxes[:, :2]
    sides = clipped[:, 2:] - clipped[:, :2]
    counts = (
        (part >= rule.visible_share * whole.prod(axis=1))
        & (sides.min(axis=1) >= rule.smallest_part)
        & (whole.max(axis=1) >= rule.smallest_object)
    )
    return Objects(clipped, objects.labels, objects.ignored | ~counts)[sides.min(axis=1) > LEAST_SIDE]


def mirror_objects(picture: Picture, warp: Warp, cell: tuple[int, int]) -> Objects:
    """Objects of the picture and of its mirror images that the cell can show, in picture pixels.

    An object on the picture's edge melts with its mirror image into something that is none, so both are
    ignored there.
    """
    width, height = picture.width, picture.height
    corners = np.array([(0, 0), (cell[0], 0), (0, cell[1]), cell], dtype=np.float64)
    seen = (corners - warp.offset) @ np.linalg.inv(warp.matrix).T
    first = np.floor(seen.min(axis=0) / (width, height)).astype(int)
    last = np.ceil(seen.max(axis=0) / (width, height)).astype(int) - 1
    if (first >= 0).all() and (last <= 0).all():
        return picture.objects
    x0, y0, x1, y1 = picture.objects.boxes.T
    at_edge = (x0 < 2) | (y0 < 2) | (x1 > width - 2) | (y1 > height - 2)
    ignored = picture.objects.ignored | at_edge
    tables = []
    for row in range(first[1], last[1] + 1):
        for column in range(first[0], last[0] + 1):
            left, right = (width - x1, width - x0) if column % 2 else (x0, x1)
            top, bottom = (height - y1, height - y0) if row % 2 else (y0, y1)
            boxes = np.stack([left, top, right, bottom], axis=1)
            moved = boxes + (column * width, row * height, column * width, row * height)
            tables.append(Objects(moved, picture.objects.labels, ignored))
    return Objects.concatenate(tables)
