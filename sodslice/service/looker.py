"""`Looker`: a model that is ready, and what it finds in pictures."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sodslice.inference import ExportedDetector, ModelSpec, ReadyDetector
from sodslice.inference.detector import ConcurrentDetector, FittedDetector
from sodslice.inference.engines import parse_devices
from sodslice.inference.engines.choosing import split_word
from sodslice.inference.pooling import PooledDetector
from sodslice.models import load_spec, resolve_model
from sodslice.place.coverage import Coverage
from sodslice.running import Events, Here, RunPlan, run_plan
from sodslice.running.looking import look
from sodslice.running.objects import Objects
from sodslice.running.planning import plan_for
from sodslice.running.records import tile_record
from sodslice.running.seen import Seen
from sodslice.scene import ArrayScene, Rendering, SceneBase
from sodslice.scene.temporary import temporary_scene
from sodslice.service import jpegs
from sodslice.settings import Options
from sodslice.system.chip import cores
from sodslice.tables import boxes as box
from sodslice.tables.detections import Detections
from sodslice.tables.limits import SMALLEST_TILE

log = logging.getLogger(__name__)

NAME = "the picture"
"""What messages call it."""

MOST_PLANS = 256
"""Sizes of pictures whose plan is kept."""


STREAMS = 2
"""Pictures that go through a small model at once, each on a part of the cores."""

SMALL_BYTES = 40_000_000
"""Of the files of a small model."""

Check = Callable[[int, int], None]
"""Refuses a picture by its width and height."""


class Looker:
    """A model that is ready, for pictures from several threads.

    A picture that is one tile needs no run: there are no other tiles to be read ahead or to be merged with,
    and nothing is kept of it. What is found is what a run finds.

    Args:
        options: of runs; of several devices it takes the first, and no workers: a picture is in this process
            alone.

    Raises:
        ModelError: the model is not here, or cannot be run.
        DeviceError: the device is not there.
        OptionError: the settings do not fit the model.
    """

    def __init__(self, options: Options) -> None:
        self._options = _alone(options)
        self._plain = _is_plain(options)
        choice = self._options.inference
        self._spec = resolve_model(choice.model, choice, tile=options.coverage.longer_side)
        loaded = load_spec(self._spec)
        self._detector = PooledDetector.of(loaded)
        self._single = self._one_of_many = _for_single_tiles(loaded)
        if _gains_by_streams(self._spec):
            self._one_of_many = _for_single_tiles(load_spec(replace(self._spec, streams=STREAMS)))
        self._plan = lru_cache(MOST_PLANS)(self._plan_of)
        self.class_names = self._spec.info.class_names
        self.thresholds = options.keeping.score_thresholds(self.class_names, self._spec.info.threshold)
        """The lowest score of each class, where a request names none."""

    @property
    def at_once(self) -> int:
        """Threads that keep the model busy: while it has some pictures, others are decoded or drawn."""
        if self._one_of_many is not self._single:
            return STREAMS + 1
        if not isinstance(self._detector, ConcurrentDetector) or not self._detector.concurrent:
            return 1
        return 2 * max(1, self._detector.batch if isinstance(self._detector, FittedDetector) else 1)

    def opened(self, content: bytes, check: Check) -> SceneBase:
        """The scene of a picture; what one tile holds is decoded.

        Args:
            content: an encoded image.
            check: is asked before anything is decoded.

        Raises:
            SceneError: it is no image, or cannot be read.
        """
        size = jpegs.stored_size(content) if self._plain else None
        if size is not None:
            check(*size)
            pixels = jpegs.decoded(content, size) if self._plan(*size) else None
            if pixels is not None:
                return ArrayScene(pixels, name=NAME)
        with ExitStack() as opening:
            scene = temporary_scene(
                lambda path: _write(path, content),
                name=NAME,
                file="picture",
                rendering=self._options.rendering,
            )
            opening.callback(scene.close)
            check(scene.width, scene.height)
            if self._plain and self._plan(scene.width, scene.height):
                pixels, valid = scene.read(0, 0, scene.width, scene.height)
                return ArrayScene(pixels, valid=valid, name=NAME)
            opening.pop_all()
            return scene

    def found_in(self, scene: SceneBase, thresholds: tuple[float, ...], *, alone: bool = True) -> Detections:
        """The objects in a scene that `opened` gave, in canonical order.

        Args:
            scene: to look at.
            thresholds: the lowest score that is kept, of each class.
            alone: whether no other picture waits; what is found is the same.

        Raises:
            SodsliceError: as `sodslice.run`.
        """
        plan = self._plan(scene.width, scene.height) if self._plain else None
        if plan is not None:
            detector = self._single if alone else self._one_of_many
            return _glance(scene, _with(plan, thresholds), detector)
        plan = _with(self._planned(scene), thresholds)
        hands = Here(scene, self._detector)
        return run_plan(plan, self._options, hands=hands, events=_Quiet()).detections

    def close(self) -> None:
        """Give back what the engine holds."""
        for detector in (self._one_of_many, self._single, self._detector):
            detector.close()

    def _plan_of(self, width: int, height: int) -> RunPlan | None:
        """The plan of any picture of a size; None where that is several tiles."""
        black = np.broadcast_to(np.uint8(0), (height, width, 3))
        plan = self._planned(ArrayScene(black, name=NAME))
        return plan if len(plan.grid) == 1 else None

    def _planned(self, scene: SceneBase) -> RunPlan:
        """The plan of a scene: where a model of fixed size sees one tile, it is resized to that size."""
        plan = plan_for(scene, self._spec, self._options)
        if len(plan.grid) > 1 or self._spec.info.input_size is None:
            return plan
        tile = tuple(max(SMALLEST_TILE, side) for side in plan.seen_px)
        return plan_for(scene, self._spec, self._options.replace({"tile": tile, "overlap": 0}))


class _Quiet(Events):
    """Events of which a log is told, and nobody else."""

    def note(self, text: str) -> None:
        """See `Events`."""
        log.info("%s", text)


def _glance(scene: SceneBase, plan: RunPlan, detector: ReadyDetector) -> Detections:
    """What a run finds in a scene that is one tile.

    Boxes below all thresholds are left out before the others are compared: of one tile, a worse box never
    decides anything about a better one.
    """
    tile, info = plan.grid[0], detector.info
    pixels, valid = scene.read(tile.x, tile.y, tile.width, tile.height)
    if not valid.any():
        return Detections.empty()
    width, height = plan.grid.tile_size if info.input_size is None else plan.grid.full_size
    canvas: npt.NDArray[np.uint8] = np.zeros((1, height, width, 3), np.uint8)
    canvas[0, : tile.height, : tile.width] = pixels
    found = look(detector, canvas, (tile,), plan.lowest)[0].found
    found = found[found.scores >= np.float32(min(plan.finishing.thresholds))]
    seen, objects = Seen(len(plan.grid)), Objects(plan)
    cut = replace(found, boxes=box.clip(found.boxes, tile.width, tile.height))
    seen.take(tile_record(tile.id, cut))
    objects.take(seen)
    return objects.found()


def _for_single_tiles(loaded: ReadyDetector) -> ReadyDetector:
    single = loaded.for_single_tiles() if isinstance(loaded, ExportedDetector) else loaded
    return PooledDetector.of(single)


def _gains_by_streams(spec: ModelSpec) -> bool:
    """Whether pictures get through a model faster if several go through it at once, each on its own cores.

    Threads that share a small model wait for each other; a large one would need its memory twice.
    """
    engine = split_word(spec.engine)[0] if spec.engine else None
    if engine is None or not engine.has_streams or (spec.threads or cores()) < STREAMS:
        return False
    path = Path(spec.location)
    files = path.iterdir() if path.is_dir() else [path]
    return spec.precision == "fp32" and sum(file.stat().st_size for file in files) <= SMALL_BYTES


def _with(plan: RunPlan, thresholds: tuple[float, ...]) -> RunPlan:
    return replace(plan, finishing=replace(plan.finishing, thresholds=thresholds))


def _alone(options: Options) -> Options:
    devices = parse_devices(options.inference.device)
    first = {"device": str(devices[0])} if len(devices) > 1 else {}
    return options.replace({"workers": 1, **first})


def _is_plain(options: Options) -> bool:
    """Whether what is found in a picture depends on its pixels alone, not on where or how it was taken."""
    coverage = replace(options.coverage, tile=None, overlap=None)
    sizes = options.keeping.min_size, options.keeping.max_size
    return coverage == Coverage() and options.rendering == Rendering() and sizes == (None, None)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
