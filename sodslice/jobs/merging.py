"""`merge_shards`: what the shards of a job did, put together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

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
from sodslice.running import Events, finish
from sodslice.running.finishing import facts_of, plan_of

_PART = re.compile(r"(?P<output>.+)\.(?P<number>\d+)-of-(?P<of>\d+)\.raw")

Parts = Mapping[int, Path]
"""Stores of the parts of one scene, by their number."""


def merge_shards(folder: str | Path, *, events: Events | None = None) -> list[str]:
    """Put together what the shards of a job did: parts of large scenes to results, manifests to one.

    A scene is merged as if one machine had seen it. Its parts are read one after the other and removed when
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
    manifest, missing = Manifest(where), shards_missing(extents)
    missing += parts_missing(where)[0]
    for output, shares in parts_in(where).items():
        of = _complete(shares)
        if of is None:
            continue
        try:
            entry = _merged(where, output, shares[of], manifest, watcher)
        except StoreError as error:
            missing.append(f"{output}, whose parts do not fit ({error}); run its shards again, all alike")
            continue
        manifest.add(entry)
        for parts in shares.values():
            for path in parts.values():
                path.unlink(missing_ok=True)
    _note_merged(where, manifest)
    fold_manifests(where, ended=not missing)
    return missing


def _note_merged(folder: Path, manifest: Manifest) -> None:
    """Have the manifest know scenes that were merged by somebody who died before it did."""
    parts = parts_in(folder)
    for entry in entries_of(folder).values():
        fits = _PART.fullmatch(entry.output)
        if entry.status != "part" or fits is None or fits["output"] in parts:
            continue
        path = folder / fits["output"]
        if path.is_file():
            done = replace(entry, status="done", output=fits["output"], finished=_now())
            manifest.add(with_result(done, load_result(path), path))


def shards_missing(extents: Mapping[tuple[int, int], Extent]) -> list[str]:
    """Shards that have not come to their end, unless the whole job was done at once."""
    missing: list[str] = []
    if extents.get((1, 1), Extent()).ended:
        return missing
    for of in sorted({of for _, of in extents if of > 1}):
        numbers = [n for n in range(1, of + 1) if not extents.get((n, of), Extent()).ended]
        if numbers:
            missing.append(f"shards {', '.join(map(str, numbers))} of {of}, which have not ended")
    return missing


def parts_missing(folder: Path) -> tuple[list[str], list[str]]:
    """Which parts scenes lack that shards share, in words, and the results of those that lack none."""
    missing, whole = [], []
    for output, shares in parts_in(folder).items():
        most = max(shares)
        if _complete(shares) is None:
            missing.append(f"parts {lacking(shares[most], most)} of {most} of {output}")
        else:
            whole.append(output)
    return missing, whole


def _complete(shares: Mapping[int, Parts]) -> int | None:
    """Into how many parts a scene was shared out of which all are there; None where some lack."""
    return next((of for of, parts in sorted(shares.items()) if not lacking(parts, of)), None)


def parts_in(folder: Path) -> dict[str, dict[int, dict[int, Path]]]:
    """Stores of parts: by the result that they are for, then by how many there should be, then by number."""
    found: dict[str, dict[int, dict[int, Path]]] = defaultdict(lambda: defaultdict(dict))
    for path in sorted(folder.rglob("*-of-*.raw")):
        fits = _PART.fullmatch(path.relative_to(folder).as_posix())
        if fits:
            found[fits["output"]][int(fits["of"])][int(fits["number"])] = path
    return found


def lacking(parts: Parts, of: int) -> str:
    """The numbers of parts that are not there, or have not been finished; "" where all have."""
    return ", ".join(
        str(number) for number in range(1, of + 1) if number not in parts or facts_of(parts[number]) is None
    )


def _merged(folder: Path, output: str, parts: Parts, manifest: Manifest, events: Events) -> Entry:
    """Write the result of a scene from all of its parts.

    Raises:
        StoreError: they are damaged, or of different plans.
    """
    path = folder / output
    plan = plan_of(parts[1]).whole
    others = [number for number, part in parts.items() if plan_of(part).sha256 != plan.sha256]
    if others:
        raise StoreError(f"parts {', '.join(map(str, others))} are of other settings than part 1")
    facts = [facts_of(part) or {} for part in parts.values()]
    seconds = round(sum(float(fact.get("seconds", 0.0)) for fact in facts), 4)
    timings = Timings(
        min(str(fact.get("started", "")) for fact in facts),
        {"sweep": seconds, "all": seconds},
        max(int(fact.get("readers", 1)) for fact in facts),
        sum(int(fact.get("resumed", 0)) for fact in facts),
        plan.sha256,
        sum(int(fact.get("workers", 1)) for fact in facts),
    )
    result: RunResult = replace(finish(plan, list(parts.values()), events=events), timings=timings)
    write(result, path)
    name = output.removesuffix(path.suffix)
    known = manifest.entry(name) or Entry(name, plan.scene.name, "part")
    done = replace(known, status="done", output=output, seconds=seconds, finished=_now(), error="")
    return with_result(done, result, path)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
