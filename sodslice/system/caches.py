"""Where sodslice keeps what it can make again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from sodslice.errors import OutputError
from sodslice.system.files import remove_leftovers
from sodslice.system.locks import alone


def cache_folder() -> Path:
    """`SODSLICE_CACHE` of the environment, else a folder of our own in the user's cache; it may not exist.

    On Linux that is `$XDG_CACHE_HOME/sodslice`, else `~/.cache/sodslice`.
    """
    own = os.environ.get("SODSLICE_CACHE")
    return Path(own).expanduser() if own else platformdirs.user_cache_path("sodslice", appauthor=False)


@contextmanager
def cache_refusals_said() -> Iterator[None]:
    """Say in one line what the system refuses in the block, which works in the cache.

    Raises:
        OutputError: the cache cannot be used.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(
            f"the cache {cache_folder()} cannot be used ({error.strerror}); "
            "set SODSLICE_CACHE to another folder"
        ) from None


@contextmanager
def alone_with(stem: Path, folders: Sequence[Path]) -> Iterator[None]:
    """Be the only process that makes some folders, where there are locks; what a killed one left is cleared.

    Args:
        stem: names the lock; its parent is made.
        folders: that may be made in the block.

    Raises:
        OSError: the cache refuses.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    with alone(stem.with_name(f"{stem.name}.lock")) as locked:
        for folder in folders if locked else ():
            remove_leftovers(folder)
        yield
