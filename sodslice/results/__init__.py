"""Results: what a run gave, how it came to be, and the files that hold it.

The suffix of a path chooses the format; files appear whole or not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.results.columns import COLUMNS, columns_of, writing_of
    from sodslice.results.format import Format
    from sodslice.results.formats import (
        FORMATS,
        check_heeded,
        check_output,
        check_replaceable,
        format_of,
        is_own,
        known_suffixes,
        load_result,
        write,
    )
    from sodslice.results.keeping import ALL_CLASSES, Keeping
    from sodslice.results.limits import within_limits
    from sodslice.results.provenance import (
        FailedTile,
        ModelRecord,
        Provenance,
        SceneFacts,
        TileCounts,
        Timings,
    )
    from sodslice.results.reading import is_result, read_result, result_from
    from sodslice.results.result import RunResult
    from sodslice.results.writing import Writing

__all__ = [
    "ALL_CLASSES",
    "COLUMNS",
    "FORMATS",
    "FailedTile",
    "Format",
    "Keeping",
    "ModelRecord",
    "Provenance",
    "RunResult",
    "SceneFacts",
    "TileCounts",
    "Timings",
    "Writing",
    "check_heeded",
    "check_output",
    "check_replaceable",
    "columns_of",
    "format_of",
    "is_own",
    "is_result",
    "known_suffixes",
    "load_result",
    "read_result",
    "result_from",
    "within_limits",
    "write",
    "writing_of",
]

__getattr__ = lazy_names(
    __name__,
    {
        "columns": "COLUMNS columns_of writing_of",
        "format": "Format",
        "formats": "FORMATS check_heeded check_output check_replaceable format_of is_own known_suffixes "
        "load_result write",
        "keeping": "ALL_CLASSES Keeping",
        "limits": "within_limits",
        "provenance": "FailedTile ModelRecord Provenance SceneFacts TileCounts Timings",
        "reading": "is_result read_result result_from",
        "result": "RunResult",
        "writing": "Writing",
    },
)
