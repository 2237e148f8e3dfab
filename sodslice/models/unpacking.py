"""Archives of this machine in place of folders: unpacked once into the cache."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from sodslice.errors import ModelError
from sodslice.inference.folder import read_folder
from sodslice.models.archives import unpack_model
from sodslice.models.shelf import unpacked_folder
from sodslice.system.caches import alone_with, cache_refusals_said
from sodslice.system.files import appearing_folder
from sodslice.system.hashes import sha256_of


def unpacked(archive: Path) -> Path:
    """The folder of the model in an archive of this machine, unpacked once into the cache.

    Raises:
        ModelError: the archive is damaged, unsafe, or holds no model.
        OutputError: the cache cannot be used.
    """
    with reading(archive):
        status = archive.stat()
    key = _key_of(archive.absolute(), (status.st_size, status.st_mtime_ns))
    with cache_refusals_said():
        folder = unpacked_folder(archive.stem, key)
        if folder.is_dir():  # also where nothing can be written
            return folder
        with alone_with(folder, [folder]):
            if not folder.is_dir():
                with appearing_folder(folder) as half:
                    unpack_model(archive, half)
                    read_folder(half)
    return folder


@lru_cache(maxsize=16)
def _key_of(archive: Path, _stamp: tuple[int, int]) -> str:
    """What the place of an archive's model goes by.

    Raises:
        ModelError: the archive cannot be read.
    """
    with reading(archive):
        return sha256_of(archive)[:16]


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one line that a file which somebody brought cannot be read.

    Raises:
        ModelError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
