"""`Outcome`: what became of one scene of a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sodslice.errors import SodsliceError
from sodslice.results import RunResult, load_result


@dataclass(frozen=True)
class Outcome:
    """What became of one scene of a job: done, failed (why) or skipped (why).

    Args:
        path: of the scene.
        status: "done", "failed" or "skipped".
        why: for a scene that failed or was skipped, in one sentence; "" for one that is done.
        result: of a scene that is done; None for others.
        outputs: files that hold the result, of a scene that is done or was skipped.
        error: of a scene that failed; None for others.
    """

    path: Path
    status: str
    why: str = ""
    result: RunResult | None = None
    outputs: tuple[Path, ...] = ()
    error: SodsliceError | None = None

    @property
    def done(self) -> bool:
        """Whether the scene was done just now."""
        return self.status == "done"

    @property
    def failed(self) -> bool:
        """Whether it could not be done."""
        return self.status == "failed"

    @property
    def skipped(self) -> bool:
        """Whether it was left as it is."""
        return self.status == "skipped"

    def load(self) -> RunResult:
        """The result, read from its file where the scene was skipped.

        Raises:
            SodsliceError: the scene failed, or there is no file.
        """
        if self.result is not None:
            return self.result
        if self.error is not None:
            raise self.error
        if not self.outputs:
            raise SodsliceError(f"the result of {self.path} is in no file")
        return load_result(self.outputs[0])
