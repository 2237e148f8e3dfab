"""Processes that do what a service should not do itself: started, heard and ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PARK_SECONDS = 10.0
"""For a process to end by itself."""

LONGEST_LINE = 1 << 20

START = (
    "import os, sys; sys.path[:] = os.environ['SODSLICE_WORKER_PATH'].split(os.pathsep); "
    "import json; from sodslice.service.jobs.child import main; sys.exit(main(json.loads(sys.argv[1])))"
)
"""What a process runs: `python -m` would take modules from the current folder, where strangers' files lie."""


async def start_child(task: Mapping[str, str], folder: Path) -> asyncio.subprocess.Process:
    """A process for a task, which ends when the service does.

    Args:
        task: see `sodslice.service.jobs.child`.
        folder: that its paths start from.
    """
    path = os.pathsep.join(os.path.abspath(one) for one in sys.path)  # noqa: PTH100 -- text as it is
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", START, json.dumps(task)),
        env={**os.environ, "SODSLICE_WORKER_PATH": path, "PYTHONSAFEPATH": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        limit=LONGEST_LINE,
    )


def event_in(line: bytes) -> dict[str, Any]:
    """What a process says in a line; nothing for what libraries say."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and "event" in event else {}


def end(process: asyncio.subprocess.Process) -> None:
    """Ask a process to end, and keep what it has seen."""
    with suppress(ProcessLookupError):
        process.terminate()


async def ended(process: asyncio.subprocess.Process) -> None:
    """Wait until a process has ended, and not for long."""
    try:
        await asyncio.wait_for(process.wait(), PARK_SECONDS)
    except asyncio.TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
