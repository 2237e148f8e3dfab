"""Files that point elsewhere: a small file can make GDAL read any other, on this machine or on the network.

A VRT whose sources all lie in its own folder or below is as good as a raster. All other files that point
elsewhere are opened only if the user says so. The check reads the XML itself, before GDAL sees the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
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


def check_points_nowhere(path: Path) -> bool:
    """Refuse a file that makes GDAL read something outside the file's folder.

    Returns:
        Whether it is a VRT, which may be opened as such.

    Raises:
        SceneError: it points elsewhere, or cannot be understood.
    """
    root = path.parent.resolve()
    return _check(path, root, depth=0)


@lru_cache(maxsize=1)
def local_drivers() -> tuple[str, ...]:
    """GDAL's drivers that read what is in the file and its companions, not what it points to."""
    with rasterio.Env() as env:
        return tuple(sorted(set(env.drivers()) - REMOTE_DRIVERS))


def _check(path: Path, root: Path, *, depth: int) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from None
    if POINTING.search(head):
        raise SceneError(
            f"{path} is no image but points to one elsewhere; look at it and give --allow-vrt if you trust it"
        )
    if not VRT.search(head):
        return False
    if depth > DEEPEST:
        raise SceneError(
            f"{path} is a VRT of VRTs, more than {DEEPEST} deep; give --allow-vrt if you trust it"
        )
    for source, relative in _sources(path):
        _check(_inside(source, path, root, relative=relative), root, depth=depth + 1)
    return True


def _sources(path: Path) -> Iterator[tuple[str, bool]]:
    """What a VRT names as its sources, and whether that is relative to its own folder.

    Raises:
        SceneError: it is no plain, well-formed XML, or runs code.
    """
    for element in _parsed(path).iter():
        tag = element.tag.rpartition("}")[2].lower()
        text = (element.text or "").strip()
        if tag == "pixelfunctionlanguage" and text.lower() != "c":
            raise SceneError(f"{path} is a VRT that runs {text} code; give --allow-vrt if you trust it")
        named = NAMING.search(element.attrib.get("name", ""))
        if text and not len(element) and (tag in SOURCES or named or "/vsi" in text.lower()):
            yield text, element.attrib.get("relativeToVRT") == "1"


def _parsed(path: Path) -> ElementTree.Element:
    """The XML of a VRT. Entities are refused, since GDAL and this parser may read them differently."""
    try:
        if path.stat().st_size > LARGEST_XML:
            raise SceneError(f"{path} is a VRT of more than {LARGEST_XML >> 20} MB; convert it to a GeoTIFF")
        content = path.read_bytes()
        if b"<!doctype" in content.lower() or b"<!entity" in content.lower():
            raise SceneError(f"{path} is a VRT with XML entities; give --allow-vrt if you trust it")
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
            "look at it and give --allow-vrt if you trust it"
        )
    return target
