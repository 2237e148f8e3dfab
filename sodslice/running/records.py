"""Records of the raw store: what was seen in each tile, as bytes.

A store is a line that names the format, then records: kind, tile id, payload length, checksum, payload.

    HEAD   JSON: everything that the detections of a tile depend on
    PLAN   JSON: the plan that is carried out from here on
    HOLD   JSON: which process writes from here on
    FACT   JSON: what only those who look at the pixels know, such as the engine
    READ   a tile is about to be read
    TILE   a tile's boxes: float32 edges in tile pixels, float32 scores, uint16 labels
    FULL   a tile in which the model stopped: float32 score from which on its boxes are all
    NONE   a tile without any data
    FAIL   a tile that could not be read, and why
    DEAD   a tile at which processes died that looked at it alone, and how
    LAST   JSON: when and how long; all tiles of the plan are seen

Hands give TILE, FULL, NONE, FAIL, DEAD and FACT, in any order; whoever supervises them writes the others.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson

from sodslice.errors import StoreError
from sodslice.tables.detections import Detections

FORMAT = b"sodslice raw store 2\n"
ANY_FORMAT = b"sodslice raw store "
LAYOUT = struct.Struct("<4sIII")
BOX_BYTES = 4 * 4 + 4 + 2
LARGEST_PAYLOAD = 1 << 30
BUFFER_BYTES = 1 << 20


class Record(NamedTuple):
    """One record: its `kind` (4 letters), the `tile_id` it is about (0 where none), and its `payload`."""

    kind: bytes
    tile_id: int = 0
    payload: bytes = b""

    def encoded(self) -> bytes:
        """The record as the file holds it."""
        return LAYOUT.pack(self.kind, self.tile_id, len(self.payload), self._checksum()) + self.payload

    @property
    def content(self) -> Any:
        """What a payload of JSON holds."""
        return orjson.loads(self.payload)

    def _checksum(self) -> int:
        return zlib.crc32(self.payload, zlib.crc32(self.kind + self.tile_id.to_bytes(4, "little")))


def tile_record(tile_id: int, found: Detections) -> Record:
    """What was found in a tile, in tile pixels."""
    columns = (found.boxes.astype("<f4"), found.scores.astype("<f4"), found.labels.astype("<u2"))
    return Record(b"TILE", tile_id, b"".join(column.tobytes() for column in columns))


def full_record(tile_id: int, whole_from: float) -> Record:
    """A tile in which more may lie than was found, of scores below `whole_from`."""
    return Record(b"FULL", tile_id, np.float32(whole_from).astype("<f4").tobytes())


def empty_record(tile_id: int) -> Record:
    """A tile without any data."""
    return Record(b"NONE", tile_id)


def failed_record(tile_id: int, error: str) -> Record:
    """A tile that could not be read."""
    return Record(b"FAIL", tile_id, error.encode())


def deadly_record(tile_id: int, end: str) -> Record:
    """A tile at which processes died, and how they ended."""
    return Record(b"DEAD", tile_id, end.encode())


def json_record(kind: bytes, content: Mapping[str, Any]) -> Record:
    """A record of facts."""
    return Record(kind, 0, orjson.dumps(dict(content)))


def unpacked(payload: bytes) -> tuple[Any, Any, Any]:
    """Boxes `(N, 4)` and scores `(N,)` float32 and labels `(N,)` uint16 of a TILE record."""
    rows = len(payload) // BOX_BYTES
    boxes = np.frombuffer(payload, "<f4", 4 * rows).reshape(rows, 4)
    scores = np.frombuffer(payload, "<f4", rows, 16 * rows)
    return boxes, scores, np.frombuffer(payload, "<u2", rows, 20 * rows)


def whole_from(payload: bytes) -> float:
    """The score of a FULL record."""
    return float(np.frombuffer(payload, "<f4", 1)[0])


def read_records(path: Path) -> Iterator[tuple[Record, int]]:
    """The whole records of a store, each with the position of its end; memory does not grow with the store.

    A run that dies leaves at most one record cut short, at which reading ends.

    Raises:
        StoreError: the file cannot be read, or is not a store of this version.
    """
    try:
        with path.open("rb", buffering=BUFFER_BYTES) as file:
            _check_format(path, file.read(len(FORMAT)))
            position = len(FORMAT)
            while (record := next_record(file)) is not None:
                position += LAYOUT.size + len(record.payload)
                yield record, position
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from None


def _check_format(path: Path, line: bytes) -> None:
    if line == FORMAT:
        return
    if line.startswith(ANY_FORMAT):
        raise StoreError(
            f"{path} is a raw store of another version of sodslice; run the scene again, with `fresh`"
        )
    raise StoreError(f"{path} is not a raw store; run the scene again, with `fresh`")


def next_record(file: BinaryIO) -> Record | None:
    """The next record of a file or a pipe; None at its end, and where it is cut short or damaged."""
    head = file.read(LAYOUT.size)
    if len(head) < LAYOUT.size:
        return None
    kind, tile_id, length, _ = LAYOUT.unpack(head)
    if length > LARGEST_PAYLOAD:
        return None
    record = Record(kind, tile_id, file.read(length))
    whole = len(record.payload) == length and record.encoded()[: LAYOUT.size] == head
    return record if whole else None
