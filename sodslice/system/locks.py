"""File locks that the system frees when their holder ends, however it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import portalocker

log = logging.getLogger(__name__)

PAUSE_S = 0.1
"""Between two looks at a lock that another holds."""


def try_lock(file: BinaryIO) -> bool:
    """Lock an open file for its opener alone, without waiting.

    The lock lasts until the file is closed or the process ends, also by kill -9; children that were forked
    meanwhile share it. It holds against other locks of this kind, of other processes and of this one. Not
    guarded are programs that do not ask, and file systems that know no locks, such as some network mounts;
    on others the lock holds on one machine only. On Windows others cannot even read the file's first 64 KiB
    meanwhile.

    Args:
        file: open for writing, with a file descriptor.

    Returns:
        False if another has the lock; True where the file system knows none.
    """
    return _ask(file) is not False


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Wait for the lock on a file, which is made and stays, and hold it during the block.

    Guards what `try_lock` guards; the folder must be there.

    Yields:
        Whether the lock is held: False where the file system knows none, which is logged.

    Raises:
        OSError: the file cannot be made.
    """
    with path.open("ab") as file:
        while (held := _ask(file)) is False:
            time.sleep(PAUSE_S)
        yield bool(held)


def _ask(file: BinaryIO) -> bool | None:
    """Whether the lock was to be had; None where there are no locks."""
    try:
        portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.AlreadyLocked:
        return False
    except portalocker.LockException as error:
        log.info("%s cannot be locked (%s); nothing keeps others from it", file.name, error.args[-1])
        return None
    return True
