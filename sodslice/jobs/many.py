"""`run_many`: many scenes, one after the other, with one model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from sodslice.errors import Cancelled, DeviceError, ModelError, SodsliceError
from sodslice.inference import ModelSpec, ReadyDetector, as_ready
from sodslice.jobs.outcomes import Outcome
from sodslice.jobs.sources import listed_scenes, output_stems
from sodslice.models import load_spec, resolve_model
from sodslice.place.georef import GeoRef
from sodslice.results import check_output, load_result
from sodslice.running import RAW_SUFFIX, Events, Here, RunPlan, check_outputs, run_plan
from sodslice.running.planning import ModelLike, OptionsLike, finishing_of, plan_for
from sodslice.scene import as_scene
from sodslice.settings import Options, as_options

DONE_BEFORE = "its result is there, made by the same plan"


class JobEvents(Events):
    """What a job tells its watcher, beside what each run tells."""

    def scene(self, path: Path, number: int, total: int) -> None:
        """A scene is begun: its path, its number from 1 on, and how many there are."""


class _NotesOnce(JobEvents):
    """A watcher who hears each note once, however many scenes it is about; outputs have all of theirs."""

    def __init__(self, watcher: JobEvents) -> None:
        self._watcher = watcher
        self._said: set[str] = set()

    def scene(self, path: Path, number: int, total: int) -> None:
        self._watcher.scene(path, number, total)

    def progress(self, done: int, total: int) -> None:
        self._watcher.progress(done, total)

    def note(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._watcher.note(text)

    def cancelled(self) -> bool:
        return self._watcher.cancelled()


def run_many(
    paths: str | Path | Iterable[str | Path],
    *,
    model: ModelLike | None = None,
    options: OptionsLike | None = None,
    output: str | Path | None = None,
    events: JobEvents | None = None,
) -> Iterator[Outcome]:
    """Find the objects in many scenes, one after the other, with one model.

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
        One outcome a scene, in the order given, each written before it is yielded.

    Raises:
        SodsliceError: before the first outcome, if the model, options or output folder are wrong.
        ModelError: the model cannot be loaded or run, so that no scene could be done.
        DeviceError: the device that the model runs on is not there.
    """
    settings = as_options(options)
    found, root = listed_scenes(paths)
    scenes = found.scenes
    stems = output_stems(scenes, root)
    watcher = _NotesOnce(events or JobEvents())
    if output is not None:
        check_output(Path(output) / "any.json", georef=GeoRef())
    chosen = settings.inference.model if model is None else model
    spec = resolve_model(chosen, settings.inference, tile=settings.coverage.tile)
    finishing_of(settings, spec)
    given = None if isinstance(chosen, (str, Path, ModelSpec)) else as_ready(chosen)
    job = _Job(settings, spec, given, watcher)
    for note in found.notes:
        watcher.note(note)
    try:
        for number, (path, stem) in enumerate(zip(scenes, stems, strict=True), start=1):
            job.events.scene(path, number, len(scenes))
            yield job.outcome(path, None if output is None else Path(output) / stem)
    finally:
        job.close()


class _Job:
    """What the scenes of a job share: settings, facts about the model, and the model once it is loaded."""

    def __init__(
        self, settings: Options, spec: ModelSpec, given: ReadyDetector | None, events: JobEvents
    ) -> None:
        self.events = events
        self._settings = settings
        self._spec = spec
        self._given = given
        self._loaded: ReadyDetector | None = None

    def outcome(self, path: Path, stem: Path | None) -> Outcome:
        """What becomes of a scene.

        Args:
            path: of the scene.
            stem: of its output, without suffix; None where nothing is written.

        Raises:
            ModelError: the model cannot be loaded or run.
            DeviceError: the device that the model runs on is not there.
            Cancelled: the watcher called it off.
        """
        try:
            return self._done(path, stem)
        except (Cancelled, DeviceError, ModelError):
            raise
        except SodsliceError as error:
            return Outcome(path, "failed", str(error), error=error)

    def close(self) -> None:
        """Close the model, if it was loaded here."""
        if self._loaded is not None:
            self._loaded.close()

    def _done(self, path: Path, stem: Path | None) -> Outcome:
        scene = as_scene(path, self._settings.rendering)
        try:
            plan = plan_for(scene, self._spec, self._settings)
            suffix = ".geojson" if plan.scene.georef.meant_for_map else ".json"
            outputs = () if stem is None else (stem.with_name(f"{stem.name}{suffix}"),)
            if outputs and self._was_done(outputs[0], plan):
                return Outcome(path, "skipped", DONE_BEFORE, outputs=outputs)
            check_outputs(outputs, plan, self._settings)
            hands = Here(scene, self._detector())
            result = run_plan(plan, self._settings, hands=hands, outputs=outputs, events=self.events)
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
