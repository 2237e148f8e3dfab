"""Boxes of the shapes that labelling programs have: edges x0, y0, x1, y1 around each."""

from __future__ import annotations

import math
from collections.abc import Sequence

Edges = tuple[float, float, float, float]
Point = tuple[float, float]


def around(points: Sequence[Point]) -> Edges:
    """Edges around points, at least one."""
    x, y = zip(*points, strict=True)
    return min(x), min(y), max(x), max(y)


def around_rectangle(corner: Point, size: Point, degrees: float, pivot: Point) -> Edges:
    """Edges around a rectangle that was turned.

    Args:
        corner: its left upper corner before it was turned.
        size: its width and height.
        degrees: clockwise, as one sees it.
        pivot: the point about which it was turned.
    """
    (x, y), (width, height) = corner, size
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return around(
        [
            (pivot[0] + cosine * (a - pivot[0]) - sine * (b - pivot[1]),
             pivot[1] + sine * (a - pivot[0]) + cosine * (b - pivot[1]))
            for a, b in corners
        ]
    )  # fmt: skip


def around_ellipse(middle: Point, radii: Point, degrees: float) -> Edges:
    """Edges around an ellipse, turned by so many degrees."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    wide = math.hypot(radii[0] * cosine, radii[1] * sine)
    high = math.hypot(radii[0] * sine, radii[1] * cosine)
    return middle[0] - wide, middle[1] - high, middle[0] + wide, middle[1] + high
