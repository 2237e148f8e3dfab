"""COCO's documents: images, classes and boxes as columns, read with checks and written."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.tables.boxes import Boxes, Mask, Rows, area
from sodslice.tables.coco_boxes import box_column
from sodslice.tables.limits import MOST_PX
from sodslice.values import cells
from sodslice.values.columns import (
    FLAG,
    NAME,
    SCORE,
    TEXT,
    WHOLE,
    Cell,
    Columns,
    Place,
    wrong_table,
    wrong_tables,
)

Scores = npt.NDArray[np.float32]

BOX_DECIMALS = 3
USUAL_KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "ignore", "score"),
    "categories": ("id", "name"),
}
"""Of the rows of each table of a document."""

_SIDE = Cell(
    lambda value: 0 if cells.empty(value) else cells.whole(value, MOST_PX, least=1),
    "a whole number of pixels",
)
_AREA = Cell(cells.number, "a number")


class ImageRow(NamedTuple):
    """An image as a document lists it; sides in pixels, 0 where the document leaves them empty."""

    id: int
    file_name: str
    width: int
    height: int


class ClassRow(NamedTuple):
    """A class as a document lists it."""

    id: int
    name: str


@dataclass(frozen=True, eq=False)
class CocoTable:
    """What a document says, as columns; rows and columns are in the order of the document.

    Args:
        images: those it lists.
        classes: those it lists.
        ids: `(N,)` of the annotations; None where one has none.
        image_rows: `(N,)` rows of `images`.
        class_rows: `(N,)` rows of `classes`.
        boxes: `(N, 4)` float64, edges x0, y0, x1, y1 in pixels of their image.
        areas: `(N,)` float64 in square pixels.
        crowd: `(N,)` bool, `iscrowd`: a region of many objects.
        ignore: `(N,)` bool, `ignore` as some tools write it.
    """

    images: tuple[ImageRow, ...]
    classes: tuple[ClassRow, ...]
    ids: tuple[int | None, ...]
    image_rows: Rows
    class_rows: Rows
    boxes: Boxes
    areas: npt.NDArray[np.float64]
    crowd: Mask
    ignore: Mask

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def ignored(self) -> Mask:
        """`(N,)` bool: areas where finding something is neither right nor wrong, by either word."""
        return self.crowd | self.ignore

    def rows_by_image(self) -> list[Rows]:
        """Rows of the annotations on each image."""
        order = np.argsort(self.image_rows, kind="stable")
        ends = np.searchsorted(self.image_rows[order], np.arange(len(self.images) + 1))
        return [order[start:end] for start, end in itertools.pairwise(ends)]


def parse_coco(document: Any, *, files: str = "*") -> tuple[CocoTable, list[str]]:
    """The columns of a parsed document, and everything that is wrong with it.

    An annotation without `bbox` gets the envelope of its `segmentation` polygons, one without `area` that
    of its box.

    Args:
        document: whatever the file held.
        files: only images whose file name fits this pattern, with what is on them.

    Returns:
        The table, and one sentence for each problem. With problems, the table is empty.
    """
    table, problems = parse_right_rows(document, files=files)
    return (_NOTHING if problems else table), problems


def parse_right_rows(document: Any, *, files: str = "*") -> tuple[CocoTable, list[str]]:
    """As `parse_coco`, but with problems the table has the rows that are right, to look for more of them."""
    problems = wrong_tables(document, USUAL_KEYS)
    if problems:
        return _NOTHING, problems
    images, classes = _images(document["images"]), _classes(document["categories"])
    away = {image.id for image in images.rows if not fnmatch(image.file_name, files)}
    read = _columns("annotations", document["annotations"], away)
    ids = read.optional("id", WHOLE, None)
    read.refuse_repeated(ids, "ids of annotations are used twice")
    chosen = [image for image in images.rows if image.id not in away]
    table = _objects(read, ids, images._replace(rows=chosen), classes)
    return table, [*images.problems, *classes.problems, *read.problems]


def parse_coco_results(document: Any, truth: CocoTable) -> tuple[CocoTable, Scores, list[str]]:
    """The columns of detections in COCO's results format, on the images and of the classes of a truth.

    Args:
        document: the parsed list of `image_id`, `category_id`, `bbox` (x, y, width, height) and `score`.
        truth: whose ids the list uses.

    Returns:
        The table, the scores `(N,)`, and one sentence for each problem. With problems, both are empty.
    """
    problems = wrong_table("the results", document)
    if problems:
        return _NOTHING, np.empty(0, dtype=np.float32), problems
    read = Columns("results", map(Place, range(len(document)), document), USUAL_KEYS["annotations"])
    ids, scores = read.optional("id", WHOLE, None), read.needed("score", SCORE)
    table = _objects(read, ids, *(_Listed.of(rows) for rows in (truth.images, truth.classes)))
    if read.problems:
        return _NOTHING, np.empty(0, dtype=np.float32), read.problems
    return table, np.array(scores, dtype=np.float32), []


def coco_class_names(document: Any) -> tuple[tuple[str, ...], list[str]]:
    """Names in the order of their ids, of a document that needs `categories` alone; and its problems."""
    problems = wrong_tables(document, ["categories"])
    classes = _Listed([], None, problems) if problems else _classes(document["categories"])
    return tuple(label.name for label in sorted(classes.rows)), classes.problems


def coco_document(
    images: Sequence[ImageRow],
    classes: Sequence[ClassRow],
    boxes: Boxes,
    *,
    image_rows: Rows | None = None,
    class_rows: Rows | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> dict[str, Any]:
    """A document, ready for JSON, that `parse_coco` reads back; ids of annotations count from 1.

    Args:
        images: to list.
        classes: to list.
        boxes: `(N, 4)` edges x0, y0, x1, y1 in pixels of their image; written to 1/1000 pixel.
        image_rows: `(N,)` rows of `images`; None: all are on the first.
        class_rows: `(N,)` rows of `classes`; None: all are of the first.
        columns: further keys of the annotations with their values `(N,)`, or other `area` and `iscrowd`.
    """
    edges = np.round(boxes, BOX_DECIMALS)
    sizes = np.round(edges[:, 2:] - edges[:, :2], BOX_DECIMALS)
    first = np.zeros(len(edges), dtype=np.intp)
    on, of = (first if rows is None else rows for rows in (image_rows, class_rows))
    annotations: list[dict[str, Any]] = [
        {
            "id": row + 1,
            "image_id": images[on[row]].id,
            "category_id": classes[of[row]].id,
            "bbox": box,
            "area": round(box[2] * box[3], BOX_DECIMALS),
            "iscrowd": 0,
        }
        for row, box in enumerate(np.concatenate([edges[:, :2], sizes], axis=1).tolist())
    ]
    for key, values in (columns or {}).items():
        for annotation, value in zip(annotations, values, strict=True):
            annotation[key] = value
    return {
        "images": [image._asdict() for image in images],
        "categories": [label._asdict() for label in classes],
        "annotations": annotations,
    }


class _Listed(NamedTuple):
    """The images or classes that a document lists.

    Fields: `rows`, those that are right; `ids` of all of them, None where some are wrong, so that nobody can
    tell what is not listed; `problems`.
    """

    rows: Sequence[Any]
    ids: Collection[int] | None
    problems: list[str]

    @classmethod
    def of(cls, rows: Sequence[Any]) -> _Listed:
        """All of whose rows are right."""
        return cls(rows, {row.id for row in rows}, [])

    @classmethod
    def read(cls, kind: Callable[..., Any], read: Columns, columns: Sequence[list[Any]]) -> _Listed:
        """From columns of which the first are the ids."""
        read.refuse_repeated(columns[0], f"ids of {read.table} are used twice")
        rows = [kind(*row) for row in zip(*columns, strict=True) if None not in row]
        ids = set(columns[0]) - {None}
        return cls(rows, ids if len(ids) == len(columns[0]) else None, read.problems)


def _images(rows: Sequence[Mapping[str, Any]]) -> _Listed:
    read = _columns("images", rows)
    ids, names = read.needed("id", WHOLE), read.needed("file_name", TEXT)
    return _Listed.read(
        ImageRow, read, [ids, names, *(read.needed(key, _SIDE) for key in ("width", "height"))]
    )


def _classes(rows: Sequence[Mapping[str, Any]]) -> _Listed:
    read = _columns("categories", rows)
    return _Listed.read(ClassRow, read, [read.needed("id", WHOLE), read.needed("name", NAME)])


def _columns(table: str, rows: Sequence[Any], away: Set[int] = frozenset()) -> Columns:
    """The rows of a table, but for those on images that are away."""
    places = map(Place, range(len(rows)), rows)
    kept = [place for place in places if not away or cells.whole(place.row.get("image_id")) not in away]
    return Columns(table, kept, USUAL_KEYS[table])


def _objects(read: Columns, ids: Sequence[int | None], images: _Listed, classes: _Listed) -> CocoTable:
    """The annotations that are right."""
    on, of = read.needed("image_id", WHOLE), read.needed("category_id", WHOLE)
    boxes, areas = box_column(read), read.optional("area", _AREA, math.nan)
    flags = [read.optional(key, FLAG, default=False) for key in ("iscrowd", "ignore")]
    if images.ids is not None:
        _refuse_unlisted(read, on, images.ids)
    if classes.ids is not None:
        _refuse_unknown(read, of, classes.ids)
    image_rows = {image.id: row for row, image in enumerate(images.rows)}
    class_rows = {label.id: row for row, label in enumerate(classes.rows)}
    links = [[rows.get(key) for key in keys] for rows, keys in ((image_rows, on), (class_rows, of))]
    columns: list[list[Any]] = [*links, boxes, areas, *flags]
    right = [row for row, values in enumerate(zip(*columns, strict=True)) if None not in values]
    on, of, boxes, areas, crowd, ignore = ([column[row] for row in right] for column in columns)
    edges, sizes = np.array(boxes, dtype=np.float64).reshape(-1, 4), np.array(areas, dtype=np.float64)
    return CocoTable(
        tuple(images.rows),
        tuple(classes.rows),
        tuple(ids[row] for row in right),
        np.array(on, dtype=np.intp),
        np.array(of, dtype=np.intp),
        edges,
        np.where(np.isnan(sizes), area(edges), sizes),
        np.array(crowd, dtype=np.bool_),
        np.array(ignore, dtype=np.bool_),
    )


def _refuse_unlisted(read: Columns, keys: Sequence[int | None], known: Collection[int]) -> None:
    for place, key in zip(read.places, keys, strict=True):
        if key is not None and key not in known:
            read.problems.append(f"{read.called(place)} belongs to image {key}, which is not listed")


def _refuse_unknown(read: Columns, keys: Sequence[int | None], known: Collection[int]) -> None:
    unknown = Counter(key for key in keys if key is not None and key not in known)
    for key, count in unknown.items():
        fault = f"unknown category_id {key} in {count} {read.table}"
        read.problems.append(f"{fault}; categories lists {sorted(known)}")


_ROWS, _FLAGS = np.empty(0, dtype=np.intp), np.empty(0, dtype=np.bool_)
_NOTHING = CocoTable((), (), (), _ROWS, _ROWS, np.empty((0, 4)), np.empty(0), _FLAGS, _FLAGS)
