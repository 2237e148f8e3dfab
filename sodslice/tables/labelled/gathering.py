"""`Gathering`: what an export holds, image by image, on its way to a document of COCO."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from sodslice.errors import DataError
from sodslice.tables.labelled.shapes import Edges
from sodslice.values import cells

MOST_SHOWN = 3
"""How many faults of a file a message names."""


class Labels(NamedTuple):
    """A parsed file of labels.

    Fields: `document`, of COCO where it was an export of a labelling program, else whatever the file holds;
    `note` on what of an export does not count or was changed, "" where all is as it was.
    """

    document: Any
    note: str = ""


class Gathering:
    """Images and boxes as they are read.

    Args:
        source: the file, for messages.
        program: whose export it is.
    """

    def __init__(self, source: str, program: str) -> None:
        self.source = source
        self.program = program
        self.notes: Counter[str] = Counter()
        self._faults: list[str] = []
        self._images: list[dict[str, Any]] = []
        self._rows: list[dict[str, Any]] = []
        self._classes: dict[str, int] = {}

    def fault(self, words: str) -> None:
        """Note that something is wrong."""
        self._faults.append(words)

    def known_class(self, name: str) -> int:
        """The id of a class, which is listed where it comes for the first time."""
        return self._classes.setdefault(name, len(self._classes) + 1)

    def image(self, name: str, size: tuple[int, int]) -> None:
        """Begin an image; sides are 0 where the export does not say them."""
        sides = {"width": size[0] or None, "height": size[1] or None}
        row = {"id": len(self._images) + 1, "file_name": name, **sides}
        self._images.append(row)

    def box(self, label: str, edges: Edges, *, reduced: bool = False) -> None:
        """Put a box on the image that was begun last.

        Args:
            label: its class.
            edges: in pixels of the image.
            reduced: whether it is the box around another shape, which may reach over the edge.
        """
        image = self._images[-1]
        x0, y0, x1, y1 = edges
        if reduced:
            self.notes["turned boxes and other shapes taken as the boxes around them"] += 1
        if reduced and image["width"] and image["height"]:
            x0, x1 = (min(max(x, 0.0), float(image["width"])) for x in (x0, x1))
            y0, y1 = (min(max(y, 0.0), float(image["height"])) for y in (y0, y1))
        if not (x1 > x0 and y1 > y0):
            self.fault(f"{cells.bare(image['file_name'])} has an empty shape; remove it")
            return
        box = [x0, y0, x1 - x0, y1 - y0]
        row = {"id": len(self._rows) + 1, "image_id": image["id"], "category_id": self.known_class(label)}
        self._rows.append({**row, "bbox": box})

    def labels(self) -> Labels:
        """All of it.

        Raises:
            DataError: something was wrong, of which the first is named, or there is no image.
        """
        if self._faults:
            more = len(self._faults) - MOST_SHOWN
            faults = [*self._faults[:MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])]
            raise DataError(f"{self.source}, an export of {self.program}: " + "; ".join(faults))
        notes = "; ".join(f"{words}: {count}" for words, count in self.notes.items())
        if not self._images:
            raise DataError(
                f"{self.source}, an export of {self.program}, holds no annotated image"
                f"{f' ({notes})' if notes else ''}; submit what was looked at, and export it again"
            )
        classes = [{"id": number, "name": name} for name, number in self._classes.items()]
        document = {"images": self._images, "annotations": self._rows, "categories": classes}
        return Labels(document, f"{self.source}: {notes}" if notes else "")
