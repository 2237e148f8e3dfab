"""Finish a kept raw store again, without the scene and without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sodslice.errors import OptionError, SodsliceError, StoreError
from sodslice.results import ALL_CLASSES, RunResult, load_result
from sodslice.running.events import Events
from sodslice.running.finishing import finish_seen
from sodslice.running.plan import RunPlan
from sodslice.running.planning import finishing_of
from sodslice.running.records import read_records
from sodslice.running.runs import RAW_SUFFIX
from sodslice.running.seen import Seen
from sodslice.settings import Options, all_settings
from sodslice.values.setting import named_values


def finish_again(
    result: str | Path, settings: Mapping[str, Any] | None = None, *, events: Events | None = None
) -> RunResult:
    """A result made anew from what every tile saw, which a run with `keep_raw` kept.

    Args:
        result: the file that the run wrote, with its raw store beside it, or the raw store itself.
        settings: those that shall differ, of those that apply when all tiles have been seen: `merge`, `iou`,
            `threshold`, `classes`, sizes and the like.
        events: told what the user should know.

    Raises:
        StoreError: there is no raw store, it is of another run, or its run did not finish.
        OptionError: a setting is malformed, or would need the model.
    """
    path = _store_of(Path(result))
    plan, seen = _held(path)
    if seen.last is None:
        raise StoreError(f"{path} is of a run that has not finished; run it again to its end first")
    _check_of_one_run(Path(result), path, seen.last.get("started"))
    options = _changed(Options.from_mapping(plan.options), dict(settings or {}))
    changed = replace(
        plan,
        finishing=finishing_of(options, plan.model),
        options=options.as_dict(changes_result=True),
    )
    return finish_seen(changed, seen, events=events)


def _held(path: Path) -> tuple[RunPlan, Seen]:
    """The plan of a store, the last that it was written with, and all that it holds.

    Raises:
        StoreError: it holds no plan.
    """
    plan, seen = None, None
    for record, _ in read_records(path):
        if record.kind == b"PLAN":
            plan = RunPlan.from_plain(record.content, source=str(path))
            if seen is None:
                seen = Seen(len(plan.grid))
        elif seen is not None:
            seen.take(record)
    if plan is None or seen is None:
        raise StoreError(
            f"{path} is a raw store that was cut off in its first records; run the scene again, with `fresh`"
        )
    return plan, seen


def _changed(before: Options, settings: dict[str, Any]) -> Options:
    """The options of the run with some changed; a threshold for one class leaves that for all as it was.

    Raises:
        OptionError: a setting is one that changes what the tiles saw, or how.
    """
    known = all_settings()
    for name in named_values(settings, known, where="merging again"):
        if not known[name].after_detection:
            able = ", ".join(one for one, setting in known.items() if setting.after_detection)
            raise OptionError(
                f"`{name}` cannot be changed when all tiles have been seen; run the scene again for that "
                f"(what can be changed: {able})"
            )
    after = before.replace(settings)
    if "threshold" in settings:
        everywhere = {name: score for name, score in before.keeping.threshold if name == ALL_CLASSES}
        after = after.replace({"threshold": everywhere | dict(after.keeping.threshold)})
    return after


def _check_of_one_run(result: Path, store: Path, started: str | None) -> None:
    """Refuse a store that was left behind by another run than the one that wrote the result.

    Raises:
        StoreError: both say when they were begun, and differ.
    """
    if result == store or not result.is_file():
        return
    try:
        timings = load_result(result).timings
    except SodsliceError:
        return  # a file that says nothing contradicts nothing
    if timings is not None and started is not None and timings.started != started:
        raise StoreError(
            f"{store} is of the run of {started}, and {result} of that of {timings.started}; run the scene "
            f"again with `keep_raw`, or give {store} itself to merge what it holds"
        )


def _store_of(path: Path) -> Path:
    """The raw store beside a result, or the one that is named.

    Raises:
        StoreError: there is none.
    """
    beside = path.with_name(path.name + RAW_SUFFIX)
    if path.suffix == RAW_SUFFIX and path.is_file():
        return path
    if beside.is_file():
        return beside
    if not path.exists():
        raise StoreError(f"there is no file {path}")
    raise StoreError(f"there is no {beside}; run the scene with `keep_raw` to be able to merge it again")
