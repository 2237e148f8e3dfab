"""From what every tile reported to one box per object.

`merge` is a pure function of the table: row order and tile order change nothing, and merging again changes
nothing. The seam rule and suppression are defined by plain loops in tests/test_merging_seam.py and
tests/test_merging_suppression.py.
"""

from __future__ import annotations

from sodslice.merging.methods import METHODS, THRESHOLD_FIRST, merge

__all__ = ["METHODS", "THRESHOLD_FIRST", "merge"]
