"""Review: crops of doubtful detections, for people to correct in Label Studio or CVAT."""

from __future__ import annotations

from sodslice.report.review.folder import Found, Review, write_review
from sodslice.report.review.selection import Selection

__all__ = ["Found", "Review", "Selection", "write_review"]
