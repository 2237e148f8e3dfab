"""`TemporaryScene`: a raster in a temporary file of its own, from bytes or from the network."""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sodslice.errors import SceneError
from sodslice.scene.base import Pixels, Valid
from sodslice.scene.pointers import mark_from_elsewhere
from sodslice.scene.raster import RasterScene
from sodslice.scene.rendering import Rendering
from sodslice.scene.stretch import FittedStretch

TRUST = re.compile("(look at it and )?give `allow_vrt` if you trust it")
"""Advice for files, which does not help here."""


class TemporaryScene(RasterScene):
    """A scene whose file nobody else knows; it goes with the scene, or when the process ends.

    Args:
        file: in a folder of its own, which goes with it.
        name: what to call it in messages and outputs.
        rendering: as for any raster, but for `allow_vrt`: a file from elsewhere never points to others.

    Raises:
        SceneError: as for any raster.
    """

    def __init__(self, file: Path, *, name: str, rendering: Rendering | None = None) -> None:
        self.file = file
        self._shown = name
        weakref.finalize(self, shutil.rmtree, str(file.parent), ignore_errors=True)
        with self._named():
            super().__init__(file, replace(rendering or Rendering(), allow_vrt=False))
        self.name = name
        self.companions = ()
        self.notes = tuple(note.replace(str(file), name) for note in self.notes)

    @property
    def stretch(self) -> FittedStretch | None:
        """See `RasterScene`."""
        with self._named():
            return super().stretch

    def read(self, x: int, y: int, width: int, height: int) -> tuple[Pixels, Valid]:
        """See `RasterScene`."""
        with self._named():
            return super().read(x, y, width, height)

    def read_scaled(
        self, corner: tuple[float, float], size: tuple[float, float], shape: tuple[int, int]
    ) -> tuple[Pixels, Valid]:
        """See `RasterScene`."""
        with self._named():
            return super().read_scaled(corner, size, shape)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors speak of what the user named, not of the file."""
        try:
            yield
        except SceneError as error:
            named = str(error).replace(str(self.file), self._shown)
            raise SceneError(TRUST.sub("save it as a file first", named)) from None


def temporary_scene(
    fill: Callable[[Path], None], *, name: str, file: str, rendering: Rendering | None = None
) -> TemporaryScene:
    """A scene of a file that is made for it.

    Args:
        fill: writes the file under a given path.
        name: what to call the scene in messages and outputs.
        file: name of the file.
        rendering: how it is read.

    Raises:
        SceneError: it cannot be written, or is no image; the file is gone then.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="sodslice-"))
        mark_from_elsewhere(folder)
    except OSError as error:
        raise SceneError(f"{name} needs a temporary file, which fails: {error.strerror}") from None
    try:
        fill(folder / file)
        return TemporaryScene(folder / file, name=name, rendering=rendering)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def scene_of_bytes(content: bytes | bytearray | memoryview, rendering: Rendering | None) -> TemporaryScene:
    """A scene of the bytes of an encoded image, read as its file would be.

    Raises:
        SceneError: there are none, or they are no image.
    """
    if not len(content):
        raise SceneError("the bytes of the image are empty; give those of a JPEG, PNG, TIFF, ...")

    def fill(path: Path) -> None:
        try:
            path.write_bytes(content)
        except OSError as error:
            raise SceneError(f"the bytes need a temporary file, which fails: {error.strerror}") from None

    return temporary_scene(fill, name="bytes", file="bytes", rendering=rendering)
