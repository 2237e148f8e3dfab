"""Review: crops of doubtful detections, for people to correct in Label Studio or CVAT."""

from __future__ import annotations

from sodslice.report.review.folder import Review, Selection, write_review

__all__ = ["Review", "Selection", "write_review"]
