"""From what every tile reported to one box per object.

`merge` is a pure function of the table: row order and tile order change nothing, and merging again changes
nothing. Each method is defined by a plain quadratic reference in tests/test_merging.py.
"""

from __future__ import annotations

from sodslice.merging.methods import METHODS, merge

__all__ = ["METHODS", "merge"]
