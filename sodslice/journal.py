"""The raw store: what the detector saw in each tile, appended as it happens, so that nothing is lost.

One file. A line that names the format, then records: kind, tile id, payload length, checksum, payload.

    HEAD   JSON: everything that the detections of a tile depend on
    HOLD   JSON: which process writes from here on
    READ   a tile is about to be read
    TILE   a tile's boxes: float32 edges in tile pixels, float32 scores, uint16 labels
    NONE   a tile without any data
    LAST   JSON: the facts of the finished run, so that the store can be merged again by itself

A run that dies leaves at most one record cut short, which the next run takes off. Bytes are handed to the
system with every batch, so they survive `kill -9`; they are forced to the disk every few seconds.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orjson

from sodslice.detections import Detections
from sodslice.errors import OutputError, SodsliceError

FORMAT = b"sodslice raw store 1\n"
RECORD = struct.Struct("<4sIII")
BOX_BYTES = 4 * 4 + 4 + 2
SYNC_SECONDS = 5.0
LARGEST_PAYLOAD = 1 << 30


class JournalDiffersError(SodsliceError):
    """A journal was begun with other settings; the message names them."""


@dataclass
class Contents:
    """What a store holds.

    Args:
        head: what the detections depend on.
        tables: detections in tile pixels of each tile that was done; tile_ids are the tile's id.
        empty: tiles without any data.
        under_way: tiles that were being read or detected when the store ends.
        last: the facts of the finished run; None if it did not finish.
        holder: the process that wrote last.
        length: bytes up to the end of the last whole record.
    """

    head: dict[str, Any]
    tables: dict[int, Detections] = field(default_factory=dict)
    empty: set[int] = field(default_factory=set)
    under_way: set[int] = field(default_factory=set)
    last: dict[str, Any] | None = None
    holder: dict[str, Any] = field(default_factory=dict)
    length: int = 0


def read_store(path: Path) -> Contents:
    """Read a store up to its last whole record.

    Raises:
        SodsliceError: the file cannot be read or is not a store.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SodsliceError(f"{path} cannot be read: {error.strerror}") from None
    if not content.startswith(FORMAT):
        raise SodsliceError(f"{path} is not a raw store of this version; run the scene again, with --fresh")
    found: Contents | None = None
    position = len(FORMAT)
    while True:
        record = _record_at(content, position)
        if record is None:
            break
        kind, tile_id, payload, position = record
        if found is None:
            if kind != b"HEAD":
                break
            found = Contents(orjson.loads(payload))
        _take(found, kind, tile_id, payload)
        found.length = position
    if found is None:
        raise SodsliceError(
            f"{path} is a raw store that was cut off in its first record; run the scene again, with --fresh"
        )
    return found


def _record_at(content: bytes, position: int) -> tuple[bytes, int, bytes, int] | None:
    """Kind, tile id, payload and end of the record at a position; None where it is cut short or damaged."""
    start = position + RECORD.size
    if len(content) < start:
        return None
    kind, tile_id, length, checksum = RECORD.unpack_from(content, position)
    if length > LARGEST_PAYLOAD or len(content) < start + length:
        return None
    payload = content[start : start + length]
    if _checksum(kind, tile_id, payload) != checksum:
        return None
    return kind, tile_id, payload, start + length


def _take(found: Contents, kind: bytes, tile_id: int, payload: bytes) -> None:
    if kind == b"READ":
        found.under_way.add(tile_id)
        return
    found.under_way.discard(tile_id)
    if kind == b"TILE":
        found.tables[tile_id] = _unpack(tile_id, payload)
    elif kind == b"NONE":
        found.empty.add(tile_id)
    elif kind == b"LAST":
        found.last = orjson.loads(payload)
    elif kind == b"HOLD":
        found.holder = orjson.loads(payload)


def _checksum(kind: bytes, tile_id: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(kind + tile_id.to_bytes(4, "little")))


def _pack(found: Detections) -> bytes:
    """Boxes, scores and labels one after the other."""
    return (
        found.boxes.astype("<f4").tobytes()
        + found.scores.astype("<f4").tobytes()
        + found.labels.astype("<u2").tobytes()
    )


