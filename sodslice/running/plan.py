"""`RunPlan`: everything that a run will do, resolved once.

Frozen, picklable, and JSON both ways: a worker, a node or a service gets one and needs nothing else. Making
one (`planning.make_plan`) loads no model and reads no pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import sqrt
from typing import Any

import orjson

from sodslice.errors import OptionError, SodsliceError
from sodslice.inference import KEPT_FROM, SCORE_FLOOR, ModelSpec
from sodslice.place.areas import Area
from sodslice.place.extent import Restriction, restrict
from sodslice.running.planned import Finishing, LookedAt, PlannedScene, Unit
from sodslice.system.hashes import sha256_of_facts
from sodslice.tables.tiles import Grid, TileIds
from sodslice.values.records import plain_record, read_record

SCHEMA = 1
UNIT_TILES = 64
"""About as many tiles make a unit: enough to fill batches, few enough to share out and to give back."""


@dataclass(frozen=True)
class RunPlan:
    """Everything that a run will do.

    Args:
        scene: that is read.
        model: that is run.
        grid: tiles of the whole scene, in the pixels that the model sees: its size is the scale.
        looked_at: those that are looked at.
        gsd: metres per pixel at which the scene is to be seen; None for its own, or `scale` times finer.
        window: x, y, width, height in scene pixels that counts; None for all.
        area: of interest; None for all of the scene.
        finishing: what counts when all tiles have been seen.
        tile_settings: settings on which the detections of a tile depend, by name.
        options: settings that change a result, by name, with what scene and model decide filled in.
        readers: threads that read tiles ahead.
        skip_failed: whether tiles that cannot be read are left out, not the end of the run.
        notes: what the user should know, one sentence each.
        version: of sodslice.
        schema: of the plan.
    """

    scene: PlannedScene
    model: ModelSpec
    grid: Grid
    looked_at: LookedAt
    gsd: float | None
    window: tuple[int, int, int, int] | None
    area: Area | None
    finishing: Finishing
    tile_settings: Mapping[str, Any]
    options: Mapping[str, Any]
    readers: int
    skip_failed: bool
    notes: tuple[str, ...]
    version: str
    schema: int = field(default=SCHEMA)

    def __len__(self) -> int:
        return len(self.looked_at)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "within"}

    @property
    def head(self) -> dict[str, Any]:
        """All that the detections of a tile depend on, by the words that users know."""
        turned = {} if self.scene.orientation == 1 else {"orientation": self.scene.orientation}
        return {
            **self.scene.identity,
            **turned,
            "model": self.model.info.name,
            "model sha256": self.model.info.sha256,
            **self.tile_settings,
            "all scores from": self.lowest,
            "polygons of the aoi": None if self.area is None else self.area.sha256,
        }

    @property
    def lowest(self) -> float:
        """Score down to which nothing that the model sees in a tile is cut short."""
        rule = self.finishing
        wanted = min((rule.thresholds[label] for label in rule.classes), default=KEPT_FROM)
        return max(SCORE_FLOOR, min(wanted, KEPT_FROM))

    @property
    def resumable(self) -> bool:
        """Whether scene and model can be told from others, so that what was seen can be kept."""
        return bool(self.scene.identity and self.model.info.sha256)

    @property
    def sha256(self) -> str:
        """Hash of all that the result depends on: equal ones give equal results, whatever does the work."""
        engine = self.model.engine, self.model.engine_version
        facts = {"head": self.head, "options": self.options, "version": self.version, "engine": engine}
        return sha256_of_facts(facts)

    @property
    def per_pixel(self) -> tuple[float, float]:
        """Scene pixels per pixel that is seen, in x and y."""
        return self.scene.width / self.grid.width, self.scene.height / self.grid.height

    @property
    def gsd_seen_m(self) -> float | None:
        """Metres per pixel that is seen; None where metres are not known."""
        across, down = self.per_pixel
        return self.gsd or (self.scene.gsd_m and self.scene.gsd_m * sqrt(across * down))

    @property
    def tiles_in_all(self) -> int:
        """Of the whole plan, of which this may be a part."""
        return sum(end - start for start, end in self.looked_at.runs)

    @property
    def unit_tiles(self) -> int:
        """Tiles of a unit: whole batches."""
        batch = max(1, self.model.batch)  # 0: only those who load the model know
        return -(-UNIT_TILES // batch) * batch

    @property
    def seen_px(self) -> tuple[int, int]:
        """Width and height of the scene as it is seen."""
        return self.grid.width, self.grid.height

    @cached_property
    def within(self) -> Restriction:
        """To what the run is restricted; it does not travel, since the fields say it in less."""
        size = self.scene.width, self.scene.height
        return restrict(self.scene.georef, size, window=self.window, area=self.area)

    @property
    def ids(self) -> TileIds:
        """Ids `(N,)` of the tiles that are looked at, in the order in which they are read."""
        return self.looked_at.ids(self.grid)

    def units(self, ids: TileIds | None = None) -> Iterator[Unit]:
        """The work in pieces, in reading order.

        Args:
            ids: tiles to do; None for all that are looked at.
        """
        ids = self.ids if ids is None else ids
        for number, start in enumerate(range(0, len(ids), self.unit_tiles)):
            yield Unit(number, ids[start : start + self.unit_tiles])

    def part(self, number: int, of: int) -> RunPlan:
        """One of several parts, as good as the whole; together they do what the whole does.

        Args:
            number: from 1 on.
            of: how many parts there are.

        Raises:
            OptionError: there is no such part, or it would be empty.
        """
        if not 1 <= number <= of:
            raise OptionError(f"a part is one of 1/{of} to {of}/{of}, got {number}/{of}")
        first = self.looked_at.span[0]
        step = self.unit_tiles if len(self) >= of * self.unit_tiles else 1
        units = -(-len(self) // step)
        cut = [first + min(len(self), (units * k // of) * step) for k in (number - 1, number)]
        if cut[0] == cut[1]:
            raise OptionError(f"the plan has {len(self)} tiles, too few for {of} parts; take fewer")
        return replace(self, looked_at=replace(self.looked_at, span=(cut[0], cut[1])))

    @property
    def whole(self) -> RunPlan:
        """The plan that this is a part of, or itself."""
        return replace(self, looked_at=replace(self.looked_at, span=(0, self.tiles_in_all)))

    def to_json(self) -> bytes:
        """The plan as JSON; `from_json` reads it back."""
        return orjson.dumps(plain_record(self))

    @classmethod
    def from_json(cls, content: bytes | str, *, source: str = "the plan") -> RunPlan:
        """The inverse of `to_json`.

        Args:
            content: JSON.
            source: what to call it in messages.

        Raises:
            SodsliceError: it is no plan of this version.
        """
        try:
            return cls.from_plain(orjson.loads(content), source=source)
        except orjson.JSONDecodeError as error:
            raise SodsliceError(f"{source} is not JSON: {error}") from None

    @classmethod
    def from_plain(cls, values: Any, *, source: str = "the plan") -> RunPlan:
        """A plan from what its JSON holds; see `from_json`."""
        schema = values.get("schema") if isinstance(values, Mapping) else None
        if schema != SCHEMA:
            raise SodsliceError(
                f"{source} is no plan of this version (schema {schema}, this one reads {SCHEMA}); plan again"
            )
        try:
            return read_record(cls, values, where="plan")
        except ValueError as error:
            raise SodsliceError(f"{source} is malformed: {error}") from None
