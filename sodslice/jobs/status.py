"""`job_status`: how far a job has come, whoever does it, from what lies in its folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sodslice.errors import SodsliceError
from sodslice.jobs.manifest import MANIFEST, Entry, entries_of, extents_of, in_job_order, manifests_in
from sodslice.jobs.merging import parts_in, parts_missing, shards_missing, whole_scenes
from sodslice.running.runs import JOURNAL_SUFFIX
from sodslice.system.locks import try_lock


@dataclass(frozen=True)
class JobStatus:
    """How far a job has come.

    Args:
        entries: what the manifests say of each scene that is settled, in the order of the job.
        scenes: how many the job has; None where nobody knows.
        missing: shards that have not ended, and parts that scenes lack which several shards share.
        unmerged: results all of whose parts are there, but for their merge.
        under_way: results that some process is at.
        interrupted: results whose run was interrupted, and goes on when it is run again.
        manifests: files that this was read from.
    """

    entries: tuple[Entry, ...]
    scenes: int | None
    missing: tuple[str, ...]
    unmerged: tuple[str, ...]
    under_way: tuple[str, ...]
    interrupted: tuple[str, ...]
    manifests: tuple[Path, ...]

    @property
    def counts(self) -> Counter[str]:
        """How many scenes there are of each status."""
        return Counter(entry.status for entry in self.entries)

    @property
    def failed(self) -> tuple[Entry, ...]:
        """Scenes that failed, or of which tiles did."""
        return tuple(entry for entry in self.entries if entry.status == "failed" or entry.failed_tiles)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        done = self.counts["done"]
        settled = done == len(self.entries) and not self.failed and done >= (self.scenes or 0)
        return settled and not (self.missing or self.unmerged or self.under_way or self.interrupted)


def job_status(folder: str | Path) -> JobStatus:
    """How far a job has come.

    Args:
        folder: of the job.

    Raises:
        SodsliceError: there is no job in the folder.
    """
    where = Path(folder)
    manifests, extents = manifests_in(where), extents_of(where)
    if not (manifests or extents):
        raise SodsliceError(f"{where} holds no {MANIFEST} of a job, nor one of a shard; run one first")
    journals = sorted(where.rglob(f"*{JOURNAL_SUFFIX}"))
    scenes = parts_in(where)
    parts = (part.path for shares in scenes.values() for some in shares.values() for part in some.values())
    held = [path for path in (*journals, *sorted(parts)) if _is_held(path)]
    return JobStatus(
        tuple(in_job_order(entries_of(where).values())),
        max((extent.scenes for extent in extents.values() if extent.scenes is not None), default=None),
        (*shards_missing(extents), *parts_missing(scenes)),
        tuple(whole_scenes(scenes)),
        tuple(_named(path, where) for path in held),
        tuple(_named(path, where) for path in journals if path not in held),
        tuple(manifests),
    )


def _is_held(path: Path) -> bool:
    """Whether some process is writing a journal."""
    try:
        with path.open("r+b") as file:
            return not try_lock(file)
    except OSError:
        return False


def _named(store: Path, folder: Path) -> str:
    """What a store is for, below the folder."""
    return store.relative_to(folder).as_posix().removesuffix(JOURNAL_SUFFIX)
