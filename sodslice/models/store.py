"""The names a model can have, and what stands behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sodslice.errors import ModelError, did_you_mean
from sodslice.inference import BlobDetector, Detector, ModelInfo
from sodslice.models.archives import ARCHIVE_SUFFIX
from sodslice.models.shelf import (
    CHECKPOINT_SUFFIXES,
    OFFICIAL,
    WEIGHTS_ENDING,
    Place,
    is_url,
    local_path,
    place_of,
)
from sodslice.system.registry import Registry

log = logging.getLogger(__name__)

FILE_SUFFIXES = (*CHECKPOINT_SUFFIXES, ".onnx")
"""Of models that are one file."""

SHIPPED = Path(__file__).resolve().parents[1] / "weights"


@dataclass(frozen=True)
class StoredModel:
    """A model that has a name.

    Args:
        name: what `model` takes.
        about: one sentence.
        folder: where its exported form lies, if it ships with sodslice.
        checkpoint: the weights it was exported from, for `train` and `export`, if they do.
    """

    name: str
    about: str
    folder: Path | None = None
    checkpoint: Path | None = None


MODELS: Mapping[str, StoredModel] = {
    model.name: model
    for model in (
        StoredModel(
            "vehicle-t",
            "ships with sodslice: near-nadir vehicles at about 8-30 cm per pixel",
            SHIPPED / "vehicle-t",
            SHIPPED / "vehicle-t" / "checkpoint.safetensors",
        ),
        *(
            StoredModel(name, f"PaddleDetection's, 10 VisDrone classes, {size} x {size}")
            for name, size in zip(OFFICIAL, (640, 640, 1920), strict=True)
        ),
    )
}
"""Models that are files, by name."""


@dataclass(frozen=True)
class NamedDetector:
    """A model that is a class of its own, not files that an engine runs.

    Args:
        about: one sentence.
        info: facts about it, without loading it.
        load: the detector, ready.
    """

    about: str
    info: Callable[[], ModelInfo]
    load: Callable[[], Detector]


def _blobs() -> NamedDetector:
    return NamedDetector(
        "bright blobs, without weights: for trying things out", lambda: BlobDetector().info, BlobDetector
    )


DETECTORS: Registry[NamedDetector] = Registry("model", "sodslice.detectors", {"blobs": _blobs})
"""Models that are classes, by name; packages add theirs by the entry point `sodslice.detectors`."""


def model_names() -> tuple[str, ...]:
    """All names that a model can be called by; those whose files are elsewhere come last."""
    here = [name for name in MODELS if fetched_files(name) or MODELS[name].folder is not None]
    return (*here, *DETECTORS.names(), *(name for name in MODELS if name not in here))


def fetched_files(word: str) -> tuple[Path, ...]:
    """What lies here of an official name: its exported folder, its checkpoint, or both, in this order."""
    wanted = (word,) if word.endswith(WEIGHTS_ENDING) else (word, f"{word}{WEIGHTS_ENDING}")
    places = [] if is_url(word) else [place_of(one) for one in wanted]
    return tuple(place.path for place in places if place is not None and place.is_here)


def is_word(word: str) -> bool:
    """Whether a word for a model is a name or a URL.

    These are kept as they are, not as paths; a folder called like a name serves where nothing was pulled.
    """
    return word in MODELS or is_url(word) or place_of(word) is not None


def files_of(name_or_path: str | Path) -> Path:
    """The exported folder, the ONNX file or the checkpoint that a name, a path or a URL stands for.

    A URL of the web is fetched when it is first asked for, an archive unpacked; names are not fetched.

    Raises:
        ModelError: there is none; the message says where to get it.
        OutputError: the cache cannot be used.
    """
    word = str(name_or_path)
    stored = MODELS.get(word)
    if stored is not None and stored.folder is not None:
        return stored.folder
    if is_url(word):
        return _files_of_url(word)
    path = Path(name_or_path)
    here = fetched_files(word)
    if here:
        return _said_to_serve(word, here[0])
    if path.is_dir() or (path.suffix in FILE_SUFFIXES and path.is_file()):
        return path
    if path.suffix == ARCHIVE_SUFFIX and path.is_file():
        from sodslice.models.unpacking import unpacked

        return unpacked(path)
    raise _no_files(word, path)


def checkpoint_of(name_or_path: str | Path) -> Path:
    """The checkpoint that a name, a path or a URL stands for.

    Raises:
        ModelError: there is none; the message says where to get it.
        OutputError: the cache cannot be used.
    """
    word = str(name_or_path)
    stored = MODELS.get(word)
    if stored is not None and stored.checkpoint is not None:
        return stored.checkpoint
    path = _files_of_url(word) if is_url(word) else Path(name_or_path)
    named = place_of(f"{word.removesuffix(WEIGHTS_ENDING)}{WEIGHTS_ENDING}") if not is_url(word) else None
    if named is not None and named.is_here:
        return named.path
    if path.is_dir():
        raise ModelError(f"{word} is a folder; give a checkpoint, a .safetensors or .pdparams file")
    if path.exists():
        return path
    if named is not None:
        raise _elsewhere(named.word)
    raise ModelError(f"there is no checkpoint {word}; give a .safetensors or .pdparams file")


def place_for(model: str, *, weights: bool = False, mirror: str = "") -> Place:
    """Where a model that is fetched comes to lie.

    Args:
        model: a name or a URL.
        weights: the checkpoint of a name is meant.
        mirror: URL, or a folder of this machine, in place of the official one.

    Raises:
        ModelError: it is none that is fetched.
    """
    named = not is_url(model)
    if weights and not named:
        raise ModelError("the model is given by a URL, which says itself what it is; leave out `weights`")
    word = f"{model.removesuffix(WEIGHTS_ENDING)}{WEIGHTS_ENDING}" if weights else model
    place = place_of(word, mirror=_url_of(mirror) if named else "")
    if place is None:
        raise ModelError(_why_not_fetched(model))
    return place


def _url_of(mirror: str) -> str:
    """A mirror as a URL without a slash at its end."""
    if mirror and not is_url(mirror):
        folder = Path(mirror).expanduser()
        if not folder.is_dir():
            raise ModelError(f"the mirror {mirror} is neither a URL nor a folder of this machine")
        return folder.resolve().as_uri()
    return mirror.rstrip("/")


def _why_not_fetched(word: str) -> str:
    """What to say where somebody wants to fetch what is not fetched."""
    names = (*OFFICIAL, *(f"{name}{WEIGHTS_ENDING}" for name in OFFICIAL))
    plain = word.removesuffix(WEIGHTS_ENDING)
    if plain in MODELS:
        return f"{plain} ships with sodslice; there is nothing to fetch and nothing to remove"
    if word in DETECTORS:
        return f"{word} has no files; there is nothing to fetch and nothing to remove"
    if is_url(word) or Path(word).exists():
        return f"{word} is not among what is fetched; it can be given as `model` as it is"
    return f"unknown model {word!r}{did_you_mean(word, names)}; fetched are {', '.join(names)}, or a URL"


def _files_of_url(url: str) -> Path:
    """What a URL stands for: of this machine a path, of the web what is fetched from there."""
    path = local_path(url)
    if path is not None:
        return files_of(path.absolute())
    from sodslice.models.pulling import fetched

    return fetched(url)


def _said_to_serve(word: str, path: Path) -> Path:
    """The files for a name; that a checkpoint serves for a folder which is not here is said."""
    if path.is_file() and not word.endswith(WEIGHTS_ENDING):
        log.warning(
            "the exported folder of %s is not on this machine; its checkpoint serves, exported for the tiles",
            word,
        )
    return path


def _no_files(word: str, path: Path) -> ModelError:
    """What to say of a word for which there are no files."""
    if place_of(word) is not None:
        return _elsewhere(word)
    kinds = "an exported folder, a .tar of one, an .onnx, .pdparams or .safetensors file"
    if path.exists() or path.suffix in (ARCHIVE_SUFFIX, *FILE_SUFFIXES) or len(path.parts) > 1:
        what = "neither a folder, an archive nor a checkpoint" if path.exists() else "not there"
        return ModelError(f"the model {word} is {what}; give {kinds}")
    names = model_names()
    return ModelError(
        f"unknown model {word!r}{did_you_mean(word, names)}; known are {', '.join(names)}, or a folder"
    )


def _elsewhere(word: str) -> ModelError:
    """What to say of a model whose files are not here."""
    place = place_of(word)
    assert place is not None
    return ModelError(
        f"{word} is not on this machine; fetch it with `sodslice models pull {word}`, or bring "
        f"{place.sources[0]} here and give the path of that file in place of the name"
    )
