"""Many scenes: one model, one outcome a scene, and a broken scene does not stop the others."""

from sodslice.jobs.events import JobEvents
from sodslice.jobs.many import run_many
from sodslice.jobs.outcomes import Outcome
from sodslice.jobs.sources import find_scenes, output_stems

__all__ = ["JobEvents", "Outcome", "find_scenes", "output_stems", "run_many"]
