"""What a job does with each scene, and a scene that is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sodslice.errors import SceneError, SodsliceError
from sodslice.inference import ModelSpec, ReadyDetector
from sodslice.jobs.listing import JobScene
from sodslice.jobs.outcomes import Outcome
from sodslice.jobs.shards import Shard
from sodslice.running import RunPlan
from sodslice.running.shares import crew_of
from sodslice.scene import SceneBase
from sodslice.settings import Options


@dataclass(frozen=True, eq=False)
class Task:
    """What a job does with each scene.

    Args:
        settings: of the runs.
        spec: facts about the model.
        given: the model, where it is an object.
        folder: for the results; None where nothing is written.
        shard: that this job is.
        alone: whether the user named one scene and no other.
    """

    settings: Options
    spec: ModelSpec
    given: ReadyDetector | None = None
    folder: Path | None = None
    shard: Shard = field(default_factory=Shard)
    alone: bool = False

    @property
    def crew(self) -> int:
        """How many processes look at tiles."""
        return crew_of(self.spec, self.settings.work.workers)


@dataclass(frozen=True, eq=False)
class OpenScene:
    """A scene that is open, with its plan.

    Args:
        scene: of the job.
        opened: itself.
        plan: of the whole scene.
        part: of it, where several shards share it.
        output: file of its result; None where nothing is written.
    """

    scene: JobScene
    opened: SceneBase
    plan: RunPlan
    part: RunPlan | None
    output: Path | None

    def outcome(self, status: str, why: str = "") -> Outcome:
        """What becomes of it, but for the result."""
        size = self.plan.scene.width, self.plan.scene.height
        outputs = () if self.output is None else (self.output,)
        tiles = len(self.plan if self.part is None else self.part)
        return Outcome(self.scene.path, status, why, outputs=outputs, size=size, tiles=tiles)


def failure_of(scene: JobScene, error: Exception) -> Outcome:
    """What becomes of a scene at an error, whatever its kind: it must not end the job."""
    if not isinstance(error, SodsliceError):
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else f"out of memory ({error})"
        error = SceneError(f"{scene.path} cannot be done: {' '.join(reason.split())}")
    return Outcome(scene.path, "failed", str(error), error=error)
