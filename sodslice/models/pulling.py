"""Models from the web and from archives: fetched, checked, remembered, and moved into place whole."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from sodslice.errors import FetchError, ModelError
from sodslice.inference.folder import read_folder
from sodslice.models.archives import unpack_model
from sodslice.models.conversion import described_checkpoint
from sodslice.models.shelf import (
    Notes,
    Place,
    hashes_of,
    is_url,
    local_path,
    place_of,
    read_notes,
    write_notes,
)
from sodslice.models.store import place_for
from sodslice.models.trial import try_one_tile
from sodslice.models.unpacking import reading
from sodslice.system.arriving import USUAL, AbsentError, Limits, Progress, remove_download
from sodslice.system.caches import cache_refusals_said
from sodslice.system.downloads import download
from sodslice.system.files import appearing, appearing_folder, remove_leftovers
from sodslice.system.hashes import sha256_of
from sodslice.system.locks import alone, try_lock

log = logging.getLogger(__name__)

MIRROR = "SODSLICE_MIRROR"
"""Of the environment: URL of a folder in place of the official one."""

CHECK_SIDE = 640
"""Of the input for which a checkpoint that has just come is described."""


@dataclass(frozen=True)
class Pulling:
    """How a model is fetched.

    Args:
        mirror: URL, or a folder of this machine, in place of the official one; "" for `SODSLICE_MIRROR` of
            the environment, else the official one.
        again: fetch it even if it is here.
        accept_change: take a file that is not the one which came first under this name.
        limits: of the download.
    """

    mirror: str = ""
    again: bool = False
    accept_change: bool = False
    limits: Limits = USUAL


@dataclass(frozen=True)
class Pulled:
    """A model that was asked for, and is here.

    Args:
        path: the exported folder, or the checkpoint.
        notes: what is known of it.
        fresh: it came now.
    """

    path: Path
    notes: Notes
    fresh: bool


def pull(
    model: str, *, weights: bool = False, how: Pulling | None = None, progress: Progress | None = None
) -> Pulled:
    """Fetch a model into the cache, once: its exported folder, or its checkpoint.

    What came is checked before it takes its place: an archive is unpacked, read as a model and run on one
    tile, a checkpoint is read and matched with its network. The SHA-256 of what is fetched first is noted
    and later files under the same name must have it, also after the model was removed. A download that was
    interrupted goes on. Two processes that want the same model fetch it once.

    Args:
        model: an official name, one with `_pretrained` behind it, or the URL of a `.tar` or a checkpoint.
        weights: the checkpoint of a name, not its exported folder.
        how: from where, and what is accepted.
        progress: is told the bytes that are here, and all of them where they are known.

    Raises:
        ModelError: it cannot be had, is not what came before, or is no model; nothing has changed then.
        OutputError: the cache cannot be used.
    """
    how = how or Pulling()
    if how.mirror and is_url(model):
        raise ModelError(
            "the model is given by a URL, which says itself where it comes from; leave out `mirror`"
        )
    place = place_for(model, weights=weights, mirror=how.mirror or os.environ.get(MIRROR, ""))
    with cache_refusals_said():
        if place.is_here and not how.again:  # also where nothing can be written
            return Pulled(place.path, read_notes(place.notes), fresh=False)
        place.path.parent.mkdir(parents=True, exist_ok=True)
        _say_who_waits(place)
        with alone(place.lock) as locked:
            if locked:
                remove_leftovers(place.path)
            if place.is_here and not how.again:
                return Pulled(place.path, read_notes(place.notes), fresh=False)
            notes = _bring(place, how, progress, _download_path(place, alone_here=locked))
    return Pulled(place.path, notes, fresh=True)


def _say_who_waits(place: Place) -> None:
    """Say so where another process works at the same place, which may take long."""
    with place.lock.open("ab") as file:
        if not try_lock(file):
            log.warning("another process fetches or removes %s; waiting for it", place.word)


def fetched(url: str) -> Path:
    """The folder or the checkpoint that a URL of the web stands for, fetched when it is first asked for.

    Raises:
        ModelError: as `pull`.
        OutputError: as `pull`.
    """
    place = place_for(url)
    if not place.is_here:
        log.warning("fetching %s, this once; it is kept in %s", url, place.path)
    return pull(url).path


def _download_path(place: Place, *, alone_here: bool) -> Path:
    """Where a file under way lies; where there are no locks, one of our own, with which none goes on."""
    path = place.download
    return path if alone_here else path.with_name(f"{path.name}-{os.getpid()}-{secrets.token_hex(4)}")


def _bring(place: Place, how: Pulling, progress: Progress | None, under_way: Path) -> Notes:
    """Fetch a model, check it, and put it into its place.

    Raises:
        ModelError: it cannot be had, has changed, or is none.
    """
    url, file = _arrived(place, how.limits, progress, under_way)
    try:
        notes = _new_notes(place, url, file)
        if not how.accept_change:
            _refuse_change(place, notes)
        if place.is_folder:
            notes = _unpack(place, file, notes)
        else:
            _take_checkpoint(place, file)
    except ModelError:
        remove_download(under_way)
        raise
    notes = replace(notes, files=hashes_of(place.path))
    write_notes(place, notes)
    remove_download(under_way)
    return notes


def _arrived(place: Place, limits: Limits, progress: Progress | None, under_way: Path) -> tuple[str, Path]:
    """The URL that a file came from, and where it lies.

    Raises:
        ModelError: it cannot be had; the message says how to bring it by hand.
    """
    absent = []
    for url in place.sources:
        try:
            return url, _local_file(url) or download(url, under_way, limits=limits, progress=progress)
        except AbsentError as error:
            absent.append(str(error))
        except FetchError as error:
            raise _unreachable(place, str(error)) from None
    raise _unreachable(place, "; ".join(absent))


def _local_file(url: str) -> Path | None:
    """The file of this machine that a URL stands for; None for URLs of the web.

    Raises:
        AbsentError: it is not there.
    """
    path = local_path(url)
    if path is not None and not path.is_file():
        raise AbsentError(f"there is no file {path}")
    return path


def _unreachable(place: Place, why: str) -> ModelError:
    """What to say of a model that cannot be had: what was tried, and how to bring it by hand."""
    official = (place_of(place.word) or place).sources[0]
    what = "that file" if official in why else official
    whom = "" if is_url(place.word) else f"{place.word} cannot be fetched: "
    return ModelError(
        f"{whom}{why}; by hand: bring {what} here from another machine and give its path in place of the "
        f"{'name' if whom else 'URL'}"
    )


def _new_notes(place: Place, url: str, file: Path) -> Notes:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    with reading(file):
        return Notes(place.word, url, sha256_of(file), file.stat().st_size, now)


def _refuse_change(place: Place, notes: Notes) -> None:
    """Hold a file against the first that came under its name.

    Raises:
        ModelError: it is another.
    """
    if not place.notes.is_file():
        return
    first = read_notes(place.notes)
    if first.sha256 != notes.sha256:
        raise ModelError(
            f"{notes.url} is not the file that came on {first.pulled}: its sha256 is {notes.sha256}, "
            f"that of the first was {first.sha256}; if you expect that, pull it with `accept_change`"
        )


def _unpack(place: Place, archive: Path, notes: Notes) -> Notes:
    """Put the model of an archive into its place, if it is one.

    Raises:
        ModelError: it is none, or no detector.
    """
    with appearing_folder(place.path, overwrite=True) as half, _spoken_of(place, half, archive):
        unpack_model(archive, half)
        read_folder(half)
        return replace(notes, tried=try_one_tile(half).replace(str(half), place.file_name))


def _take_checkpoint(place: Place, file: Path) -> None:
    """Put a checkpoint into its place, if it is one.

    Raises:
        ModelError: it is none.
    """
    with appearing(place.path) as half, _spoken_of(place, half, file):
        shutil.copyfile(file, half)
        described_checkpoint(half, input_size=(CHECK_SIDE, CHECK_SIDE))


@contextmanager
def _spoken_of(place: Place, *paths: Path) -> Iterator[None]:
    """Speak of a model by its name where an error names the files that it is made from.

    Raises:
        ModelError: in place of another.
    """
    try:
        yield
    except ModelError as error:
        message = str(error)
        for path in paths:
            message = message.replace(str(path), place.file_name)
        raise ModelError(f"{place.word} is not taken: {message}") from None
