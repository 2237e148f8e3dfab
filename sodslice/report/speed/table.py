"""`table_of`: a benchmark in lines for people."""

from __future__ import annotations

from collections.abc import Sequence

from sodslice.report.speed.records import Bench, EndToEnd, Limit, Row

HEADINGS = (
    "engine", "precision", "batch", "ms/tile", "prepared", "tiles/s", "Mpx/s", "Gpx/h", "MB", "px", "score",
    "boxes", "limit",
)  # fmt: skip
LEGEND = (
    "ms/tile: the bare graph, median; prepared: with resizing before it and NMS behind it; MB: most memory",
    "of the process; px, score: farthest from the first fp32 row, boxes of at least 0.05; boxes: that only",
    "one of the two has; limit: share of the cores' float32 matrix product",
)


def table_of(bench: Bench) -> list[str]:
    """A benchmark in lines."""
    width, height = bench.tile_px
    versions = ", ".join(f"{name} {version}" for name, version in bench.versions.items())
    models = list(dict.fromkeys(row.model for row in bench.rows))
    lines = [bench.chip, versions, f"{bench.model}, tiles of {width} x {height} pixels", ""]
    lines += aligned([HEADINGS, *(_cells(row, bench.limit, several=len(models) > 1) for row in bench.rows)])
    return [*lines, "", *LEGEND, "", *_end_to_end(bench.end_to_end), *_limit(bench.limit)]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: the first two columns to the left, numbers to the right.

    A row of fewer cells ends with a text that may be as long as it likes.
    """
    whole = [row for row in rows if len(row) == len(rows[0])]
    widths = [max(len(row[column]) for row in whole) for column in range(len(rows[0]))]
    for row in rows:
        for column, cell in enumerate(row[:2] if len(row) > 2 else row[:-1]):
            widths[column] = max(widths[column], len(cell))
    return [_line(row, widths, ends=len(row) < len(widths)) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int], *, ends: bool) -> str:
    cells = [
        cell if ends and column == len(row) - 1 else cell.ljust(width) if column < 2 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join(cells).rstrip()


def _cells(row: Row, limit: Limit, *, several: bool) -> tuple[str, ...]:
    """The cells of a row; of one without numbers the reason is the last."""
    word = "its own" if row.engine == "auto" else row.engine
    name = f"{word} ({row.model})" if several else word
    batch = str(row.batch or "auto")
    rate = row.tiles_per_s
    if row.ms is None or rate is None:
        return name, row.precision, batch, f"cannot: {row.reason}"
    share = limit.share(row.ms)
    return (
        name,
        row.precision,
        batch,
        _number(row.ms, 1),
        _number(row.ms_prepared, 1),
        _number(rate, 2),
        _number(rate * row.mpx, 2),
        _number(rate * row.mpx * 3.6, 1),
        _number(row.peak_mb, 0),
        _number(row.gap_px, 4),
        _number(row.gap_score, 5),
        _number(row.missing, 0),
        "-" if share is None else f"{share:.0%}",
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _end_to_end(done: EndToEnd) -> list[str]:
    name = f"end to end   {done.engine}, {done.precision}, a drawn scene of {done.mpx:.1f} Mpx"
    if done.wall_s is None:
        return [f"{name}: cannot: {done.reason}"]
    mpx = done.mpx / done.wall_s
    overhead = "" if done.overhead is None else f", {done.overhead:.2f} x its tiles by the bare graph"
    memory = "" if done.peak_mb is None else f", {done.peak_mb:.0f} MB"
    return [
        f"{name}, {done.tiles} tiles, {done.objects} objects",
        f"             {done.wall_s:.2f} s ({_number(done.process_s, 2)} s with the start){overhead}{memory}",
        f"             {done.tiles / done.wall_s:.2f} tiles/s, {mpx:.2f} Mpx/s, {mpx * 3.6:.1f} Gpx/h",
    ]


def _limit(limit: Limit) -> list[str]:
    work, speed = limit.gflop_per_tile, limit.product_gflop_per_s
    parts = [
        *([] if work is None else [f"{work:.1f} GFLOP a tile"]),
        *([] if speed is None else [f"numpy's product {speed:.0f} GFLOP/s with {limit.threads} threads"]),
        *([limit.reason] if limit.reason else []),
    ]
    return [f"limit        {'; '.join(parts)}"]
