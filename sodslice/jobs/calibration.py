"""`draw_tiles`: some tiles of one or many scenes, as a model would see them, drawn by lot."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sodslice.errors import SceneError
from sodslice.inference import ModelSpec
from sodslice.jobs.listing import list_scenes
from sodslice.running.plan import RunPlan
from sodslice.running.planning import plan_for
from sodslice.scene import SceneBase, as_scene, seen_at
from sodslice.settings import Options
from sodslice.tables.tiles import TileIds

log = logging.getLogger(__name__)

Tile = npt.NDArray[np.uint8]
"""`(H, W, 3)` RGB."""

SEED = 20
"""Equal scenes give equal tiles."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Tiles that were drawn.

    Fields: `tiles`, in no order that means anything; `scenes`, the names of those that they are from.
    """

    tiles: tuple[Tile, ...]
    scenes: tuple[str, ...]


def draw_tiles(source: str | Path, model: ModelSpec, options: Options, *, count: int) -> Drawn:
    """Tiles as runs with a model see them, side by side; from each scene about as many as from the others.

    Tiles without data are passed over, and of several scenes those that cannot be read. All tiles that are
    drawn are held in memory.

    Args:
        source: a scene, or a folder of scenes.
        model: that decides how large tiles are.
        options: of the runs; the overlap is set aside.
        count: as many as are wanted; there may be fewer.

    Raises:
        SceneError: there is no scene, the only one cannot be read, or no tile holds data.
        OptionError: the options do not fit the scenes or the model.
    """
    random = np.random.default_rng(SEED)
    paths = [scene.path for scene in list_scenes(source).scenes]
    piles = [_Pile(paths[place]) for place in random.permutation(len(paths))[:count].tolist()]
    lot = _Lot(model, options.replace({"overlap": 0}), random, forgiving=len(paths) > 1)
    left = piles
    while left and (missing := count - sum(len(pile.drawn) for pile in piles)) > 0:
        for pile in left[:missing]:
            lot.draw(pile, -(-missing // len(left)))
        left = [pile for pile in left if not pile.empty]
    tiles = [tile for pile in piles for tile in pile.drawn]
    if not tiles:
        raise SceneError(f"no tile of {source} holds data; name other scenes")
    order = random.permutation(len(tiles))[:count]
    used = tuple(sorted(pile.path.name for pile in piles if pile.drawn))
    return Drawn(tuple(tiles[place] for place in order.tolist()), used)


@dataclass(eq=False)
class _Pile:
    """The tiles of a scene that were not tried yet, shuffled; None before the scene was first opened."""

    path: Path
    drawn: list[Tile] = field(default_factory=list)
    ids: TileIds | None = None

    @property
    def empty(self) -> bool:
        """Whether no tile is left."""
        return self.ids is not None and not len(self.ids)


@dataclass(frozen=True)
class _Lot:
    """Draws tiles from piles."""

    model: ModelSpec
    options: Options
    random: np.random.Generator
    forgiving: bool

    def draw(self, pile: _Pile, count: int) -> None:
        """Draw some tiles with data, or all that are left.

        Raises:
            SceneError: the scene cannot be read, and there is no other.
        """
        try:
            with closing(as_scene(pile.path, self.options.rendering)) as scene:
                self._draw(pile, scene, count)
        except SceneError as error:
            if not self.forgiving:
                raise
            log.warning("%s is left out: %s", pile.path, error)
            pile.ids = np.empty(0, np.int64)

    def _draw(self, pile: _Pile, scene: SceneBase, count: int) -> None:
        plan = plan_for(scene, self.model, self.options)
        ids = self.random.permutation(plan.ids) if pile.ids is None else pile.ids
        wanted = len(pile.drawn) + count
        tried = 0
        with closing(_tiles(plan, scene, ids)) as tiles:
            for tile in tiles:
                tried += 1
                if tile is not None:
                    pile.drawn.append(tile)
                if len(pile.drawn) == wanted:
                    break
        pile.ids = ids[tried:]


def _tiles(plan: RunPlan, scene: SceneBase, ids: TileIds) -> Generator[Tile | None, None, None]:
    """Tiles as hands read them; None for each that holds no data."""
    fixed = plan.model.info.input_size is not None
    width, height = plan.grid.full_size if fixed else plan.grid.tile_size
    seen = seen_at(scene, plan.seen_px)
    for tile in plan.grid.tiles(ids):
        pixels, valid = seen.read(tile.x, tile.y, tile.width, tile.height)
        if not valid.any():
            yield None
            continue
        image = np.zeros((height, width, 3), np.uint8)
        image[: tile.height, : tile.width] = pixels
        yield image
