"""Hands: who looks at the tiles of a plan. Units of tiles go out, records of the raw store come back."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from threading import Thread
from typing import Any, Protocol

import numpy as np

from sodslice.errors import SceneError, SodsliceError
from sodslice.inference import ReadyDetector
from sodslice.inference.answers import sticks_out
from sodslice.inference.detector import ConcurrentDetector, ExpectingDetector, FittedDetector
from sodslice.models import load_spec
from sodslice.running.batches import Batch, Reading, read_batches
from sodslice.running.looking import look
from sodslice.running.plan import RunPlan
from sodslice.running.planned import Unit
from sodslice.running.records import (
    Record,
    empty_record,
    failed_record,
    full_record,
    json_record,
    tile_record,
)
from sodslice.scene import SceneBase, as_scene, scene_identity, seen_at
from sodslice.scene.layout import block_cache
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import Tile

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0

MANY = 24
"""Tiles of a plan from which on it pays to have a graph compiled for their size alone. The plan says it, not
what came before, so that nothing else can change what is seen."""

AT_ONCE = 2
"""Batches that are under way in a detector that can be called from several threads: while the graph runs on
one, the other is prepared, or what was found in it is packed."""

Bundles = Generator[Sequence[Record], None, None]
"""Records as they come, some at a time; closed where the work is called off."""

Units = Iterable[Unit]
"""Tiles that are to be looked at, in reading order."""

Starting = Callable[[int], None]
"""Told of the id of a tile that is about to be read, from whatever thread reads it."""


class Hands(Protocol):
    """Whoever looks at tiles: this process, others, or other machines; anyone's class fits.

    Hands open the scene and load the model by themselves, from the plan alone: pixels never travel.
    """

    def run(self, plan: RunPlan, units: Units, starting: Starting) -> Bundles:
        """Look at the tiles of some units.

        A unit whose hand dies is given back by saying nothing of its tiles; it is then handed out again.

        Args:
            plan: whose units these are.
            units: of tiles, in reading order.
            starting: to be told of a tile that is about to be read.

        Yields:
            Records (TILE, FULL, NONE, FAIL, DEAD, FACT) as they come, in any order.

        Raises:
            SodsliceError: the work cannot go on.
        """

    def close(self) -> None:
        """Give back what they hold."""


class Here:
    """The hands of this process: tiles in plan order, read ahead by threads, through one detector.

    Args:
        scene: that is open already; None opens that of the plan.
        detector: that is ready already; None loads that of the plan. Of many plans it is loaded once.
    """

    def __init__(self, scene: SceneBase | None = None, detector: ReadyDetector | None = None) -> None:
        self._given = scene
        self._detector = detector
        self._loaded: ReadyDetector | None = None
        self._expected: tuple[int, int] | None = None
        self._telling: Thread | None = None

    def run(self, plan: RunPlan, units: Units, starting: Starting) -> Bundles:
        """See `Hands`.

        Raises:
            SceneError: a tile cannot be read, or the scene was replaced meanwhile.
            ModelError: the detector does not give one table a tile, or a row that could only be dropped.
        """
        scene = self._given or open_planned(plan)
        try:
            yield from self._looked(plan, scene, units, starting)
        finally:
            self._wait()
            if scene is not self._given:
                scene.close()

    def load(self, plan: RunPlan) -> None:
        """Load the detector before the work begins, so that what is wrong with it is said first.

        Raises:
            ModelError: it cannot be loaded.
            DeviceError: the device that it runs on is not there.
        """
        self._ready(plan)

    def close(self) -> None:
        """Close the detector, if it was loaded here."""
        self._wait()
        if self._loaded is not None:
            self._loaded.close()
            self._loaded = None

    def _looked(self, plan: RunPlan, scene: SceneBase, units: Units, starting: Starting) -> Bundles:
        detector = self._ready(plan)
        watch = _Watch(scene, plan)
        yield [json_record(b"FACT", {"engine": detector.engine})]
        seen = seen_at(scene, plan.seen_px)
        tiles = (plan.grid[tile_id] for unit in units for tile_id in unit.ids.tolist())
        reading = replace(_reading(plan, detector), starting=lambda tile: starting(tile.id))
        with block_cache(plan.looked_at.reading.cache_bytes):
            batches = read_batches(seen, tiles, reading)
            with closing(_looked_at(detector, batches, plan.lowest)) as looked:
                for records in looked:
                    watch.look()
                    yield records
        watch.look(final=True)
        yield [json_record(b"FACT", {"stretch": _stretch_of(scene)})]

    def _ready(self, plan: RunPlan) -> ReadyDetector:
        detector = self._detector or self._loaded
        if detector is None:
            detector = self._loaded = load_spec(plan.model)
        self._expect(detector, plan)
        return detector

    def _expect(self, detector: ReadyDetector, plan: RunPlan) -> None:
        """Have a detector make itself ready for the tiles, while the scene is opened and some are read."""
        many = plan.tiles_in_all >= MANY
        side = _reading(plan, detector).shape
        worth_it = many or detector is self._loaded
        if isinstance(detector, ExpectingDetector) and worth_it and side != self._expected:
            self._expected = side
            self._wait()
            self._telling = Thread(target=_told, args=(detector, side), kwargs={"many": many})
            self._telling.start()

    def _wait(self) -> None:
        """Let a detector become ready: what compiles a graph cannot be stopped."""
        if self._telling is not None:
            self._telling.join()
            self._telling = None


class _Watch:
    """Sees now and then that the scene is still the one that was planned."""

    def __init__(self, scene: SceneBase, plan: RunPlan) -> None:
        self._scene = scene
        self._identity = dict(plan.scene.identity)
        self._looked = time.monotonic()

    def look(self, *, final: bool = False) -> None:
        """Look, if it is time.

        Raises:
            SceneError: it is not.
        """
        if final or time.monotonic() - self._looked > LOOK_SECONDS:
            if scene_identity(self._scene) != self._identity:
                raise SceneError(
                    f"{self._scene.name}, or a file that it is made of, was replaced or removed while it was "
                    "read; put it back to go on, or run with `fresh`"
                )
            self._looked = time.monotonic()


def _told(detector: ExpectingDetector, side: tuple[int, int], *, many: bool) -> None:
    """Tell a detector what comes; what is wrong with that is heard when it comes."""
    with suppress(SodsliceError):
        detector.expect(side, many=many)


def open_planned(plan: RunPlan) -> SceneBase:
    """The scene of a plan, as it was when the plan was made.

    Raises:
        SceneError: it cannot be opened, or has changed since.
    """
    if not plan.scene.location:
        raise SceneError(
            f"the scene {plan.scene.name} of the plan is not a file; execute it with hands that hold it: "
            "`Here(scene=..., detector=...)`"
        )
    scene = as_scene(plan.scene.location, plan.scene.rendering)
    if scene_identity(scene) != dict(plan.scene.identity):
        scene.close()
        raise SceneError(
            f"{plan.scene.location}, or a file that it is made of, has changed since the plan was made; "
            "plan again"
        )
    return scene


def _reading(plan: RunPlan, detector: ReadyDetector) -> Reading:
    """How batches are read: a model of fixed size sees small scenes at the scale of full tiles."""
    fitted = detector.batch if isinstance(detector, FittedDetector) else 1
    width, height = plan.grid.tile_size
    full_width, full_height = plan.grid.full_size
    shape = (height, width) if plan.model.info.input_size is None else (full_height, full_width)
    return Reading(plan.model.batch or fitted, shape, plan.readers, skip_failed=plan.skip_failed)


def _looked_at(
    detector: ReadyDetector, batches: Generator[Batch, None, None], lowest: float
) -> Generator[list[Record], None, None]:
    """What each batch gave, in order; two at once where the detector says that it is `concurrent`.

    The batches are closed with it, after what is under way has ended.
    """
    with closing(batches):
        if not isinstance(detector, ConcurrentDetector) or not detector.concurrent:
            yield from (_records(detector, batch, lowest) for batch in batches)
            return
        waiting: deque[Future[list[Record]]] = deque()
        with _Threads() as pool:
            for batch in batches:
                waiting.append(pool.submit(_records, detector, batch, lowest))
                if len(waiting) == AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()


class _Threads(ThreadPoolExecutor):
    """Threads that call a detector; what they have not begun with when it ends is dropped."""

    def __init__(self) -> None:
        super().__init__(AT_ONCE, thread_name_prefix="sodslice-detector")

    def __exit__(self, *_: object) -> None:
        self.shutdown(wait=True, cancel_futures=True)


def _records(detector: ReadyDetector, batch: Batch, lowest: float) -> list[Record]:
    """What a batch gave.

    Raises:
        ModelError: see `look`.
    """
    looks = look(detector, batch.pixels, batch.tiles, lowest) if batch.tiles else []
    for _, error in batch.failed:
        log.info("%s", error)
    height, width = batch.pixels.shape[1:3]
    astray = any(sticks_out(seen.found, width, height) for seen in looks)
    seen = list(zip(batch.tiles, looks, strict=True))
    return [
        *([json_record(b"FACT", {"sticks_out": True})] if astray else []),
        *(full_record(tile.id, one.whole_from) for tile, one in seen if one.whole_from),
        *(tile_record(tile.id, _in_tile(one.found, tile)) for tile, one in seen),
        *(empty_record(tile.id) for tile in batch.skipped),
        *(failed_record(tile.id, error) for tile, error in batch.failed),
    ]


def _in_tile(found: Detections, tile: Tile) -> Detections:
    """A tile's boxes cut to it."""
    cut = box.clip(found.boxes, tile.width, tile.height)
    return replace(found, boxes=cut, tile_ids=np.full(len(found), tile.id, np.int32))


def _stretch_of(scene: SceneBase) -> dict[str, Any] | None:
    """How levels became 8 bits, for the output; None where they were left alone or none was ever seen."""
    stretch = None
    with suppress(SceneError):
        stretch = scene.stretch
    return None if stretch is None else stretch.as_dict()
