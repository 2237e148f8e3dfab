"""Files that appear whole: written beside their place under another name, then renamed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from sodslice.errors import OutputError


def check_writable(path: Path) -> None:
    """Make the folder of a file-to-be and try to write there.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".sodslice-"):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the folder {path.parent}: {error.strerror}; choose another with -o"
        ) from None
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old one or the new one, never a part.

    Raises:
        OutputError: the folder or the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
