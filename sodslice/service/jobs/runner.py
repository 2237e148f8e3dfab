"""Carries out jobs: each in a process of its own, some at once, the others wait."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

from sodslice.errors import SodsliceError
from sodslice.service.addresses import fetch
from sodslice.service.envelope import Refusal
from sodslice.service.jobs.child import SOME_TILES_FAILED
from sodslice.service.jobs.listing import JobList
from sodslice.service.jobs.options import job_options
from sodslice.service.jobs.processes import end, ended, event_in, start_child
from sodslice.service.jobs.record import CANCELLED, DONE, FAILED, QUEUED, RUNNING, Job
from sodslice.service.jobs.storage import Storage
from sodslice.service.metrics import Metrics
from sodslice.service.places import Root, without_folders
from sodslice.service.settings import ServiceSettings

log = logging.getLogger(__name__)

RESULT, OPTIONS, LOCK = "result.json", "options.json", "lock"
TRIES = 2
"""Processes that may die over a job before it is given up."""

HEARTBEAT_S = 15.0
MOST_NOTES = 50
CLEAN_SECONDS = 60.0


class Runner:
    """The jobs of a service.

    Args:
        settings: of the service.
        jobs: their list.
        storage: their files.
        root: below which scenes are.
        metrics: that count.
    """

    def __init__(
        self, settings: ServiceSettings, jobs: JobList, storage: Storage, root: Root, metrics: Metrics
    ) -> None:
        self._settings, self._jobs, self._storage, self._root = settings, jobs, storage, root
        self._metrics = metrics
        self._live: dict[str, Job] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self.stopping = asyncio.Event()

    async def start(self) -> None:
        """Take up what was queued or under way when the service ended, and wait for more."""
        for job in self._jobs.all((QUEUED, RUNNING)):
            job.state = QUEUED
            self._jobs.put(job)
            self._queue.put_nowait(job.id)
        hands = [self._work() for _ in range(self._settings.jobs_at_once)]
        self._tasks = [asyncio.create_task(one) for one in (*hands, self._clean())]
        self._count()

    def end_streams(self) -> None:
        """Tell nobody anything more; nothing new is begun."""
        self.stopping.set()
        for job_id in list(self._changed):
            self._wake(job_id)

    async def park(self) -> None:
        """End all processes; their journals keep what was seen, and the next start goes on."""
        self.end_streams()
        processes = list(self._processes.values())
        for process in processes:
            end(process)
        await asyncio.gather(*(ended(process) for process in processes))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, job: Job) -> None:
        """Queue a job.

        Raises:
            Refusal: too many wait, or there is no room for results.
        """
        if self._queue.qsize() >= self._settings.jobs_waiting:
            raise Refusal(
                429, f"{self._queue.qsize()} jobs wait already; come back later", {"Retry-After": "60"}
            )
        self._storage.check_room()
        self._storage.of_job(job.id).mkdir(mode=0o700)
        self._jobs.put(job)
        self._queue.put_nowait(job.id)
        self._count()

    def get(self, job_id: str) -> Job:
        """A job as it is now.

        Raises:
            Refusal: there is none of that id.
        """
        job = self._live.get(job_id) or self._jobs.get(job_id)
        if job is None:
            raise Refusal(404, f"there is no job {job_id[:40]!r}")
        return job

    def all(self, most: int) -> list[Job]:
        """The newest jobs, the newest first."""
        return [self._live.get(job.id, job) for job in reversed(self._jobs.all(most=most))]

    async def cancel(self, job_id: str) -> Job | None:
        """End a job that has not ended, and keep nothing of one that has.

        Returns:
            The job that is cancelled; None where it was removed.
        """
        job = self.get(job_id)
        if job.ended:
            self._live.pop(job_id, None)
            self._jobs.remove(job_id)
            self._storage.remove_job(job_id)
            self._count()
            return None
        self._settle(job, CANCELLED)
        process = self._processes.get(job_id)
        if process is not None:
            end(process)
            await ended(process)
        return job

    async def watch(self, job_id: str) -> AsyncIterator[Job | None]:
        """A job now, and each time that something has changed, until it has ended; None where nothing has."""
        while True:
            event = self._changed.setdefault(job_id, asyncio.Event())
            job = self.get(job_id)
            yield job
            if job.ended or self.stopping.is_set():
                return
            try:
                await asyncio.wait_for(event.wait(), HEARTBEAT_S)
            except asyncio.TimeoutError:
                yield None

    async def _work(self) -> None:
        """Do one job after the other."""
        while True:
            job_id = await self._queue.get()
            job = self._jobs.get(job_id)
            if job is None or job.state != QUEUED or self.stopping.is_set():
                continue
            self._live[job_id] = job
            try:
                await self._do(job)
            except (Refusal, SodsliceError) as error:
                self._settle(job, FAILED, error.detail if isinstance(error, Refusal) else str(error))
            except Exception as error:  # what fails a job must not end those behind it
                log.exception("job %s failed", job_id)
                why = getattr(error, "strerror", None) or type(error).__name__
                self._settle(job, FAILED, f"the service cannot do it: {why}")
            finally:
                self._live.pop(job_id, None)
                self._processes.pop(job_id, None)

    async def _do(self, job: Job) -> None:
        job.state, job.started = RUNNING, job.started or time.time()
        self._put(job)
        scene = await self.scene_of(job)
        while not job.ended:
            job.tries += 1
            self._put(job)
            code = await self._run(job, scene)
            if self.stopping.is_set() or job.ended:
                return
            if code in (0, SOME_TILES_FAILED):
                self._settle(job, DONE)
            elif code > 0:
                self._settle(job, FAILED, job.error or f"the run ended with {code}")
            elif job.tries >= TRIES:
                word = signal.Signals(-code).name if -code in list(signal.Signals) else str(-code)
                self._settle(job, FAILED, f"its process was ended by {word}, {TRIES} times")

    async def scene_of(self, job: Job) -> Path:
        """The file of a scene; one from the web is fetched once.

        Raises:
            Refusal: it is not there, or not any more.
            FetchError: it cannot be had.
        """
        if "path" in job.source:
            return self._root.scene(job.source["path"])
        if "upload" in job.source:
            return self._storage.upload(job.source["upload"])
        path = self._storage.of_job(job.id) / "scene"
        if not path.exists():
            await asyncio.to_thread(
                fetch,
                job.source["url"],
                path,
                hosts=self._settings.hosts,
                most_bytes=max(0, min(self._settings.most_upload, self._storage.left())),
            )
        return path

    async def _run(self, job: Job, scene: Path) -> int:
        """Have a process do a job, and hear what it says."""
        folder = self._storage.of_job(job.id)
        options = job_options(self._settings.options, job.options)
        (folder / OPTIONS).write_text(json.dumps(options.as_dict()), encoding="utf-8")
        start = self._root.folder if "path" in job.source and self._root.folder else scene.parent
        process = await start_child(
            {
                "do": "run",
                "scene": scene.relative_to(start).as_posix(),
                "options": str(folder / OPTIONS),
                "result": str(folder / RESULT),
                "lock": str(folder / LOCK),
            },
            start,
        )
        self._processes[job.id] = process
        assert process.stderr is not None
        async for line in process.stderr:
            self._hear(job, line)
        return await process.wait()

    def _hear(self, job: Job, line: bytes) -> None:
        """Take what a process says, one line of JSON an event."""
        event = event_in(line)
        kind = event.get("event")
        if kind == "progress":
            job.tiles_done, job.tiles = event["tiles_done"], event["tiles"]
        elif kind == "note" and len(job.notes) < MOST_NOTES:
            job.notes.append(self._plain(event["text"]))
        elif kind == "error":
            job.error = self._plain(event["text"])
        elif kind == "done":
            job.objects, job.classes = event["objects"], event["classes"]
            job.tiles_done = job.tiles = event["tiles"]
            job.failed_tiles = event["failed"]
        self._wake(job.id)

    def _plain(self, text: str) -> str:
        return without_folders(text, self._storage.folder, self._root.folder)

    def _settle(self, job: Job, state: str, error: str = "") -> None:
        """A job has ended."""
        job.state, job.error, job.finished = state, error, time.time()
        self._put(job)
        self._count()

    def _put(self, job: Job) -> None:
        self._jobs.put(job)
        self._wake(job.id)

    def _wake(self, job_id: str) -> None:
        event = self._changed.pop(job_id, None)
        if event is not None:
            event.set()

    def _count(self) -> None:
        counts = self._jobs.counts()
        for state in (QUEUED, RUNNING, DONE, FAILED, CANCELLED):
            self._metrics.jobs.labels(state).set(counts.get(state, 0))

    async def _clean(self) -> None:
        """Remove what is older than it is kept."""
        while True:
            before = time.time() - self._settings.keep_seconds
            for job in self._jobs.all((DONE, FAILED, CANCELLED)):
                if job.finished < before:
                    self._jobs.remove(job.id)
                    self._storage.remove_job(job.id)
            used = {job.source.get("upload", "") for job in self._jobs.all((QUEUED, RUNNING))}
            for upload in self._storage.old_uploads(before, used):
                self._storage.remove_upload(upload)
            self._metrics.bytes.set(self._storage.bytes())
            self._count()
            await asyncio.sleep(CLEAN_SECONDS)
