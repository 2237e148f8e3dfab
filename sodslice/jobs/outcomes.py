"""`Outcome`: what became of one scene of a job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sodslice.errors import SodsliceError
from sodslice.results import RunResult, load_result
from sodslice.running import RAW_SUFFIX


@dataclass(frozen=True)
class Outcome:
    """What became of one scene of a job: done, failed (why), skipped (why), or its part is done.

    Args:
        path: of the scene; of an array its name.
        status: "done", "failed", "skipped", or "part": of a scene that several shards share, the part of this
            shard is done.
        why: for a scene that failed or was skipped, in one sentence; "" for one that is done.
        result: of a scene that is done; None for others.
        outputs: files that hold the result, or the part; none of a scene that failed.
        error: of a scene that failed; None for others.
        name: of the results, below the folder of the job.
        size: width and height of the scene in pixels; None where it could not be opened.
        tiles: that were looked at, now or before.
        seconds: that it took now.
    """

    path: Path
    status: str
    why: str = ""
    result: RunResult | None = None
    outputs: tuple[Path, ...] = ()
    error: SodsliceError | None = None
    name: str = ""
    size: tuple[int, int] | None = None
    tiles: int = 0
    seconds: float = 0.0

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
            SodsliceError: the scene failed, is done in part only, or there is no file.
        """
        if self.result is not None:
            return self.result
        if self.error is not None:
            raise self.error
        if not self.outputs:
            raise SodsliceError(f"the result of {self.path} is in no file")
        if self.status == "part" or self.outputs[0].suffix == RAW_SUFFIX:
            raise SodsliceError(
                f"a part of {self.path} is done; put it together with those of other shards by `merge_shards`"
            )
        return load_result(self.outputs[0])
