"""The log of a training: one JSON line for each fact, and a picture of its curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from sodslice.errors import DeviceError
from sodslice.system.files import appearing, write_atomically

LOG = "log.jsonl"
CURVES = "curves.png"


class TrainingLog:
    """Lines in `log.jsonl`; each has a `step` and either losses or validation numbers.

    Args:
        folder: of the training.
        keep_until: lines of later steps are dropped, since a resumed training writes them again.
    """

    def __init__(self, folder: Path, *, keep_until: int) -> None:
        self._path = folder / LOG
        self._lines = [line for line in read_log(folder) if line["step"] <= keep_until] if keep_until else []
        self._drawn = -1
        write_atomically(self._path, b"".join(orjson.dumps(line) + b"\n" for line in self._lines))

    def add(self, line: Mapping[str, Any]) -> None:
        """Append one line."""
        self._lines.append(dict(line))
        with self._path.open("ab") as file:
            file.write(orjson.dumps(line) + b"\n")

    def validated(self, step: int) -> bool:
        """Whether the log holds what was measured after that step."""
        return any(line["step"] == step and "ap" in line for line in self._lines)

    def plot(self) -> None:
        """Plot the curves so far as a PNG, unless the last plot shows them already.

        Raises:
            DeviceError: matplotlib is not installed.
            OutputError: the picture cannot be written.
        """
        if self._drawn != len(self._lines):
            plot_training(self._lines, self._path.with_name(CURVES))
            self._drawn = len(self._lines)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All whole lines of a training's log; a line cut short by a crash is left out."""
    path = folder / LOG
    if not path.is_file():
        return []
    rows = path.read_bytes().split(b"\n")[:-1]
    return [orjson.loads(row) for row in rows if row.endswith(b"}")]


def plot_training(lines: list[dict[str, Any]], path: Path) -> None:
    """Losses, learning rate and validation AP over the steps, one below the other.

    Raises:
        DeviceError: matplotlib is not installed.
        OutputError: the picture cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise DeviceError(
            "curves need matplotlib, which is not installed; pip install 'sodslice[train]'"
        ) from None
    figure = Figure(figsize=(8, 9), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panels = figure.subplots(3, 1, sharex=True)
    for panel, names in zip(
        panels, (("loss", "class", "iou", "distance"), ("rate",), ("ap", "ap50")), strict=True
    ):
        for name in names:
            points = [(line["step"], line[name]) for line in lines if name in line]
            if points:
                panel.plot(
                    *zip(*points, strict=True), label=name, linewidth=1, marker="." if "ap" in name else None
                )
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.legend()
    panels[0].set_ylabel("loss")
    panels[1].set_ylabel("learning rate")
    panels[2].set_ylabel("validation AP")
    panels[2].set_xlabel("step")
    with appearing(path) as temporary:
        canvas.print_figure(str(temporary), format="png")
