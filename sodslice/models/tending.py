"""What was fetched: held against what came, and removed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from sodslice.errors import ModelError
from sodslice.models.shelf import WEIGHTS_ENDING, Place, bytes_of, hashes_of, is_url, places_here, read_notes
from sodslice.models.store import place_for
from sodslice.system.arriving import remove_download
from sodslice.system.caches import cache_refusals_said
from sodslice.system.locks import alone


@dataclass(frozen=True)
class Checked:
    """What lies on the shelf, held against what came.

    Args:
        word: the name or the URL.
        path: where it lies.
        wrong: what differs; empty where nothing does.
    """

    word: str
    path: Path
    wrong: tuple[str, ...]


def verify(model: str = "") -> list[Checked]:
    """Hash what is here again, and hold it against what came.

    Args:
        model: a name or a URL; "" for all that was fetched.

    Raises:
        ModelError: nothing of that name was fetched.
        OutputError: the cache cannot be used.
    """
    with cache_refusals_said():
        return [_checked(place) for place in _places_of(model)]


def remove(model: str) -> list[tuple[Path, int]]:
    """Remove what was fetched of a model, and parts of it; what was noted of it stays.

    Args:
        model: a name for its folder and its checkpoint, one with `_pretrained` behind it for that alone, or a
            URL.

    Returns:
        What is gone, and how many bytes each had.

    Raises:
        ModelError: nothing of that name was fetched.
        OutputError: the cache cannot be used.
    """
    with cache_refusals_said():
        return [_removed(place) for place in _places_of(model)]


def _places_of(model: str) -> list[Place]:
    """What is here of a model; all that is here for "".

    Raises:
        ModelError: nothing is.
    """
    if not model:
        return places_here()
    places = [place_for(model)]
    if not is_url(model) and not model.endswith(WEIGHTS_ENDING):
        places.append(place_for(model, weights=True))
    found = [place for place in places if place.path.exists() or place.download.exists()]
    if not found:
        raise ModelError(f"nothing of {model} is on this machine; `sodslice models` lists what is")
    return found


def _checked(place: Place) -> Checked:
    if not place.is_here:
        return Checked(place.word, place.path, ("it is not whole; pull it again",))
    noted, here = dict(read_notes(place.notes).files), hashes_of(place.path)
    wrong = [f"{name} is gone" for name in noted if name not in here]
    wrong += [f"{name} has changed" for name in noted if here.get(name, noted[name]) != noted[name]]
    wrong += [f"{name} did not come with it" for name in here if name not in noted]
    return Checked(place.word, place.path, tuple(wrong))


def _removed(place: Place) -> tuple[Path, int]:
    with alone(place.lock):
        size = sum(bytes_of(path) for path in (place.path, place.download) if path.exists())
        remove_download(place.download)
        if place.path.is_dir():
            shutil.rmtree(place.path)
        else:
            place.path.unlink(missing_ok=True)
    return place.path, size
