"""A model on the images of a truth: runs that were not written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

from sodslice.errors import DataError
from sodslice.inference import SCORE_FLOOR, ReadyDetector
from sodslice.metrics import Layer, size_fault
from sodslice.results import ALL_CLASSES, RunResult
from sodslice.running import Events, run
from sodslice.scene import Rendering, as_scene
from sodslice.settings import Options
from sodslice.system.named_files import NamedFiles

MOST_SHOWN = 3
"""How many missing images a message names."""

MOST_NOTES = 12
"""How many different notes on images are shown; photos state scales of their own, each another."""

ImageProgress = Callable[[int, int], None]
"""Called with the number of images that are done and of all images."""


def find_images(truths: Sequence[Layer], folder: str | Path) -> list[Path]:
    """The image of each truth, by its file name in a folder; see `NamedFiles` for what names are understood.

    Raises:
        DataError: images are missing; the first are named.
    """
    files = NamedFiles(Path(folder))
    found = [files.find(truth.image) for truth in truths]
    missing = [truth.image for truth, path in zip(truths, found, strict=True) if path is None]
    if missing:
        more = f" and {len(missing) - MOST_SHOWN} more" if len(missing) > MOST_SHOWN else ""
        raise DataError(
            f"{len(missing)} of {len(found)} images of {truths[0].source} are not in {folder}: "
            f"{', '.join(missing[:MOST_SHOWN])}{more}; name their folder with `data`"
        )
    return [path for path in found if path is not None]


def check_sizes(truths: Sequence[Layer], paths: Sequence[Path], rendering: Rendering) -> None:
    """Compare the sizes that truths state with those of their images, before anything is run.

    Raises:
        DataError: some differ; the first are named.
        SceneError: an image cannot be opened.
    """
    wrong = []
    for truth, path in zip(truths, paths, strict=True):
        with closing(as_scene(path, rendering)) as scene:
            wrong.append(size_fault(str(path), (scene.width, scene.height), truth.size))
    faults = [fault for fault in wrong if fault is not None]
    if faults:
        more = f"; and {len(faults) - MOST_SHOWN} more" if len(faults) > MOST_SHOWN else ""
        raise DataError("; ".join(faults[:MOST_SHOWN]) + more)


class _Silent(Events):
    """Notes on each image are given once for all, by `run_notes`."""

    def note(self, text: str) -> None:
        """Nothing."""


def judge(
    detector: ReadyDetector, paths: Sequence[Path], options: Options, *, progress: ImageProgress | None = None
) -> list[RunResult]:
    """What a model finds in images, each tiled and merged as `run` does, down to the score floor.

    Args:
        detector: the model.
        paths: the images.
        options: settings of the run; its thresholds are set aside, since AP needs the low scores.
        progress: told how many images are done.

    Returns:
        One result an image, in order.

    Raises:
        SodsliceError: an image cannot be read.
    """
    keeping = replace(options.keeping, threshold=((ALL_CLASSES, SCORE_FLOOR),))
    settings = replace(options, keeping=keeping)
    results = []
    for done, path in enumerate(paths, start=1):
        results.append(run(path, model=detector, options=settings, events=_Silent()))
        if progress is not None:
            progress(done, len(paths))
    return results


def run_notes(results: Sequence[RunResult]) -> list[str]:
    """What the reader of many runs should know, each thing once."""
    often = Counter(note for result in results for note in result.scene.notes)
    notes = [f"{note} ({count} images)" if len(results) > 1 else note for note, count in often.items()]
    if len(notes) > MOST_NOTES:
        notes[MOST_NOTES:] = [
            f"and {len(notes) - MOST_NOTES} more notes, each on other images; `run` shows them"
        ]
    counts = sum((Counter(asdict(result.provenance.counts)) for result in results), Counter())
    if counts["cut_short"]:
        notes.append(
            f"{counts['cut_short']} of {counts['read']} tiles were cut short: the model gave its most boxes, "
            "so what it is less sure of is missing there"
        )
    if counts["failed"]:
        notes.append(
            f"{counts['failed']} of {counts['tiles']} tiles could not be read; what is there counts as missed"
        )
    return notes
