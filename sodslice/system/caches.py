"""Where sodslice keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """`SODSLICE_CACHE` of the environment, else a folder of our own in the user's cache; it may not exist.

    On Linux that is `$XDG_CACHE_HOME/sodslice`, else `~/.cache/sodslice`.
    """
    own = os.environ.get("SODSLICE_CACHE")
    return Path(own).expanduser() if own else platformdirs.user_cache_path("sodslice", appauthor=False)
