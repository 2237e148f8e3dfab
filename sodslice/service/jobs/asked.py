"""What clients send about jobs, and what they are shown."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from sodslice.service.jobs.options import job_schema


class JobRequest(BaseModel):
    """A scene, from one of three places, and settings of its run."""

    model_config = {
        "json_schema_extra": {"examples": [{"path": "flights/scene.tif", "options": {"threshold": 0.5}}]},
        "extra": "forbid",
    }

    path: Annotated[
        str | None, Field(description="A scene below the root of the service.", max_length=4096)
    ] = None
    url: Annotated[
        str | None, Field(description="The http or https address of a scene.", max_length=4096)
    ] = None
    upload: Annotated[str | None, Field(description="What POST /uploads gave.", max_length=64)] = None
    options: Annotated[
        dict[str, Any], Field(description="Settings of the run.", json_schema_extra=job_schema())
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_one(self) -> JobRequest:
        if sum(one is not None for one in (self.path, self.url, self.upload)) != 1:
            raise ValueError("give one of path, url and upload")
        return self


class Upload(BaseModel):
    """An upload that has come."""

    upload: str
    bytes: int


class JobShown(BaseModel):
    """A job as it is now; times are in UTC, `objects` is null until they are counted."""

    id: str
    scene: str
    state: Annotated[str, Field(description="queued, running, done, failed or cancelled")]
    options: dict[str, Any]
    progress: dict[str, int]
    objects: int | None
    classes: dict[str, int]
    failed_tiles: int
    notes: list[str]
    error: str
    created: str | None
    started: str | None
    finished: str | None
    seconds: float
    links: dict[str, str]


class SceneShown(BaseModel):
    """An image or a folder below the root."""

    path: str
    folder: bool
    bytes: int
