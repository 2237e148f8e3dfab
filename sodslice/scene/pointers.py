"""Files that point to other files: a small one can make GDAL read any other, here or on the network.

A VRT whose sources all lie in its own folder or below is as good as a raster. All other files that point
elsewhere are opened only if the user says so. The check reads the XML itself, before GDAL sees the file.

Of files that strangers sent, which lie in folders with a mark, only formats are read that have all in one
file: among the others are some, such as HDF5, ISIS and MRF, in which a file may name any other to be read,
and even written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import rasterio

from sodslice.errors import SceneError

HEAD_BYTES = 4096
LARGEST_XML = 64 * 2**20
DEEPEST = 4

POINTING = re.compile(
    rb"<\s*(GDAL_WMS|GDALTileIndexDataset|GDAL_WMTS|WCS_GDAL|GDALWCS|WMT_MS_Capabilities|WMS_Capabilities"
    rb"|Capabilities|kml)\b|\"stac_version\"|\"gdal_streamed_alg\"",
    re.IGNORECASE,
)
VRT = re.compile(rb"<\s*VRTDataset\b", re.IGNORECASE)
SOURCES = ("sourcefilename", "sourcedataset", "filename", "dataset")
NAMING = re.compile("filename|dataset|dem", re.IGNORECASE)
FAR = re.compile(r"/vsi|://|^\s*<|^[A-Z0-9_]{3,}:", re.IGNORECASE)

SIDECARS = (".ovr", ".msk", ".msk.ovr", ".aux.xml")
"""What GDAL appends to a file's name to find what belongs to it."""
WORLD_SUFFIXES = (".tfw", ".tifw", ".jgw", ".pgw", ".wld", ".prj")
"""Suffixes in place of a file's own, under which its place on the map may be told."""

REMOTE_DRIVERS = frozenset(
    [
        "VRT",
        "GTI",
        "STACIT",
        "STACTA",
        "WMS",
        "WMTS",
        "WCS",
        "OGCAPI",
        "HTTP",
        "DAAS",
        "EEDA",
        "EEDAI",
        "GDALG",
    ]
    + ["PLMOSAIC", "KMLSUPEROVERLAY", "DERIVED", "NGW", "PostGISRaster", "TileDB", "ESRIC", "Rasterlite"]
)


ONE_FILE = (
    "GTiff", "JPEG", "PNG", "JP2OpenJPEG", "JP2ECW", "JP2KAK", "JP2MrSID", "JPEGXL", "WEBP", "AVIF", "HEIF",
    "GIF", "BIGGIF", "BMP", "PNM",
)  # fmt: skip
"""GDAL's drivers of formats that have no way to name another file."""
ONE_FILE_WORDS = "TIFF, JPEG, PNG, JPEG 2000, WebP, GIF and BMP"

FROM_ELSEWHERE = ".from-elsewhere"
"""Of a folder with a file of this name, all files come from strangers."""


def mark_from_elsewhere(folder: Path) -> None:
    """Have all files of a folder read as those of strangers, by whatever process.

    Raises:
        OSError: nothing can be written there.
    """
    (folder / FROM_ELSEWHERE).touch()


def is_from_elsewhere(path: Path) -> bool:
    """Whether a file, or the one that a link leads to, lies in a folder with the mark."""
    return any((file.parent / FROM_ELSEWHERE).exists() for file in (path, _real(path)))


def check_points_nowhere(path: Path) -> bool:
    """Refuse a file that makes GDAL read something outside the file's folder.

    Returns:
        Whether it is a VRT, which may be opened as such.

    Raises:
        SceneError: it points elsewhere, or cannot be understood.
    """
    real = _real(path)
    return _check(real, real.parent.resolve(), depth=0)


def companions(path: Path, listed: Iterable[str]) -> tuple[Path, ...]:
    """Files besides its own that a scene is made of: sidecars, and all sources of a VRT with theirs.

    What lies in archives or on the network is left out.

    Args:
        path: of the scene.
        listed: GDAL's own list of its files; it does not look into the VRTs of a VRT.
    """
    own = path.absolute()
    seen = {own}
    waiting = [own]
    listings: dict[Path, frozenset[str]] = {}
    while waiting:
        for source in _read_by(waiting.pop()):
            if source not in seen:
                seen.update([source, *_beside(source, listings)])
                waiting.append(source)
    seen.update(map(Path, listed))
    return tuple(sorted(file for file in seen if file != own and _is_file(file)))


