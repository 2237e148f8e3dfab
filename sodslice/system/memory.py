"""`peak_mb`: the most memory that this process has held."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

MEBI = 2**20


def peak_mb() -> float | None:
    """The most memory that this process has held, in MB (2^20 bytes); None where the system does not tell.

    On Linux not `ru_maxrss`, in which a child inherits the peak of the process that started it.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 / MEBI for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return _told_by_resource()


def _told_by_resource() -> float | None:
    """As BSD and macOS tell it, where bytes are counted by one and kilobytes by the other."""
    try:
        resource: Any = importlib.import_module("resource")
    except ImportError:
        return None
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MEBI if sys.platform == "darwin" else peak * 1024 / MEBI
