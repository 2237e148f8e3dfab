"""Where models that were fetched lie, and what was noted of each when it came."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import orjson

from sodslice.errors import ModelError
from sodslice.models.archives import ARCHIVE_SUFFIX
from sodslice.system.caches import cache_folder
from sodslice.system.files import write_atomically
from sodslice.system.hashes import sha256_of, sha256_of_bytes

log = logging.getLogger(__name__)

CHECKPOINT_SUFFIXES = (".pdparams", ".safetensors")
OFFICIAL_URL = "https://paddle-model-ecology.bj.bcebos.com/paddlex"
OFFICIAL = ("PP-YOLOE_plus_SOD-S", "PP-YOLOE_plus_SOD-L", "PP-YOLOE_plus_SOD-largesize-L")
"""Names of PaddleDetection's models, whose files are fetched."""

WEIGHTS_ENDING = "_pretrained"
"""What a name ends in that means the checkpoint of a model."""

SCHEMES = ("https", "http", "file")
_WEB_FOLDER = "from-urls"


@dataclass(frozen=True)
class Place:
    """Where a model that can be fetched lies once it is.

    Args:
        word: what it is called by: a name, or a URL.
        path: the exported folder, or the checkpoint.
        sources: URLs of the file that is fetched; the second, where there is one, for servers without the
            first.
    """

    word: str
    path: Path
    sources: tuple[str, ...]

    @property
    def is_folder(self) -> bool:
        """Whether an exported folder comes out of an archive."""
        return self.path.suffix not in CHECKPOINT_SUFFIXES

    @property
    def is_here(self) -> bool:
        """Whether it was fetched."""
        return self.path.exists() and self.notes.is_file()

    @property
    def file_name(self) -> str:
        """Of what is fetched."""
        return PurePosixPath(urlsplit(self.sources[0]).path).name

    @property
    def notes(self) -> Path:
        """The JSON file beside it."""
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def download(self) -> Path:
        """Where a file under way lies."""
        return self.path.with_name(f".{self.path.name}.download")

    @property
    def lock(self) -> Path:
        """The file that who works here locks."""
        return self.path.with_name(f"{self.path.name}.lock")


@dataclass(frozen=True)
class Notes:
    """What was noted of a model when it came; they stay when it is removed, so that a change is noticed.

    Args:
        word: what it is called by.
        url: where it came from.
        sha256: of the file that was fetched.
        bytes: of that file.
        pulled: when, in UTC.
        tried: what ran a tile, or why nothing did.
        files: SHA-256 of all that lies here, by name.
    """

    word: str
    url: str
    sha256: str
    bytes: int
    pulled: str
    tried: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def is_url(word: str) -> bool:
    """Whether a word is meant as a URL."""
    return "://" in word


def local_path(url: str) -> Path | None:
    """The path that a `file://` URL stands for; None for URLs of the web.

    Raises:
        ModelError: it is a URL of another kind, of another machine, or holds a password or a query.
    """
    shown = url.partition("?")[0]
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ModelError(f"{shown} is no URL; write https://host/name.tar") from None
    if parts.scheme not in SCHEMES:
        raise ModelError(f"{shown} begins with {parts.scheme}://; models come from https:// or file:// URLs")
    if "@" in parts.netloc:
        raise ModelError(
            f"the URL of {parts.hostname} holds a user name or a password, which outputs would show; "
            "give a URL without"
        )
    if parts.query:
        raise ModelError(
            f"{shown} has a query, which may be a key and which outputs would show; "
            "download it by hand and give the file"
        )
    if parts.scheme != "file":
        return None
    if parts.netloc not in ("", "localhost"):
        raise ModelError(f"{url} names the machine {parts.netloc}; file:///... is one of this machine")
    return Path(url2pathname(parts.path))