@lru_cache(maxsize=1)
def local_drivers() -> tuple[str, ...]:
    """GDAL's drivers that read what is in the file and its companions, not what it points to."""
    with rasterio.Env() as env:
        return tuple(sorted(set(env.drivers()) - REMOTE_DRIVERS))


def _check(path: Path, root: Path, *, depth: int) -> bool:
    head = _head(path)
    if POINTING.search(head):
        raise SceneError(
            f"{path} is no image but points to one elsewhere; look at it and give `allow_vrt` if you trust it"
        )
    if not VRT.search(head):
        return False
    if depth > DEEPEST:
        raise SceneError(
            f"{path} is a VRT of VRTs, more than {DEEPEST} deep; give `allow_vrt` if you trust it"
        )
    content = _parsed(path)
    _check_code(path, content)
    for source, relative in _sources(content):
        _check(_inside(source, path, root, relative=relative), root, depth=depth + 1)
    return True


def _real(path: Path) -> Path:
    """The file that a link leads to, from whose folder GDAL counts the sources of a VRT."""
    return path.resolve() if path.is_symlink() else path


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from None


def _check_code(path: Path, content: ElementTree.Element) -> None:
    """Refuse a VRT that runs code of its own."""
    for element in content.iter():
        language = (element.text or "").strip()
        if _tag(element) == "pixelfunctionlanguage" and language.lower() != "c":
            raise SceneError(f"{path} is a VRT that runs {language} code; give `allow_vrt` if you trust it")


def _sources(content: ElementTree.Element) -> Iterator[tuple[str, bool]]:
    """What a VRT names as its sources, and whether that is relative to its own folder."""
    for element in content.iter():
        text = (element.text or "").strip()
        named = _tag(element) in SOURCES or NAMING.search(element.attrib.get("name", ""))
        if text and not len(element) and (named or "/vsi" in text.lower()):
            yield text, element.attrib.get("relativeToVRT") == "1"


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2].lower()


def _read_by(file: Path) -> list[Path]:
    """Files that a VRT names; none for any other file, nor for a VRT that only GDAL understands."""
    try:
        if not _is_file(file) or not VRT.search(_head(file)):
            return []
        content = _parsed(file)
    except SceneError:
        return []
    folder = _real(file).parent
    named = [((folder if relative else Path.cwd()) / text, text) for text, relative in _sources(content)]
    return [source for source, text in named if not FAR.search(text)]


def _beside(file: Path, listings: dict[Path, frozenset[str]]) -> list[Path]:
    """Files that belong to another by their name.

    Args:
        file: the other.
        listings: names in folders that were looked into already; there are fewer of these than of files.
    """
    folder = file.parent
    if folder not in listings:
        try:
            listings[folder] = frozenset(entry.name for entry in folder.iterdir())
        except OSError:
            listings[folder] = frozenset()
    names = [f"{file.name}{suffix}" for suffix in SIDECARS] + [f"{file.stem}{s}" for s in WORLD_SUFFIXES]
    return [folder / name for name in names if name in listings[folder]]


def _parsed(path: Path) -> ElementTree.Element:
    """The XML of a VRT. Entities are refused, since GDAL and this parser may read them differently."""
    try:
        if path.stat().st_size > LARGEST_XML:
            raise SceneError(f"{path} is a VRT of more than {LARGEST_XML >> 20} MB; convert it to a GeoTIFF")
        content = path.read_bytes()
        if b"<!doctype" in content.lower() or b"<!entity" in content.lower():
            raise SceneError(f"{path} is a VRT with XML entities; give `allow_vrt` if you trust it")
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise SceneError(f"{path} is a VRT that is not well-formed XML: {error}") from None


def _inside(source: str, vrt: Path, root: Path, *, relative: bool) -> Path:
    """The file that a source names.

    Raises:
        SceneError: it does not lie in the folder `root` or below.
    """
    target = ((vrt.parent if relative else Path.cwd()) / source).resolve()
    if FAR.search(source) or not target.is_relative_to(root):
        raise SceneError(
            f"{vrt} is a VRT that reads {source}, which is not in its folder; "
            "look at it and give `allow_vrt` if you trust it"
        )
    return target


def _is_file(path: Path) -> bool:
    """Whether there is such a file; what can be no path is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
