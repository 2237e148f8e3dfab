"""Processes that do what a service should not do itself: started, heard and ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sodslice.system.starting import python_command, python_environment

PARK_SECONDS = 10.0
"""For a process to end by itself."""

LONGEST_LINE = 1 << 20

START = "import json; from sodslice.service.jobs.child import main; sys.exit(main(json.loads(sys.argv[1])))"


async def start_child(task: Mapping[str, str], folder: Path) -> asyncio.subprocess.Process:
    """A process for a task, which ends when the service does.

    Args:
        task: see `sodslice.service.jobs.child`.
        folder: that its paths start from.
    """
    return await asyncio.create_subprocess_exec(
        *python_command(START, json.dumps(task)),
        env=python_environment(),
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
