"""What fitted tiles cost and what they find: how the overlap of `tile=auto` was chosen.

    python benchmarks/tile_fit.py [--seeds 10] [--phases 4] [--costs]

The first table needs nothing. The second needs the fixed examiner and the mosaic with its truth, as
`merge_quality.py` does. `cost` is pixels through the model over pixels of the scene. `one look` keeps of each
object only what the tile that sees it deepest reports: what a grid is worth when the luck of being looked at
twice is taken away.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
from merge_quality import SHARED, RealScene, Scene, as_rule, examiner, header, row

from sodslice.tables.fitting import fitted_tile, padded
from sodslice.tables.limits import size_words
from sodslice.tables.tiles import Grid

STRIDE = 32
OVERLAPS = (64, 96, 128)
SIZES = (
    (6144, 6144), (10_000, 10_000), (3000, 4000), (3072, 3072), (5472, 3648), (20_000, 20_000),
    (30_011, 17_003), (2049, 2049), (1500, 1300), (700, 5000), (300, 200),
)  # fmt: skip


def fixed(width: int, height: int) -> Grid:
    """Tiles of 1024 with an overlap of a fifth, the default before."""
    return Grid(width, height, 1024, 0.2)


def fitted(overlap: int) -> Callable[[int, int], Grid]:
    """Tiles that are fitted to a scene, with an overlap in pixels."""

    def grid(width: int, height: int) -> Grid:
        side, high = fitted_tile(width, height, overlap=overlap, step=STRIDE)
        return Grid(width, height, side, overlap, tile_height=None if side == high else high)

    return grid


def whole(width: int, height: int) -> Grid:
    """One tile."""
    return Grid(width, height, max(width, height), 0)


RULES: dict[str, Callable[[int, int], Grid]] = {
    "1024, 0.2": fixed,
    **{f"fitted, {overlap} px": fitted(overlap) for overlap in OVERLAPS},
}


def cost(grid: Grid) -> float:
    """Pixels through the model for each of the scene."""
    width, height = (padded(side, STRIDE) for side in grid.tile_size)
    return len(grid) * width * height / (grid.width * grid.height)


def show_costs() -> None:
    """What every rule costs on scenes of many sizes, with the tiles that it takes."""
    header("scene", *RULES)
    for size in SIZES:
        grids = [rule(*size) for rule in RULES.values()]
        row(
            f"{size[0]} x {size[1]}",
            *(f"{size_words(grid.full_size)}: {cost(grid):.3f}" for grid in grids),
        )


def examined(sim: ModuleType, layout: Scene, grid: Grid, seeds: int, **settings: bool) -> list[float]:
    """AP of `seam` and of one look, means over the seeds, where the examiner's detector sees our grid."""
    truth, labels, width, height = layout
    tiles = grid.boxes(np.arange(len(grid))).astype(int).tolist()
    scores = []
    with mock.patch.object(sim, "get_slice_bboxes", return_value=tiles):
        for seed in range(seeds):
            found = sim.detect(truth, labels, width, height, tile=0, overlap=0, seed=seed, **settings)
            rules = as_rule("seam"), sim.ownership
            scores.append([sim.score(*rule(*found), truth, labels)["AP"] for rule in rules])
    return np.mean(scores, axis=0).tolist()


def show_quality(seeds: int, phases: int, cache: Path) -> None:
    """What the examiner and the mosaic say to every rule."""
    sim = examiner()
    layout = sim.load_layout()
    real = RealScene("vehicle-t", cache)
    header(
        "rule", "examiner: tile", "cost", "AP", "AP, one look", "AP, misses by object",
        "mosaic: tile", "cost", "AP", "AP50", "found", "precision", f"AP50, mean of {phases} grids",
    )  # fmt: skip
    for name, rule in RULES.items():
        grid = rule(*layout[2:])
        seam, owner = examined(sim, layout, grid, seeds)
        together, _ = examined(sim, layout, grid, seeds, correlated=True)
        row(name, size_words(grid.full_size), cost(grid), seam, owner, together, *judged(real, rule, phases))
    seam, owner = examined(sim, layout, whole(*layout[2:]), seeds)
    together, _ = examined(sim, layout, whole(*layout[2:]), seeds, correlated=True)
    row("one pass", "all", 1.0, seam, owner, together, *[""] * 7)


def judged(real: RealScene, rule: Callable[[int, int], Grid], phases: int) -> list[float | str]:
    """Tile, cost and what is found on the mosaic, and the mean of AP50 where the grid is shifted."""
    grid = rule(real.scene.width, real.scene.height)
    if grid.tile_height is not None:
        raise SystemExit("the mosaic is square, so its tiles must be")
    grids = [real.seen(grid.tile, grid.overlap, phase) for phase in range(phases)]
    each = [real.merged(*seen, "seam") for seen in grids]
    first = [each[0][key] for key in ("AP", "AP50", "found", "precision")]
    mean = float(np.mean([one["AP50"] for one in each]))
    return [size_words(grid.full_size), cost(grid), *first, mean]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10, help="of the examiner")
    parser.add_argument("--phases", type=int, default=4, help="positions of the grid on the mosaic")
    parser.add_argument("--costs", action="store_true", help="only the first table")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "sodslice-merge-quality")
    given = parser.parse_args(arguments)
    show_costs()
    if given.costs:
        return
    print()
    if not (SHARED / "merge_sim" / "sim.py").is_file():
        print(f"no examiner in {SHARED}, so no second table; set SODSLICE_SHARED")
        return
    show_quality(given.seeds, given.phases, given.cache)


if __name__ == "__main__":
    main()
