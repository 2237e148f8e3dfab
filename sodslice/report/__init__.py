"""Things made from results: a model judged on images, and pictures of an evaluation."""

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
