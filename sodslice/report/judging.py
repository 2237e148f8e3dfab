"""A model on the images of a truth: runs that were not written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sodslice.detector import SCORE_FLOOR, Detector
from sodslice.errors import DataError
from sodslice.metrics import Layer
from sodslice.options import ALL_CLASSES, Options
from sodslice.pipeline import run
from sodslice.result import RunResult

MOST_SHOWN = 3
"""How many missing images a message names."""

ImageProgress = Callable[[int, int], None]
"""Called with the number of images that are done and of all images."""


def find_images(truths: Sequence[Layer], folder: str | Path) -> list[Path]:
    """The image of each truth, by its file name in a folder.

    Raises:
        DataError: images are missing; the first are named.
    """
    paths = [Path(folder) / truth.image for truth in truths]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - MOST_SHOWN} more" if len(missing) > MOST_SHOWN else ""
        raise DataError(
            f"{len(missing)} of {len(paths)} images of {truths[0].source} are not in {folder}: "
            f"{', '.join(missing[:MOST_SHOWN])}{more}; name their folder with --data"
        )
    return paths


def judge(
    detector: Detector, paths: Sequence[Path], options: Options, *, progress: ImageProgress | None = None
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
    settings = replace(options, threshold=((ALL_CLASSES, SCORE_FLOOR),))
    results = []
    for done, path in enumerate(paths, start=1):
        results.append(run(path, model=detector, options=settings))
        if progress is not None:
            progress(done, len(paths))
    return results


def run_notes(results: Sequence[RunResult]) -> list[str]:
    """What the reader of many runs should know, each thing once."""
    often = Counter(note for result in results for note in result.scene["notes"])
    notes = [f"{note} ({count} images)" if len(results) > 1 else note for note, count in often.items()]
    counts = sum((Counter(result.run["counts"]) for result in results), Counter())
    if counts["saturated"]:
        notes.append(
            f"{counts['saturated']} of {counts['read']} tiles held the most boxes that the model gives; "
            "the lowest scores are missing there"
        )
    if counts["failed"]:
        notes.append(
            f"{counts['failed']} of {counts['tiles']} tiles could not be read; what is there counts as missed"
        )
    return notes