def place_of(word: str, *, mirror: str = "") -> Place | None:
    """Where a model lies once it is fetched; None for words that mean nothing which can be.

    Args:
        word: an official name, one with `_pretrained` behind it for its checkpoint, or a URL of the web.
        mirror: URL of a folder in place of the official one, which has its files as that has, or all in one
            place.

    Raises:
        ModelError: the URL is none of an archive or a checkpoint.
    """
    if is_url(word):
        return _place_of_url(word) if local_path(word) is None else None
    name = word.removesuffix(WEIGHTS_ENDING)
    if name not in OFFICIAL:
        return None
    if word == name:
        path, file = _models() / name, f"official_inference_model/paddle3.0.0/{name}_infer.tar"
    else:
        path, file = _models() / f"{word}.pdparams", f"official_pretrained_model/{word}.pdparams"
    flat = (f"{mirror}/{PurePosixPath(file).name}",) if mirror else ()
    return Place(word, path, (f"{mirror or OFFICIAL_URL}/{file}", *flat))


def _place_of_url(url: str) -> Place:
    """The place of a file of the web: a name that is readable, and a hash that tells URLs apart.

    Raises:
        ModelError: it is no file of a model.
    """
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    stem, suffix = Path(name).stem, Path(name).suffix
    if suffix not in (ARCHIVE_SUFFIX, *CHECKPOINT_SUFFIXES):
        raise ModelError(
            f"{url} ends in {suffix or 'no suffix'}; a model is fetched as "
            f"{', '.join((ARCHIVE_SUFFIX, *CHECKPOINT_SUFFIXES))}"
        )
    ending = "" if suffix == ARCHIVE_SUFFIX else suffix
    key = sha256_of_bytes(url.encode())[:12]
    return Place(url, _models() / _WEB_FOLDER / f"{_readable(stem)}-{key}{ending}", (url,))


def places_here() -> list[Place]:
    """Of all models that were fetched and are here: official ones in their order, then those of URLs.

    Notes of URLs that are damaged are passed over, and logged.
    """
    named = [place_of(word) for name in OFFICIAL for word in (name, f"{name}{WEIGHTS_ENDING}")]
    found = [place for place in named if place is not None and place.is_here]
    for file in sorted((_models() / _WEB_FOLDER).glob("*.json")):
        if not file.name.startswith("."):
            try:
                place = _place_of_url(read_notes(file).word)
            except (ModelError, OSError, ValueError) as error:
                log.warning("passed over: %s", error)
                continue
            found += [place] if place.is_here and place.notes == file else []
    return found


def read_notes(path: Path) -> Notes:
    """What a file of notes says.

    Raises:
        ModelError: it is damaged.
        OSError: it cannot be read.
    """
    try:
        given = orjson.loads(path.read_bytes())
        notes = Notes(**{**given, "files": dict(given["files"])})
        texts = (notes.word, notes.url, notes.sha256, notes.pulled, notes.tried, *notes.files.values())
        right = isinstance(notes.bytes, int) and all(isinstance(text, str) for text in texts)
    except (ValueError, TypeError, LookupError):
        right = False
    if not right:
        raise ModelError(f"{path} is damaged; remove it, and pull the model again")
    return notes


def write_notes(place: Place, notes: Notes) -> None:
    """Note what is known of a model.

    Raises:
        OutputError: the cache cannot be written.
    """
    write_atomically(place.notes, orjson.dumps(asdict(notes), option=orjson.OPT_INDENT_2))


def hashes_of(path: Path) -> dict[str, str]:
    """SHA-256 of a checkpoint, or of all files in a folder, by name.

    Raises:
        OSError: one cannot be read.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    root = path.parent if path.is_file() else path
    return {file.relative_to(root).as_posix(): sha256_of(file) for file in files}


def bytes_of(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def unpacked_folder(stem: str, key: str) -> Path:
    """Where the model of an archive of this machine is unpacked: the place goes by its content.

    Args:
        stem: of its name.
        key: a hash of its content.
    """
    return _models() / "from-archives" / f"{_readable(stem)}-{key}"


def _readable(stem: str) -> str:
    """A name for people, of letters that file systems know."""
    return re.sub(r"[^\w.-]", "_", stem, flags=re.ASCII)[:80].lstrip(".") or "model"


def _models() -> Path:
    return cache_folder() / "models"