def _unpack(tile_id: int, payload: bytes) -> Detections:
    rows = len(payload) // BOX_BYTES
    boxes = np.frombuffer(payload, "<f4", 4 * rows).reshape(rows, 4)
    scores = np.frombuffer(payload, "<f4", rows, 16 * rows)
    labels = np.frombuffer(payload, "<u2", rows, 20 * rows)
    return Detections(boxes, scores, labels, np.full(rows, tile_id))


class Journal:
    """A raw store that is being written by this process and no other; use as a context manager.

    Args:
        path: the store.
        head: everything that the detections of a tile depend on, by the words that users know.
        fresh: start over if there is one.

    Raises:
        OutputError: another run holds the store, or the folder cannot be written.
        JournalDiffersError: the store was begun with another head.

    What the store already holds is in `contents`.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], *, fresh: bool = False) -> None:
        self.path = path
        self._writing = threading.Lock()
        self._file = _open_locked(path)
        try:
            self.contents = self._begin(orjson.loads(orjson.dumps(head)), fresh=fresh)
            self._holds_tiles = bool(self.contents.tables or self.contents.empty)
            self._write(_record(b"HOLD", 0, orjson.dumps(_holder())))
            self.sync()
        except BaseException:
            self._file.close()
            raise

    def _begin(self, head: dict[str, Any], *, fresh: bool) -> Contents:
        """Go on with what is there, or start."""
        if fresh or self._file.seek(0, os.SEEK_END) == 0:
            self._file.truncate(0)
            self._file.seek(0)
            self._write(FORMAT + _record(b"HEAD", 0, orjson.dumps(head)))
            return Contents(head)
        found = read_store(self.path)
        differences = _differences(found.head, head)
        if differences:
            raise JournalDiffersError(
                f"{self.path} was begun with {'; '.join(differences)}; "
                "give the former settings to go on, or --fresh to start over"
            )
        self._file.truncate(found.length)
        self._file.seek(found.length)
        return found

    def reading(self, tile_id: int) -> None:
        """Note that a tile is about to be read; safe to call from several threads."""
        self._write(_record(b"READ", tile_id, b""))

    def add(self, tables: Iterable[tuple[int, Detections]], empty: Iterable[int]) -> None:
        """Keep the detections of some tiles, in tile pixels, and note tiles without data.

        Raises:
            OutputError: the disk is full, or the file is gone.
        """
        self._holds_tiles = True
        records = [_record(b"TILE", tile_id, _pack(found)) for tile_id, found in tables]
        records += [_record(b"NONE", tile_id, b"") for tile_id in empty]
        self._write(b"".join(records))
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the facts of the finished run."""
        self._write(_record(b"LAST", 0, orjson.dumps(facts)))
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
        self.path.replace(path)
        self.close()

    def remove(self) -> None:
        """Delete the store, whose run has finished, and close it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close the store, which lets others have it; closing twice does no harm."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._holds_tiles:
            self.path.unlink(missing_ok=True)  # nothing was done that a rerun could save
        self.close()

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


def _open_locked(path: Path) -> FileIO:
    """The file, made if need be, open for reading and writing and locked for this process.

    Raises:
        OutputError: another process holds it, or the folder cannot be written.
    """
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except OSError as error:
            raise OutputError(
                f"cannot write the journal {path}: {error.strerror}; choose another place with -o"
            ) from None
        if not _try_lock(file.fileno()):
            file.close()
            raise OutputError(
                f"{path} is being written by {_held_by(path)}; wait for it, or choose another -o"
            )
        with suppress(OSError):
            if path.stat().st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()  # its holder finished and removed it in between


def _try_lock(descriptor: int) -> bool:
    """Lock an open file for this process; False if another has it. Windows is not guarded."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _holder() -> dict[str, Any]:
    return {"process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}


def _held_by(path: Path) -> str:
    """Who holds a store, in words."""
    try:
        holder = read_store(path).holder
    except SodsliceError:
        holder = {}
    if not holder:
        return "another process"
    return f"process {holder['process']} on {holder['host']} since {holder['since']}"


def _record(kind: bytes, tile_id: int, payload: bytes) -> bytes:
    return RECORD.pack(kind, tile_id, len(payload), _checksum(kind, tile_id, payload)) + payload


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two heads, in words: `tile 640 (now 1024)`."""
    keys = [k for k in (*before, *(k for k in now if k not in before)) if before.get(k) != now.get(k)]
    return [f"{key.replace('_', ' ')} {_short(before.get(key))} (now {_short(now.get(key))})" for key in keys]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
