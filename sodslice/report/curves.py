"""The curves of an evaluation as a picture."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.metrics import Curve, Evaluation
from sodslice.report.figures import new_figure, save_figure

MOST_CLASSES = 10
"""Classes that get a line of their own: those with most objects."""

F1_LINES = (0.5, 0.6, 0.7, 0.8, 0.9)


def plot_curves(evaluation: Evaluation, path: str | Path, *, title: str = "") -> Path:
    """Write a PNG: precision over recall; and precision, recall and F1 over the score threshold.

    Without objects there are only false alarms to draw, over the score threshold.

    Raises:
        OutputError: matplotlib is not installed, or the file cannot be written.
    """
    metrics = evaluation.metrics
    figure = new_figure(11.0, 5.0)
    if not metrics.objects:
        _false_alarms(figure.subplots(), evaluation)
        numbers = f"no objects on {metrics.images} images"
        figure.suptitle(f"{title}: {numbers}" if title else numbers)
        return save_figure(figure, path)
    left, right = figure.subplots(1, 2)
    _over_recall(left, evaluation)
    _over_threshold(right, metrics.curve)
    numbers = (
        f"AP {metrics.ap:.3f}, AP50 {metrics.ap50:.3f}, AP75 {metrics.ap75:.3f}, {metrics.objects} objects"
    )
    figure.suptitle(f"{title}: {numbers}" if title else numbers)
    return save_figure(figure, path)


def _over_recall(axes: Any, evaluation: Evaluation) -> None:
    """Precision over recall, one line for all classes as one, and one a class where there are several."""
    metrics = evaluation.metrics
    recall = np.linspace(0.01, 1, 200)
    for f1 in F1_LINES:
        precision = np.divide(f1 * recall, 2 * recall - f1, out=np.full(200, np.nan), where=2 * recall > f1)
        axes.plot(recall, np.where(precision <= 1, precision, np.nan), color="0.85", linewidth=0.8)
        axes.annotate(f"F1 {f1:g}", (1.0, f1 / (2 - f1)), color="0.6", fontsize=7, ha="right", va="bottom")
    if len(metrics.by_class) > 1:
        ranked = sorted(metrics.by_class.items(), key=lambda item: -item[1].objects)
        for name, one in ranked[:MOST_CLASSES]:
            axes.plot(*_line(one.curve), linewidth=1, label=f"{name} ({one.objects})")
    axes.plot(*_line(metrics.curve), color="black", linewidth=1.8, label=f"all ({metrics.objects})")
    best = metrics.best
    if not math.isnan(best.threshold):
        axes.plot(best.recall, best.precision, "o", color="tab:red")
        note = f"best F1 {best.f1:.3f} at {best.threshold:.2f}"
        axes.annotate(
            note, (best.recall, best.precision), xytext=(-6, -12), textcoords="offset points", ha="right"
        )
    axes.set(xlabel=f"recall (IoU {metrics.iou:g})", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    axes.legend(loc="lower left", fontsize=8)


def _over_threshold(axes: Any, curve: Curve) -> None:
    """Precision, recall and F1 over the score threshold."""
    scores = curve.scores
    for name, values in (("precision", curve.precision), ("recall", curve.recall), ("F1", curve.f1)):
        axes.step(scores, values, where="post" if len(scores) < 2 else "pre", label=name)
    best = curve.best()
    if not math.isnan(best.threshold):
        axes.axvline(best.threshold, color="tab:red", linewidth=0.8, linestyle="--")
    axes.set(xlabel="score threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1.01))
    axes.grid(color="0.9")
    axes.legend(loc="lower center", fontsize=8)


def _false_alarms(axes: Any, evaluation: Evaluation) -> None:
    """How many detections hit nothing, over the score threshold; a megapixel where the area is known."""
    curve, area = evaluation.metrics.curve, evaluation.megapixels
    axes.step(curve.scores, curve.wrong / (area or 1.0), where="pre")
    axes.set(
        xlabel="score threshold", ylabel="false alarms per megapixel" if area else "false alarms", xlim=(0, 1)
    )
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(bottom=0)
    axes.grid(color="0.9")


def _line(curve: Curve) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Recall and precision as a line that begins at recall 0."""
    if not len(curve.scores):
        return np.empty(0), np.empty(0)
    return np.append(0.0, curve.recall), np.append(curve.precision[0], curve.precision)
