"""Image files of sets: read as `run` reads them, and looked through before anything is learned from them."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from rasterio.errors import NotGeoreferencedWarning

from sodslice.errors import Cancelled, DataError, SodsliceError
from sodslice.metrics import size_fault
from sodslice.scene import NO_WISH, Rendering, ScaleWish, as_scene, seen_at, seen_size
from sodslice.training.pictures import Pixels

MOST_READERS = 8
LARGE_PIXELS = 2**25
"""From here on images are looked at one after the other, so that they do not fill the memory together."""


class ImageFile(NamedTuple):
    """An image that a set names: its file, its size (width, height) by the set, how it is read and seen."""

    path: Path
    size: tuple[int, int]
    rendering: Rendering
    wish: ScaleWish = NO_WISH


class Watch(NamedTuple):
    """Who watches a look through many files.

    Fields: `told`, called with the number of files that are done and of all; `stop`, asked whether to end.
    """

    told: Callable[[int, int], None] = lambda _done, _total: None
    stop: Callable[[], bool] = lambda: False


def read_image(path: Path, rendering: Rendering | None = None, wish: ScaleWish = NO_WISH) -> Pixels:
    """An image file as `(H, W, 3)` uint8 RGB, as `run` sees it: hidden pixels are black.

    Args:
        path: of the file.
        rendering: how it is read.
        wish: at which scale it is seen.

    Raises:
        DataError: the file is no image that can be read.
    """
    try:
        with closing(as_scene(path, rendering)) as scene:
            width, height = size = seen_size(scene, wish)
            pixels, _ = seen_at(scene, size).read(0, 0, width, height)
    except SodsliceError as error:
        raise DataError(f"{error}; replace it or take it out of the json") from None
    return pixels


def image_size(path: Path, rendering: Rendering) -> tuple[int, int]:
    """Width and height of an image as it is seen.

    Raises:
        SceneError: the file is no image that can be opened.
    """
    with closing(as_scene(path, rendering)) as scene:
        return scene.width, scene.height


def file_faults(files: Sequence[ImageFile], watch: Watch | None = None) -> list[str]:
    """What is wrong with image files: those that cannot be read to their end, or have another size.

    Each is decoded as a whole, once, since nothing less finds a file that was cut or damaged; in several
    threads.

    Raises:
        Cancelled: the watcher wished it.
    """
    told, stop = watch or Watch()
    wanted = list(dict.fromkeys(files))
    faults = []
    with _quiet(), _pool() as pool:
        for done, fault in enumerate(pool.map(_Look().fault, wanted), start=1):
            faults += [] if fault is None else [fault]
            told(done, len(wanted))
            if stop():
                raise Cancelled("the training was called off before its first step; nothing was written")
    return faults


class _Look:
    """Looks at files, large ones one after the other."""

    def __init__(self) -> None:
        self._large = threading.Lock()

    def fault(self, file: ImageFile) -> str | None:
        try:
            with closing(as_scene(file.path, file.rendering)) as scene:
                fault = size_fault(str(file.path), (scene.width, scene.height), file.size)
                if fault is None:
                    seen_size(scene, file.wish)
                    large = scene.width * scene.height > LARGE_PIXELS
                    with self._large if large else nullcontext():
                        scene.read(0, 0, scene.width, scene.height)
                return fault
        except SodsliceError as error:
            return str(error)


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for a block; what they have not begun when it ends is dropped."""
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_READERS))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without rasterio's warning that chips have no place, which threads cannot switch off one by one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
