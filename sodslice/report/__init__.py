"""A model judged on images, pictures of an evaluation, and how fast a model runs on a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.report.contact_sheet import draw_contact_sheet, false_alarms, worst_misses
    from sodslice.report.curves import plot_curves
    from sodslice.report.judging import check_sizes, find_images, judge, run_notes

__all__ = [
    "check_sizes",
    "draw_contact_sheet",
    "false_alarms",
    "find_images",
    "judge",
    "plot_curves",
    "run_notes",
    "worst_misses",
]

__getattr__ = lazy_names(
    __name__,
    {
        "contact_sheet": "draw_contact_sheet false_alarms worst_misses",
        "curves": "plot_curves",
        "judging": "check_sizes find_images judge run_notes",
    },
)
