"""A checkpoint as an exported folder, made on the way, once for each input size."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sodslice.errors import ModelError, OutputError

log = logging.getLogger(__name__)


def converted_folder(
    checkpoint: Path, *, input_size: tuple[int, int], class_names: Sequence[str] | None = None
) -> Path:
    """The exported folder of a checkpoint, from the cache or made now.

    The cache is known by content: the same weights under another name are not exported again, changed weights
    under the same name are. Two processes that want the same folder make it once.

    Args:
        checkpoint: a `.pdparams` or `.safetensors` file.
        input_size: height and width in pixels, multiples of 32; of no weight for a network that takes any.
        class_names: names in the order of the class ids, where the checkpoint does not say them.

    Raises:
        ModelError: the checkpoint is damaged or fits no known network.
        OutputError: the cache cannot be written.
    """
    if checkpoint.suffix not in (".pdparams", ".safetensors") or not checkpoint.is_file():
        raise ModelError(f"{checkpoint} is no checkpoint: give a .pdparams or .safetensors file")
    try:
        stem = cache_folder() / "exports" / _content_key(checkpoint, class_names or ())
        kept = _kept(stem, input_size)
        if kept is not None:
            return kept
        stem.parent.mkdir(parents=True, exist_ok=True)
        with _alone(stem):
            return _kept(stem, input_size) or _export(checkpoint, stem, input_size, class_names)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(
            f"the cache {cache_folder()} cannot be used ({error.strerror}); "
            "set SODSLICE_CACHE to another folder"
        ) from None


def cache_folder() -> Path:
    """Where sodslice keeps what it can make again: `SODSLICE_CACHE`, else the user's cache folder."""
    own = os.environ.get("SODSLICE_CACHE")
    if own:
        return Path(own).expanduser()
    users = os.environ.get("XDG_CACHE_HOME")
    return (Path(users) if users else Path.home() / ".cache") / "sodslice"


def _content_key(checkpoint: Path, class_names: Sequence[str]) -> str:
    """One hash over all that an export depends on but its size.

    Paddle's version counts, since an older one cannot read what a newer one wrote.
    """
    from sodslice.engines.paddle import import_paddle
    from sodslice.ppyoloe.config import EXPORT_VERSION

    total = hashlib.sha256()
    with checkpoint.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    total.update(repr((tuple(class_names), EXPORT_VERSION, import_paddle().__version__)).encode())
    return total.hexdigest()[:32]


def _kept(stem: Path, input_size: tuple[int, int]) -> Path | None:
    """The folder for this size, or one for any size."""
    folders = (_folder(stem, None), _folder(stem, input_size))
    return next((folder for folder in folders if folder.is_dir()), None)


def _folder(stem: Path, input_size: tuple[int, int] | None) -> Path:
    return stem.with_name(f"{stem.name}-{f'{input_size[0]}x{input_size[1]}' if input_size else 'any'}")


def _export(
    checkpoint: Path, stem: Path, input_size: tuple[int, int], class_names: Sequence[str] | None
) -> Path:
    from sodslice.ppyoloe.export import export_folder, settings_of
    from sodslice.ppyoloe.weights import load_network

    network, metadata = load_network(checkpoint, class_names=class_names)
    size = None if network.config.transformer is None else input_size
    folder = _folder(stem, size)
    words = f"{size[1]} x {size[0]} pixels" if size else "tiles of any size"
    log.warning("exporting %s for %s, this once; it is kept in %s", checkpoint, words, folder)
    export_folder(network, folder, settings_of(metadata, size))
    return folder


@contextmanager
def _alone(stem: Path) -> Iterator[None]:
    """Only one process at a time; what a killed one left is cleared away."""
    lock = stem.with_name(f"{stem.name}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)  # freed by the system when the process ends, however it ends
        except OSError as error:
            log.info("%s cannot be locked (%s); the folder appears by rename all the same", lock, error)
        else:
            for left in stem.parent.glob(f".{stem.name}-*.part"):
                shutil.rmtree(left, ignore_errors=True)
        yield
