"""Which boxes have to do with each other: whatever a merge does, it does among those that touch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sodslice.merging.rule import Rule
from sodslice.merging.suppression import components
from sodslice.merging.tile_table import tolerance
from sodslice.tables.boxes import Boxes, Labels, Rows, touching_pairs
from sodslice.tables.detections import Detections


def hulls_of_neighbours(found: Detections, *, joined: bool | Sequence[Sequence[int]] = False) -> Boxes:
    """For each box the hull of all boxes with which a merge may connect it, by one or many steps.

    Boxes are neighbours that touch, or nearly do as parts of one object at a seam, and so are boxes that
    touch the hull of such: no method makes a box that reaches beyond those it stands for. Boxes of different
    hulls have nothing to say to each other.

    Args:
        found: `(N,)` boxes in scene pixels.
        joined: which classes can be one object, as for `merge`.

    Returns:
        `(N, 4)` pixel edges, with the room around them within which a side counts as cut.
    """
    groups = Rule(1.0, joined).groups(found)
    names, hulls = np.arange(len(found)), found.boxes
    while len(hulls):
        joint = _linked(_grown(hulls), groups)
        first, number = np.unique(joint, return_inverse=True)
        number = number.reshape(-1)
        if len(first) == len(hulls):
            break
        names, hulls, groups = number[names], _around(hulls, number, len(first)), groups[first]
    return _grown(hulls)[names]


def _grown(boxes: Boxes) -> Boxes:
    near_x, near_y = tolerance(boxes)
    return boxes + np.stack([-near_x, -near_y, near_x, near_y], axis=1)


def _linked(boxes: Boxes, groups: Labels) -> Rows:
    """The name `(N,)` of what each box hangs together with, by touching others of its group."""
    names, every = np.arange(len(boxes)), np.arange(len(boxes))
    for i, j in touching_pairs(boxes, groups=groups):
        names = components(np.concatenate([i, every]), np.concatenate([j, names]), len(boxes))
    return names


def _around(boxes: Boxes, number: Rows, count: int) -> Boxes:
    """The hull `(count, 4)` of the boxes of each number."""
    hulls = np.tile(np.array([np.inf, np.inf, -np.inf, -np.inf]), (count, 1))
    for side, around in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
        around.at(hulls[:, side], number, boxes[:, side])
    return hulls
