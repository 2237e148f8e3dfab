"""How fast a model runs on this machine: engine by engine, end to end, and against what its cores can do.

Every number comes from a process of its own, so that its memory is its own, and what crashes or cannot run is
a line of the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.report.speed.benching import bench
    from sodslice.report.speed.document import document_of
    from sodslice.report.speed.records import Bench, Effort
    from sodslice.report.speed.table import table_of

__all__ = ["Bench", "Effort", "bench", "document_of", "table_of"]

__getattr__ = lazy_names(
    __name__,
    {
        "benching": "bench",
        "document": "document_of",
        "records": "Bench Effort",
        "table": "table_of",
    },
)
