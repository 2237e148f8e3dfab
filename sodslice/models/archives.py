"""Tar archives of exported models, from anybody: only what a model folder needs comes out of them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from sodslice.errors import ModelError
from sodslice.inference.folder import SETTINGS_FILES, is_model_file

ARCHIVE_SUFFIX = ".tar"
MOST_BYTES = 4 << 30
"""Of all files that an archive says it holds."""

MOST_MEMBERS = 1000
LONGEST_READ = 64 << 10
"""What is read in one go; only the headers of a malicious archive are longer."""

MOST_REMARKS = 100
"""Facts about a file that stand in front of it; each file gets a copy of those about all."""

_DAMAGES = (tarfile.TarError, ValueError, OverflowError, RecursionError, LookupError)
"""What the tarfile module raises on headers that are none."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\3\4": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_MARK, _MARK_AT = b"ustar", 257
"""What stands in the first header of tar files, whatever its name begins with."""


def unpack_model(archive: Path, folder: Path) -> None:
    """Take the one exported model of an archive out of it.

    Every member is checked before anything is written. Links, devices, files with holes, names that lead out
    of the folder, and too much of anything refuse the whole archive; files that no model needs stay in it.

    Args:
        archive: an uncompressed tar file; the model is at its top or in a folder of it.
        folder: is there, and empty; gets the files themselves.

    Raises:
        ModelError: the archive is damaged, unsafe, or holds no model, or more than one.
        OSError: the disk refuses.
    """
    with _Bounded(io.FileIO(archive)) as file, _damages_said(archive):
        _refuse_compressed(archive, file)
        with tarfile.TarFile(fileobj=file) as tar:
            wanted = _model_of(archive, list(_checked(archive, tar)))
            for member in wanted:
                _take_out(tar, member, folder / PurePosixPath(member.name).name)


class _Bounded(io.BufferedReader):
    """A file of which little is read at once: a header as long as the file would fill the memory."""

    def read(self, size: int | None = -1) -> bytes:
        """As any file.

        Raises:
            ValueError: it is too much.
        """
        if size is None or not 0 <= size <= LONGEST_READ:
            raise ValueError(f"a header says that it has {size} bytes")
        return super().read(size)


@contextmanager
def _damages_said(archive: Path) -> Iterator[None]:
    """Say in one line what is wrong with an archive.

    Raises:
        ModelError: something is.
    """
    try:
        yield
    except ModelError:
        raise
    except _DAMAGES as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{archive} is no intact tar archive: {why}; fetch it again") from None


def _refuse_compressed(archive: Path, file: BinaryIO) -> None:
    start = file.read(_MARK_AT + len(_MARK))
    file.seek(0)
    kind = next((kind for magic, kind in _COMPRESSED.items() if start.startswith(magic)), None)
    if kind is not None and not start.endswith(_MARK):
        raise ModelError(f"{archive} is compressed ({kind}); unpack it, and give the folder that comes out")


def _checked(archive: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All members of an archive, each after it was looked at.

    Raises:
        ModelError: one is not what an archive of a model holds, or all together are too much.
    """
    total = 0
    for count, member in enumerate(iter(tar.next, None), start=1):
        assert member is not None
        tar.members = []  # type: ignore[attr-defined]  # which would hold all headers
        reason = _reason_against(member)
        total += max(member.size, 0)
        if not reason and count > MOST_MEMBERS:
            reason = f"it holds more than {MOST_MEMBERS} files"
        if not reason and total > MOST_BYTES:
            reason = f"its files would take more than {MOST_BYTES >> 20} MiB"
        if not reason and len(tar.pax_headers) + len(member.pax_headers) > MOST_REMARKS:
            reason = f"{member.name!r} has more than {MOST_REMARKS} remarks in its header"
        if reason:
            raise ModelError(f"{archive} is not unpacked: {reason}")
        yield member


def _reason_against(member: tarfile.TarInfo) -> str:
    """Why a member makes an archive unsafe; "" if it does not."""
    name = member.name
    against = {
        f"is a link to {member.linkname!r}": member.issym() or member.islnk(),
        "is a device": member.isdev(),
        f"is a file with holes, which says that it has {member.size} bytes": member.issparse(),
        "is neither a file nor a folder": not (member.isreg() or member.isdir()) or member.size < 0,
        "is an absolute path": name.startswith(("/", "\\")) or name[1:2] == ":",
        "leads out of the folder": ".." in name.replace("\\", "/").split("/"),
    }
    return next((f"{name!r} {reason}" for reason, found in against.items() if found), "")


def _model_of(archive: Path, members: Sequence[tarfile.TarInfo]) -> list[tarfile.TarInfo]:
    """The files of the one model that an archive holds.

    Raises:
        ModelError: it holds none, or several, or a file twice.
    """
    files = [(PurePosixPath(m.name), m) for m in members if m.isreg()]
    folders = list(dict.fromkeys(path.parent for path, _ in files if path.name in SETTINGS_FILES))
    if len(folders) != 1:
        found = (
            f"models in {', '.join(repr(str(each)) for each in folders)}" if folders else "no exported model"
        )
        raise ModelError(f"{archive} holds {found}; wanted is one folder with {' or '.join(SETTINGS_FILES)}")
    wanted = [m for path, m in files if path.parent == folders[0] and is_model_file(path.name)]
    names = [str(PurePosixPath(member.name)) for member in wanted]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ModelError(f"{archive} holds {twice!r} twice")
    return wanted


def _take_out(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Write a file of an archive.

    Raises:
        ValueError: the archive ends before the file does.
    """
    source = tar.extractfile(member)
    assert source is not None
    left = member.size
    with path.open("xb") as file:
        while left:
            piece = source.read(min(left, LONGEST_READ))
            if not piece:
                raise ValueError(f"it ends within {member.name!r}")
            file.write(piece)
            left -= len(piece)
