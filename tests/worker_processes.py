"""Which worker processes a process has."""

from __future__ import annotations

import os
import time
from pathlib import Path

STARTED = b"sodslice.running.worker"


def workers_of(parent: int | None = None) -> list[int]:
    """Process ids of the workers of a process (None: this one) that run."""
    parent = parent or os.getpid()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(words[1]) == parent and words[0] != "Z" and STARTED in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError, IndexError):
            continue
    return sorted(found)


def is_alive(process_id: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ended_within(seconds: float, process_ids: list[int]) -> bool:
    """Whether processes end in time."""
    deadline = time.monotonic() + seconds
    while any(map(is_alive, process_ids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_alive, process_ids))
