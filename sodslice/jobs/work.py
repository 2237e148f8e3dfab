"""`Job`: what becomes of a scene, and all that the scenes of a job share."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock

from sodslice.errors import (
    Cancelled,
    DeviceError,
    HeldError,
    ModelError,
    OutputError,
    SodsliceError,
)
from sodslice.inference import ReadyDetector
from sodslice.inference.pooling import PooledDetector
from sodslice.jobs.before import Former, former_of, part_before
from sodslice.jobs.entries import entry_of, status_of
from sodslice.jobs.events import SceneEvents
from sodslice.jobs.listing import JobScene
from sodslice.jobs.manifest import Manifest
from sodslice.jobs.outcomes import Outcome
from sodslice.jobs.task import OpenScene, Task, failure_of
from sodslice.models import load_spec
from sodslice.running import RAW_SUFFIX, Here, Processes, RunPlan, check_outputs, execute, run_plan
from sodslice.running.hands import AT_ONCE
from sodslice.running.planning import plan_for
from sodslice.running.runs import journal_of, run_into, store_of
from sodslice.running.store import goes_on, remove_unheld
from sodslice.running.travel import check_reopens
from sodslice.scene import as_scene


class Job:
    """What the scenes of a job share: the model, once it is loaded, the workers and the manifest.

    Several threads may have it do scenes at once.

    Args:
        task: what is done.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._manifest = None if task.folder is None else Manifest(task.folder, task.shard)
        self._processes = None if task.crew == 1 else Processes(task.settings.work.workers)
        self._loaded: ReadyDetector | None = None
        self._loading = Lock()

    def outcome(self, scene: JobScene, events: SceneEvents) -> Outcome | None:
        """What becomes of a scene, which the manifest hears, too; None where it belongs to another shard.

        Args:
            scene: to be done.
            events: told how it goes.

        Raises:
            HeldError: another process is at it.
            ModelError: the model cannot be loaded or run.
            DeviceError: the device that the model runs on is not there.
            Cancelled: the watcher called it off.
            OutputError: the manifest cannot be written.
        """
        began = time.perf_counter()
        outcome = self._of(scene, lambda one: self._done(one, events), events.opened)
        if outcome is None:
            return None
        outcome = replace(outcome, name=scene.name, seconds=round(time.perf_counter() - began, 3))
        self._note(outcome, events.number)
        return outcome

    def foreseen(self, scene: JobScene) -> Outcome | None:
        """What would become of a scene, with the reason; its status is "skipped", "failed" or "planned"."""
        outcome = self._of(scene, self._planned)
        return None if outcome is None else replace(outcome, name=scene.name)

    def begin(self, scenes: int | None) -> None:
        """Have the folder of the job know how many scenes there are; None where nobody knows.

        Raises:
            OutputError: it cannot be written.
        """
        if self._manifest is not None:
            self._manifest.begin(scenes)

    def settle(self, names: list[str]) -> None:
        """Keep one line a scene in the manifest, in the order of the job.

        Raises:
            OutputError: it cannot be written.
        """
        if self._manifest is not None:
            self._manifest.settle(names)

    def end_workers(self) -> None:
        """End the workers, and with them what they are at."""
        if self._processes is not None:
            self._processes.close()

    def close(self) -> None:
        """Close the model, if it was loaded here, and end the workers."""
        self.end_workers()
        if self._loaded is not None:
            self._loaded.close()

    def _of(
        self,
        scene: JobScene,
        do: Callable[[OpenScene], Outcome],
        opened_px: Callable[[int], None] = lambda _: None,
    ) -> Outcome | None:
        """Open a scene, plan its run, and do something with both, if it belongs to this shard."""
        settings, shard, opened = self._task.settings, self._task.shard, None
        ours = shard.holds(scene.name)
        if not ours and not scene.is_local:
            return None  # nothing is fetched to find out that it is none of ours
        try:
            opened = as_scene(scene.source, settings.rendering)
            opened_px(opened.width * opened.height)
            plan = plan_for(opened, self._task.spec, settings)
            part = shard.part_of(plan, alone=self._task.alone)
            ours = ours or part is not None
            return do(OpenScene(scene, opened, plan, part, self._output_of(scene, plan))) if ours else None
        except (Cancelled, DeviceError, HeldError, ModelError):
            raise
        except (SodsliceError, OSError, MemoryError) as error:
            return failure_of(scene, error) if ours else None
        finally:
            if opened is not None and opened is not scene.source:
                opened.close()

    def _output_of(self, scene: JobScene, plan: RunPlan) -> Path | None:
        suffix = ".geojson" if plan.scene.georef.meant_for_map else ".json"
        return None if self._task.folder is None else self._task.folder / f"{scene.name}{suffix}"

    def _former(self, one: OpenScene, output: Path) -> Former:
        entry = None if self._manifest is None else self._manifest.entry(one.scene.name)
        return former_of(output, one.plan, self._task.settings.work, entry)

    def _part_path(self, output: Path) -> Path:
        return output.with_name(f"{output.name}{self._task.shard.suffix}{RAW_SUFFIX}")

    def _planned(self, one: OpenScene) -> Outcome:
        if one.output is None:
            return one.outcome("planned", "nothing is written")
        self._check_place(one, one.output)
        former = self._former(one, one.output)
        if not former.fits and one.part is not None:
            former = part_before(self._part_path(one.output), one.part, self._task.settings.work)
        if one.output.parent.is_dir():
            check_outputs((one.output,), one.plan, self._task.settings)
        return one.outcome("skipped" if former.fits else "planned", former.why)

    def _done(self, one: OpenScene, events: SceneEvents) -> Outcome:
        settings = self._task.settings
        if one.output is None:
            result = run_plan(one.plan, settings, hands=self._hands(one), events=events)
            return replace(one.outcome("done"), result=result)
        self._check_place(one, one.output)
        before = self._former(one, one.output)
        if before.fits:
            remove_unheld(journal_of(one.output))  # of a process that was killed just before it did so
            return one.outcome("skipped", before.why)
        check_outputs((one.output,), one.plan, settings)
        if one.part is not None:
            return self._part_done(one.part, one, self._part_path(one.output), events)
        fresh = self._begins_anew(journal_of(one.output), one.plan, events)
        with store_of(one.plan, (one.output,), fresh=fresh) as store:
            meanwhile = self._former(one, one.output)  # until the store was ours
            if meanwhile.fits:
                return one.outcome("skipped", meanwhile.why)
            result = run_into(
                store,
                one.plan,
                hands=self._hands(one),
                outputs=(one.output,),
                events=events,
                keep_raw=settings.work.keep_raw,
            )
        for part in one.output.parent.glob(f"{glob.escape(one.output.name)}.*-of-*{RAW_SUFFIX}"):
            remove_unheld(part)  # of shards of before, which would be merged over the result
        return replace(one.outcome("done"), result=result)

    def _begins_anew(self, store: Path, plan: RunPlan, events: SceneEvents) -> bool:
        """Whether what a store holds is of no use: it is of another file, or of other settings."""
        if self._task.settings.work.fresh:
            return True
        other = not goes_on(store, plan)
        if other:
            events.note(f"{store} is of another plan, or the file has changed; the scene is begun anew")
        return other

    def _check_place(self, one: OpenScene, output: Path) -> None:
        """Refuse to take the place of the result of another scene of that name.

        Raises:
            OutputError: the manifest says that the result is that of a file elsewhere, which is still there.
        """
        known = None if self._manifest is None else self._manifest.entry(one.scene.name)
        if known is None or known.status == "failed" or not isinstance(one.scene.source, (str, Path)):
            return
        try:
            same = os.path.samefile(known.path, one.scene.source)  # noqa: PTH121
        except OSError:
            return
        if not same:
            raise OutputError(
                f"{output} holds the result of {known.path}, not of {one.scene.path}; give another `output`"
            )

    def _part_done(self, part: RunPlan, one: OpenScene, path: Path, events: SceneEvents) -> Outcome:
        work = self._task.settings.work
        before = part_before(path, part, work)
        if not before.fits:
            for note in part.notes:
                events.note(note)
            fresh = self._begins_anew(path, part, events)
            execute(part, path, hands=self._hands(one), events=events, fresh=fresh)
        status, why = ("skipped", before.why) if before.fits else ("part", "")
        return replace(one.outcome(status, why), outputs=(path,))

    def _hands(self, one: OpenScene) -> Here | Processes:
        if self._processes is None:
            return Here(one.opened, self._detector())
        check_reopens(one.opened, one.plan)
        return self._processes

    def _detector(self) -> ReadyDetector:
        """The model, loaded when the first scene needs it."""
        if self._task.given is not None:
            return self._task.given
        with self._loading:
            if self._loaded is None:
                streams = AT_ONCE if self._task.spec.batch == 1 else 1  # calls of many tiles go one by one
                self._loaded = PooledDetector.of(load_spec(replace(self._task.spec, streams=streams)))
            return self._loaded

    def _note(self, outcome: Outcome, number: int) -> None:
        """Have the manifest know an outcome, unless it does."""
        if self._manifest is None or self._task.folder is None:
            return
        known = self._manifest.entry(outcome.name)
        if outcome.skipped and known is not None and known.status == status_of(outcome):
            return
        self._manifest.add(entry_of(outcome, self._task.folder, number))
