"""A COCO detection set: read, and checked before anything is learned from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from sodslice.errors import DataError, did_you_mean
from sodslice.training.pictures import Objects

SHOWN_PROBLEMS = 20

_KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "annotations": ("id", "image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}
_KNOWN_KEYS = {
    "images": ("license", "flickr_url", "coco_url", "date_captured"),
    "annotations": ("area", "iscrowd", "ignore", "segmentation", "keypoints", "num_keypoints", "score"),
    "categories": ("supercategory", "keypoints", "skeleton"),
}


@dataclass(frozen=True, eq=False)
class CocoImage:
    """One image of a set.

    Attributes:
        id: its id in the json.
        path: the file.
        width: columns the json states.
        height: rows the json states.
        objects: in image pixels; COCO's crowds (`iscrowd`) and `ignore` are ignored areas.
    """

    id: int
    path: Path
    width: int
    height: int
    objects: Objects


def read_coco(
    annotations: Path, folder: Path, class_names: Sequence[str], *, files: str = "*"
) -> tuple[list[CocoImage], list[str]]:
    """Images of a COCO set in the order of the json, and everything that is wrong with it.

    Args:
        annotations: the json.
        folder: of the images.
        class_names: the names in the order of the wanted class ids; the set may lack some.
        files: only images whose file name fits this pattern.

    Returns:
        The images, and one sentence for each problem. With problems, the images are not to be used.
    """
    try:
        content = orjson.loads(annotations.read_bytes())
    except OSError as error:
        return [], [f"{annotations}: {error.strerror}; give the json of a COCO set"]
    except orjson.JSONDecodeError as error:
        return [], [f"{annotations} is not JSON: {error}"]
    problems = _wrong_structure(content)
    if not problems:
        problems = [*_repeated(content), *_wrong_categories(content, class_names)]
    if problems:
        return [], [f"{annotations.name}: {problem}" for problem in problems]
    images, problems = _images(content, folder, class_names, files)
    if not images and not problems:
        problems = [f"it has no image that fits {files!r}" if files != "*" else "it has no images"]
    return images, [f"{annotations.name}: {problem}" for problem in problems]


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


def _wrong_structure(content: Any) -> Iterable[str]:
    """What keeps the tables from being read at all."""
    if not isinstance(content, dict):
        kind = type(content).__name__
        return [f"the top level must be a mapping of images, annotations and categories, got a {kind}"]
    problems = []
    for table, keys in _KEYS.items():
        rows = content.get(table)
        if rows is None:
            hint = did_you_mean(table, [key for key in content if key not in _KEYS])
            problems.append(f"the table {table!r} is missing{hint}")
        elif not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            problems.append(f"{table!r} must be a list of mappings")
        else:
            problems.extend(_wrong_keys(table, rows, keys))
    return problems


def _wrong_keys(table: str, rows: Sequence[Mapping[str, Any]], keys: tuple[str, ...]) -> Iterable[str]:
    """Missing keys, with the misspelt one where there is one; each kind once, with a count."""
    missing = Counter(key for row in rows for key in keys if key not in row)
    present = {key for row in rows for key in row}
    for key, count in missing.items():
        hint = did_you_mean(key, present - set(keys) - set(_KNOWN_KEYS[table]))
        first = next(row.get("id") for row in rows if key not in row)
        yield f"{count} of {len(rows)} {table} lack {key!r}{hint}, first id {first}"
    for row in rows:
        for key in ("id", "image_id", "category_id"):
            if key in keys and key in row and (not isinstance(row[key], int) or isinstance(row[key], bool)):
                yield f"{key} in {table} must be a whole number, got {row[key]!r}"
                return


def _repeated(content: Mapping[str, Any]) -> Iterable[str]:
    for table in _KEYS:
        twice = [key for key, count in Counter(row["id"] for row in content[table]).items() if count > 1]
        if twice:
            yield f"{len(twice)} ids of {table} are used twice, first {twice[0]}"
    names = [
        name for name, count in Counter(row["file_name"] for row in content["images"]).items() if count > 1
    ]
    if names:
        yield f"{len(names)} file names are listed twice, first {names[0]}"


def _wrong_categories(content: Mapping[str, Any], class_names: Sequence[str]) -> Iterable[str]:
    known = {row["id"]: row["name"] for row in content["categories"]}
    for name in known.values():
        if name not in class_names:
            hint = did_you_mean(str(name), class_names)
            yield f"unknown category {name!r}{hint}; class_names has {', '.join(class_names)}"
    unknown = Counter(row["category_id"] for row in content["annotations"] if row["category_id"] not in known)
    for category, count in unknown.items():
        yield f"unknown category_id {category} in {count} annotations; categories lists {sorted(known)}"


def _images(
    content: Mapping[str, Any], folder: Path, class_names: Sequence[str], files: str
) -> tuple[list[CocoImage], list[str]]:
    problems: list[str] = []
    by_image: dict[int, list[Mapping[str, Any]]] = {row["id"]: [] for row in content["images"]}
    for row in content["annotations"]:
        if row["image_id"] in by_image:
            by_image[row["image_id"]].append(row)
        else:
            problems.append(f"annotation {row['id']} belongs to image {row['image_id']}, which is not listed")
    labels = {row["id"]: list(class_names).index(row["name"]) for row in content["categories"]}
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    images = []
    for row in content["images"]:
        name = str(row["file_name"])
        if not fnmatch(name, files):
            continue
        path = folder / name
        if name not in present and not path.is_file():
            problems.append(f"image file {path} is missing")
        rows = by_image[row["id"]]
        problems.extend(_wrong_boxes(rows, row))
        if not problems:
            images.append(
                CocoImage(row["id"], path, row["width"], row["height"], _objects(rows, labels, row))
            )
    return images, problems


def _wrong_boxes(rows: Sequence[Mapping[str, Any]], image: Mapping[str, Any]) -> Iterable[str]:
    """Boxes that are no boxes, are empty, or lie outside their image by more than a pixel."""
    for row in rows:
        box = row["bbox"]
        numbers = isinstance(box, list) and len(box) == 4 and all(isinstance(v, (int, float)) for v in box)
        if not numbers or not np.isfinite(box).all():
            yield f"annotation {row['id']} must have bbox [x, y, width, height], got {box!r}"
        elif box[2] <= 0 or box[3] <= 0:
            yield f"annotation {row['id']} has an empty bbox {box}"
        elif (
            min(box[:2]) < -1 or box[0] + box[2] > image["width"] + 1 or box[1] + box[3] > image["height"] + 1
        ):
            size = f"{image['width']} x {image['height']}"
            yield f"annotation {row['id']} has its bbox {box} outside {image['file_name']} ({size})"


def _objects(
    rows: Sequence[Mapping[str, Any]], labels: Mapping[int, int], image: Mapping[str, Any]
) -> Objects:
    if not rows:
        return Objects.none()
    boxes = np.array([row["bbox"] for row in rows], dtype=np.float64)
    boxes[:, 2:] += boxes[:, :2]
    limit = np.array([image["width"], image["height"]] * 2, dtype=np.float64)
    ignored = [bool(row.get("iscrowd", 0)) or bool(row.get("ignore", 0)) for row in rows]
    return Objects(
        np.clip(boxes, 0, limit),
        np.array([labels[row["category_id"]] for row in rows], dtype=np.int64),
        np.array(ignored, dtype=np.bool_),
    )
