"""The images in a folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rasterio.drivers import raster_driver_extensions

from sodslice.errors import SceneError

# fmt: off
ALSO_PICTURES = frozenset({
    "jpe", "jfif", "jpx", "jpf", "j2c", "jpc", "nitf", "tiff", "jxl", "heic", "avif", "ecw", "sid", "exr",
})
"""Suffixes of formats that GDAL reads where it was built with them, and other spellings."""

NO_PICTURES = frozenset({
    "asc", "blx", "byn", "ct1", "dat", "dem", "err", "gen", "gpkg", "gpkg.zip", "gsb", "gtx", "gvb", "hdr",
    "kml", "kmz", "lbl", "map", "mbtiles", "mpl", "mpr", "nc", "pdf", "rda", "rsw", "sdat", "sqlite",
    "ter", "xml", "xyz",
})
"""Suffixes that GDAL's drivers claim, but that mostly are tables, text, labels, elevations or maps."""

SIDECARS = frozenset({
    ".ovr", ".msk", ".aux", ".xml", ".tfw", ".tifw", ".jgw", ".jpw", ".pgw", ".gfw", ".bpw", ".wld",
    ".prj", ".rpb", ".rpc", ".imd", ".hdr", ".txt", ".json", ".geojson", ".md", ".csv", ".yaml", ".yml",
    ".raw", ".journal", ".qml", ".lock",
})
"""Suffixes of what commonly lies beside images, of which nothing is said."""

# fmt: on
MOST_SUFFIXES = 6


@lru_cache(maxsize=1)
def picture_suffixes() -> frozenset[str]:
    """Suffixes of images, with their dots, in lower case: those of GDAL's drivers that read pictures."""
    known = set(raster_driver_extensions()) - NO_PICTURES
    return frozenset(f".{suffix}" for suffix in known.union(ALSO_PICTURES))


@dataclass(frozen=True)
class Found:
    """What a search for images found.

    Args:
        scenes: sorted.
        left_out: how many other files there are, by suffix; what commonly lies beside images does not count.
        linked: folders that links lead to, which are not searched.
    """

    scenes: tuple[Path, ...]
    left_out: Counter[str]
    linked: tuple[Path, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, one sentence each."""
        notes = []
        if self.left_out:
            often = self.left_out.most_common()
            kinds = ", ".join(f"{suffix or 'none'} {count}" for suffix, count in often[:MOST_SUFFIXES])
            more = ", ..." if len(often) > MOST_SUFFIXES else ""
            notes.append(
                f"{self.left_out.total()} files are left out, whose suffixes are not those of images "
                f"({kinds}{more}); name them one by one if they are"
            )
        if self.linked:
            notes.append(
                f"{len(self.linked)} linked folders are not searched, the first is {self.linked[0]}; "
                "run them apart if they are meant"
            )
        return tuple(notes)


def find_scenes(folder: Path, *, without: Path | None = None) -> Found:
    """Images in a folder and below; hidden files and folders, and folders behind links, are left out.

    Args:
        folder: that is searched.
        without: a folder below it that is not.

    Raises:
        SceneError: there are none, or a folder cannot be read.
    """
    scenes, left_out, linked = [], Counter[str](), []
    for path in _inside(folder, without=without):
        suffix = path.suffix.lower()
        if os.path.isdir(path):  # noqa: PTH112 -- which raises nothing
            linked.append(path)
        elif suffix in picture_suffixes():
            scenes.append(path)
        elif suffix not in SIDECARS:
            left_out[suffix] += 1
    found = Found(tuple(sorted(scenes)), left_out, tuple(sorted(linked)))
    if not scenes:
        raise SceneError(f"{folder} holds no images{''.join(f'; {note}' for note in found.notes)}")
    return found


def _inside(folder: Path, *, without: Path | None) -> Iterator[Path]:
    """Files below a folder that are not hidden, and linked folders, which are not entered."""
    left_out = None if without is None else without.resolve()
    for where, folders, files in os.walk(folder, onerror=_refuse):
        here = Path(where)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and (here / name).resolve() != left_out
        )
        yield from (here / name for name in folders if (here / name).is_symlink())
        yield from (here / name for name in sorted(files) if not name.startswith("."))


def _refuse(error: OSError) -> None:
    """A folder that cannot be read may hold any number of images.

    Raises:
        SceneError: always.
    """
    raise SceneError(
        f"the folder {error.filename} cannot be searched: {error.strerror}; make it readable, or name others"
    )
