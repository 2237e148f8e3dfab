"""`run_many`: many scenes with one model, one after the other or, where there are workers, side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sodslice.errors import Cancelled, DeviceError, ModelError, SodsliceError
from sodslice.inference import ModelSpec, ReadyDetector, as_ready
from sodslice.jobs.events import JobEvents, JobWatcher
from sodslice.jobs.outcomes import Outcome
from sodslice.jobs.sources import listed_scenes, output_stems
from sodslice.models import load_spec, resolve_model
from sodslice.place.georef import GeoRef
from sodslice.results import check_output, load_result
from sodslice.running import RAW_SUFFIX, Events, Here, Processes, RunPlan, check_outputs, run_plan
from sodslice.running.planning import ModelLike, OptionsLike, finishing_of, plan_for
from sodslice.running.shares import crew_of
from sodslice.scene import as_scene
from sodslice.settings import Options, as_options

DONE_BEFORE = "its result is there, made by the same plan"


def run_many(
    paths: str | Path | Iterable[str | Path],
    *,
    model: ModelLike | None = None,
    options: OptionsLike | None = None,
    output: str | Path | None = None,
    events: JobEvents | None = None,
) -> Iterator[Outcome]:
    """Find the objects in many scenes, with one model.

    With `workers`, scenes are done side by side, a few more than there are workers, and those who have
    none left help with a large one.

    A scene that cannot be done does not stop the others. One whose result is there already, made by the same
    plan from the same file, is skipped, so a job that was interrupted goes on when it is run again.

    Args:
        paths: images, or a folder that is searched for them.
        model: as for `run`.
        options: as for `run`.
        output: folder for one file per scene, named like the scene and placed like it below the folder
            that was searched: `.geojson` where the scene has a place on the map, `.json` where not.
        events: told how it goes.

    Yields:
        One outcome a scene, in the order given, whatever is done first, each written before it is yielded.

    Raises:
        SodsliceError: before the first outcome, if the model, options or output folder are wrong.
        ModelError: the model cannot be loaded or run, so that no scene could be done.
        DeviceError: the device that the model runs on is not there.
    """
    settings = as_options(options)
    found, root = listed_scenes(paths)
    scenes = found.scenes
    stems = output_stems(scenes, root)
    watcher = JobWatcher(events or JobEvents())
    if output is not None:
        check_output(Path(output) / "any.json", georef=GeoRef())
    chosen = settings.inference.model if model is None else model
    spec = resolve_model(chosen, settings.inference, tile=settings.coverage.longer_side)
    finishing_of(settings, spec)
    given = None if isinstance(chosen, (str, Path, ModelSpec)) else as_ready(chosen)
    job = _Job(settings, spec, given, watcher)
    for note in found.notes:
        watcher.note(note)
    outputs = [None if output is None else Path(output) / stem for stem in stems]
    named = list(zip(scenes, outputs, strict=True))
    try:
        yield from _in_turn(job, named) if job.crew == 1 else _side_by_side(job, named)
    finally:
        job.close()


Named = Sequence[tuple[Path, Path | None]]
"""Scenes, each with the stem of its output, or None where nothing is written."""


def _in_turn(job: _Job, named: Named) -> Iterator[Outcome]:
    for number, (path, stem) in enumerate(named, start=1):
        job.watcher.scene(path, number, len(named))
        yield job.outcome(path, stem, job.watcher)


def _side_by_side(job: _Job, named: Named) -> Iterator[Outcome]:
    """Outcomes in order; one scene more is under way than there are workers, so that none has to wait."""
    ahead = job.crew + 1
    waiting: deque[Future[Outcome]] = deque()
    pool = ThreadPoolExecutor(ahead, thread_name_prefix="sodslice-scene")
    try:
        for number, (path, stem) in enumerate(named, start=1):
            job.watcher.scene(path, number, len(named))
            waiting.append(pool.submit(job.outcome, path, stem, job.watcher.of_scene(number)))
            if len(waiting) == ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        job.close()  # which ends what is under way
        pool.shutdown(wait=True, cancel_futures=True)


class _Job:
    """What the scenes of a job share: settings, facts about the model, and the model once it is loaded."""

    def __init__(
        self, settings: Options, spec: ModelSpec, given: ReadyDetector | None, watcher: JobWatcher
    ) -> None:
        self.watcher = watcher
        self.crew = crew_of(spec, settings.work.workers)
        self._settings = settings
        self._spec = spec
        self._given = given
        self._loaded: ReadyDetector | None = None
        self._processes = None if self.crew == 1 else Processes(settings.work.workers)

    def outcome(self, path: Path, stem: Path | None, events: Events) -> Outcome:
        """What becomes of a scene.

        Args:
            path: of the scene.
            stem: of its output, without suffix; None where nothing is written.
            events: told how it goes.

        Raises:
            ModelError: the model cannot be loaded or run.
            DeviceError: the device that the model runs on is not there.
            Cancelled: the watcher called it off.
        """
        try:
            return self._done(path, stem, events)
        except (Cancelled, DeviceError, ModelError):
            raise
        except SodsliceError as error:
            return Outcome(path, "failed", str(error), error=error)

    def close(self) -> None:
        """Close the model, if it was loaded here, and end the workers."""
        if self._loaded is not None:
            self._loaded.close()
        if self._processes is not None:
            self._processes.close()

    def _done(self, path: Path, stem: Path | None, events: Events) -> Outcome:
        scene = as_scene(path, self._settings.rendering)
        try:
            plan = plan_for(scene, self._spec, self._settings)
            suffix = ".geojson" if plan.scene.georef.meant_for_map else ".json"
            outputs = () if stem is None else (stem.with_name(f"{stem.name}{suffix}"),)
            if outputs and self._was_done(outputs[0], plan):
                return Outcome(path, "skipped", DONE_BEFORE, outputs=outputs)
            check_outputs(outputs, plan, self._settings)
            hands = self._processes or Here(scene, self._detector())
            result = run_plan(plan, self._settings, hands=hands, outputs=outputs, events=events)
            return Outcome(path, "done", result=result, outputs=outputs)
        finally:
            scene.close()

    def _detector(self) -> ReadyDetector:
        """The model, loaded when the first scene needs it."""
        if self._given is not None:
            return self._given
        if self._loaded is None:
            self._loaded = load_spec(self._spec)
        return self._loaded

    def _was_done(self, output: Path, plan: RunPlan) -> bool:
        """Whether a file holds what the plan would give, of a scene that can be told from its later self."""
        work = self._settings.work
        raw_is_there = output.with_name(f"{output.name}{RAW_SUFFIX}").is_file()
        if work.fresh or not plan.resumable or (work.keep_raw and not raw_is_there) or not output.is_file():
            return False
        try:
            former = load_result(output)
        except SodsliceError:
            return False
        same = former.timings is not None and former.timings.plan == plan.sha256
        return same and not former.provenance.failed_tiles
