"""Which scenes a job is about, and what its outputs are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rasterio.drivers import raster_driver_extensions

from sodslice.errors import OutputError, SceneError

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


def find_scenes(folder: Path) -> Found:
    """Images in a folder and below; hidden files and folders, and folders behind links, are left out.

    Raises:
        SceneError: there are none.
    """
    scenes, left_out, linked = [], Counter[str](), []
    for path in _inside(folder):
        suffix = path.suffix.lower()
        if path.is_dir():
            linked.append(path)
        elif suffix in picture_suffixes():
            scenes.append(path)
        elif suffix not in SIDECARS:
            left_out[suffix] += 1
    found = Found(tuple(sorted(scenes)), left_out, tuple(sorted(linked)))
    if not scenes:
        raise SceneError(f"{folder} holds no images{''.join(f'; {note}' for note in found.notes)}")
    return found


def _inside(folder: Path) -> Iterator[Path]:
    """Files below a folder that are not hidden, and linked folders, which are not entered."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(where)
        yield from (here / name for name in folders if (here / name).is_symlink())
        yield from (here / name for name in sorted(files) if not name.startswith("."))


def listed_scenes(paths: str | Path | Iterable[str | Path]) -> tuple[Found, Path | None]:
    """The scenes, and the folder that was searched for them; None where none was.

    Raises:
        SceneError: the folder holds none, or a name is empty.
    """
    if isinstance(paths, (str, Path)):
        if not str(paths).strip():
            raise SceneError("the name of the scene or folder is empty; is a variable not set?")
        path = Path(paths)
        return (find_scenes(path), path) if path.is_dir() else (Found((path,), Counter()), None)
    return Found(tuple(Path(path) for path in paths), Counter()), None


def output_stems(scenes: Sequence[Path], root: Path | None = None) -> list[str]:
    """A name for each scene's outputs, without suffix; scenes that would share one keep their suffix.

    Raises:
        OutputError: two scenes still share a name.
    """
    plain = [path.relative_to(root) if root else Path(path.name) for path in scenes]
    short = [str(path.with_suffix("")) for path in plain]
    often = Counter(short)
    stems = [name if often[name] == 1 else str(path) for name, path in zip(short, plain, strict=True)]
    twice = [name for name, count in Counter(stems).items() if count > 1]
    if twice:
        raise OutputError(
            f"several scenes are named {twice[0]}, so their outputs would collide; run their folders apart"
        )
    return stems
