"""From what every tile reported to one box per object.

`merge` is a pure function of the table: row order and tile order change nothing, and merging again changes
nothing. The seam rule and suppression are defined by plain loops in tests/test_merging_seam.py and
tests/test_merging_suppression.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.merging.joining import Joining
    from sodslice.merging.methods import METHODS, THRESHOLD_FIRST, merge
    from sodslice.merging.tile_table import TileTable

__all__ = [
    "METHODS",
    "THRESHOLD_FIRST",
    "Joining",
    "TileTable",
    "merge",
]

__getattr__ = lazy_names(
    __name__,
    {
        "joining": "Joining",
        "methods": "METHODS THRESHOLD_FIRST merge",
        "tile_table": "TileTable",
    },
)
