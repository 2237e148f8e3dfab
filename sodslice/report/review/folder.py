"""`write_review`: a folder with crops of doubtful detections and what labelling tools import."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from PIL import Image

from sodslice.errors import DataError, OptionError, OutputError
from sodslice.report.review.crops import Crop, crops_of, most_doubtful, windows_of
from sodslice.report.review.cvat import cvat_labels, cvat_xml
from sodslice.report.review.label_studio import labelling_config, task_of
from sodslice.results import RunResult
from sodslice.results.scenes import opened_scene
from sodslice.system.files import appearing_folder
from sodslice.system.version import __version__

CROPS = "crops"
TASKS, CONFIG = "label-studio.json", "label-studio.xml"
ANNOTATIONS, LABELS = "annotations.xml", "cvat-labels.json"
FACTS = "review.json"
SMALLEST = 64
"""Pixels of a side of a crop."""


class Review(NamedTuple):
    """What a review holds: `crops`, `doubtful` detections in them, and `left_out` of these by `most`."""

    crops: int
    doubtful: int
    left_out: int


@dataclass(frozen=True)
class Selection:
    """What is looked at.

    Args:
        between: lowest and highest score that is in doubt.
        side: of a crop in pixels of the scene.
        most: so many crops at most, the most doubtful; None for all.

    Raises:
        OptionError: the scores are no range, or a number is too small.
    """

    between: tuple[float, float] = (0.3, 0.6)
    side: int = 512
    most: int | None = None

    def __post_init__(self) -> None:
        low, high = self.between
        if not 0 <= low < high <= 1:
            raise OptionError(
                f"`between` must be two scores from 0 to 1, the lower first, got {low:g},{high:g}"
            )
        if self.side < SMALLEST:
            raise OptionError(f"`side` must be at least {SMALLEST} pixels, got {self.side}")
        if self.most is not None and self.most < 1:
            raise OptionError(f"`most` must be at least 1, got {self.most}")


def write_review(
    results: Sequence[RunResult],
    folder: str | Path,
    *,
    selection: Selection | None = None,
    scenes: Sequence[str | Path | None] = (),
    address: str | None = None,
) -> Review:
    """Write crops of doubtful detections, with files that Label Studio and CVAT import.

    The folder gets `crops/*.png`, `label-studio.json` and `.xml`, `annotations.xml` and `cvat-labels.json`
    and `review.json`, which says where each crop comes from. It appears whole or not at all.

    Args:
        results: of runs, all with the same classes.
        folder: that is not there yet, or empty.
        selection: what is looked at.
        scenes: where the scene of each result lies now, None for where the result says; () for all there.
        address: what stands before the name of a crop in the addresses of Label Studio; None for its local
            files: "/data/local-files/?d=" and the name of the folder.

    Raises:
        DataError: nothing is in doubt, or results differ in their classes.
        SceneError: a scene cannot be read, or is not the one of its result.
        OutputError: the folder holds something, or cannot be written.
    """
    wanted = selection or Selection()
    class_names = _class_names(results)
    found = [windows_of(result, wanted.between, wanted.side) for result in results]
    kept = most_doubtful(found, wanted.most)
    if not any(kept):
        raise DataError(
            f"no detection has a score from {wanted.between[0]:g} to {wanted.between[1]:g}; widen `between`, "
            "or run with a lower `threshold`"
        )
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError(f"{folder} is here already, perhaps with corrections; name another folder")
    places = list(scenes) or [None] * len(results)
    chosen = [
        (number, crop)
        for number, (result, windows) in enumerate(zip(results, kept, strict=True))
        for crop in crops_of(result, windows, wanted.between[0])
    ]
    named = list(zip(_file_names(results, chosen), chosen, strict=True))
    with appearing_folder(folder) as half:
        (half / CROPS).mkdir()
        for number, result in enumerate(results):
            cuts = [(name, crop) for name, (of, crop) in named if of == number]
            if cuts:
                _cut(result, places[number], half / CROPS, cuts)
        before = (
            f"{address.rstrip('/')}/"
            if address
            else f"/data/local-files/?d={quote(folder.resolve().name)}/{CROPS}/"
        )
        tasks = [
            task_of(
                crop, name, before=before, class_names=class_names, model=results[of].provenance.model.name
            )
            for name, (of, crop) in named
        ]
        _write_json(half / TASKS, tasks)
        (half / CONFIG).write_text(labelling_config(class_names), encoding="utf-8")
        xml = cvat_xml([(name, crop) for name, (_, crop) in named], class_names)
        (half / ANNOTATIONS).write_text(xml, encoding="utf-8")
        _write_json(half / LABELS, cvat_labels(class_names))
        _write_json(half / FACTS, _facts(results, named, wanted))
    doubtful = sum(crop.doubtful for _, crop in chosen)
    return Review(len(chosen), doubtful, sum(one.doubtful for some in found for one in some) - doubtful)


def _write_json(path: Path, content: Any) -> None:
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _class_names(results: Sequence[RunResult]) -> tuple[str, ...]:
    """The classes of all results."""
    if not results:
        raise DataError("there is no result to review")
    first = results[0]
    for result in results:
        if result.class_names != first.class_names:
            raise DataError(
                f"{first.scene.path} and {result.scene.path} were run by models of different classes; "
                "review them one by one"
            )
    return first.class_names


def _file_names(results: Sequence[RunResult], chosen: Sequence[tuple[int, Crop]]) -> list[str]:
    """A name for each crop: the scene's, and its corner; scenes that share a name are numbered."""
    stems: list[str] = []
    for result in results:
        stem = PurePath(result.scene.path).stem or "scene"
        numbered = (f"{stem}-{number}" for number in count(2))
        stems.append(next(one for one in chain([stem], numbered) if one not in stems))
    return [f"{stems[number]}_{crop.x}_{crop.y}.png" for number, crop in chosen]


def _cut(result: RunResult, path: str | Path | None, folder: Path, cuts: Sequence[tuple[str, Crop]]) -> None:
    """Write the pictures of a scene, read as the run read it.

    Raises:
        SceneError: see `write_review`.
    """
    with closing(opened_scene(result, path)) as scene:
        for name, crop in cuts:
            pixels, _ = scene.read(crop.x, crop.y, crop.width, crop.height)
            Image.fromarray(pixels).save(folder / name)


def _facts(
    results: Sequence[RunResult], named: Sequence[tuple[str, tuple[int, Crop]]], wanted: Selection
) -> dict[str, Any]:
    """Where the crops come from."""
    crops = [
        {
            "file": f"{CROPS}/{name}",
            "scene": results[number].scene.path,
            "window": [crop.x, crop.y, crop.width, crop.height],
            "doubtful": crop.doubtful,
            "objects": len(crop.found),
        }
        for name, (number, crop) in named
    ]
    return {"made_by": "sodslice", "version": __version__, "between": list(wanted.between), "crops": crops}
