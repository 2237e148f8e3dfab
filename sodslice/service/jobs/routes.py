"""Routes of jobs: uploads and scenes, jobs and their progress, results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse, Response, StreamingResponse

from sodslice.results import Writing
from sodslice.results.writing import WGS84
from sodslice.service.documented import errors
from sodslice.service.envelope import Refusal, json_answer
from sodslice.service.jobs.answers import REPORT, Jobs
from sodslice.service.jobs.asked import JobRequest, JobShown, SceneShown, Upload
from sodslice.service.jobs.options import job_schema
from sodslice.service.jobs.runner import Runner
from sodslice.service.jobs.storage import Storage
from sodslice.service.places import Root
from sodslice.service.policies import FRAME_POLICY

KINDS = {
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".html": "text/html; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
}
SHOWN = (".html", ".png", ".jpg", ".jpeg")
"""What browsers show; all else they save."""

MOST_LISTED = 200
BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
JobId = Annotated[str, InPath(description="As POST /jobs gave it.", max_length=64)]


def source_routes(storage: Storage, root: Root) -> APIRouter:
    """Where scenes come from."""
    router = APIRouter(tags=["scenes"], responses=errors(404, 507))

    @router.post(
        "/uploads", status_code=201, response_model=Upload, summary="Upload a scene", openapi_extra=BODY
    )
    async def upload(
        request: Request,
        name: Annotated[str, Query(description="Of the file.", max_length=255)] = "scene.tif",
    ) -> Response:
        length = request.headers.get("content-length", "")
        said = int(length) if length.isdecimal() else 0
        upload_id, size = await storage.take(name, request.stream(), said=said)
        return json_answer({"upload": upload_id, "bytes": size}, 201)

    @router.get(
        "/scenes", response_model=list[SceneShown], summary="Images and folders in a folder below the root"
    )
    async def scenes(
        folder: Annotated[str, Query(description="From the root.", max_length=4096)] = "",
    ) -> Response:
        found = await asyncio.to_thread(root.entries, folder)  # which may be long
        return json_answer([entry._asdict() for entry in found])

    @router.get("/options", response_model=dict[str, Any], summary="The JSON Schema of a job's options")
    async def options() -> Response:
        return json_answer(job_schema())

    return router


def job_routes(jobs: Jobs, runner: Runner) -> APIRouter:
    """Jobs: begun, watched and ended."""
    router = APIRouter(prefix="/jobs", tags=["jobs"], responses=errors(404, 429, 507))

    @router.post("", status_code=202, response_model=JobShown, summary="Begin a job")
    async def begin(asked: JobRequest) -> Response:
        job = jobs.begin(asked)
        return json_answer(job.as_shown(), 202, {"Location": f"/jobs/{job.id}"})

    @router.get("", response_model=list[JobShown], summary="The newest jobs, the newest first")
    async def all_jobs(most: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 50) -> Response:
        return json_answer([job.as_shown() for job in runner.all(most)])

    @router.get("/{job_id}", response_model=JobShown, summary="A job as it is now")
    async def one(job_id: JobId) -> Response:
        return json_answer(runner.get(job_id).as_shown())

    @router.delete(
        "/{job_id}",
        response_model=JobShown | None,
        summary="Cancel a job; remove one that has ended, with its results",
    )
    async def cancel(job_id: JobId) -> Response:
        job = await runner.cancel(job_id)
        return json_answer(None if job is None else job.as_shown())

    @router.get(
        "/{job_id}/events",
        response_class=StreamingResponse,
        summary="A job each time that something has changed, as server-sent events",
    )
    async def events(job_id: JobId) -> StreamingResponse:
        runner.get(job_id)
        return StreamingResponse(
            _told(runner, job_id), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return router


def result_routes(jobs: Jobs) -> APIRouter:
    """What jobs have found."""
    router = APIRouter(prefix="/jobs", tags=["results"], responses=errors(404, 409, 503, 507))

    @router.get(
        "/{job_id}/report.html",
        response_class=FileResponse,
        summary="The report: the scene with its boxes, as one page",
    )
    async def report(job_id: JobId) -> FileResponse:
        return _file(await jobs.report(job_id), REPORT)

    @router.get(
        "/{job_id}/{name}",
        response_class=FileResponse,
        summary="The result in a format: result.json, result.geojson, result.gpkg, ...",
    )
    async def result(
        job_id: JobId,
        name: Annotated[str, InPath(description="result and a suffix", max_length=40)],
        geometry: Annotated[str, Query(description="box or point", max_length=20)] = "box",
        output_crs: Annotated[
            str, Query(description="native or a code", pattern=r"^(native|[A-Za-z]{2,20}:\d{1,10})$")
        ] = WGS84,
        pixel_coords: Annotated[bool, Query(description="Maps in scene pixels.")] = False,  # noqa: FBT002
    ) -> FileResponse:
        writing = Writing(geometry=geometry, output_crs=output_crs, pixel_coords=pixel_coords)
        return _file(await jobs.result(job_id, name, writing), name)

    return router


async def _told(runner: Runner, job_id: str) -> AsyncIterator[bytes]:
    """Server-sent events of a job."""
    try:
        async for job in runner.watch(job_id):
            yield b": wait\n\n" if job is None else b"data: " + orjson.dumps(job.as_shown()) + b"\n\n"
    except Refusal:
        return  # it was removed meanwhile


def _file(path: Path, name: str) -> FileResponse:
    """A file of a result, which a browser keeps to itself."""
    kind = KINDS.get(path.suffix, "application/octet-stream")
    headers = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    if path.suffix == ".html":
        headers["Content-Security-Policy"] = FRAME_POLICY
    shown = "inline" if path.suffix in SHOWN else "attachment"
    return FileResponse(path, media_type=kind, filename=name, headers=headers, content_disposition_type=shown)
