"""Stores: where the records of a plan are kept, in memory or in a file that survives the process.

Bytes are handed to the system with every batch, so they survive `kill -9`; they are forced to the disk every
few seconds.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import orjson

from sodslice.errors import HeldError, OutputError, StoreError
from sodslice.running.plan import RunPlan
from sodslice.running.records import FORMAT, Record, json_record, read_records
from sodslice.running.seen import Seen
from sodslice.system.locks import try_lock
from sodslice.values.records import plain_record

SYNC_SECONDS = 5.0


class Store(Protocol):
    """Where the records of a plan are kept."""

    @property
    def seen(self) -> Seen:
        """All that it holds."""

    def append(self, records: Sequence[Record]) -> None:
        """Keep some records."""

    def starting(self, tile_id: int) -> None:
        """Note that a tile is about to be read; safe to call from several threads."""


class MemoryStore:
    """A store that ends with the process.

    Args:
        plan: whose records come.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.seen = Seen(len(plan.grid))

    def append(self, records: Sequence[Record]) -> None:
        """See `Store`."""
        for record in records:
            self.seen.take(record)

    def starting(self, tile_id: int) -> None:
        """Nothing needs to be known if the process ends."""


class FileStore:
    """A store in a file that is written by this process and no other; use as a context manager.

    What the file holds already of the same plan is gone on with.

    Args:
        path: the file.
        plan: that is carried out.
        fresh: start over if there is one.

    Raises:
        HeldError: another run holds the file.
        OutputError: the folder cannot be written.
        StoreError: it was begun with another head; the message names the differences.
    """

    def __init__(self, path: Path, plan: RunPlan, *, fresh: bool = False) -> None:
        self.path = path
        self.seen = Seen(len(plan.grid))
        self._writing = threading.Lock()
        self._file = _open_locked(path)
        try:
            self._begin(plan, fresh=fresh)
            self._write(json_record(b"HOLD", _holder()).encoded())
            self.sync()
        except BaseException:
            self._file.close()
            raise

    def append(self, records: Sequence[Record]) -> None:
        """Keep some records.

        Raises:
            OutputError: the disk is full, or the file is gone.
            StoreError: another engine saw the tiles before.
        """
        for record in records:
            self.seen.take(record)
        engines = self.seen.facts.get("engine", [])
        if len(engines) > 1:
            raise StoreError(
                f"{self.path} was begun with engine {engines[0]} (now {engines[1]}); "
                "give the former settings to go on, or `fresh` to start over"
            )
        self._write(b"".join(record.encoded() for record in records))
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def starting(self, tile_id: int) -> None:
        """Note that a tile is about to be read; safe to call from several threads."""
        self._write(Record(b"READ", tile_id).encoded())

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the facts of the finished work."""
        record = json_record(b"LAST", facts)
        self.seen.take(record)
        self._write(record.encoded())
        self.sync()

    def sync(self) -> None:
        """Force what was written to the disk, and see that the file is still there.

        Raises:
            OutputError: the disk refuses, or the file or its folder was removed.
        """
        try:
            os.fsync(self._file.fileno())
            present = self.path.stat().st_ino == os.fstat(self._file.fileno()).st_ino
        except OSError:
            present = False
        if not present:
            raise OutputError(
                f"{self.path} was removed while the run was writing it; run again into a folder that stays"
            )
        self._synced = time.monotonic()

    def keep_as(self, path: Path) -> None:
        """Give the finished store its final name and close it."""
        if os.name == "nt":  # which renames and removes no open files
            self.close()
        self.path.replace(path)
        self.close()

    def remove(self) -> None:
        """Delete the store, whose run has finished, and close it."""
        if os.name == "nt":
            self.close()
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the store, which lets others have it; closing twice does no harm."""
        self._file.close()

    def __enter__(self) -> FileStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not (self._file.closed or self.seen.settled or self.seen.last):
            self.path.unlink(missing_ok=True)  # nothing was done that a rerun could save
        self.close()

    def _begin(self, plan: RunPlan, *, fresh: bool) -> None:
        """Go on with what is there, or start."""
        head = orjson.loads(orjson.dumps(plan.head))
        content = b""
        if fresh or self._file.seek(0, os.SEEK_END) == 0:
            self._file.truncate(0)
            self._file.seek(0)
            content = FORMAT + json_record(b"HEAD", head).encoded()
        else:
            self._go_on(head)
        self._write(content + json_record(b"PLAN", plain_record(plan)).encoded())

    def _go_on(self, head: Mapping[str, Any]) -> None:
        """Take over what the file holds.

        Raises:
            StoreError: it was begun with another head.
        """
        length = 0
        for record, end in read_records(self.path):
            if record.kind == b"HEAD":
                differences = _differences(record.content, head)
                if differences:
                    raise StoreError(
                        f"{self.path} was begun with {'; '.join(differences)}; "
                        "give the former settings to go on, or `fresh` to start over"
                    )
            elif not length:
                break
            self.seen.take(record)
            length = end
        if not length:
            raise StoreError(
                f"{self.path} is a raw store that was cut off in its first record; "
                "run the scene again, with `fresh`"
            )
        self._file.truncate(length)
        self._file.seek(length)

    def _write(self, content: bytes) -> None:
        """All of it; a disk that fills up leaves a record cut short, which reading takes off."""
        view = memoryview(content)
        try:
            with self._writing:
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            raise OutputError(
                f"cannot write the journal {self.path}: {error.strerror}; "
                "what it holds is kept, make room and run again"
            ) from None


def goes_on(path: Path, plan: RunPlan) -> bool:
    """Whether a plan can go on with what a file holds: it holds nothing, or was begun with the same head."""
    if not path.is_file() or not path.stat().st_size:
        return True
    try:
        first, _ = next(read_records(path), (None, 0))
    except StoreError:
        return False
    return (
        first is not None and first.kind == b"HEAD" and first.content == orjson.loads(orjson.dumps(plan.head))
    )


def remove_unheld(path: Path) -> None:
    """Remove a store that nobody writes, if there is one: what it is for has been written."""
    with suppress(OSError), path.open("r+b") as file:
        if try_lock(file):
            path.unlink(missing_ok=True)


def _open_locked(path: Path) -> FileIO:
    """The file, made if need be, open for reading and writing and locked for this process.

    Raises:
        HeldError: another process holds it.
        OutputError: the folder cannot be written.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except OSError as error:
            raise OutputError(
                f"cannot write the journal {path}: {error.strerror}; choose another place with `output`"
            ) from None
        if not try_lock(file):
            file.close()
            raise HeldError(
                f"{path} is being written by {_held_by(path)}; wait for it, or choose another `output`"
            )
        with suppress(OSError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()  # its holder finished and removed it in between


def _holder() -> dict[str, Any]:
    return {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}


def _held_by(path: Path) -> str:
    """Who holds a store, in words."""
    holder: dict[str, Any] = {}
    with suppress(StoreError):
        for record, _ in read_records(path):
            if record.kind == b"HOLD":
                holder = record.content
    if not holder:
        return "another process"
    return f"process {holder['process']} on {holder['host']} since {holder['since']}"


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two heads, in words: `tile 640 (now 1024)`."""
    keys = [k for k in (*before, *(k for k in now if k not in before)) if before.get(k) != now.get(k)]
    return [f"{key.replace('_', ' ')} {_short(before.get(key))} (now {_short(now.get(key))})" for key in keys]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
