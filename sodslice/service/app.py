"""The app: all routes of the service behind its gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from uuid import uuid4

from fastapi import FastAPI
from starlette.responses import Response

from sodslice.service.documented import ErrorAnswer, errors
from sodslice.service.envelope import handle_errors, json_answer
from sodslice.service.gate import Gate
from sodslice.service.jobs.answers import Jobs
from sodslice.service.jobs.listing import JobList
from sodslice.service.jobs.routes import job_routes, result_routes, source_routes
from sodslice.service.jobs.runner import Runner
from sodslice.service.jobs.storage import Storage
from sodslice.service.metrics import Metrics
from sodslice.service.pictures import Pictures, picture_routes
from sodslice.service.places import Root
from sodslice.service.policies import FRAME_POLICY, POLICY
from sodslice.service.settings import ServiceSettings
from sodslice.system.version import __version__

JOBS_FILE = "jobs.sqlite"
PAGE = {
    "/": ("index.html", "text/html", POLICY),
    "/page.css": ("page.css", "text/css", POLICY),
    "/page.js": ("page.js", "text/javascript", POLICY),
    "/frame.html": ("frame.html", "text/html", FRAME_POLICY),
}
DESCRIPTION = """\
Pictures are sent in PaddleX's words and answered at once. Scenes are jobs: begin one, watch it, fetch its
result. Every error is `{"logId", "errorCode", "errorMsg"}`, where `errorCode` is the HTTP status.
"""


def make_app(settings: ServiceSettings, *, visualize: bool = True) -> Gate:
    """The app of a service; its model is loaded here.

    Args:
        settings: of the service.
        visualize: whether an answer has a picture where a request does not say.

    Raises:
        ModelError: the model is not here, or cannot be run.
        DeviceError: the device is not there.
        OSError: the folder of the service cannot be used.
    """
    metrics, root = Metrics(), Root(settings.root)
    storage = Storage(settings)
    listed = JobList(storage.folder / JOBS_FILE)
    runner = Runner(settings, listed, storage, root, metrics)
    pictures = Pictures(settings, metrics, visualize=visualize)

    @asynccontextmanager
    async def lasting(app: FastAPI) -> AsyncIterator[None]:
        del app
        await runner.start()
        try:
            yield
        finally:
            await runner.park()
            pictures.close()
            listed.close()
            storage.close()

    app = FastAPI(
        title="sodslice", version=__version__, description=DESCRIPTION, lifespan=lasting, docs_url=None,
        redoc_url=None, separate_input_output_schemas=False,
    )  # fmt: skip
    handle_errors(app)
    app.include_router(picture_routes(pictures))
    jobs = Jobs(settings, runner, storage, root)
    for router in (source_routes(storage, root), job_routes(jobs, runner), result_routes(jobs)):
        app.include_router(router)
    _add_service_routes(app, metrics)
    return Gate(app, settings, metrics, end_streams=runner.end_streams)


def _add_service_routes(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/health", tags=["service"], response_model=ErrorAnswer, summary="Whether the service is there")
    async def health() -> Response:
        return json_answer({"logId": str(uuid4()), "errorCode": 0, "errorMsg": "Healthy"})

    @app.get(
        "/metrics",
        tags=["service"],
        summary="Counters for Prometheus",
        response_class=Response,
        responses=errors(),
    )
    async def counted() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    for path, of_page in PAGE.items():
        _add_page(app, path, *of_page)


def _add_page(app: FastAPI, path: str, name: str, kind: str, policy: str) -> None:
    content = (files("sodslice.service") / "page" / name).read_bytes()
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    @app.get(path, include_in_schema=False)
    async def page() -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8", headers=headers)
