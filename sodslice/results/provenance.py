"""How a result came to be: typed records with a schema version, the same in every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sodslice.errors import SodsliceError
from sodslice.system.version import __version__
from sodslice.values.records import plain_record, read_fields

SCHEMA = 3
"""Of what is written today. Files without one were written before there were any, and are read as 1."""


@dataclass(frozen=True)
class SceneFacts:
    """The scene of a result.

    Args:
        path: as it was given.
        width: in pixels.
        height: in pixels.
        gsd_m: metres per pixel at its middle; None where metres are not known.
        notes: what the user should know, one sentence each.
        stretch: how levels became 8 bits; None where they were left alone.
        gsd_from: what `gsd_m` was got from, where that is not the georeference.
        georef_from: what the scene is placed by, and how well, where that is not its own georeference.
        orientation: EXIF's, by which the picture was turned when it was read; 1: it was not turned.
    """

    path: str
    width: int
    height: int
    gsd_m: float | None = None
    notes: tuple[str, ...] = ()
    stretch: Mapping[str, Any] | None = None
    gsd_from: str = ""
    georef_from: str = ""
    orientation: int = 1

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        facts = {"path": self.path, "width": self.width, "height": self.height, "gsd_m": self.gsd_m}
        origins = {"gsd_from": self.gsd_from, "georef_from": self.georef_from}
        facts |= {name: words for name, words in origins.items() if words}
        facts |= {} if self.orientation == 1 else {"orientation": self.orientation}
        stretch = {} if self.stretch is None else {"stretch": dict(self.stretch)}
        return {**facts, "notes": list(self.notes), **stretch}


@dataclass(frozen=True)
class ModelRecord:
    """The model of a result.

    Args:
        name: what outputs call it.
        sha256: hash of its files; "" where it has none.
        licence: what may be done with its weights.
    """

    name: str = "custom"
    sha256: str = ""
    licence: str = ""


@dataclass(frozen=True)
class TileCounts:
    """What became of the tiles.

    Args:
        tiles: that were looked at.
        read: that went through the model.
        skipped_nodata: without any data.
        saturated: in which the model gave its most boxes, all of them of at least 0.1 or the threshold.
        failed: that could not be read.
        cut_short: in which it did so above the threshold, so that objects may be missing.
    """

    tiles: int = 0
    read: int = 0
    skipped_nodata: int = 0
    saturated: int = 0
    failed: int = 0
    cut_short: int = 0


@dataclass(frozen=True)
class FailedTile:
    """A tile that could not be read.

    Args:
        id: of the tile.
        window: x, y, width, height in scene pixels.
        error: why.
    """

    id: int
    window: tuple[int, int, int, int]
    error: str


@dataclass(frozen=True)
class Provenance:
    """How a result came to be, as far as equal runs share it.

    Args:
        version: of sodslice.
        model: that was run.
        engine: what ran it, in words.
        suppressed: whether the model removes duplicates within a tile.
        tile_px: side of a tile in pixels that were seen; its width and height where these differ.
        overlap_px: overlap of neighbouring tiles in pixels that were seen.
        seen_px: width and height at which the scene was seen.
        aoi_sha256: hash of the area of interest; None without one.
        options: the settings that change a result, by name.
        counts: what became of the tiles.
        failed_tiles: those that could not be read.
        unplaced: objects that lie where the scene's CRS has no place, as beyond the edge of the Earth: JSON
            holds them, formats for maps do not.
        schema: version of this record.
    """

    version: str = __version__
    model: ModelRecord = field(default_factory=ModelRecord)
    engine: str = ""
    suppressed: bool = True
    tile_px: tuple[int, int] | int = 0
    overlap_px: int = 0
    seen_px: tuple[int, int] = (0, 0)
    aoi_sha256: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    counts: TileCounts = field(default_factory=TileCounts)
    failed_tiles: tuple[FailedTile, ...] = ()
    unplaced: int = 0
    schema: int = SCHEMA

    def as_dict(self, class_names: tuple[str, ...]) -> dict[str, Any]:
        """JSON-ready form, with the names of the classes among it."""
        return {
            "schema": self.schema,
            "version": self.version,
            "model": plain_record(self.model),
            "engine": self.engine,
            "class_names": list(class_names),
            "suppressed": self.suppressed,
            "tile_px": plain_record(self.tile_px),
            "overlap_px": self.overlap_px,
            "seen_px": list(self.seen_px),
            "aoi_sha256": self.aoi_sha256,
            "options": dict(self.options),
            "counts": plain_record(self.counts),
            "failed_tiles": plain_record(self.failed_tiles),
            "unplaced": self.unplaced,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, source: str) -> Provenance:
        """The inverse of `as_dict`, but for the names of the classes.

        Args:
            values: the member `run` of a file.
            source: the file, for messages.

        Raises:
            SodsliceError: it was written by a later version.
            ValueError: it is malformed.
        """
        schema = values.get("schema", 1)
        if isinstance(schema, int) and schema > SCHEMA:
            raise SodsliceError(
                f"{source} was written by sodslice {values.get('version')} (schema {schema}), and this "
                f"version reads schemas up to {SCHEMA}; upgrade sodslice to read it"
            )
        return cls(**read_fields(cls, {**values, "schema": SCHEMA}, "run"))


@dataclass(frozen=True)
class Timings:
    """What differs from run to run.

    Args:
        started: date and time, ISO 8601.
        seconds: by stage, and of all.
        readers: threads that read tiles ahead.
        tiles_from_journal: tiles that a former, interrupted run had done.
        plan: hash of the plan, which tells whether a rerun would do the same.
        workers: processes that looked at tiles; 1: the one that ran.
    """

    started: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    readers: int = 0
    tiles_from_journal: int = 0
    plan: str = ""
    workers: int = 1
