"""A COCO detection set: read, and checked before anything is learned from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sodslice.errors import DataError, SodsliceError, did_you_mean
from sodslice.scene import NO_WISH, Rendering, ScaleWish
from sodslice.system.named_files import NamedFiles
from sodslice.tables.boxes import clip
from sodslice.tables.coco import CocoTable, ImageRow, parse_right_rows
from sodslice.tables.labelled import read_labels
from sodslice.training.images import image_size
from sodslice.training.pictures import Objects
from sodslice.values import cells

SHOWN_PROBLEMS = 20


@dataclass(frozen=True, eq=False)
class CocoImage:
    """One image of a set.

    Attributes:
        id: its id in the json.
        path: the file.
        width: columns the json states, or those of the file where it states none.
        height: rows, likewise.
        objects: in image pixels; COCO's crowds (`iscrowd`) and `ignore` are ignored areas.
        rendering: how the file is read.
        wish: at which scale it is seen.
    """

    id: int
    path: Path
    width: int
    height: int
    objects: Objects
    rendering: Rendering = field(default_factory=Rendering)
    wish: ScaleWish = NO_WISH


class ReadSet(NamedTuple):
    """What a look at the labels of a set gave.

    Fields: `images` in the order of the labels, with problems those of which the file is there, to look for
    more of them; `problems`, a sentence each; `note` on what does not count, "" where all does.
    """

    images: list[CocoImage]
    problems: list[str]
    note: str = ""


def read_coco(
    annotations: Path,
    folder: Path,
    class_names: Sequence[str],
    *,
    files: str = "*",
    rendering: Rendering | None = None,
) -> ReadSet:
    """Images of a set in the order of its labels, and everything that is wrong with it.

    Args:
        annotations: a json of COCO, or an export of Label Studio or CVAT.
        folder: of the images; see `NamedFiles` for what names are understood.
        class_names: the names in the order of the wanted class ids; the set may lack some.
        files: only images whose file name fits this pattern.
        rendering: how the images are read.
    """
    try:
        content, note = read_labels(annotations)
    except DataError as error:
        return ReadSet([], [str(error)])
    table, problems = parse_right_rows(content, files=files)
    if not problems and not table.images:
        problems = [f"it has no image that fits {files!r}" if files != "*" else "it has no images"]
    how, paths = rendering or Rendering(), _paths(table, folder)
    table, unread = _with_sizes(table, paths, how)
    problems += [
        *_unknown_classes(table, class_names),
        *_missing_files(table, paths, folder),
        *unread,
        *_boxes_outside(table),
    ]
    named = [f"{annotations.name}: {problem}" for problem in problems]
    return ReadSet(_images(table, paths, class_names, how), named, note)


def ignored_note(name: str, count: int, ignored: int) -> str:
    """What the user should know of a set's ignored areas; "" where it has none."""
    if not ignored:
        return ""
    return (
        f"{name}: {ignored} of {count} boxes are ignored areas (iscrowd or ignore); nothing is learned there"
    )


def raise_problems(problems: Sequence[str]) -> None:
    """One error for all problems of all sets.

    Raises:
        DataError: there is a problem.
    """
    if not problems:
        return
    listed = list(problems[:SHOWN_PROBLEMS])
    if len(problems) > SHOWN_PROBLEMS:
        listed.append(f"and {len(problems) - SHOWN_PROBLEMS} more")
    noun = "problem" if len(problems) == 1 else "problems"
    raise DataError(f"the data has {len(problems)} {noun}, nothing was started: " + "; ".join(listed))


def _unknown_classes(table: CocoTable, class_names: Sequence[str]) -> Iterable[str]:
    for label in table.classes:
        if label.name not in class_names:
            yield unknown_class(label.name, class_names)


def unknown_class(name: str, class_names: Sequence[str]) -> str:
    """What is wrong with a class that is not to be learned, and what to do."""
    hint = did_you_mean(name, class_names)
    known = f"unknown category {name!r}{hint}; class_names has {', '.join(class_names)}"
    way = (
        "name it there to learn it, with `new_head: true` where the weights to start from know other classes"
    )
    return known if hint else f"{known}; {way}"


def _paths(table: CocoTable, folder: Path) -> list[Path | None]:
    """The file of each image; None where it is missing."""
    files = NamedFiles(folder)
    return [files.find(image.file_name) for image in table.images]


def _missing_files(table: CocoTable, paths: Sequence[Path | None], folder: Path) -> Iterable[str]:
    listed = [
        image.file_name if path is None else path for image, path in zip(table.images, paths, strict=True)
    ]
    twice = [key for key, count in Counter(listed).items() if count > 1]
    if twice:
        first = table.images[listed.index(twice[0])].file_name
        yield f"{len(twice)} file names are listed twice, first {cells.bare(first)}"
    for image, path in zip(table.images, paths, strict=True):
        if path is None:
            yield f"image file {folder / cells.bare(image.file_name)} is missing"


def _with_sizes(
    table: CocoTable, paths: Sequence[Path | None], rendering: Rendering
) -> tuple[CocoTable, list[str]]:
    """The table with the sizes that only the files tell; and what is wrong with these files."""
    images, problems = list(table.images), []
    for row, (image, path) in enumerate(zip(table.images, paths, strict=True)):
        if (image.width and image.height) or path is None:
            continue
        try:
            width, height = image_size(path, rendering)
            images[row] = image._replace(width=width, height=height)
        except SodsliceError as error:
            problems.append(str(error))
    return replace(table, images=tuple(images)), problems


def _images(
    table: CocoTable, paths: Sequence[Path | None], class_names: Sequence[str], rendering: Rendering
) -> list[CocoImage]:
    """The images whose file is there and whose size is known; labels are -1 where the class is not known."""
    known = {name: label for label, name in enumerate(class_names)}
    labels = np.array([known.get(label.name, -1) for label in table.classes], dtype=np.int64)
    images = []
    for image, rows, path in zip(table.images, table.rows_by_image(), paths, strict=True):
        if path is not None and image.width and image.height:
            boxes = clip(table.boxes[rows], image.width, image.height)
            objects = Objects(boxes, labels[table.class_rows[rows]], table.ignored[rows])
            images.append(CocoImage(image.id, path, image.width, image.height, objects, rendering))
    return images


def _boxes_outside(table: CocoTable) -> Iterable[str]:
    """Boxes that lie outside their image, whose size is known, by more than a pixel."""
    for image, rows in zip(table.images, table.rows_by_image(), strict=True):
        if not (image.width and image.height):
            continue
        limit = np.array([image.width, image.height]) + 1
        boxes = table.boxes[rows]
        outside = (boxes[:, :2] < -1).any(axis=1) | (boxes[:, 2:] > limit).any(axis=1)
        yield from (_outside(table, row, image) for row in rows[outside])


def _outside(table: CocoTable, row: int, image: ImageRow) -> str:
    called = "an annotation" if table.ids[row] is None else f"annotation {table.ids[row]}"
    x0, y0, x1, y1 = table.boxes[row].tolist()
    box = ", ".join(f"{value:.10g}" for value in (x0, y0, x1 - x0, y1 - y0))
    name, size = cells.bare(image.file_name), f"{image.width} x {image.height}"
    return f"{called} has its bbox [{box}] outside {name} ({size})"
