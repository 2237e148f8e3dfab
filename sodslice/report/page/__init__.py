"""Reports: one HTML file that shows the scene with what was found, and needs nothing else."""

from __future__ import annotations

from sodslice.report.page.folder import write_job_report
from sodslice.report.page.writing import write_report

__all__ = ["write_job_report", "write_report"]
