"""`LabelledSet`: images with boxes on their way into a COCO document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sodslice.errors import DataError

Corners = Sequence[tuple[float, float]]

DECIMALS = 3
MOST_PROBLEMS = 5


class LabelledSet:
    """Collects images, classes and boxes.

    Args:
        source: the file, for messages.
        class_names: those that it lists, whether any object is of them or not.
    """

    def __init__(self, source: str, class_names: Sequence[str] = ()) -> None:
        self._source = source
        self._classes: dict[str, int] = {}
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._problems: list[str] = []
        for name in class_names:
            self._class(name)

    def add_image(self, file_name: str, width: int, height: int) -> None:
        """The image that the next boxes are on; sides are 0 where they are not known."""
        sides = {"width": width or None, "height": height or None}
        self._images.append({"id": len(self._images) + 1, "file_name": file_name, **sides})

    def add_box(self, label: str, corners: Corners) -> None:
        """The envelope of points in pixels of the image that was added last, within it."""
        image = self._images[-1]
        points = np.array(corners, np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        if image["width"] and image["height"]:
            size = (image["width"], image["height"])
            low, high = np.clip(low, 0, size), np.clip(high, 0, size)
        if not (high > low).all():
            self.refuse(f"{image['file_name']} has a {label!r} without an extent inside it")
            return
        sides = np.round(high - low, DECIMALS).tolist()
        self._annotations.append(
            {
                "id": len(self._annotations) + 1,
                "image_id": image["id"],
                "category_id": self._class(label),
                "bbox": [*np.round(low, DECIMALS).tolist(), *sides],
                "area": round(sides[0] * sides[1], DECIMALS),
                "iscrowd": 0,
            }
        )

    def refuse(self, problem: str) -> None:
        """Something that cannot be read: half a sentence."""
        self._problems.append(problem)

    def document(self) -> dict[str, Any]:
        """The COCO document.

        Raises:
            DataError: something cannot be read; it says what.
        """
        if self._problems:
            shown, more = self._problems[:MOST_PROBLEMS], len(self._problems) - MOST_PROBLEMS
            rest = f"; and {more} more" if more > 0 else ""
            raise DataError(f"{self._source}: {'; '.join(shown)}{rest}")
        return {
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": number, "name": name} for name, number in self._classes.items()],
        }

    def _class(self, name: str) -> int:
        return self._classes.setdefault(name, len(self._classes) + 1)


def turned_box(box: tuple[float, float, float, float], degrees: float, pivot: tuple[float, float]) -> Corners:
    """Corners of a box x0, y0, x1, y1 that is turned clockwise (y goes down) about a point."""
    x0, y0, x1, y1 = box
    points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]) - pivot
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    moved = points @ np.array([[cosine, sine], [-sine, cosine]]) + pivot
    return [(x, y) for x, y in moved.tolist()]
