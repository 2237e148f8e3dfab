"""`document_of`: a benchmark as JSON holds it, with the numbers that follow from others."""

from __future__ import annotations

from typing import Any

from sodslice.report.speed.records import Bench, EndToEnd, Limit, Row
from sodslice.values.records import plain_record


def document_of(bench: Bench) -> dict[str, Any]:
    """Mappings, lists, texts and numbers; null where nothing was measured."""
    return {
        **plain_record(bench),
        "rows": [_row(row, bench.limit) for row in bench.rows],
        "end_to_end": _end_to_end(bench.end_to_end),
    }


def _row(row: Row, limit: Limit) -> dict[str, Any]:
    return {
        **plain_record(row),
        **_rates(row.tiles_per_s, row.mpx),
        "share_of_limit": limit.share(row.ms),
    }


def _end_to_end(done: EndToEnd) -> dict[str, Any]:
    rate = done.tiles / done.wall_s if done.wall_s else None
    per_tile = done.mpx / done.tiles if done.tiles else 0.0
    return {**plain_record(done), **_rates(rate, per_tile), "overhead": done.overhead}


def _rates(tiles_per_s: float | None, mpx: float) -> dict[str, float | None]:
    """Tiles a second and what follows from it, with the megapixels of a tile."""
    mpx_per_s = None if tiles_per_s is None else tiles_per_s * mpx
    return {
        "tiles_per_s": tiles_per_s,
        "mpx_per_s": mpx_per_s,
        "gpx_per_h": None if mpx_per_s is None else mpx_per_s * 3.6,
    }
