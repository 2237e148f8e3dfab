"""COCO JSON of detections: what tools for labelling and pycocotools read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from sodslice.results.columns import slices
from sodslice.results.document import array_cells, json_objects, write_document
from sodslice.results.format import Format
from sodslice.results.result import BOX_DECIMALS, RunResult, rounded_boxes, rounded_scores
from sodslice.system.version import __version__

MAKER = "sodslice"
HEAD_BYTES = 512


def write_coco(result: RunResult, path: Path) -> None:
    """Write a COCO set of one image: boxes x, y, width, height in scene pixels, each with its `score`.

    Ids count from 1, those of categories too: `category_id` is `cls_id` + 1.
    """
    combine_coco([result], path)


def combine_coco(results: Iterable[RunResult], path: Path) -> None:
    """Write one COCO set of many results; file names are those below the folder that all images share.

    Classes of the same name are one category.
    """
    info = {"description": "objects that sodslice detected", "made_by": MAKER, "version": __version__}
    images: list[dict[str, Any]] = []
    categories: dict[str, int] = {}

    def annotations() -> Iterator[list[bytes]]:
        before = 0
        for number, result in enumerate(results, start=1):
            scene = result.scene
            images.append(
                {"id": number, "file_name": scene.path, "width": scene.width, "height": scene.height}
            )
            ids = [categories.setdefault(name, len(categories) + 1) for name in result.class_names]
            for part in slices(len(result)):
                yield _annotations(result.rows(part), number, np.array(ids, int), before + part.start + 1)
            before += len(result)

    def tail() -> Iterator[tuple[str, Any]]:
        names = _below_one_folder([image["file_name"] for image in images])
        yield "images", [{**image, "file_name": name} for image, name in zip(images, names, strict=True)]
        yield "categories", [{"id": number, "name": name} for name, number in categories.items()]

    with path.open("wb") as file:
        write_document(file, {"info": info}, "annotations", annotations(), tail())


def _below_one_folder(paths: list[str]) -> list[str]:
    """Paths below the folder that all share, with forward slashes."""
    if not paths:
        return []
    parts = [PurePath(path).parts for path in paths]
    folders = [each[:-1] for each in parts]
    shared = next(
        (at for at, names in enumerate(zip(*folders, strict=False)) if len(set(names)) > 1),
        min(map(len, folders)),
    )
    return ["/".join(each[shared:]) for each in parts]


def _annotations(some: RunResult, image: int, ids: Any, first_id: int) -> list[bytes]:
    boxes, count = rounded_boxes(some), len(some)
    sides = np.round(boxes[:, 2:] - boxes[:, :2], BOX_DECIMALS)
    return json_objects(
        {
            "id": np.arange(first_id, first_id + count),
            "image_id": np.full(count, image),
            "category_id": ids[some.detections.labels] if count else np.empty(0, int),
            "bbox": array_cells(np.concatenate([boxes[:, :2], sides], axis=1)),
            "area": np.round(sides.prod(axis=1), BOX_DECIMALS),
            "score": rounded_scores(some),
            "iscrowd": np.zeros(count, int),
        }
    )


def _is_own(path: Path) -> bool:
    """Whether a file says at its beginning that it is of our making."""
    with path.open("rb") as file:
        return f'"made_by":"{MAKER}"'.encode() in file.read(HEAD_BYTES)


FORMAT = Format(
    "coco",
    (".coco.json",),
    write=write_coco,
    is_own=_is_own,
    heeds=("pixel_coords",),
    combine=combine_coco,
)
