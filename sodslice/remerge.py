"""Merge a kept raw store again, without the scene and without a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from sodslice.detector import ModelInfo
from sodslice.errors import SodsliceError
from sodslice.extent import restrict
from sodslice.georef import GeoRef
from sodslice.journal import read_store
from sodslice.options import ALL_CLASSES, Options
from sodslice.pipeline import RAW_SUFFIX, merged
from sodslice.result import RunResult
from sodslice.sweep import Swept
from sodslice.tiles import plan_tiles
from sodslice.view import Frame, counting


def merge_again(result: str | Path, settings: Mapping[str, Any] | None = None) -> RunResult:
    """A result made anew from what every tile saw, which `run --keep-raw` kept.

    Args:
        result: the file that the run wrote, with its raw store beside it, or the raw store itself.
        settings: those that apply after detection and that shall differ: merge, iou, class_agnostic,
            class_group, threshold, classes, min_size, max_size.

    Raises:
        SodsliceError: there is no raw store, its run did not finish, or a setting would need the model.
    """
    store = _store_of(Path(result))
    held = read_store(store)
    if held.last is None:
        raise SodsliceError(f"{store} is of a run that has not finished; run it again to its end first")
    _check_of_one_run(Path(result), store, held.last.get("started"))
    scene, run = held.last["scene"], held.last["run"]
    before = Options.from_mapping(run["options"])
    options = _changed(before, dict(settings or {}))
    if options.tile_settings() != before.tile_settings():
        raise SodsliceError("merging again cannot change what the tiles saw; run the scene again for that")
    info = ModelInfo(tuple(run["class_names"]), name=run["model"]["name"], suppressed=run["suppressed"])
    georef = GeoRef.from_dict(held.last["georef"])
    frame = Frame((scene["width"], scene["height"]), tuple(run["seen_px"]))
    within = restrict(georef, frame.size, window=options.window, aoi=options.aoi)
    if within.aoi_sha256 != run["aoi_sha256"]:
        raise SodsliceError(f"the area of interest {options.aoi} has changed since the run; run it again")
    failed = {row["id"] for row in run["failed_tiles"]}
    grid = plan_tiles(*frame.seen, tile=run["tile_px"], overlap=before.overlap)
    tiles = [tile for tile in grid if tile.id not in failed]
    swept = Swept(held.tables, frozenset(held.empty), (), 0)
    found = merged(swept.on_scene(tiles), tiles, info, options, frame=frame)
    found = counting(found, georef, within=within, min_size=options.min_size, max_size=options.max_size)
    return RunResult(
        found,
        info.class_names,
        georef,
        scene,
        {**run, "options": options.as_dict(all_settings=False)},
    )


def _changed(before: Options, settings: dict[str, Any]) -> Options:
    """The options of the run with some changed; a threshold for one class leaves that for all as it was."""
    after = before.replace(settings)
    if "threshold" in settings:
        everywhere = {name: score for name, score in before.threshold if name == ALL_CLASSES}
        after = after.replace({"threshold": everywhere | dict(after.threshold)})
    return after


def _check_of_one_run(result: Path, store: Path, started: str | None) -> None:
    """Refuse a store that was left behind by another run than the one that wrote the result.

    Raises:
        SodsliceError: both say when they were begun, and differ.
    """
    if result == store or not result.is_file():
        return
    try:
        said = orjson.loads(result.read_bytes())["timings"]["started"]
    except (ValueError, KeyError, TypeError):
        return  # a file that says nothing contradicts nothing
    if started is not None and said != started:
        raise SodsliceError(
            f"{store} is of the run of {started}, and {result} of that of {said}; run the scene again with "
            f"--keep-raw, or give {store} itself to merge what it holds"
        )


def _store_of(path: Path) -> Path:
    """The raw store beside a result, or the one that is named."""
    beside = path.with_name(path.name + RAW_SUFFIX)
    if path.suffix == RAW_SUFFIX and path.is_file():
        return path
    if beside.is_file():
        return beside
    if not path.exists():
        raise SodsliceError(f"there is no file {path}")
    raise SodsliceError(f"there is no {beside}; run the scene with --keep-raw to be able to merge it again")
