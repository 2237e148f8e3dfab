"""Newton's method for smooth maps of the plane, many points at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

STEP = 1e-6
CONVERGED = 1e-11
ROUNDS = 25


def solve(function: Callable[[Points], Points], wanted: Points, start: Points) -> Points:
    """Points that a function sends to the wanted ones.

    Args:
        function: smooth and near to affine, from `(N, 2)` to `(N, 2)`, both sides scaled to about 1.
        wanted: `(N, 2)` values.
        start: `(N, 2)` first guesses.

    Returns:
        `(N, 2)`; NaN where the search did not settle.
    """
    points: Points = start.copy()
    change = np.full(points.shape, np.inf)
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS):
            here = function(points)
            error = wanted - here
            along_x = (function(points + (STEP, 0.0)) - here) / STEP
            along_y = (function(points + (0.0, STEP)) - here) / STEP
            determinant = along_x[:, 0] * along_y[:, 1] - along_y[:, 0] * along_x[:, 1]
            change = (
                np.stack(
                    [
                        error[:, 0] * along_y[:, 1] - error[:, 1] * along_y[:, 0],
                        error[:, 1] * along_x[:, 0] - error[:, 0] * along_x[:, 1],
                    ],
                    axis=1,
                )
                / determinant[:, None]
            )
            points = points + change
            if not (np.abs(change) > CONVERGED).any():
                break
    settled = np.isfinite(points).all(axis=1) & (np.abs(change) <= 1e3 * CONVERGED).all(axis=1)
    points[~settled] = np.nan
    return points
