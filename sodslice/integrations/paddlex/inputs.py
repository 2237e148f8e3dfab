"""What PaddleX's `predict` takes: paths, addresses, folders, arrays (BGR), lists and dicts of these."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.errors import SceneError
from sodslice.jobs.sources import find_scenes
from sodslice.scene import Scene, SceneBase
from sodslice.scene.fetching import is_address, shown_address
from sodslice.scene.given import ENCODED, is_picture

log = logging.getLogger(__name__)

KEYS = ("img", "img_path")
"""Keys of dicts whose value is an image."""


class Given(NamedTuple):
    """One image that was given.

    Fields: `source`, as `sodslice.run` takes it; `path` in the results, None for what has none.
    """

    source: Any
    path: str | None = None


class GivenImages(Iterator[Given]):
    """The images that are meant, in their order; those of a folder and below sorted by their paths.

    After an error the next one is that of what was given next.

    Args:
        given: what PaddleX takes; bytes, an image of Pillow (RGB) or a `Scene` besides.
        without: folder that is not searched: that of the results.
    """

    def __init__(self, given: Any, *, without: Path | None = None) -> None:
        self._without = without
        self._waiting: list[Iterator[Any]] = [iter([given])]

    def __next__(self) -> Given:
        """The next image.

        Raises:
            SceneError: what comes next is none, or a folder without images.
        """
        while self._waiting:
            for one in self._waiting[-1]:
                if isinstance(one, Given):
                    return one
                self._waiting.append(iter(self._meant_by(one)))
                break
            else:
                self._waiting.pop()
        raise StopIteration

    def _meant_by(self, given: Any) -> Iterable[Any]:
        """One image, or several of what may be given.

        Raises:
            SceneError: it is none of that, or a folder without images.
        """
        if isinstance(given, (list, tuple)):
            return given
        if isinstance(given, dict):
            return [_value(given)]
        if isinstance(given, (str, Path)):
            return self._named(given)
        if isinstance(given, np.ndarray):
            return [Given(rgb_of(given))]
        if isinstance(given, (*ENCODED, SceneBase, Scene)) or is_picture(given):
            return [Given(given)]
        raise SceneError(
            "an input must be a path, an address, a folder, an array (BGR), bytes, a list or dict of these, "
            f"got {type(given).__name__}"
        )

    def _named(self, name: str | Path) -> Iterable[Given]:
        """The image of a path or an address, or those of a folder."""
        if not str(name).strip():
            raise SceneError("the name of the input is empty; give a path, an address or a folder")
        if is_address(name):
            return [Given(name, shown_address(name))]
        if not Path(name).is_dir():
            return [Given(name, str(name))]
        found = find_scenes(Path(name), without=self._without)
        for note in found.notes:
            log.warning("%s", note)
        return [Given(path, str(path)) for path in found.scenes]


def rgb_of(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array `(H, W, 3)` RGB or `(H, W, 4)` RGB and alpha of one in OpenCV's order; others as they are."""
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        return pixels
    return pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]


def _value(given: dict[str, Any]) -> Any:
    """The image of a dict.

    Raises:
        SceneError: it has no such key, or others besides.
    """
    if len(given) == 1 and next(iter(given)) in KEYS:
        return next(iter(given.values()))
    found = ", ".join(map(str, given)) or "nothing"
    raise SceneError(f'a dict must hold one image, as {{"img": ...}} or {{"img_path": ...}}, got {found}')
