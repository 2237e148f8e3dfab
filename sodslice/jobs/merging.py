"""`merge_shards`: what the shards of a job did, put together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sodslice.errors import SodsliceError, StoreError
from sodslice.jobs.entries import with_result
from sodslice.jobs.manifest import (
    MANIFEST,
    Entry,
    Extent,
    Manifest,
    entries_of,
    extents_of,
    fold_manifests,
    manifests_in,
)
from sodslice.results import RunResult, Timings, load_result, write
from sodslice.running import Events, RunPlan, finish
from sodslice.running.finishing import ends_of

_PART = re.compile(r"(?P<output>.+)\.(?P<number>\d+)-of-(?P<of>\d+)\.raw")


@dataclass(frozen=True)
class Part:
    """A store of a part of a scene.

    Args:
        path: of the store.
        plan: with which it was written last; None of a store that is damaged, or has not been begun.
        facts: when the work was begun, and how long it took; None where it has not come to its end.
    """

    path: Path
    plan: RunPlan | None = None
    facts: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, path: Path) -> Part:
        """What a store holds; it is read to its end."""
        try:
            return cls(path, *ends_of(path))
        except StoreError:
            return cls(path)


Parts = Mapping[int, Part]
"""The parts of one scene, by their number."""

Shares = Mapping[int, Parts]
"""The parts of one scene that are there, by how many there should be: a job may be split in several ways."""


def merge_shards(folder: str | Path, *, events: Events | None = None) -> list[str]:
    """Put together what the shards of a job did: parts of large scenes to results, manifests to one.

    A scene is merged as if one machine had seen it. Its parts are joined one after the other and removed when
    its result is written and the manifest knows it. It may be done at any time, also while shards run, and
    again after it was interrupted; what is not complete yet stays as it is.

    Args:
        folder: of the job.
        events: told what the user should know.

    Returns:
        What is missing, one sentence each; nothing where all is there.

    Raises:
        SodsliceError: there is no job in the folder.
        OutputError: something cannot be written.
    """
    where, watcher = Path(folder), events or Events()
    extents = extents_of(where)
    if not (extents or manifests_in(where)):
        raise SodsliceError(f"{where} holds no {MANIFEST} of a job, nor one of a shard; run one first")
    manifest, scenes = Manifest(where), parts_in(where)
    missing = [*shards_missing(extents), *parts_missing(scenes)]
    for output in whole_scenes(scenes):
        shares = scenes[output]
        try:
            manifest.add(_merged(where, output, _newest(shares), manifest, watcher))
        except StoreError as error:
            missing.append(f"{output}, whose parts do not fit ({error}); run its shards again, all alike")
            continue
        for part in (part for parts in shares.values() for part in parts.values()):
            part.path.unlink(missing_ok=True)
    _note_merged(where, manifest)
    fold_manifests(where, ended=not missing)
    return missing


def parts_in(folder: Path) -> dict[str, Shares]:
    """Parts of scenes, by the result that they are for; each store is read once."""
    found: dict[str, dict[int, dict[int, Part]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.rglob("*-of-*.raw")):
        fits = _PART.fullmatch(path.relative_to(folder).as_posix())
        if fits:
            found[fits["output"]][int(fits["of"])][int(fits["number"])] = Part.of(path)
    return {output: dict(shares) for output, shares in found.items()}


def shards_missing(extents: Mapping[tuple[int, int], Extent]) -> list[str]:
    """Shards that have not come to their end, in words."""
    missing = []
    for of in sorted({of for _, of in extents if of > 1}):
        numbers = [n for n in range(1, of + 1) if not extents.get((n, of), Extent()).ended]
        if numbers:
            missing.append(f"shards {', '.join(map(str, numbers))} of {of}, which have not ended")
    return missing


def parts_missing(scenes: Mapping[str, Shares]) -> list[str]:
    """Which parts scenes lack, in words."""
    missing, whole = [], set(whole_scenes(scenes))
    for output, shares in scenes.items():
        if output not in whole:
            most = max(shares)
            numbers = ", ".join(map(str, _lacking(shares[most], most)))
            missing.append(f"parts {numbers} of {most} of {output}")
    return missing


def whole_scenes(scenes: Mapping[str, Shares]) -> list[str]:
    """Results all of whose parts are there."""
    return [output for output, shares in scenes.items() if _splits(shares)]


def _splits(shares: Shares) -> list[Parts]:
    """The ways in which a scene was shared out of which all parts are there."""
    return [parts for of, parts in shares.items() if not _lacking(parts, of)]


def _lacking(parts: Parts, of: int) -> list[int]:
    """The numbers of parts that are not there, or have not come to their end."""
    return [n for n in range(1, of + 1) if n not in parts or parts[n].facts is None]


def _newest(shares: Shares) -> Parts:
    """Of several ways in which all parts are there, the one of the last job."""
    return max(_splits(shares), key=lambda parts: max(_started(part) for part in parts.values()))


def _started(part: Part) -> str:
    return str((part.facts or {}).get("started", ""))


def _merged(folder: Path, output: str, parts: Parts, manifest: Manifest, events: Events) -> Entry:
    """Write the result of a scene from all of its parts.

    Raises:
        StoreError: they are damaged, or of different plans.
    """
    plans = [part.plan for part in parts.values() if part.plan is not None]
    plan = plans[0].whole
    if any(other.sha256 != plan.sha256 for other in plans):
        raise StoreError("some are of other settings than the first")
    path, facts = folder / output, [part.facts or {} for part in parts.values()]
    seconds = round(sum(float(fact.get("seconds", 0.0)) for fact in facts), 4)
    timings = Timings(
        min(map(_started, parts.values())),
        {"sweep": seconds, "all": seconds},
        max(int(fact.get("readers", 1)) for fact in facts),
        sum(int(fact.get("resumed", 0)) for fact in facts),
        plan.sha256,
        sum(int(fact.get("workers", 1)) for fact in facts),
    )
    stores = [part.path for part in parts.values()]
    result: RunResult = replace(finish(plan, stores, events=events), timings=timings)
    write(result, path)
    name = output.removesuffix(path.suffix)
    known = manifest.entry(name) or Entry(name, plan.scene.name, "part")
    done = replace(known, status="done", output=output, seconds=seconds, finished=_now(), error="")
    return with_result(done, result, path)


def _note_merged(folder: Path, manifest: Manifest) -> None:
    """Have the manifest know scenes that were merged by somebody who died before it did."""
    for entry in entries_of(folder).values():
        fits = _PART.fullmatch(entry.output)
        if entry.status != "part" or fits is None or (folder / entry.output).is_file():
            continue
        path = folder / fits["output"]
        if path.is_file():
            done = replace(entry, status="done", output=fits["output"], finished=_now())
            manifest.add(with_result(done, load_result(path), path))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
