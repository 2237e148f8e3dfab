"""How good merging is: a simulated tile detector on known layouts, and a real model on a real scene.

    python benchmarks/merge_quality.py examiner --seeds 10 [--correlated] [--background 2]
    python benchmarks/merge_quality.py layouts
    python benchmarks/merge_quality.py scene --tiles 320 640 1024
    python benchmarks/merge_quality.py overlap
    python benchmarks/merge_quality.py steps
    python benchmarks/merge_quality.py cuts

Without a word it is `examiner`. `examiner` and `layouts` need the fixed examiner (`merge_sim/sim.py`), the
others also the mosaic with its truth; both are looked for in the folder `shared` beside the checkout (or
SODSLICE_SHARED).

The yardstick of `scene` is the same model on the whole image at once, without the cap on boxes an image that
its graph has. A duplicate is a false alarm half of which lies on an object that another box found (or half
of which that object fills); `2 tiles` counts those whose two boxes come from two tiles, so that merging could
have known.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np

from sodslice import load_model, merge, open_scene, plan_tiles
from sodslice.inference import ReadyDetector
from sodslice.merging import METHODS, THRESHOLD_FIRST
from sodslice.merging.tile_table import TOLERANCE_PX, TOLERANCE_SHARE, TileTable
from sodslice.metrics import Truth, coco_metrics, match
from sodslice.models.store import MODELS
from sodslice.running.batches import Reading, read_batches
from sodslice.scene import SceneBase
from sodslice.tables.boxes import area, clip, ios, iou
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import Tile, overlap_px

SHARED = Path(os.environ.get("SODSLICE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PHASES = 8
OVERLAPS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
SAHI_FLOOR = 0.3
"""SAHI's own default of `confidence_threshold`, which it applies before it merges."""

Scene = tuple[np.ndarray, np.ndarray, int, int]
"""Boxes (G, 4), labels (G,), width and height of a layout."""


# -------------------------------------------------------------------------------------------- the examiner


def examiner() -> ModuleType:
    """The fixed examiner as a module."""
    path = SHARED / "merge_sim" / "sim.py"
    spec = importlib.util.spec_from_file_location("merge_examiner", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"the examiner {path} is not here; set SODSLICE_SHARED")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_rule(method: str) -> Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """One of our methods in the examiner's form."""

    def rule(boxes, scores, labels, ids, corners):
        sides = corners[:, 2:] - corners[:, :2]
        tiles = np.concatenate([np.arange(len(corners))[:, None], corners[:, :2], sides], axis=1)
        merged = merge(Detections(boxes, scores, labels, ids), tiles, method=method)
        return merged.boxes, merged.scores.astype(np.float64), merged.labels

    return rule


def examine(sim: ModuleType, layout: Scene, seeds: int, **settings: float) -> dict[str, dict[str, float]]:
    """Means over the seeds of what the examiner measures, for each method and for centre ownership."""
    rules = {"centre ownership": sim.ownership, **{name: as_rule(name) for name in METHODS}}
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in rules}
    truth, labels, width, height = layout
    for seed in range(seeds):
        found = sim.detect(truth, labels, width, height, seed=seed, **settings)
        for name, rule in rules.items():
            rows[name].append(sim.score(*rule(*found), truth, labels))
    return {
        name: {key: float(np.mean([r[key] for r in scores])) for key in scores[0]}
        for name, scores in rows.items()
    }


