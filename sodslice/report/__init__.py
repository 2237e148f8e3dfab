"""Things made from results: a model judged on images, and pictures of an evaluation."""

from sodslice.report.contact_sheet import draw_contact_sheet, false_alarms, worst_misses
from sodslice.report.curves import draw_curves
from sodslice.report.judging import find_images, judge, run_notes

__all__ = [
    "draw_contact_sheet",
    "draw_curves",
    "false_alarms",
    "find_images",
    "judge",
    "run_notes",
    "worst_misses",
]
