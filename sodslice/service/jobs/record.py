"""`Job`: what is known of a job."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Any

QUEUED, RUNNING, DONE, FAILED, CANCELLED = STATES = ("queued", "running", "done", "failed", "cancelled")
ENDED = (DONE, FAILED, CANCELLED)


def new_id() -> str:
    """An id that nobody can guess."""
    return secrets.token_hex(12)


@dataclass
class Job:
    """A scene that is to be looked at, is, or was.

    Args:
        id: of the job.
        scene: as it was named: a path below the root, an address without its query, or the name of an upload.
        source: where its pixels come from: `{"path": ...}`, `{"url": ...}` or `{"upload": ...}`.
        options: settings of the run.
        state: one of `STATES`.
        created, started, finished: seconds since 1970; 0 for not yet.
        tiles_done, tiles: progress.
        objects, classes: what was found; None until then.
        failed_tiles: that could not be read.
        notes: what was said about the scene.
        error: why it failed.
        tries: how often a process was started for it.
    """

    id: str
    scene: str
    source: dict[str, str]
    options: dict[str, Any]
    state: str = QUEUED
    created: float = field(default_factory=time.time)
    started: float = 0.0
    finished: float = 0.0
    tiles_done: int = 0
    tiles: int = 0
    objects: int | None = None
    classes: dict[str, int] = field(default_factory=dict)
    failed_tiles: int = 0
    notes: list[str] = field(default_factory=list)
    error: str = ""
    tries: int = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    def as_shown(self) -> dict[str, Any]:
        """What a client is shown."""
        seconds = (self.finished or time.time()) - self.started if self.started else 0.0
        return {
            "id": self.id,
            "scene": self.scene,
            "state": self.state,
            "options": self.options,
            "progress": {"done": self.tiles_done, "tiles": self.tiles},
            "objects": self.objects,
            "classes": self.classes,
            "failed_tiles": self.failed_tiles,
            "notes": self.notes,
            "error": self.error,
            "created": _time(self.created),
            "started": _time(self.started),
            "finished": _time(self.finished),
            "seconds": round(seconds, 1),
            "links": {"self": f"/jobs/{self.id}", "events": f"/jobs/{self.id}/events"}
            | (
                {"result": f"/jobs/{self.id}/result.json", "report": f"/jobs/{self.id}/report.html"}
                if self.state == DONE
                else {}
            ),
        }


def _time(seconds: float) -> str | None:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else None
