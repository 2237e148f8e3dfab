"""Points on the edges of boxes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sodslice.tables.boxes import Boxes

Groups = npt.NDArray[np.float64]
"""Points `(N, K, 2)` in groups, one group a box."""


def corners(boxes: Boxes) -> Groups:
    """Corner points `(N, 4, 2)` of boxes `(N, 4)`: top left, bottom left, bottom right, top right."""
    x0, y0, x1, y1 = boxes.T
    points: Groups = np.stack([[x0, y0], [x0, y1], [x1, y1], [x1, y0]]).transpose(2, 0, 1)
    return points


def outlines(boxes: Boxes, steps: int) -> Groups:
    """Points `(N, 4 * steps, 2)` evenly along the edges of boxes `(N, 4)`, in the order of `corners`."""
    here = corners(boxes)[:, :, None]
    ramp = (np.arange(steps) / steps)[:, None]
    points: Groups = here + ramp * (np.roll(here, -1, axis=1) - here)
    return points.reshape(len(boxes), -1, 2)


def middles(boxes: Boxes) -> Groups:
    """Middles `(N, 4, 2)` of the edges of boxes `(N, 4)`: left, right, top, bottom."""
    x0, y0, x1, y1 = boxes.T
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    points: Groups = np.stack([[x0, y], [x1, y], [x, y0], [x, y1]]).transpose(2, 0, 1)
    return points
