"""Many scenes: one model, one outcome a scene, and a broken scene does not stop the others."""

from sodslice.jobs.combining import combine
from sodslice.jobs.events import JobEvents, JobProgress
from sodslice.jobs.listing import list_scenes
from sodslice.jobs.many import foresee, run_many
from sodslice.jobs.merging import merge_shards
from sodslice.jobs.outcomes import Outcome
from sodslice.jobs.sources import find_scenes
from sodslice.jobs.status import JobStatus, job_status

__all__ = [
    "JobEvents",
    "JobProgress",
    "JobStatus",
    "Outcome",
    "combine",
    "find_scenes",
    "foresee",
    "job_status",
    "list_scenes",
    "merge_shards",
    "run_many",
]
