"""Answers about jobs: those that are begun, their results in every format, and their reports."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from sodslice.errors import SodsliceError
from sodslice.results import Writing, format_of, known_suffixes, load_result, write
from sodslice.scene.fetching import is_address, shown_address
from sodslice.service.addresses import PublicTransport
from sodslice.service.envelope import Refusal
from sodslice.service.jobs.asked import JobRequest
from sodslice.service.jobs.options import job_options
from sodslice.service.jobs.processes import event_in, start_child
from sodslice.service.jobs.record import DONE, Job, new_id
from sodslice.service.jobs.runner import RESULT, Runner
from sodslice.service.jobs.storage import Storage
from sodslice.service.places import Root, without_folders
from sodslice.service.settings import ServiceSettings

REPORT = "report.html"
REPORT_SECONDS = 600.0
NAME = re.compile(r"result(\.[a-z]+){1,2}")
PICTURES = (".png", ".jpg", ".jpeg")


class Jobs:
    """Answers to what is asked about jobs.

    Args:
        settings: of the service.
        runner: that carries them out.
        storage: of files.
        root: below which scenes are.
    """

    def __init__(self, settings: ServiceSettings, runner: Runner, storage: Storage, root: Root) -> None:
        self._settings, self._runner, self._storage, self._root = settings, runner, storage, root
        self._converting, self._reporting = asyncio.Lock(), asyncio.Lock()
        """One result is written, and one report made, at a time, however many are asked for."""

    def begin(self, asked: JobRequest) -> Job:
        """Queue a job.

        Raises:
            OptionError: an option is wrong, or not for jobs.
            Refusal: the scene is refused, or there is no room.
        """
        job_options(self._settings.options, asked.options)
        if asked.path is not None:
            self._root.scene(asked.path)
            job = Job(new_id(), asked.path, {"path": asked.path}, asked.options)
        elif asked.upload is not None:
            scene = self._storage.upload(asked.upload)
            job = Job(new_id(), scene.name, {"upload": asked.upload}, asked.options)
        else:
            assert asked.url is not None
            job = Job(new_id(), self._shown(asked.url), {"url": asked.url}, asked.options)
        self._runner.add(job)
        return job

    def _shown(self, url: str) -> str:
        """An address that may be asked, as it is shown.

        Raises:
            SceneError: it is malformed, or holds a password.
            Refusal: it may not.
        """
        if not is_address(url):
            raise Refusal(422, "url must be an http or https address")
        shown = shown_address(url)
        if not PublicTransport(self._settings.hosts).allows(urlsplit(url).hostname or ""):
            raise Refusal(403, "scenes are not fetched from there; the service names the hosts that it asks")
        return shown

    async def result(self, job_id: str, name: str, writing: Writing) -> Path:
        """The file of a result, made now where it is another than the job's own.

        Raises:
            Refusal: there is no such result, or it cannot be written so.
        """
        job = self._done(job_id)
        folder = self._storage.of_job(job_id)
        if not NAME.fullmatch(name) or format_of(name) is None:
            raise Refusal(404, f"results end in {', '.join(known_suffixes())}")
        if name == RESULT and writing == Writing():
            return folder / RESULT
        asked = sha256(repr(writing).encode()).hexdigest()[:12]
        path = folder / (name if writing == Writing() else f"{asked}-{name}")
        async with self._converting:
            if not path.exists():
                self._storage.check_room()
                scene = await self._runner.scene_of(job) if path.suffix in PICTURES else None
                await asyncio.to_thread(_write, folder / RESULT, path, writing, scene)
        return path

    async def report(self, job_id: str) -> Path:
        """The report of a job, made by a process of its own when it is first asked for.

        Raises:
            Refusal: the job has not ended well, or the report cannot be made.
        """
        job = self._done(job_id)
        folder = self._storage.of_job(job_id)
        path = folder / REPORT
        async with self._reporting:
            if not path.exists():
                self._storage.check_room()
                scene = await self._runner.scene_of(job)
                await _have_reported(folder / RESULT, path, scene)
        return path

    def _done(self, job_id: str) -> Job:
        job = self._runner.get(job_id)
        if job.state != DONE:
            raise Refusal(409, f"job {job_id} is {job.state}; it has no result")
        return job


def _write(result: Path, path: Path, writing: Writing, scene: Path | None) -> None:
    """Write a result in another format.

    Raises:
        Refusal: it cannot be.
    """
    try:
        found = load_result(result)
        if scene is not None:
            found = replace(found, scene=replace(found.scene, path=str(scene)))
        write(found, path, writing=writing)
    except SodsliceError as error:
        words = without_folders(" ".join(str(error).split()), result.parent, scene and scene.parent)
        raise Refusal(422, words) from None


async def _have_reported(result: Path, path: Path, scene: Path) -> None:
    """Have a report made.

    Raises:
        Refusal: it cannot be.
    """
    task = {"do": "report", "result": str(result), "page": str(path), "scene": str(scene)}
    process = await start_child(task, result.parent)
    try:
        said = await asyncio.wait_for(_said(process), REPORT_SECONDS)
    except asyncio.TimeoutError:
        process.kill()
        raise Refusal(503, "the report took too long") from None
    if process.returncode:
        errors = [event_in(line).get("text") for line in said.splitlines()]
        why = next(filter(None, reversed(errors)), None) or "the report could not be made"
        raise Refusal(422, without_folders(why, result.parent, scene.parent))


async def _said(process: asyncio.subprocess.Process) -> bytes:
    """All that a process says until it has ended."""
    assert process.stderr is not None
    said = await process.stderr.read()
    await process.wait()
    return said
