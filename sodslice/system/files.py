"""Files and folders that appear whole: made beside their place under another name, then renamed."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sodslice.errors import OutputError, SodsliceError

SQLITE_MARKS = ("-wal", "-journal")
"""Files beside a database that is being changed; what they hold would be taken for changes of a new one."""


def check_writable(path: Path) -> None:
    """Make the folder of a file-to-be and try to write there.

    Raises:
        OutputError: it cannot be written, or another program is changing the database in its place.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".sodslice-"):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to the folder {path.parent}: {error.strerror}; choose another `output`"
        ) from None
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder")
    held = [mark for mark in (Path(f"{path}{ending}") for ending in SQLITE_MARKS) if mark.exists()]
    if held:
        raise OutputError(
            f"another program is changing {path}, as {held[0].name} beside it says; close it there (in QGIS, "
            "remove its layers), or give another `output`"
        )


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that readers see the old one or the new one, never a part.

    Raises:
        OutputError: the folder or the disk refuses.
    """
    with appearing(path, suffix_kept=False) as temporary:
        temporary.write_bytes(content)


@contextmanager
def appearing(path: Path, *, suffix_kept: bool = True) -> Iterator[Path]:
    """A name to write a file under, in the folder of its place, which it takes when all went well.

    Readers see the old file or the new one, never a part; several writers do not meet, and the last one
    wins. The folder is made.

    Args:
        path: the file's place.
        suffix_kept: the name ends as that of the place does, for libraries that choose a format by it.

    Raises:
        OutputError: the folder or the disk refuses, here or in the block.
    """
    temporary = _beside(path, ending=path.suffix if suffix_kept else "")
    try:
        with _refusals_said(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            _flush(temporary)
            temporary.replace(path)
    finally:
        for left in temporary.parent.glob(
            f"{glob.escape(temporary.name)}*"
        ):  # with what libraries put beside it
            with suppress(OSError):
                left.unlink(missing_ok=True)


@contextmanager
def appearing_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A folder to fill beside the wanted one, whose place it takes when all went well.

    Args:
        path: the wanted folder, not there yet or empty.
        overwrite: it may hold something, which is replaced; that stays, or comes back, when anything fails.

    Raises:
        OutputError: the wanted folder holds something and `overwrite` is off, or is no folder; the folder or
            the disk refuses, here or in the block.
    """
    if path.is_file():
        raise OutputError(f"{path} exists already and is a file; name another folder")
    if path.is_dir() and not overwrite and any(path.iterdir()):
        raise OutputError(f"{path} exists already; name another folder, or give `overwrite` to replace it")
    half = _beside(path)
    try:
        with _refusals_said(path):
            half.mkdir(parents=True)
            yield half
            for file in half.rglob("*"):
                if file.is_file():
                    _flush(file)
            _take_place(half, path, overwrite=overwrite)
    finally:
        shutil.rmtree(half, ignore_errors=True)


@contextmanager
def copied_to(stream: BinaryIO) -> Iterator[Path]:
    """A name to write a file under, whose content goes to a stream when all went well.

    Raises:
        OutputError: the disk refuses, here or in the block.
    """
    with tempfile.TemporaryDirectory(prefix="sodslice-") as folder:
        path = Path(folder) / "output"
        with _refusals_said(path):
            yield path
            with path.open("rb") as file:
                shutil.copyfileobj(file, stream)
            stream.flush()


def remove_leftovers(path: Path) -> None:
    """Remove the files and folders that killed processes were filling for this place.

    Only for who is alone with the place, as by a lock: what a live process fills looks no different.
    """
    names = "|".join(map(re.escape, (path.name, path.stem)))
    temporary = re.compile(rf"\.({names})\.\d+(-[0-9a-f]{{8}})?\.part({re.escape(path.suffix)})?([-.].*)?")
    for left in path.parent.glob(f".{glob.escape(path.stem)}*.part*"):
        if not temporary.fullmatch(left.name):
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _beside(path: Path, *, ending: str = "") -> Path:
    """A hidden name in the same folder that no other thread, process or machine comes to."""
    kept = path.stem if ending else path.name
    return path.with_name(f".{kept}.{os.getpid()}-{secrets.token_hex(4)}.part{ending}")


@contextmanager
def _refusals_said(path: Path) -> Iterator[None]:
    """Errors of the system as one line; errors with a line of their own pass."""
    try:
        yield
    except SodsliceError:
        raise
    except OSError as error:
        reason = " ".join((error.strerror or str(error)).split())
        raise OutputError(f"cannot write {path}: {reason}") from None


def _flush(file: Path) -> None:
    """Have what was written on the disk before its name is: a crash of the machine may reorder the two."""
    with file.open("rb+") as written:
        os.fsync(written.fileno())


def _take_place(half: Path, path: Path, *, overwrite: bool) -> None:
    """Put a full folder in the place of the wanted one; what that held comes back if this fails."""
    old = half.with_suffix(".old")
    try:
        if path.is_dir() and overwrite:
            path.rename(old)
        elif path.is_dir():
            path.rmdir()  # which refuses when something came there in between
        half.rename(path)
    except BaseException:
        if old.is_dir() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
