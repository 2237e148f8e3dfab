"""Whether a scene was done before, and why it is done again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import orjson

from sodslice.errors import SodsliceError
from sodslice.jobs.manifest import Entry
from sodslice.results import RunResult, load_result
from sodslice.running import RAW_SUFFIX, RunPlan
from sodslice.running.finishing import ends_of
from sodslice.running.store import goes_on
from sodslice.settings.work import Work

DONE_BEFORE = "its result is there, made by the same plan"
PART_DONE_BEFORE = "its part is there, made by the same plan"
MOST_NAMED = 4


class Former(NamedTuple):
    """What is there of a scene.

    Fields: `fits`, whether it is what the plan would give; `why`, in words, or why the scene is to be done.
    """

    fits: bool
    why: str


def former_of(output: Path, plan: RunPlan, work: Work, entry: Entry | None) -> Former:
    """Whether a file holds what a plan would give, of a scene that can be told from its later self.

    Args:
        output: the file.
        plan: of the whole scene.
        work: settings of the run.
        entry: what the manifest says of the scene.
    """
    hindrance = _hindrance(output, plan, work)
    if hindrance or not output.is_file():
        return Former(fits=False, why=hindrance or _why_none(entry))
    if entry is not None and entry.status == "done" and not entry.failed_tiles:
        same = (entry.plan, entry.result_bytes) == (plan.sha256, output.stat().st_size)
        if same:
            return Former(fits=True, why=DONE_BEFORE)
    try:
        former = load_result(output)
    except SodsliceError as error:
        return Former(fits=False, why=str(error))
    if former.provenance.failed_tiles:
        return Former(
            fits=False, why=f"{len(former.provenance.failed_tiles)} of its tiles could not be looked at"
        )
    same = former.timings is not None and former.timings.plan == plan.sha256
    return Former(fits=same, why=DONE_BEFORE if same else _difference(former, plan))


def part_before(path: Path, part: RunPlan, work: Work) -> Former:
    """Whether a store holds all of a part of a scene."""
    if work.fresh or not path.is_file():
        return Former(fits=False, why="all is done anew" if work.fresh else "it is new")
    if not goes_on(path, part):
        return Former(fits=False, why="its part is of another plan, or the file has changed")
    try:
        ends = ends_of(path)
    except SodsliceError as error:
        return Former(fits=False, why=str(error))
    fits = ends.facts is not None and ends.plan.sha256 == part.sha256
    return Former(fits=fits, why=PART_DONE_BEFORE if fits else "it goes on where it ended")


def _hindrance(output: Path, plan: RunPlan, work: Work) -> str:
    """Why no file can do, whatever it holds; "" where one can."""
    if work.fresh:
        return "all is done anew"
    if not plan.resumable:
        return "nothing tells its scene or its model from others"
    if work.keep_raw and not output.with_name(f"{output.name}{RAW_SUFFIX}").is_file():
        return "what its tiles saw is to be kept, and is not there"
    return ""


def _why_none(entry: Entry | None) -> str:
    if entry is None or entry.status == "part":
        return "it is new"
    return f"it failed before: {entry.error}" if entry.status == "failed" else "its result is gone"


def _difference(former: RunResult, plan: RunPlan) -> str:
    """Why a plan would give something else than what is there."""
    made = former.provenance
    if made.version != plan.version:
        return f"its result is of sodslice {made.version}"
    if (made.model.name, made.model.sha256) != (plan.model.info.name, plan.model.info.sha256):
        return f"its result is of the model {made.model.name}"
    wanted = orjson.loads(orjson.dumps(dict(plan.options)))
    before = orjson.loads(orjson.dumps(dict(made.options)))
    names = sorted(name for name in wanted.keys() | before.keys() if wanted.get(name) != before.get(name))
    if names:
        more = ", ..." if len(names) > MOST_NAMED else ""
        return f"other settings: {', '.join(f'`{name}`' for name in names[:MOST_NAMED])}{more}"
    return "the file, or what runs the model, has changed"
