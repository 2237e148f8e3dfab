"""A real kernel, in which tests run cells as a notebook does."""

from __future__ import annotations

import queue
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_client.manager import KernelManager

MOST_SECONDS = 60


class Said(NamedTuple):
    """What a kernel sent for a cell: the kind of each message, and what is in it."""

    kind: str
    content: dict[str, Any]


class Kernel:
    """A kernel in a folder of its own.

    Args:
        folder: in which it works.
    """

    def __init__(self, folder: Path) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(cwd=str(folder))
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=MOST_SECONDS)

    def run(self, code: str, *, interrupt_at: str | None = None) -> list[Said]:
        """Run a cell and give all that it showed.

        Args:
            code: of the cell.
            interrupt_at: what the cell prints when it is to be interrupted; it must be printed.
        """
        asked = self._client.execute(code)
        said: list[Said] = []
        until = time.monotonic() + MOST_SECONDS
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"the cell did not end; so far: {said}") from None
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                assert not interrupt_at, f"{interrupt_at} was not printed: {said}"
                return said
            if kind in ("status", "execute_input"):
                continue
            said.append(Said(kind, content))
            if interrupt_at and kind == "stream" and interrupt_at in content["text"]:
                self._manager.interrupt_kernel()
                interrupt_at = None

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def shown(said: list[Said]) -> list[tuple[str, str]]:
    """What was shown as HTML, and whether it was new or took the place of something."""
    return [
        (one.kind.removesuffix("_data"), one.content["data"]["text/html"])
        for one in said
        if one.kind in ("display_data", "update_display_data")
    ]


def printed(said: list[Said], stream: str = "stdout") -> str:
    """What was printed."""
    return "".join(
        one.content["text"] for one in said if one.kind == "stream" and one.content["name"] == stream
    )


def raised(said: list[Said]) -> list[str]:
    """Lines that the kernel showed of the exception that ended the cell; none where it ended well."""
    return [
        re.sub(r"\x1b\[[0-9;]*m", "", line)
        for one in said
        if one.kind == "error"
        for text in one.content["traceback"]
        for line in text.splitlines()
    ]
