"""`run_many`: many scenes with one model, side by side, and their outcomes in order."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path
from threading import Thread

from sodslice.errors import OptionError, SodsliceError
from sodslice.inference import ModelSpec, ReadyDetector, as_ready
from sodslice.inference.detector import ConcurrentDetector
from sodslice.jobs.events import JobEvents, JobWatcher, watching
from sodslice.jobs.line import in_order
from sodslice.jobs.listing import JobScene, Listing, Sources, list_scenes
from sodslice.jobs.outcomes import Outcome
from sodslice.jobs.shards import Shard
from sodslice.jobs.task import Task
from sodslice.jobs.work import Job
from sodslice.models import resolve_model
from sodslice.place.georef import GeoRef
from sodslice.results import check_output
from sodslice.running.planning import ModelLike, OptionsLike, finishing_of
from sodslice.scene import Rendering, as_scene
from sodslice.settings import Options, as_options, names_settings

SPARE = 1
"""Scenes under way beside those that are looked at: one is opened, or written, meanwhile."""

MOST_AT_ONCE = 33
"""Scenes under way where a call of the model takes many tiles."""


@names_settings
def run_many(
    scenes: Sources,
    *,
    model: ModelLike | None = None,
    options: OptionsLike | None = None,
    output: str | Path | None = None,
    shard: str | Shard | None = None,
    events: JobEvents | None = None,
) -> Generator[Outcome, None, None]:
    """Find the objects in many scenes, with one model.

    Some scenes are under way at once: while the model looks at tiles of one, another is opened or written,
    and where a call of the model takes several tiles, small scenes share it. With `workers`, those who have
    no scene left help with a large one.

    A scene that cannot be done does not stop the others. One whose result is there already, made by the same
    plan from the same file, is skipped, so a job that was interrupted goes on when it is run again; several
    processes may run one job at once, and each scene is done by one of them.

    Args:
        scenes: images, folders that are searched for them, patterns such as `photos/*.jpg`, text or table
            files that list them, arrays, or scenes that are open; one or several of these, or a generator.
        model: as for `run`.
        options: as for `run`.
        output: folder for one file a scene and the manifest `manifest.jsonl`. Files are named like the scene,
            its suffix included, and placed like it below the folder that was searched: `.geojson` where the
            scene has a place on the map, `.json` where not.
        shard: such as "2/3": the second of three shares of the job, which other machines do. Large scenes are
            shared out, too; `merge_shards` puts their parts together.
        events: told how it goes; left out, a notebook shows a bar.

    Yields:
        One outcome a scene, in the order given, whatever is done first, each written before it is yielded.

    Raises:
        SodsliceError: before the first outcome, if the model, options or output folder are wrong.
        ModelError: the model cannot be loaded or run, so that no scene could be done.
        DeviceError: the device that the model runs on is not there.
    """
    folder = None if output is None else Path(output)
    task, listing = prepare(scenes, model, as_options(options), folder, Shard.read(shard))
    if folder is not None:
        check_output(folder / "any.json", georef=GeoRef())
    with watching(events) as told:
        watcher = JobWatcher(told, listing.total)
        for note in listing.notes:
            watcher.note(note)
        if told.wants_pixels and listing.total is not None:
            counted = (list(listing.scenes), task.settings.rendering, watcher)
            Thread(target=_count_pixels, args=counted, daemon=True).start()
        yield from _outcomes(Job(task), listing, watcher, at_once=_at_once(task))


def foresee(
    scenes: Sources,
    *,
    model: ModelLike | None = None,
    options: OptionsLike | None = None,
    output: str | Path | None = None,
    shard: str | Shard | None = None,
    events: JobEvents | None = None,
) -> Iterator[Outcome]:
    """What `run_many` would do with each scene, and why; nothing is done and nothing written.

    Yields:
        Outcomes whose status is "planned", "skipped" or "failed", with the reason in `why`.

    Raises:
        SodsliceError: as `run_many`, before the first outcome.
    """
    folder = None if output is None else Path(output)
    task, listing = prepare(scenes, model, as_options(options), folder, Shard.read(shard))
    for note in listing.notes:
        (events or JobEvents()).note(note)
    job = Job(task)
    for scene in listing.scenes:
        outcome = job.foreseen(scene)
        if outcome is not None:
            yield outcome


def prepare(
    scenes: Sources, model: ModelLike | None, settings: Options, folder: Path | None, shard: Shard
) -> tuple[Task, Listing]:
    """What is done with each scene of a job, and which these are; refused now if something is wrong.

    Raises:
        SodsliceError: the scenes, the model, the settings or the folder are wrong.
    """
    if shard.of > 1 and folder is None:
        raise OptionError("`shard` needs an `output` folder, where the shares come together")
    if shard.of > 1 and settings.work.keep_raw:
        raise OptionError(
            "`keep_raw` is for scenes that one machine sees; leave it out where there are shards"
        )
    listing = list_scenes(scenes, without=folder)
    chosen = settings.inference.model if model is None else model
    spec = resolve_model(chosen, settings.inference, tile=settings.coverage.longer_side)
    finishing_of(settings, spec)
    given = None if isinstance(chosen, (str, Path, ModelSpec)) else as_ready(chosen)
    alone = listing.total == 1 and isinstance(scenes, (str, Path)) and Path(scenes).is_file()
    return Task(settings, spec, given, folder, shard, alone), listing


def _outcomes(job: Job, listing: Listing, watcher: JobWatcher, *, at_once: int) -> Iterator[Outcome]:
    names: list[str] = []

    def begun() -> Iterator[JobScene]:
        for number, scene in zip(count(1), listing.scenes, strict=False):
            watcher.scene(scene.path, number, listing.total)
            names.append(scene.name)
            yield scene

    def do(number: int, scene: JobScene) -> Outcome | None:
        outcome = job.outcome(scene, watcher.of_scene(number))
        watcher.settled(number, skipped=outcome is None or outcome.skipped)
        return outcome

    def stop() -> None:
        watcher.stop()
        job.end_workers()

    try:
        job.begin(listing.total)
        yield from in_order(begun(), do, at_once=at_once, stop=stop)
        job.settle(names)
    finally:
        job.close()


def _at_once(task: Task) -> int:
    """How many scenes are under way at once."""
    if task.crew > 1:
        return task.crew + SPARE
    if not _concurrent(task.given) and not (task.given is None and task.spec.engine):
        return 1
    if task.spec.batch == 1:
        return 2 + SPARE
    return min(2 * task.spec.batch + SPARE, MOST_AT_ONCE) if task.spec.batch else MOST_AT_ONCE


def _concurrent(detector: ReadyDetector | None) -> bool:
    return isinstance(detector, ConcurrentDetector) and detector.concurrent


def _count_pixels(scenes: list[JobScene], rendering: Rendering, watcher: JobWatcher) -> None:
    """Find out how many pixels all scenes have together, unless some would have to be fetched for that.

    Those that cannot be opened have none.
    """
    if not all(isinstance(scene.source, (str, Path)) and scene.is_local for scene in scenes):
        return
    total = 0
    for scene in scenes:
        if watcher.cancelled():
            return
        try:
            opened = as_scene(scene.source, rendering)
        except (SodsliceError, OSError, MemoryError):
            continue
        total += opened.width * opened.height
        opened.close()
    watcher.pixels(total)
