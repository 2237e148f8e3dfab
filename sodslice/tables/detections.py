"""`Detections`: the table that every stage hands on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DetectionsError
from sodslice.tables.boxes import Boxes

NO_TILE = -1
"""The tile id of a detection whose tile is not known."""


@dataclass(frozen=True, eq=False, repr=False)
class Detections:
    """Detected boxes as columns; frozen, always complete, read-only.

    Args:
        boxes: `(N, 4)` float64, pixel edges x0, y0, x1, y1 with x0 <= x1 and y0 <= y1; in tile pixels as a
            detector returns them, in scene pixels from the pipeline on.
        scores: `(N,)` float32, 0 to 1.
        labels: `(N,)` int32, rows of the model's class names.
        tile_ids: `(N,)` int32, the tile that saw the box; -1 where that is not known.

    Raises:
        DetectionsError: a column has a wrong shape, or a box or score is not finite or turned inside out.

    Filtering reads as numpy: ``found[found.scores > 0.5]``.
    """

    boxes: Boxes
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    tile_ids: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        boxes = _column(self.boxes, np.float64)
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise DetectionsError(
                f"boxes must have shape (N, 4), got {boxes.shape}; give one row x0,y0,x1,y1 a box"
            )
        object.__setattr__(self, "boxes", boxes)
        for name, dtype in (("scores", np.float32), ("labels", np.int32), ("tile_ids", np.int32)):
            column = _column(getattr(self, name), dtype)
            if column.shape != (len(boxes),):
                raise DetectionsError(
                    f"{name} must have shape ({len(boxes)},) like boxes, got {column.shape}"
                )
            object.__setattr__(self, name, column)
        if not (np.isfinite(boxes).all() and np.isfinite(self.scores).all()):
            raise DetectionsError(
                "boxes and scores must be finite, got NaN or infinity; drop those rows first"
            )
        if (boxes[:, 2:] < boxes[:, :2]).any():
            row = int(np.argmax((boxes[:, 2:] < boxes[:, :2]).any(axis=1)))
            raise DetectionsError(
                f"boxes must have x0 <= x1 and y0 <= y1, row {row} is {boxes[row].tolist()}"
            )

    @classmethod
    def empty(cls) -> Detections:
        """A table without rows."""
        return cls(np.empty((0, 4)), np.empty(0), np.empty(0), np.empty(0))  # type: ignore[arg-type]

    @classmethod
    def concatenate(cls, tables: Sequence[Detections]) -> Detections:
        """One table of all rows, in the order given."""
        if not tables:
            return cls.empty()
        return cls(
            np.concatenate([t.boxes for t in tables]),
            np.concatenate([t.scores for t in tables]),
            np.concatenate([t.labels for t in tables]),
            np.concatenate([t.tile_ids for t in tables]),
        )

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"<Detections: {len(self)} box{'' if len(self) == 1 else 'es'}>"

    def __getitem__(self, rows: Any) -> Detections:
        """The rows chosen by a slice, a mask `(N,)` or an index array, as a new table."""
        if isinstance(rows, (int, np.integer)):
            rows = [rows]
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows], self.tile_ids[rows])

    def __eq__(self, other: object) -> bool:
        """Equal to the last bit, row by row."""
        if not isinstance(other, Detections):
            return NotImplemented
        return (
            np.array_equal(self.boxes, other.boxes)
            and np.array_equal(self.scores, other.scores)
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.tile_ids, other.tile_ids)
        )

    __hash__ = None  # type: ignore[assignment]

    def on_tile(self, tile_id: int, x: float, y: float) -> Detections:
        """The same rows moved from tile pixels to scene pixels, for a tile whose corner lies at x, y."""
        return Detections(
            self.boxes + np.array([x, y, x, y], dtype=np.float64),
            self.scores,
            self.labels,
            np.full(len(self), tile_id, dtype=np.int32),
        )

    def canonical_order(self) -> npt.NDArray[np.intp]:
        """Row order `(N,)`: by score, best first; ties by (label, x0, y0, x1, y1), then tile id."""
        x0, y0, x1, y1 = self.boxes.T
        return np.lexsort((self.tile_ids, y1, x1, y0, x0, self.labels, -self.scores))


def _column(values: Any, dtype: type) -> Any:
    """A read-only, contiguous array of the dtype; one that is already so is shared, not copied."""
    try:
        array: npt.NDArray[Any] = np.asarray(values, dtype=dtype, order="C")
    except (TypeError, ValueError) as error:
        raise DetectionsError(f"a column must hold numbers, got {type(values).__name__}: {error}") from None
    if array.flags.writeable:
        array = array.copy() if array is values or array.base is not None else array
        array.flags.writeable = False
    return array
