"""`bench`: each engine at each precision, a run over a drawn scene, and what the cores could do."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.report.speed.agreement import Found, agreement_of
from sodslice.report.speed.candidates import candidates_of, precision_of
from sodslice.report.speed.child import measured
from sodslice.report.speed.records import Bench, Candidate, Effort, EndToEnd, Limit, Row
from sodslice.report.speed.town import draw_as_delivered
from sodslice.running import Events, RunPlan, make_plan
from sodslice.scene import SceneBase, open_scene, seen_at
from sodslice.settings import Options
from sodslice.system import chip
from sodslice.system.version import __version__
from sodslice.tables.fitting import padded

MOST_TILES = 8
"""Different tiles that batches are made of."""


def bench(
    options: Options | None = None, effort: Effort | None = None, events: Events | None = None
) -> Bench:
    """Measure a model on this machine.

    Args:
        options: `model`, `device`, `engine`, `precision`, `batch` and `threads` say what is measured; all of
            them hold for the run over the drawn scene.
        effort: how thoroughly; None for the usual.
        events: told how many measurements are done.

    Returns:
        All numbers, and where there are none the reasons.

    Raises:
        SodsliceError: there is no such model, or nothing here runs it as asked.
    """
    with TemporaryDirectory(prefix="sodslice-bench-", ignore_cleanup_errors=True) as folder:
        return _Benching(
            Path(folder), options or Options(), effort or Effort(), events or Events()
        ).measured()


class _Benching:
    """One benchmark.

    Args:
        folder: for scene, tiles and boxes.
        options: of the run.
        effort: how thoroughly it is measured.
        events: told how it goes.
    """

    def __init__(self, folder: Path, options: Options, effort: Effort, events: Events) -> None:
        self._folder = folder
        self._options = options
        self._effort = effort
        self._events = events
        self._done = self._total = 0

    def measured(self) -> Bench:
        """See `bench`."""
        scene = draw_as_delivered(self._folder / "town.tif", self._effort.side)
        with closing(open_scene(scene)) as opened:
            plan = make_plan(opened, options=self._options)
            tiles = _tiles_of(plan, opened)
        np.save(self._folder / "tiles.npy", tiles)
        candidates = candidates_of(self._options.inference, self._effort)
        chosen = self._chosen(plan)
        alone = [] if chosen in candidates else [chosen]
        self._total = len(candidates) + len(alone) + 3
        rows = [self._row(candidate, tiles) for candidate in (*candidates, *alone)]
        compared = _compared(rows, self._folder)
        bare = compared[(*candidates, *alone).index(chosen)]
        return Bench(
            plan.model.info.name,
            chip.describe(),
            _versions(candidates),
            (tiles.shape[2], tiles.shape[1]),
            tuple(compared[: len(candidates)]),
            self._end_to_end(scene, bare),
            self._limit(plan, tiles),
        )

    def _chosen(self, plan: RunPlan) -> Candidate:
        """What the run itself will take."""
        asked = self._options.inference
        word = plan.model.engine or "auto"
        return Candidate(asked.model, word, asked.precision, plan.model.batch, asked.device, asked.threads)

    def _row(self, candidate: Candidate, tiles: npt.NDArray[np.uint8]) -> Row:
        """One row, as it is before it is compared with others."""
        answer = self._said(
            "engine",
            {
                "candidate": asdict(candidate),
                "tiles": str(self._folder / "tiles.npy"),
                "boxes": str(self._folder / f"{self._done}.npz"),
                "repeats": self._effort.repeats,
                "seconds": self._effort.seconds,
            },
        )
        answer.pop("process_s", None)
        named = {"batch": candidate.batch, **answer}
        precision = precision_of(candidate.model, candidate.precision)
        return Row(candidate.model, candidate.engine, precision, mpx=_megapixels(tiles), **named)

    def _end_to_end(self, scene: Path, bare: Row) -> EndToEnd:
        """A run over the scene, beside the row of the same engine."""
        given = {
            "scene": str(scene),
            "options": self._options.as_dict(),
            "output": str(self._folder / "found.json"),
        }
        answer = self._said("run", given)
        mpx = self._effort.side**2 / 1e6
        return EndToEnd(bare.engine, bare.precision, mpx=mpx, bare_ms=bare.ms, **answer)

    def _limit(self, plan: RunPlan, tiles: npt.NDArray[np.uint8]) -> Limit:
        """What a tile asks of the cores, and what they can do."""
        step, threads = plan.model.info.stride, self._options.inference.threads or chip.cores()
        sides = [padded(side, step) for side in tiles.shape[1:3]]
        model = self._options.inference.model
        counted = self._said("count", {"model": model, "tile": max(sides), "sides": sides})
        given = {"side": self._effort.product_side, "seconds": min(5.0, self._effort.seconds)}
        product = self._said("product", given, threads=threads)
        reason = "; ".join(answer["reason"] for answer in (counted, product) if "reason" in answer)
        return Limit(threads, counted.get("gflop_per_tile"), product.get("product_gflop_per_s"), reason)

    def _said(self, name: str, given: dict[str, Any], threads: int | None = None) -> dict[str, Any]:
        """The answer of a process of its own, and the watcher is told."""
        answer = measured(name, given, threads=threads)
        self._done += 1
        self._events.progress(self._done, self._total)
        return answer


def _tiles_of(plan: RunPlan, scene: SceneBase) -> npt.NDArray[np.uint8]:
    """A few tiles of a plan `(N, H, W, 3)`, spread over the scene, as the model gets them."""
    seen, ids = seen_at(scene, plan.seen_px), plan.ids
    width, height = plan.grid.tile_size if plan.model.info.input_size is None else plan.grid.full_size
    few = ids[np.linspace(0, len(ids) - 1, min(MOST_TILES, len(ids))).astype(int)]
    tiles = np.zeros((len(few), height, width, 3), np.uint8)
    for row, tile in enumerate(plan.grid.tiles(few)):
        pixels, _ = seen.read(tile.x, tile.y, tile.width, tile.height)
        tiles[row, : tile.height, : tile.width] = pixels
    return tiles


def _megapixels(tiles: npt.NDArray[np.uint8]) -> float:
    height, width = tiles.shape[1:3]
    return float(height * width / 1e6)


def _compared(rows: Iterable[Row], folder: Path) -> list[Row]:
    """Rows with how far their boxes lie from those of the first one in fp32 that ran."""
    rows = list(rows)
    first = next((n for n, row in enumerate(rows) if not row.reason and row.precision == "fp32"), None)
    return [
        row if first in (None, number) or row.reason else replace(row, **_gaps(folder, first, number))
        for number, row in enumerate(rows)
    ]


def _gaps(folder: Path, first: int | None, number: int) -> dict[str, Any]:
    one, other = (_found(folder / f"{row}.npz") for row in (first, number))
    gap = agreement_of(one, other)
    return gap._asdict()


def _found(path: Path) -> Found:
    with np.load(path) as table:
        return Found(table["boxes"], table["scores"], table["groups"])


def _versions(candidates: Iterable[Candidate]) -> dict[str, str]:
    """Of sodslice, Python and the engines that are measured."""
    return {
        "sodslice": __version__,
        "python": platform.python_version(),
        **dict(_engine_versions(candidates)),
    }


def _engine_versions(candidates: Iterable[Candidate]) -> Iterator[tuple[str, str]]:
    from sodslice.inference.engines import ENGINES

    for name in dict.fromkeys(candidate.engine.partition(":")[0] for candidate in candidates):
        version = ENGINES[name].version() if name in ENGINES else None
        if version:
            yield name, version
