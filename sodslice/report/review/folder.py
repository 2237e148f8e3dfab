"""`write_review`: a folder with crops of doubtful detections and what labelling tools import."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson
from PIL import Image

from sodslice.errors import DataError, OutputError
from sodslice.report.review.crops import Crop, crops_of, most_doubtful, seen_size_of
from sodslice.report.review.cvat import cvat_labels, cvat_xml
from sodslice.report.review.label_studio import labelling_config, task_of
from sodslice.report.review.selection import Selection, kept_from
from sodslice.results import RunResult
from sodslice.results.scenes import opened_scene
from sodslice.scene import seen_at
from sodslice.system.files import appearing_folder
from sodslice.system.version import __version__
from sodslice.values import cells
from sodslice.values.markup import FORBIDDEN

CROPS = "crops"
TASKS, CONFIG = "label-studio.json", "label-studio.xml"
ANNOTATIONS, LABELS = "annotations.xml", "cvat-labels.json"
FACTS = "review.json"

STEM_BYTES = 120
"""Of the name of a scene in that of a crop; file systems take 255 with all that is around it."""

Progress = Callable[[int, int], None]
"""Called with the number of crops that are written and of all."""


class Found(NamedTuple):
    """A result to review, and where its scene lies now; None for where the result says."""

    result: RunResult
    scene: str | Path | None = None


class Review(NamedTuple):
    """What a review holds.

    Fields: `crops`; `doubtful` detections in them; `left_out`, how many of these `most` left out; `notes`,
    what the user should know, one sentence each.
    """

    crops: int
    doubtful: int
    left_out: int
    notes: tuple[str, ...] = ()


class _Cut(NamedTuple):
    """A crop of a result: the row of the result, its file name, and itself."""

    owner: int
    file: str
    crop: Crop


def write_review(
    results: Iterable[RunResult | Found],
    folder: str | Path,
    *,
    selection: Selection | None = None,
    address: str | None = None,
    allow_vrt: bool = False,
    progress: Progress | None = None,
) -> Review:
    """Write crops of doubtful detections, with files that Label Studio and CVAT import.

    The folder gets `crops/*.png`, `label-studio.json` and `.xml`, `annotations.xml` and `cvat-labels.json`
    and `review.json`, which says where each crop comes from. It appears whole or not at all.

    Args:
        results: of runs, all with the same classes, one at a time.
        folder: that is not there yet, or empty.
        selection: what is looked at.
        address: what stands before the name of a crop in the addresses of Label Studio; None for its local
            files: "/data/local-files/?d=" and the name of the folder.
        allow_vrt: whether scenes may point to images outside of their folders.
        progress: told of each crop.

    Raises:
        DataError: nothing is in doubt, or results differ in their classes.
        SceneError: a scene cannot be read, or is not the one of its result.
        OutputError: the folder holds something, or cannot be written.
    """
    folder, wanted = Path(folder), selection or Selection()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise OutputError(f"{folder} is here already, perhaps with corrections; name another folder")
    heads, found, notes = _looked_through(results, wanted)
    class_names = _class_names([head.result for head in heads])
    chosen = most_doubtful(found, wanted.most)
    if not chosen:
        low, high = wanted.between
        raise DataError(
            f"no detection has a score from {low:g} to {high:g}; widen `between`, or run with a lower "
            "`threshold`"
        )
    cuts = _named(heads, chosen)
    with appearing_folder(folder) as half:
        (half / CROPS).mkdir()
        _cut_all(heads, cuts, half / CROPS, allow_vrt=allow_vrt, progress=progress)
        _write_tasks(half, heads, cuts, class_names, _before(folder, address))
        xml = cvat_xml([(cut.file, cut.crop) for cut in cuts], class_names)
        (half / ANNOTATIONS).write_text(xml, encoding="utf-8")
        _write_json(half / LABELS, cvat_labels(class_names))
        _write_json(half / FACTS, _facts(heads, cuts, wanted))
    doubtful = sum(cut.crop.doubtful for cut in cuts)
    left_out = sum(crop.doubtful for some in found for crop in some) - doubtful
    return Review(len(cuts), doubtful, left_out, notes)


def _looked_through(
    results: Iterable[RunResult | Found], wanted: Selection
) -> tuple[list[Found], list[list[Crop]], tuple[str, ...]]:
    """All results without their rows, the crops of each, and notes; one result is held at a time."""
    heads, found, floors = [], [], []
    for one in results:
        result, scene = one if isinstance(one, Found) else Found(one)
        heads.append(Found(result.rows(slice(0, 0)), scene))
        found.append(crops_of(result, wanted.between, wanted.side))
        floors.append(kept_from(result, wanted.between[0]))
    known = [floor for floor in floors if floor is not None]
    low = f"{wanted.between[0]:g}"
    note = (
        f"{len(known)} of {len(floors)} results hold no score below {max(known):.2g}, and what lies between "
        f"{low} and that is in doubt, too; run with `threshold={low}` to see it"
        if known
        else ""
    )
    return heads, found, (note,) if note else ()


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
    for name in first.class_names:
        if FORBIDDEN.search(name):
            raise DataError(
                f"the class {cells.shown(name)} has a character that XML cannot hold, which both tools read; "
                "give it another name in the model"
            )
    return first.class_names


def _named(heads: Sequence[Found], chosen: Sequence[tuple[int, Crop]]) -> list[_Cut]:
    """Crops with names of files: rank (tools then show the most doubtful first), scene and corner."""
    digits = max(4, len(str(len(chosen))))
    return [
        _Cut(owner, f"{rank:0{digits}d}_{_stem(heads[owner].result)}_{crop.x}_{crop.y}.png", crop)
        for rank, (owner, crop) in enumerate(chosen, start=1)
    ]


def _stem(result: RunResult) -> str:
    """The name of a scene in that of a file, which any disk and any address can hold."""
    words = re.sub(r"[^\w.-]+", "-", PurePath(result.scene.path).stem).strip("-.") or "scene"
    return words.encode("utf-8", "ignore")[:STEM_BYTES].decode("utf-8", "ignore")


def _cut_all(
    heads: Sequence[Found],
    cuts: Sequence[_Cut],
    folder: Path,
    *,
    allow_vrt: bool,
    progress: Progress | None,
) -> None:
    """Write all pictures, scene by scene, each as the model saw it.

    Raises:
        SceneError: see `write_review`.
    """
    by_owner: dict[int, list[_Cut]] = {}
    for cut in cuts:
        by_owner.setdefault(cut.owner, []).append(cut)
    done = 0
    for owner, own in sorted(by_owner.items()):
        result, place = heads[owner]
        with closing(opened_scene(result, place, allow_vrt=allow_vrt)) as scene:
            seen = seen_at(scene, seen_size_of(result))
            for _, file, crop in own:
                pixels, _ = seen.read(crop.x, crop.y, crop.width, crop.height)
                Image.fromarray(pixels).save(folder / file)
                done += 1
                if progress is not None:
                    progress(done, len(cuts))


def _write_tasks(
    folder: Path, heads: Sequence[Found], cuts: Sequence[_Cut], class_names: Sequence[str], before: str
) -> None:
    """What Label Studio imports."""
    models = [_model_words(head.result) for head in heads]
    tasks = [
        task_of(cut.crop, cut.file, before=before, class_names=class_names, model=models[cut.owner])
        for cut in cuts
    ]
    _write_json(folder / TASKS, tasks)
    (folder / CONFIG).write_text(labelling_config(class_names), encoding="utf-8")


def _before(folder: Path, address: str | None) -> str:
    """What stands before the name of a crop in its address."""
    if address is None:
        return f"/data/local-files/?d={quote(folder.resolve().name)}/{CROPS}/"
    return address if address.endswith(("/", "=")) else f"{address}/"


def _model_words(result: RunResult) -> str:
    """What the model is called; two of one name are told apart by the beginning of their hashes."""
    model = result.provenance.model
    return f"{model.name} {model.sha256[:8]}".strip()


def _write_json(path: Path, content: Any) -> None:
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _facts(heads: Sequence[Found], cuts: Sequence[_Cut], wanted: Selection) -> Mapping[str, Any]:
    """Where the crops come from; windows are x, y, width, height in pixels of the size that was seen."""
    crops = [
        {
            "file": f"{CROPS}/{cut.file}",
            "scene": _printable(heads[cut.owner].result.scene.path),
            "seen_px": list(seen_size_of(heads[cut.owner].result)),
            "window": [cut.crop.x, cut.crop.y, cut.crop.width, cut.crop.height],
            "doubtful": cut.crop.doubtful,
            "objects": len(cut.crop.found),
        }
        for cut in cuts
    ]
    return {"made_by": "sodslice", "version": __version__, "between": list(wanted.between), "crops": crops}


def _printable(path: str) -> str:
    """A path as JSON can hold it: names of files may hold bytes that are no text."""
    return path.encode("utf-8", "backslashreplace").decode()
