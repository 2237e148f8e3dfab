"""Files of a service: uploads, results, and how much of them there may be."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from starlette.requests import ClientDisconnect

from sodslice.errors import OptionError
from sodslice.scene.pointers import mark_from_elsewhere
from sodslice.service.envelope import Refusal
from sodslice.service.jobs.record import new_id
from sodslice.service.places import harmless_name
from sodslice.service.settings import CLIENT_GONE, FOLDERS, GIBIBYTE, MEBIBYTE, ServiceSettings
from sodslice.system.locks import try_lock

PIECE = MEBIBYTE
SPARE = 16 * MEBIBYTE
"""Bytes that are left on the disk, for the list of jobs and the journals of those that run."""

LOOK_AGAIN_S = 5.0
"""How long the bytes that were counted are taken for those that are there."""

LOOK_SHARE = 20
"""Looks at all files that take long are this many times as long apart."""

Pieces = AsyncIterator[bytes]

LOCK = "lock"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Storage:
    """The folder of a service, which it has for itself until `close`.

    Args:
        settings: of the service; the folder is made.

    Raises:
        OptionError: the folder cannot be used, or another service uses it.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self.folder = settings.data.resolve()
        self._lock = self._alone()
        for left in (self.folder / "coming").iterdir():
            _remove(left)
        self._coming: dict[str, int] = {}
        self._counted = 0
        self._look_at = 0.0

    def close(self) -> None:
        """Leave the folder to others."""
        self._lock.close()

    def of_job(self, job_id: str) -> Path:
        """The folder of a job."""
        return self.folder / "jobs" / job_id

    def upload(self, upload_id: str) -> Path:
        """The file of an upload.

        Raises:
            Refusal: there is none.
        """
        folder = self.folder / "uploads" / upload_id
        plain = upload_id.isalnum() and upload_id.isascii()
        found = [path for path in _entries(folder) if not path.name.startswith(".")] if plain else []
        if not found:
            raise Refusal(404, f"there is no upload {upload_id[:40]!r}")
        return found[0]

    async def take(self, name: str, pieces: Pieces, *, said: int = 0) -> tuple[str, int]:
        """Write an upload as it comes; it appears whole, and marked as one from elsewhere.

        Args:
            name: that its sender gave it.
            pieces: of it.
            said: bytes that it will have, where its sender says so.

        Returns:
            Its id and its bytes.

        Raises:
            Refusal: there is no room for it.
        """
        upload_id = new_id()
        self.check_room(said)
        coming = self.folder / "coming" / upload_id
        try:
            with self._full_said():
                coming.mkdir(mode=0o700)
                mark_from_elsewhere(coming)
                with (coming / harmless_name(name)).open("wb") as file:
                    size = await self._write(file, pieces, upload_id)
                coming.replace(self.folder / "uploads" / upload_id)
            self._counted += size
        except ClientDisconnect:
            raise Refusal(CLIENT_GONE, "the client went away") from None
        finally:
            self._coming.pop(upload_id, None)
            _remove(coming)
        return upload_id, size

    def check_room(self, more: int = 0) -> None:
        """Refuse what goes beyond the quota, or beyond the disk.

        Raises:
            Refusal: there is no room.
        """
        if more > self.left():
            raise self._no_room()

    def left(self) -> int:
        """Bytes that may still come; below 0 where there are too many already."""
        quota = self._settings.quota - self.bytes()
        return min(quota, shutil.disk_usage(self.folder).free - SPARE)

    def bytes(self) -> int:
        """Of all files, as counted some seconds ago, and of all that is coming."""
        began = time.monotonic()
        if began >= self._look_at:
            self._counted = sum(_size(self.folder / name) for name in FOLDERS if name != "coming")
            took = time.monotonic() - began
            self._look_at = began + max(LOOK_AGAIN_S, took * LOOK_SHARE)
        return self._counted + sum(self._coming.values())

    def remove_job(self, job_id: str) -> None:
        """Remove all files of a job."""
        _remove(self.of_job(job_id))
        self._look_at = 0.0

    def remove_upload(self, upload_id: str) -> None:
        """Remove an upload."""
        _remove(self.folder / "uploads" / upload_id)
        self._look_at = 0.0

    def old_uploads(self, before: float, used: set[str]) -> list[str]:
        """Uploads from before a time that no job uses."""
        found = []
        for folder in (self.folder / "uploads").iterdir():
            with suppress(OSError):
                if folder.name not in used and folder.stat().st_mtime < before:
                    found.append(folder.name)
        return found

    def _alone(self) -> BinaryIO:
        """The lock on the folder, which is made, readable by nobody else.

        Raises:
            OptionError: it cannot be made or written to, or another service has it.
        """
        try:
            for folder in (self.folder, *(self.folder / name for name in FOLDERS)):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.folder / LOCK).open("ab")
        except OSError as error:
            raise OptionError(
                f"`data={self._settings.data}` cannot be used: {error.strerror}; give a folder that can be "
                "written to"
            ) from None
        if not try_lock(lock):
            lock.close()
            raise OptionError(
                f"another service uses `data={self._settings.data}`; end it, or give another folder"
            )
        return lock

    async def _write(self, file: BinaryIO, pieces: Pieces, upload_id: str) -> int:
        """Write pieces as they come, apart from what else is done; gives their bytes.

        Raises:
            Refusal: there are none, or too many.
        """
        size, waiting = 0, bytearray()
        async for piece in pieces:
            size += len(piece)
            waiting += piece
            if len(waiting) >= PIECE:
                self._coming[upload_id] = size
                self.check_room()
                await asyncio.to_thread(file.write, bytes(waiting))
                waiting.clear()
        self._coming[upload_id] = size
        self.check_room()
        file.write(waiting)
        if not size:
            raise Refusal(422, "an upload must have bytes")
        return size

    @contextmanager
    def _full_said(self) -> Iterator[None]:
        """What a full disk is answered with.

        Raises:
            Refusal: it is full.
        """
        try:
            yield
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise self._no_room() from None

    def _no_room(self) -> Refusal:
        quota = self._settings.quota / GIBIBYTE
        return Refusal(507, f"the {quota:.4g} GiB of this service are full; delete jobs, or come back later")


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there; what a link leads to stays."""
    with suppress(OSError):
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)


def _size(folder: Path) -> int:
    """Bytes of all files below a folder; what links lead to does not count."""
    found, folders = 0, [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        found += entry.stat(follow_symlinks=False).st_size
    return found