def strewn(kind: str, seed: int = 0, side: int = 6000) -> Scene:
    """A drawn layout: `parking` rows of cars a few pixels apart, `long` things, `large` things."""
    rng = np.random.default_rng(seed)
    boxes: list[tuple[float, float, float, float]] = []
    if kind == "parking":
        for _ in range(40):
            width, height = (20, 45) if rng.random() < 0.5 else (45, 20)
            x, y, gap = *rng.uniform(0, side - 900, 2), rng.uniform(1, 5)
            rows, columns = rng.integers(1, 5), rng.integers(5, 25)
            cells = [
                (x + c * (width + gap), y + r * (height + gap)) for r in range(rows) for c in range(columns)
            ]
            boxes += [
                (cx, cy, cx + width, cy + height)
                for cx, cy in np.array(cells) + rng.normal(0, 1, (len(cells), 2))
            ]
    else:
        least, most, thin = (100, 1500, (15, 60)) if kind == "long" else (60, 700, (60, 700))
        for _ in range(150):
            length, breadth = (
                np.exp(rng.uniform(np.log(least), np.log(most))),
                np.exp(rng.uniform(*np.log(thin))),
            )
            width, height = (length, breadth) if rng.random() < 0.5 else (breadth, length)
            x, y = rng.uniform(0, side - 100, 2)
            boxes.append((x, y, min(x + width, side), min(y + height, side)))
    kept: list[tuple[float, float, float, float]] = []
    for one in boxes:
        others = np.array(kept).reshape(-1, 4)
        if (ios(np.tile(one, (len(others), 1)), others) <= 0.3).all():
            kept.append(one)
    return np.array(kept), np.ones(len(kept), int), side, side


# ------------------------------------------------------------------------------------------ the real scene


