"""The sweep: every tile of the plan goes once through the detector, and nothing that was seen is lost."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sodslice import boxes as box
from sodslice.batches import Batch, Reading, read_batches
from sodslice.detections import Detections
from sodslice.detector import Detector
from sodslice.errors import ModelError, SceneError
from sodslice.journal import Journal
from sodslice.scene import Scene
from sodslice.tiles import Tile

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of tiles that are done and of all tiles."""

LOOK_SECONDS = 5.0
NAMED_WINDOWS = 4


class FailedTile(NamedTuple):
    """A tile that could not be read, and why."""

    tile: Tile
    error: str


@dataclass(frozen=True)
class Swept:
    """What a sweep gave.

    Args:
        tables: detections in tile pixels by tile id; tiles without data and failed ones are missing.
        empty: tiles without any data.
        failed: tiles that could not be read.
        resumed: how many tiles came from the journal.
    """

    tables: Mapping[int, Detections]
    empty: frozenset[int]
    failed: tuple[FailedTile, ...]
    resumed: int

    def on_scene(self, tiles: Sequence[Tile]) -> Detections:
        """All boxes in scene pixels, unmerged, in plan order; empty ones are no objects."""
        moved = []
        for tile in tiles:
            found = self.tables.get(tile.id)
            if found is not None:
                moved.append(found[box.area(found.boxes) > 0].on_tile(tile.id, tile.x, tile.y))
        return Detections.concatenate(moved)


def scene_identity(scene: Scene) -> dict[str, Any]:
    """What tells one scene file from another: size in bytes, time of change; {} where there is no file.

    A scene that is made of more files than one, as they were when it was opened, has a hash of theirs too.
    """
    path = Path(scene.name)
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return {}
    identity = {"scene": path.name, "scene bytes": facts.st_size, "scene changed (ns)": facts.st_mtime_ns}
    companions = getattr(scene, "companions", ())
    return identity | {"scene sources": _condensed(companions, path)} if companions else identity


def _condensed(files: Sequence[Path], scene: Path) -> str:
    """One hash of the sizes and times of change of files; their names count from the scene's folder."""
    digest = sha256()
    folder = f"{scene.absolute().parent}{os.sep}"
    for file in files:
        try:
            facts = file.stat()
            state = f"{facts.st_size} {facts.st_mtime_ns}"
        except OSError:
            state = "gone"
        digest.update(os.fsencode(f"{str(file).removeprefix(folder)}\n{state}\n"))
    return digest.hexdigest()


def sweep(
    scene: Scene,
    tiles: Sequence[Tile],
    detector: Detector,
    how: Reading,
    *,
    journal: Journal | None = None,
    progress: Progress | None = None,
) -> Swept:
    """Show every tile to the detector, but for those that the journal already knows.

    Raises:
        SceneError: a tile cannot be read, or the scene was replaced meanwhile. The journal is intact.
        ModelError: the detector does not give one table a tile.
        OutputError: the journal cannot be written.
    """
    work = _Work(scene, tiles, detector, journal)
    todo = [tile for tile in tiles if tile.id not in work.tables and tile.id not in work.empty]
    if journal is not None:
        how = replace(how, starting=lambda tile: journal.reading(tile.id))
    for batch in read_batches(scene, todo, how):
        work.take(batch)
        if progress:
            progress(work.done, len(tiles))
    work.look(final=True)
    if work.failed:
        log.warning(
            "%d tiles cannot be read and are left out; the first: %s", len(work.failed), work.failed[0].error
        )
    return Swept(work.tables, frozenset(work.empty), tuple(work.failed), work.resumed)


class _Work:
    """A sweep under way."""

    def __init__(
        self, scene: Scene, tiles: Sequence[Tile], detector: Detector, journal: Journal | None
    ) -> None:
        self.tables: dict[int, Detections] = {}
        self.empty: set[int] = set()
        self.failed: list[FailedTile] = []
        self._scene = scene
        self._identity = scene_identity(scene)
        self._looked = time.monotonic()
        self._detector = detector
        self._journal = journal
        if journal is not None:
            self.tables |= journal.contents.tables
            self.empty |= journal.contents.empty
            _say_what_was_under_way(journal, tiles)
        self.resumed = len(self.tables) + len(self.empty)

    @property
    def done(self) -> int:
        """Tiles that need no more work."""
        return len(self.tables) + len(self.empty) + len(self.failed)

    def take(self, batch: Batch) -> None:
        """Detect in a batch and keep what was seen."""
        found = self._detector.detect(batch.pixels) if batch.tiles else []
        if len(found) != len(batch.tiles):
            raise ModelError(
                f"the model gave {len(found)} tables for {len(batch.tiles)} tiles; one per tile is needed"
            )
        seen = [(t.id, _in_tile(table, t)) for t, table in zip(batch.tiles, found, strict=True)]
        empty = [tile.id for tile in batch.skipped]
        self.look()
        if self._journal is not None:
            self._journal.add(seen, empty)
        self.tables.update(seen)
        self.empty.update(empty)
        for tile, error in batch.failed:
            log.info("%s", error)
            self.failed.append(FailedTile(tile, error))

    def look(self, *, final: bool = False) -> None:
        """See now and then that the scene is still the one that was opened.

        Raises:
            SceneError: it is not.
        """
        if final or time.monotonic() - self._looked > LOOK_SECONDS:
            if scene_identity(self._scene) != self._identity:
                raise SceneError(
                    f"{self._scene.name}, or a file that it is made of, was replaced or removed while it was "
                    "read; put it back to go on, or run with --fresh"
                )
            self._looked = time.monotonic()


def _in_tile(found: Detections, tile: Tile) -> Detections:
    """A tile's boxes cut to it, in float32 as the journal keeps them, so that resumed runs are equal."""
    cut = box.clip(found.boxes, tile.width, tile.height).astype(np.float32)
    return replace(found, boxes=cut.astype(np.float64), tile_ids=np.full(len(found), tile.id, np.int32))


def _say_what_was_under_way(journal: Journal, tiles: Sequence[Tile]) -> None:
    """Name the windows at which the last run ended: if one of them crashes GDAL, the user must know which."""
    held = journal.contents
    done = len(held.tables) + len(held.empty)
    if not done and not held.under_way:
        return
    at = [tile for tile in tiles if tile.id in held.under_way]
    windows = ", ".join(f"x {t.x} y {t.y} {t.width} x {t.height}" for t in at[:NAMED_WINDOWS])
    where = f"; the last run ended at the windows {windows}" if windows else ""
    more = f" and {len(at) - NAMED_WINDOWS} more" if len(at) > NAMED_WINDOWS else ""
    log.warning("going on with %s: %d of %d tiles are done%s%s", journal.path, done, len(tiles), where, more)
