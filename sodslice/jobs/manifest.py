"""The manifest of a job: one line a scene, JSON, readable while the job runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import orjson

from sodslice.errors import OutputError
from sodslice.jobs.shards import Shard
from sodslice.system.files import remove_leftovers, write_atomically
from sodslice.system.locks import alone

MANIFEST = "manifest.jsonl"
LOCK = ".sodslice.lock"


@dataclass(frozen=True)
class Entry:
    """What is known of one scene of a job.

    Args:
        name: of its results, below the folder of the job, without the suffix of their format.
        path: of the scene, as the user gave it.
        status: "done", "failed", or "part": its part of a scene that several shards share is done.
        output: file of the result, or of the part, below the folder of the job; "" where there is none.
        width: of the scene in pixels; None where it could not be opened.
        height: of the scene in pixels.
        bytes: of the file; None of what is no file.
        tiles: that were looked at.
        failed_tiles: of these, those that could not be.
        objects: that were found.
        classes: how many of them of each class.
        seconds: that it took.
        finished: when, as ISO 8601 in UTC.
        error: why it failed, in one sentence.
        plan: hash of all that the result depends on.
        result_bytes: size of the file of the result.
        number: of the scene in the job, from 1 on.
    """

    name: str
    path: str
    status: str
    output: str = ""
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    tiles: int = 0
    failed_tiles: int = 0
    objects: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    finished: str = ""
    error: str = ""
    plan: str = ""
    result_bytes: int | None = None
    number: int = 0


@dataclass(frozen=True)
class Extent:
    """How large a job is, or a shard of it, and whether it has come to its end.

    Args:
        number: of the shard, from 1 on.
        of: how many shards there are.
        scenes: of the whole job; None where they came one by one.
        ended: whether all of its scenes are settled.
    """

    number: int = 1
    of: int = 1
    scenes: int | None = None
    ended: bool = False


class Manifest:
    """The manifest of a job, or of a shard of it, which several processes may write at once.

    A process that is killed leaves a line cut short at most, which counts as none.

    Args:
        folder: of the job.
        shard: whose manifest it is.
    """

    def __init__(self, folder: Path, shard: Shard | None = None) -> None:
        self._shard = shard or Shard()
        self.path = folder / f"{Path(MANIFEST).stem}{self._shard.suffix}.jsonl"
        self._known = entries_of(folder)

    def entry(self, name: str) -> Entry | None:
        """The last that is known of a scene; None before there is anything."""
        return self._known.get(_text(name))

    def add(self, entry: Entry) -> None:
        """Say something of a scene.

        Raises:
            OutputError: the disk refuses.
        """
        self._known[_text(entry.name)] = entry
        with _writing(self.path), self.path.open("a+b") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
            torn = file.read() not in (b"", b"\n")
            file.write((b"\n" if torn else b"") + _line(entry))

    def begin(self, scenes: int | None) -> None:
        """Say how large the job is; that it was shared out in other ways before counts no more.

        Raises:
            OutputError: the disk refuses.
        """
        folder = self.path.parent
        for extent in extents_of(folder).values():
            if extent.of != self._shard.of:
                _place_of(folder, Shard(extent.number, extent.of)).unlink(missing_ok=True)
        self._say(Extent(self._shard.number, self._shard.of, scenes))

    def settle(self, names: Sequence[str]) -> None:
        """Keep one line a scene, in the order of the job; scenes of other jobs stay, behind them.

        The job, or the shard, has come to its end.

        Raises:
            OutputError: the disk refuses.
        """
        with _writing(self.path):
            remove_leftovers(self.path)
            known = _entries_in(self.path)
            ordered = [known.pop(name) for name in map(_text, names) if name in known]
            if ordered or known:
                write_atomically(self.path, b"".join(map(_line, (*ordered, *known.values()))))
        said = extents_of(self.path.parent).get((self._shard.number, self._shard.of), Extent())
        self._say(replace(said, number=self._shard.number, of=self._shard.of, ended=True))

    def _say(self, extent: Extent) -> None:
        with _writing(self.path):
            write_atomically(_place_of(self.path.parent, self._shard), orjson.dumps(extent))


def _place_of(folder: Path, shard: Shard) -> Path:
    """Where a shard says how large its job is."""
    return folder / f".sodslice{shard.suffix}.json"


def extents_of(folder: Path) -> dict[tuple[int, int], Extent]:
    """What the shards of a job, or the job that is none, have said of themselves, by number and count."""
    found = {}
    for path in folder.glob(".sodslice*.json"):
        try:
            extent = Extent(**orjson.loads(path.read_bytes()))
        except (OSError, TypeError, orjson.JSONDecodeError):
            continue
        found[extent.number, extent.of] = extent
    return found


def entries_of(folder: Path) -> dict[str, Entry]:
    """What the manifests in a folder say of each scene, by its name: of several words the latest."""
    found: dict[str, Entry] = {}
    for path in manifests_in(folder):
        for name, entry in _entries_in(path).items():
            if name not in found or _age(entry) >= _age(found[name]):
                found[name] = entry
    return found


def _age(entry: Entry) -> tuple[str, bool]:
    """What grows as more is known: at one time the part of a scene is known before the whole."""
    return entry.finished, entry.status == "done"


def in_job_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries in the order of the scenes of their job."""
    return sorted(entries, key=lambda entry: (entry.number, entry.name.split("/")))


def manifests_in(folder: Path) -> list[Path]:
    """The manifest of the job, and behind it those of shards."""
    shards = folder.glob(f"{Path(MANIFEST).stem}.*-of-*.jsonl")
    return [path for path in (folder / MANIFEST, *sorted(shards)) if path.is_file()]


def fold_manifests(folder: Path, *, ended: bool) -> None:
    """Make one manifest of that of the job and those of its shards, as they are at this moment.

    Args:
        folder: of the job.
        ended: whether the shards have come to their end, so that theirs can go.

    Raises:
        OutputError: the disk refuses.
    """
    path = folder / MANIFEST
    with _writing(path):
        entries = in_job_order(entries_of(folder).values())
        write_atomically(path, b"".join(map(_line, entries)))
        for other in manifests_in(folder) if ended else ():
            if other != path:
                other.unlink(missing_ok=True)


def _entries_in(path: Path) -> dict[str, Entry]:
    """Lines that can be read, the last one a scene."""
    try:
        content = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise OutputError(f"{path} cannot be read: {error.strerror}") from None
    found = dict[str, Entry]()
    for line in content.splitlines():
        entry = _entry(line)
        if entry is not None:
            found.pop(entry.name, None)
            found[entry.name] = entry
    return found


def _entry(line: bytes) -> Entry | None:
    """What a line says; None where it is cut short or no entry."""
    try:
        values: Any = orjson.loads(line)
        return Entry(**{name: values[name] for name in _FIELDS if name in values})
    except (orjson.JSONDecodeError, TypeError):
        return None


_FIELDS = tuple(one.name for one in fields(Entry))


def _line(entry: Entry) -> bytes:
    """A line of the manifest."""
    plain = {key: _text(value) if isinstance(value, str) else value for key, value in asdict(entry).items()}
    return orjson.dumps(plain) + b"\n"


def _text(value: str) -> str:
    """A word as JSON can hold it: names of files may hold bytes that are no text."""
    return value.encode("utf-8", "backslashreplace").decode()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Write where others write, too.

    Raises:
        OutputError: the folder or the disk refuses.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with alone(path.with_name(LOCK)):
            yield
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from None
