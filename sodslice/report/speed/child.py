"""`measured`: a task of `tasks.py`, done by a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sodslice.report.speed.tasks import ANSWER, TASK
from sodslice.system.starting import python_command, python_environment

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""How libraries of linear algebra are told their threads, which they ask for when they are loaded."""


def measured(name: str, given: Mapping[str, Any], *, threads: int | None = None) -> dict[str, Any]:
    """The answer of a task; with a `reason` where it failed, and else with the `process_s` that it took.

    Args:
        name: a key of `TASKS`.
        given: its arguments, as JSON holds them.
        threads: for numpy; None leaves its number alone.
    """
    own = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    with TemporaryDirectory(prefix="sodslice-", ignore_cleanup_errors=True) as folder:
        (Path(folder) / TASK).write_text(json.dumps({"name": name, "given": dict(given)}), encoding="utf-8")
        began = time.perf_counter()
        done = subprocess.run(
            python_command("from sodslice.report.speed.tasks import main; main(sys.argv[1])", folder),
            env=python_environment(**own),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        seconds = time.perf_counter() - began
        try:
            answer: dict[str, Any] = json.loads((Path(folder) / ANSWER).read_bytes())
        except (OSError, ValueError):
            return {"reason": _end_of(done.returncode, done.stderr.decode(errors="replace"))}
    return answer if "reason" in answer else {**answer, "process_s": seconds}


def _end_of(code: int, said: str) -> str:
    """How a process ended that gave no answer."""
    if code < 0:
        known = {one.value: one.name for one in signal.Signals}
        return f"its process was killed by {known.get(-code, f'signal {-code}')}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"its process ended with exit code {code}"