class RealScene:
    """The mosaic, its truth, and a model on it; what the model saw is kept in a folder between runs."""

    def __init__(self, model: str, cache: Path) -> None:
        mosaic = SHARED / "data" / "scenes" / "madison_mosaic.tif"
        if not mosaic.is_file():
            raise SystemExit(f"the mosaic {mosaic} is not here; set SODSLICE_SHARED")
        self.scene = open_scene(mosaic)
        truth = json.loads((SHARED / "data" / "scenes" / "madison_mosaic.truth.coco.json").read_text())
        boxes = np.array([a["bbox"] for a in truth["annotations"]], float)
        boxes[:, 2:] += boxes[:, :2]
        self.truth = Truth.of(boxes, np.zeros(len(boxes), int))
        self.model, self.cache = model, cache
        self.detector = load_model(model)
        cache.mkdir(parents=True, exist_ok=True)

    def seen(self, tile: int, overlap: float, phase: int) -> tuple[Detections, list]:
        """What all tiles of a grid reported; the phases shift the grid by eighths of its stride."""
        stride = tile - overlap_px(tile, overlap)
        origin = (stride * phase // PHASES, stride * (3 * phase % PHASES) // PHASES)
        tiles = plan_tiles(self.scene.width, self.scene.height, tile=tile, overlap=overlap, origin=origin)
        kept = self.cache / f"{self.detector.info.sha256[:12]}-{tile}-{overlap}-{phase}.npz"
        if not kept.exists():
            found = reported(self.scene, tiles, self.detector, (tile, tile))
            np.savez(kept, boxes=found.boxes, scores=found.scores, labels=found.labels, ids=found.tile_ids)
        with np.load(kept) as columns:
            return Detections(columns["boxes"], columns["scores"], columns["labels"], columns["ids"]), tiles

    def one_pass(self) -> Detections:
        """What the model sees in the whole image at once, without its cap on boxes an image."""
        kept = self.cache / f"{self.detector.info.sha256[:12]}-one-pass.npz"
        if not kept.exists():
            with tempfile.TemporaryDirectory() as folder:
                uncapped = load_model(
                    str(without_cap(MODELS[self.model].folder or Path(self.model), Path(folder) / "m"))
                )
                whole = plan_tiles(
                    self.scene.width, self.scene.height, tile=max(self.scene.width, self.scene.height)
                )
                shape = (self.scene.height, self.scene.width)
                found = reported(self.scene, whole, uncapped, shape)
            np.savez(kept, boxes=found.boxes, scores=found.scores, labels=found.labels, ids=found.tile_ids)
        with np.load(kept) as columns:
            return Detections(columns["boxes"], columns["scores"], columns["labels"], columns["ids"])

    def merged(self, found: Detections, tiles: list, method: str) -> dict[str, float]:
        """The judgement on what a method makes of a grid; SAHI's methods see no score below their floor."""
        if method in THRESHOLD_FIRST:
            found = found[found.scores >= SAHI_FLOOR]
        return self.judge(merge(found, tiles, method=method))

    def judge(self, found: Detections) -> dict[str, float]:
        """COCO's numbers, and what holds at the model's own threshold."""
        metrics = coco_metrics([self.truth], [found], list(self.detector.info.class_names), size_bands={})
        shown = found[found.scores >= self.detector.info.threshold]
        matched = match(self.truth, shown)
        finder = {int(t): row for row, t in enumerate(matched.truth) if t >= 0}
        duplicates = between = 0
        for row in np.flatnonzero(matched.wrong):
            on = ios(np.tile(shown.boxes[row], (len(self.truth), 1)), self.truth.boxes) >= 0.5
            finders = [finder[t] for t in np.flatnonzero(on & matched.hit)]
            duplicates += bool(finders)
            between += any(shown.tile_ids[f] != shown.tile_ids[row] for f in finders)
        hundred = 100 / len(self.truth)
        return {
            "AP": metrics.ap * 100,
            "AP50": metrics.ap50 * 100,
            "AP75": metrics.ap75 * 100,
            "found": len(shown),
            "precision": matched.right.sum() / max(1, len(shown)) * 100,
            "false": int(matched.wrong.sum()),
            "dupl./100": duplicates * hundred,
            "2 tiles": between * hundred,
        }


def reported(
    scene: SceneBase, tiles: Sequence[Tile], detector: ReadyDetector, shape: tuple[int, int]
) -> Detections:
    """What a detector finds in each tile, in scene pixels, unmerged; tiles are shown at a shape (H, W)."""
    found = []
    for batch in read_batches(scene, tiles, Reading(1, shape)):
        tables = detector.detect(batch.pixels) if batch.tiles else []
        for tile, table in zip(batch.tiles, tables, strict=True):
            inside = replace(table, boxes=clip(table.boxes, tile.width, tile.height))
            found.append(inside[area(inside.boxes) > 0].on_tile(tile.id, tile.x, tile.y))
    return Detections.concatenate(found)


def without_cap(folder: Path, copy: Path) -> Path:
    """A copy of an exported model that reports up to 100 000 boxes an image."""
    shutil.copytree(folder, copy)
    graph = copy / "inference.json"
    text = graph.read_text()
    for name in ("keep_top_k", "nms_top_k"):
        head, _, tail = text.partition(f'"N":"{name}"')
        start = head.rindex('"D":') + 4
        text = head[:start] + "100000" + head[start:].lstrip("0123456789") + f'"N":"{name}"' + tail
    graph.unlink()
    graph.write_text(text)
    return copy


# -------------------------------------------------------------------------------------------------- tables


def header(*names: str) -> None:
    """The first two lines of a table."""
    print("| " + " | ".join(names) + " |\n|" + "-|" * len(names))


def row(*cells: object) -> None:
    """One more line of it."""
    print("| " + " | ".join(f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells) + " |", flush=True)


def show_examiner(given: argparse.Namespace) -> None:
    """Every method on the fixed layout."""
    sim = examiner()
    header("method", "AP", "AP50", "AP75", "recall at 0.3", "false at 0.3", "boxes")
    settings = {"tile": given.tile, "overlap": given.overlap, "background": given.background}
    for name, m in examine(
        sim, sim.load_layout(), given.seeds, correlated=given.correlated, **settings
    ).items():
        row(name, *m.values())


def show_layouts(given: argparse.Namespace) -> None:
    """AP and false alarms of the main methods, layout by layout, grid by grid."""
    sim = examiner()
    names = ("seam", "centre ownership", "nms", "sahi-greedy-nmm")
    header("layout", "tile", "overlap", *names, *(f"false, {name}" for name in names))
    for kind in ("streets", "parking", "long", "large"):
        layout = sim.load_layout() if kind == "streets" else strewn(kind)
        for tile, overlap in ((640, 0.2), (640, 0.05), (640, 0.0), (320, 0.2), (1024, 0.2)):
            m = examine(sim, layout, given.seeds, tile=tile, overlap=overlap)
            row(kind, tile, overlap, *(m[n]["AP"] for n in names), *(m[n]["FP@.3"] for n in names))


def show_scene(given: argparse.Namespace) -> None:
    """Every method over the phases of the grid, at several tile sizes, beside one pass."""
    real = RealScene(given.model, given.cache)
    yardstick = real.judge(real.one_pass())
    header("tile", "method", *yardstick, "worst AP50", "found", "worst precision", "worst dupl.")
    row("all", "one pass", *yardstick.values(), *[""] * 4)
    for tile in given.tiles:
        grids = [real.seen(tile, given.overlap, phase) for phase in range(PHASES)]
        for method in given.methods:
            judged = [real.merged(found, tiles, method) for found, tiles in grids]
            means = [float(np.mean([j[key] for j in judged])) for key in yardstick]
            counts = [j["found"] for j in judged]
            worst = (
                min(j["AP50"] for j in judged),
                f"{min(counts)}-{max(counts)}",
                min(j["precision"] for j in judged),
            )
            row(tile, method, *means, *worst, max(j["dupl./100"] for j in judged))


def show_overlap(given: argparse.Namespace) -> None:
    """AP against overlap, and how many tiles it costs on a large scene."""
    sim = examiner()
    layout = sim.load_layout()
    real = RealScene(given.model, given.cache) if given.phases else None
    names = ("seam", "sahi-greedy-nmm")
    extra = [f"{name}, scene AP50" for name in names] if real else []
    header("overlap", "tiles", *(f"{name}, examiner AP" for name in names), *extra)
    for overlap in OVERLAPS:
        m = examine(sim, layout, given.seeds, tile=640, overlap=overlap)
        cells = [m[name]["AP"] for name in names]
        if real:
            grids = [real.seen(640, overlap, phase) for phase in range(given.phases)]
            cells += [float(np.mean([real.merged(*grid, name)["AP50"] for grid in grids])) for name in names]
        row(overlap, f"{1 / (1 - overlap) ** 2:.2f}", *cells)


def without(step: str) -> AbstractContextManager[object]:
    """The seam rule without one of its steps, while the context is open."""
    module = importlib.import_module("sodslice.merging.seam")
    changed = {
        "nothing": ("COVERED", module.COVERED),
        "fragments lose to whole boxes": ("_covered", lambda found, *_: np.zeros(len(found), bool)),
        "stitching": ("stitch", lambda *_: (Detections.empty(), np.empty(0, np.intp))),
        "depth decides near ties": ("_standing", lambda found, *_: np.ones(len(found))),
        "means of sides": ("_averaged", lambda found, *_: found.boxes),
        "the deepest tile decides": ("DISSENT", 1.0),
    }
    return mock.patch.object(module, *changed[step])


STEPS = (
    "nothing",
    "fragments lose to whole boxes",
    "stitching",
    "depth decides near ties",
    "means of sides",
    "the deepest tile decides",
)


def show_steps(given: argparse.Namespace) -> None:
    """What each step of the seam rule gains: the rule without it, on the examiner and on the real scene."""
    sim = examiner()
    layout = sim.load_layout()
    real = RealScene(given.model, given.cache)
    keys = ("AP", "AP50", "found", "precision", "dupl./100")
    scenes = [f"tile {tile}: {key}" for tile in given.tiles for key in keys]
    header("without", "examiner AP", "false at 0.3", "large AP", *scenes)
    for step in STEPS:
        with without(step):
            cells = [
                examine(sim, which, given.seeds, tile=640, overlap=0.2)["seam"]
                for which in (layout, strewn("large"))
            ]
            judged = []
            for tile in given.tiles:
                grids = [real.seen(tile, 0.2, phase) for phase in range(PHASES)]
                each = [real.merged(*grid, "seam") for grid in grids]
                judged += [float(np.mean([j[key] for j in each])) for key in keys]
            row(step, cells[0]["AP"], cells[0]["FP@.3"], cells[1]["AP"], *judged)


def show_cuts(given: argparse.Namespace) -> None:
    """Where boxes end that a tile edge cuts: how far from it the tolerance of a fragment must reach."""
    real = RealScene(given.model, given.cache)
    gaps = np.concatenate(
        [
            gaps_at_cuts(real.truth.boxes, *real.seen(tile, 0.2, phase))
            for tile in given.tiles
            for phase in range(PHASES)
        ]
    )
    header("percentile", "pixels from the edge", "share of the box's side")
    for level in (50, 90, 95, 98, 99, 100):
        row(level, *(float(x) for x in np.percentile(gaps, level, axis=0)))
    within = (gaps[:, 0] <= TOLERANCE_PX) | (gaps[:, 1] <= TOLERANCE_SHARE)
    print(f"{len(gaps)} cut objects; {within.mean():.1%} within {TOLERANCE_PX:g} px or {TOLERANCE_SHARE:.0%}")


def gaps_at_cuts(truth: np.ndarray, found: Detections, tiles: list) -> np.ndarray:
    """Distance `(K, 2)` between the edge that cuts an object and the end of its box: pixels, share of side.

    An object counts where a tile shows 4 pixels and a fifth of it, and a box of score 0.3 fits that part.
    """
    gaps = []
    table = TileTable.of(tiles)
    for number, edges, inner in zip(table.ids, table.edges, table.inner, strict=True):
        seen = found[(found.tile_ids == number) & (found.scores >= 0.3)].boxes
        parts = np.clip(truth, edges[[0, 1, 0, 1]], edges[[2, 3, 2, 3]])
        sides = parts[:, 2:] - parts[:, :2]
        shown = (sides.min(axis=1) >= 4) & (area(parts) >= 0.2 * area(truth))
        for side in range(4):
            beyond = (truth[:, side] < edges[side]) if side < 2 else (truth[:, side] > edges[side])
            for part in parts[shown & beyond & inner[side]]:
                fit = iou(np.tile(part, (len(seen), 1)), seen)
                if fit.max(initial=0) >= 0.5:
                    box = seen[fit.argmax()]
                    gap = abs(box[side] - edges[side])
                    gaps.append((gap, gap / (box[side % 2 + 2] - box[side % 2])))
    return np.array(gaps).reshape(-1, 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_subparsers(required=True)
    fixed = what.add_parser("examiner", help="every method on the fixed layout")
    fixed.add_argument("--tile", type=int, default=640)
    fixed.add_argument("--overlap", type=float, default=0.2)
    fixed.add_argument(
        "--correlated", action="store_true", help="misses belong to the object, not to the tile"
    )
    fixed.add_argument("--background", type=float, default=0.0, help="false alarms a tile")
    layouts = what.add_parser("layouts", help="other layouts and grids")
    scene = what.add_parser("scene", help="a real model on a real scene")
    scene.add_argument("--tiles", type=int, nargs="+", default=[320, 640, 1024])
    scene.add_argument("--overlap", type=float, default=0.2)
    scene.add_argument("--methods", nargs="+", default=["seam", "nms", "sahi-nms", "sahi-greedy-nmm"])
    overlap = what.add_parser("overlap", help="quality and cost against overlap")
    overlap.add_argument(
        "--phases", type=int, default=4, help="grids on the real scene; 0: only the examiner"
    )
    steps = what.add_parser("steps", help="the seam rule without each of its steps")
    steps.add_argument("--tiles", type=int, nargs="+", default=[320, 640])
    cuts = what.add_parser("cuts", help="where boxes end that a tile edge cuts")
    cuts.add_argument("--tiles", type=int, nargs="+", default=[320, 640, 1024])
    for each, seeds in ((fixed, 10), (layouts, 3), (overlap, 10), (steps, 5)):
        each.add_argument("--seeds", type=int, default=seeds)
    for each in (scene, overlap, steps, cuts):
        each.add_argument("--model", default="vehicle-t", help="a name of the store, or a folder")
        each.add_argument(
            "--cache", type=Path, default=Path(tempfile.gettempdir()) / "sodslice-merge-quality"
        )
    shows = (
        (fixed, show_examiner),
        (layouts, show_layouts),
        (scene, show_scene),
        (overlap, show_overlap),
        (steps, show_steps),
        (cuts, show_cuts),
    )
    for each, show in shows:
        each.set_defaults(show=show)
    words = list(sys.argv[1:] if arguments is None else arguments)
    given = parser.parse_args(words or ["examiner"])
    given.show(given)


if __name__ == "__main__":
    main()
