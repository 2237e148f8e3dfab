"""A contact sheet of mistakes: the biggest misses and the surest false alarms, cut from the raster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.metrics import Case, Evaluation, match
from sodslice.report.figures import new_figure, save_figure
from sodslice.report.sheet import SURROUNDINGS, window_around
from sodslice.scene import Scene
from sodslice.tables import boxes as box_math
from sodslice.tables.detections import Detections

COLUMNS = 6
SMALLEST_CROP = 48
"""Least side of a crop in pixels."""

MOST_LETTERS = 28
"""Letters of an image's name that fit over a crop."""

OpenImage = Callable[[Case], Scene]
"""Opens the image of a case."""


@dataclass(frozen=True, eq=False)
class Mistake:
    """A missed object or a false alarm.

    Fields: `kind`, "missed" or "false alarm"; `case`, its row in the evaluation; `box` `(4,)` edges in scene
    pixels; `words` for its caption; `weight`, the more the worse.
    """

    kind: str
    case: int
    box: npt.NDArray[np.float64]
    words: str
    weight: float


def worst_misses(evaluation: Evaluation, threshold: float, count: int) -> list[Mistake]:
    """Objects that no detection of at least the threshold hits; the biggest first, as they are plainest."""
    mistakes = []
    for row, case in enumerate(evaluation.cases):
        found = _kept(case, threshold)
        matching = match(case.truth, found, iou=evaluation.metrics.iou)
        for i in np.flatnonzero(matching.counted & ~matching.hit):
            box = case.truth.boxes[i]
            width, height = box[2:] - box[:2]
            name = evaluation.class_names[case.truth.labels[i]]
            words = f"{name} {width:.0f} x {height:.0f} px"
            mistakes.append(Mistake("missed", row, box, words, float(case.truth.areas[i])))
    return _worst(mistakes, count)


def false_alarms(evaluation: Evaluation, threshold: float, count: int) -> list[Mistake]:
    """Detections of at least the threshold that hit nothing; the surest first."""
    mistakes = []
    for row, case in enumerate(evaluation.cases):
        found = _kept(case, threshold)
        matching = match(case.truth, found, iou=evaluation.metrics.iou)
        for i in np.flatnonzero(matching.wrong):
            score = float(found.scores[i])
            name = evaluation.class_names[found.labels[i]]
            mistakes.append(Mistake("false alarm", row, found.boxes[i], f"{name} {score:.2f}", score))
    return _worst(mistakes, count)


def draw_contact_sheet(
    evaluation: Evaluation, open_image: OpenImage, path: str | Path, *, threshold: float, count: int = 18
) -> Path:
    """Write a PNG of the worst misses and the surest false alarms at a score threshold.

    Args:
        evaluation: a comparison in pixels.
        open_image: opens the image of a case; it is closed here.
        path: the PNG.
        threshold: detections below it are taken as not there.
        count: how many of each kind to show.

    Raises:
        OutputError: matplotlib is not installed, or the file cannot be written.
        SceneError: an image cannot be read.
    """
    mistakes = [*worst_misses(evaluation, threshold, count), *false_alarms(evaluation, threshold, count)]
    lines = sum(-(-n // COLUMNS) for n in Counter(mistake.kind for mistake in mistakes).values())
    figure = new_figure(2.0 * COLUMNS, 2.3 * max(1, lines) + 0.5)
    grid = figure.subplots(max(1, lines), COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    places = _places(mistakes)
    for row in sorted({mistake.case for mistake in mistakes}):
        case = evaluation.cases[row]
        scene = open_image(case)
        try:
            for mistake, place in zip(mistakes, places, strict=True):
                if mistake.case == row:
                    _draw(grid[place], scene, case, mistake, threshold)
        finally:
            scene.close()
    point = evaluation.metrics.curve.at(threshold)
    metrics = evaluation.metrics
    figure.suptitle(
        f"score {threshold:.2f}, IoU {metrics.iou:g}: {point.missed} of {metrics.objects} objects missed, "
        f"{point.wrong} false alarms. Green: truth, red: detections, thick: what it is about."
    )
    return save_figure(figure, path)


def _places(mistakes: Sequence[Mistake]) -> list[tuple[int, int]]:
    """Line and column of each; each kind begins a new line."""
    places: list[tuple[int, int]] = []
    line, column = -1, COLUMNS
    for before, mistake in zip([None, *mistakes], mistakes, strict=False):
        if column == COLUMNS or before is None or before.kind != mistake.kind:
            line, column = line + 1, 0
        places.append((line, column))
        column += 1
    return places


def _kept(case: Case, threshold: float) -> Detections:
    return case.found[case.found.scores >= np.float32(threshold)]


def _worst(mistakes: list[Mistake], count: int) -> list[Mistake]:
    return sorted(mistakes, key=lambda mistake: -mistake.weight)[:count]


def _draw(axes: Any, scene: Scene, case: Case, mistake: Mistake, threshold: float) -> None:
    """One crop with its boxes and its caption."""
    side = int(np.ceil(max(SURROUNDINGS * (mistake.box[2:] - mistake.box[:2]).max(), SMALLEST_CROP)))
    x, y, width, height = window_around(mistake.box.tolist(), side, scene.width, scene.height)
    pixels, _ = scene.read(x, y, width, height)
    axes.imshow(pixels, extent=(x, x + width, y + height, y), interpolation="nearest")
    found = _kept(case, threshold).boxes
    for boxes, color in ((case.truth.boxes, "lime"), (found, "red")):
        near = boxes[
            box_math.intersection(boxes, np.tile([x, y, x + width, y + height], (len(boxes), 1))) > 0
        ]
        for box in near:
            _outline(axes, box, color, 2.4 if np.array_equal(box, mistake.box) else 1.0)
    others = found if mistake.kind == "missed" else case.truth.boxes
    closest = box_math.iou(others, np.tile(mistake.box, (len(others), 1))).max(initial=0.0)
    axes.set(xlim=(x, x + width), ylim=(y + height, y))
    image = PurePath(case.image).stem
    axes.set_title(
        f"{mistake.kind}: {mistake.words}\nclosest IoU {closest:.2f}\n{image[-MOST_LETTERS:]}", fontsize=7
    )


def _outline(axes: Any, box: npt.NDArray[np.float64], color: str, width: float) -> None:
    x0, y0, x1, y1 = box
    axes.plot([x0, x1, x1, x0, x0], [y0, y0, y1, y1, y0], color=color, linewidth=width)
