"""`Crew`: a model that stays ready from image to image, here or in a process for each device."""

from __future__ import annotations

from sodslice.errors import SceneError
from sodslice.inference import ModelInfo, ModelSpec, ReadyDetector
from sodslice.inference.engines import parse_devices
from sodslice.inference.engines.choosing import split_word
from sodslice.integrations.paddlex.decoding import as_opencv_decodes
from sodslice.models import load_spec, resolve_model
from sodslice.results import RunResult
from sodslice.running import Events, Here, Processes, make_plan, run_plan
from sodslice.running.shares import crew_of
from sodslice.scene import RasterScene, SceneBase
from sodslice.scene.temporary import TemporaryScene
from sodslice.settings import Options


class _OnceEvents(Events):
    """Says each note once, however many images it fits."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def note(self, text: str) -> None:
        """See `Events`."""
        if text not in self._said:
            self._said.add(text)
            super().note(text)


class Crew:
    """A model, loaded once, and those who look at tiles with it.

    Args:
        options: of the runs.

    Raises:
        ModelError: the model is not here, or cannot be run.
        DeviceError: a device is not there.
    """

    def __init__(self, options: Options) -> None:
        self._side = options.coverage.longer_side
        self._specs: dict[int | None, ModelSpec] = {}
        self._spec = self._spec_for(options)
        self._detectors: dict[int | None, ReadyDetector] = {}
        self._count = crew_of(self._spec, options.work.workers)
        self._processes: Processes | None = None
        self._events = _OnceEvents()
        if self._count == 1:
            self._detector(options)
        elif self._spec.engine:
            for device in parse_devices(options.inference.device):
                split_word(self._spec.engine)[0].pick(device)

    @property
    def info(self) -> ModelInfo:
        """Facts about the model."""
        return self._spec.info

    def found_in(self, scene: SceneBase, options: Options, *, whole: bool = False) -> RunResult:
        """What a run over a scene gives.

        Args:
            scene: open.
            options: of the run.
            whole: whether one tile is all of the scene, which then comes from the decoder of PaddleX; worker
                processes read files with GDAL in any case.

        Raises:
            SodsliceError: as `sodslice.run`; or several processes would need a scene that is no file.
        """
        if self._count == 1:
            seen = as_opencv_decodes(scene, options.rendering) if whole else scene
            return self._run(seen, options, Here(seen, self._detector(options)))
        if not isinstance(scene, RasterScene) or isinstance(scene, TemporaryScene):
            raise SceneError(
                f"the image {scene.name} is in this process alone, and several devices and workers read "
                "files; give one, or take one device"
            )
        if self._processes is None:
            self._processes = Processes(options.work.workers)
        return self._run(scene, options, self._processes)

    def close(self) -> None:
        """Give back what the engine holds, and end the workers."""
        while self._detectors:
            self._detectors.popitem()[1].close()
        if self._processes is not None:
            self._processes.close()
            self._processes = None

    def _run(self, scene: SceneBase, options: Options, hands: Here | Processes) -> RunResult:
        plan = make_plan(scene, model=self._spec_for(options), options=options)
        return run_plan(plan, options, hands=hands, events=self._events)

    def _spec_for(self, options: Options) -> ModelSpec:
        """The model for a number of tiles per call, for the tiles of the pipeline whatever a scene gets."""
        batch = options.inference.batch
        if batch not in self._specs:
            self._specs[batch] = resolve_model(options.inference.model, options.inference, tile=self._side)
        return self._specs[batch]

    def _detector(self, options: Options) -> ReadyDetector:
        """The model for a number of tiles per call, loaded once."""
        batch = options.inference.batch
        if batch not in self._detectors:
            self._detectors[batch] = load_spec(self._spec_for(options))
        return self._detectors[batch]
