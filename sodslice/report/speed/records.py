"""What is measured, and how thoroughly."""

from __future__ import annotations

from dataclasses import dataclass, field

SCHEMA = 1
"""Of the JSON that `Bench` becomes."""

BASELINE = "paddle:plain"
"""Plain Paddle, which is what PaddleX gives where its default does not run."""


@dataclass(frozen=True)
class Effort:
    """How thoroughly it is measured.

    Args:
        side: of the drawn scene, in pixels.
        repeats: the most calls that are timed for a row.
        seconds: after which a row is timed no more, if it has been thrice.
        product_side: of the square matrices whose product says what the cores can do.
        engines: words of those that are measured; none for all that are installed.
        baseline: whether plain Paddle is measured too.
        beside: further models that are measured beside, such as an int8 export of the same network.
    """

    side: int = 3072
    repeats: int = 15
    seconds: float = 30.0
    product_side: int = 4096
    engines: tuple[str, ...] = ()
    baseline: bool = False
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """What a row is about.

    Args:
        model: name or folder.
        engine: its word, with a backend behind a colon where one is named.
        precision: of the arithmetic.
        batch: tiles per call; 0 for as many as make the device faster.
        device: as the user named it.
        threads: CPU threads; None for all cores.
    """

    model: str
    engine: str
    precision: str
    batch: int
    device: str
    threads: int | None


@dataclass(frozen=True)
class Row:
    """One engine at one precision.

    Args:
        model: name or folder.
        engine: its word.
        precision: of the arithmetic; int8 for a graph that was quantised.
        batch: tiles per call.
        reason: why there are no numbers; "" where there are.
        runs_on: the engine's own words.
        ms: median milliseconds of the bare graph for a tile.
        ms_prepared: the same with all that is done before and behind the graph.
        mpx: megapixels of a tile.
        peak_mb: most memory of the process.
        gap_px: how far boxes of at least 0.05 lie from those of the first row in fp32; None for that row, and
            where there is none.
        gap_score: the same of their scores.
        missing: boxes of at least 0.05 that only one of the two has.
    """

    model: str
    engine: str
    precision: str
    batch: int
    reason: str = ""
    runs_on: str = ""
    ms: float | None = None
    ms_prepared: float | None = None
    mpx: float = 0.0
    peak_mb: float | None = None
    gap_px: float | None = None
    gap_score: float | None = None
    missing: int | None = None

    @property
    def tiles_per_s(self) -> float | None:
        """Tiles a second of the bare graph."""
        return None if self.ms is None else 1e3 / self.ms


@dataclass(frozen=True)
class EndToEnd:
    """A run over a drawn scene, from the call to the written file.

    Args:
        engine: its word, as `auto` or the user chose it.
        precision: of the arithmetic.
        reason: why there are no numbers; "" where there are.
        runs_on: the engine's own words.
        tiles: that went through the model.
        mpx: megapixels of the scene.
        wall_s: seconds of the run.
        process_s: seconds of its process, with the loading of libraries.
        bare_ms: milliseconds of the bare graph for a tile of that run.
        peak_mb: most memory of the process.
        objects: that were found.
    """

    engine: str
    precision: str
    reason: str = ""
    runs_on: str = ""
    tiles: int = 0
    mpx: float = 0.0
    wall_s: float | None = None
    process_s: float | None = None
    bare_ms: float | None = None
    peak_mb: float | None = None
    objects: int = 0

    @property
    def overhead(self) -> float | None:
        """Wall over what the bare graph takes for all tiles."""
        if self.wall_s is None or not self.bare_ms or not self.tiles:
            return None
        return self.wall_s / (self.tiles * self.bare_ms / 1e3)


@dataclass(frozen=True)
class Limit:
    """What the cores could do.

    Args:
        threads: that both were measured with.
        gflop_per_tile: of the graph's convolutions and matrix products; None where they cannot be counted.
        product_gflop_per_s: of a product of square float32 matrices; None where it was not measured.
        reason: why one of them is not there.
    """

    threads: int
    gflop_per_tile: float | None = None
    product_gflop_per_s: float | None = None
    reason: str = ""

    def share(self, ms: float | None) -> float | None:
        """The part of what the cores can do that a graph reaches, from its milliseconds for a tile."""
        if ms is None or self.gflop_per_tile is None or not self.product_gflop_per_s:
            return None
        return self.gflop_per_tile / (ms / 1e3) / self.product_gflop_per_s


@dataclass(frozen=True)
class Bench:
    """All that was measured of a model on a machine.

    Args:
        model: its name.
        chip: the processor in a line.
        versions: of sodslice, Python and the engines.
        tile_px: width and height of the tiles that all rows are about.
        rows: engine by engine.
        end_to_end: a run over a drawn scene.
        limit: what the cores could do.
        schema: of this record.
    """

    model: str
    chip: str
    versions: dict[str, str]
    tile_px: tuple[int, int]
    rows: tuple[Row, ...]
    end_to_end: EndToEnd
    limit: Limit
    schema: int = field(default=SCHEMA)
