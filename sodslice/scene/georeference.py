"""Where a raster lies on the map, from what its file and its user say."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import CRSError

from sodslice.errors import GeoRefError
from sodslice.place.affine import Affine
from sodslice.place.georef import GeoRef, Rpc
from sodslice.place.plausible import examined
from sodslice.place.poles import around_pole
from sodslice.place.reference import LONLAT, as_wkt, is_local, short_name, shortened
from sodslice.place.spline import ControlPoint

MOST_CONTROL_POINTS = 1000
LARGEST_SIDECAR = 2**20
"""Bytes of a file in which the text of a CRS is looked for."""

Notes = tuple[str, ...]

_STATED = re.compile(rb"<SRS\b[^>]*>\s*([^<]*[^<\s])")


@dataclass(frozen=True)
class Placing:
    """What a user says of the place of a scene.

    Args:
        crs: in place of the file's, as a text that PROJ reads.
        rpc_height: metres above the ellipsoid at which RPCs are used; None takes their own middle height.
    """

    crs: str | None = None
    rpc_height: float | None = None


@dataclass(frozen=True)
class _Said:
    """A part of what a file says of its place: `value`, `notes` for the user, and why it is of no use."""

    value: Any = None
    notes: Notes = ()
    fault: str = ""


def georef_of(dataset: Any, name: str, placing: Placing | None = None) -> tuple[GeoRef, Notes]:
    """The georeference of an open dataset, and what the user should know about it.

    A transform with a CRS goes before ground control points, and these before RPCs; a transform in a local
    CRS that the user did not give goes after them. What is broken is passed over and said. GDAL has already
    moved the transform of a PixelIsPoint file by half a pixel, and gives the identity where there is none.

    Args:
        dataset: open.
        name: what messages call it.
        placing: what the user says.
    """
    asked = placing or Placing()
    crs, transform = _crs_of(dataset, name, asked.crs), _tried(lambda: _by_transform(dataset, name))
    parts = [crs, transform]
    sure = crs.value is not None and (asked.crs is not None or not is_local(crs.value))
    found = GeoRef(transform.value, crs.value) if sure and transform.value is not None else None
    for way in (_by_points, _by_rpc) if found is None else ():
        parts.append(_tried(lambda way=way: way(dataset, name, asked)))  # type: ignore[misc]
        if (found := parts[-1].value) is not None:
            break
    faults = [part.fault for part in parts if part.fault]
    notes = [f"{name} has a broken georeference: {fault}" for fault in faults]
    notes += [note for part in parts for note in part.notes]
    if found is None:
        placed = transform.value is not None and crs.value is not None
        fault = f"the scene's georeference is broken ({faults[0]})" if faults and not placed else ""
        found = GeoRef(transform.value, crs.value, fault=fault)
        if asked.crs is not None and transform.value is None:
            notes.append(f"`crs` places nothing: {name} has no geotransform; a world file gives it one")
    found, strange = examined(found, (dataset.width, dataset.height), name)
    return found, (*notes, *strange)


def _tried(way: Callable[[], _Said]) -> _Said:
    """What a way gives, or what is wrong with it."""
    try:
        return way()
    except UnicodeDecodeError as error:
        return _Said(fault=f"it holds a text that is no UTF-8, {shortened(error.object.decode('latin-1'))}")
    except (GeoRefError, CRSError, ValueError, KeyError, TypeError) as error:
        return _Said(fault=" ".join(str(error).split()))


def _crs_of(dataset: Any, name: str, asked: str | None) -> _Said:
    """The CRS of the map coordinates, as WKT: the user's, else the file's."""
    if asked is not None:
        return _Said(as_wkt(asked))
    wrong = dataset.crs_fault
    if isinstance(wrong, UnicodeDecodeError):
        text = wrong.object.decode("latin-1")
        note = f"{name} states its CRS in a text that is no UTF-8, read as Latin-1: {short_name(text)}"
        return _Said(text, (note,))
    try:
        crs = dataset.crs.to_wkt() if dataset.crs else None
    except CRSError as error:
        crs, wrong = None, error
    if crs is not None:
        return _Said(crs)
    words = _stated_crs(Path(name)) or ("" if wrong is None else " ".join(str(wrong).split()))
    return _Said(
        fault=f"PROJ does not know its CRS, {shortened(words)}; `crs` gives another" if words else ""
    )


def _stated_crs(path: Path) -> str:
    """The text of the CRS in a VRT or in what GDAL wrote beside a file; "" where there is none."""
    for file in (path.with_name(f"{path.name}.aux.xml"), path):
        try:
            if file.stat().st_size <= LARGEST_SIDECAR and (found := _STATED.search(file.read_bytes())):
                return html.unescape(found[1].decode("utf-8", "replace"))
        except OSError:
            continue
    return ""


def _by_transform(dataset: Any, name: str) -> _Said:
    """The transform, if there is one; of PNM files without a world file rasterio gives what lay in memory."""
    given: Affine = tuple(dataset.transform)[:6]
    unset = dataset.driver == "PNM" and not Path(name).with_suffix(".wld").exists()
    if unset or dataset.transform.is_identity:
        return _Said()
    return _Said(GeoRef(given).transform)


def _by_points(dataset: Any, name: str, asked: Placing) -> _Said:
    """By ground control points, of very many only some, evenly spread."""
    points, stated = dataset.gcps
    crs = as_wkt(asked.crs) if asked.crs is not None else stated.to_wkt() if stated else None
    if not points or crs is None or (asked.crs is None and dataset.rpcs is not None and is_local(crs)):
        return _Said()
    table: list[ControlPoint] = [(p.col, p.row, p.x, p.y) for p in points]
    notes: Notes = ()
    if len(table) > MOST_CONTROL_POINTS:
        kept = np.linspace(0, len(table) - 1, MOST_CONTROL_POINTS).round().astype(int)
        notes = (f"{name} has {len(table)} ground control points, of which {MOST_CONTROL_POINTS} are used",)
        table = [table[i] for i in kept]
    placed, plane = around_pole(_unwrapped(table), crs)
    return _Said(GeoRef(None, plane, gcps=placed), notes)


def _unwrapped(points: list[ControlPoint]) -> tuple[ControlPoint, ...]:
    """Control points in degrees on both sides of the antimeridian, all counted eastwards."""
    longitudes = [x for _, _, x, _ in points]
    degrees = all(abs(x) <= 180 and abs(y) <= 90 for _, _, x, y in points)
    if degrees and max(longitudes) - min(longitudes) > 180:
        return tuple((col, row, x + 360 if x < 0 else x, y) for col, row, x, y in points)
    return tuple(points)


def _by_rpc(dataset: Any, name: str, asked: Placing) -> _Said:
    if dataset.rpcs is None:
        return _Said()
    rpc = Rpc.from_values(dataset.rpcs.to_dict(), asked.rpc_height)
    by_user = asked.rpc_height is not None
    stated = "as `rpc_height` says" if by_user else "their own middle; `rpc_height` changes it"
    note = (
        f"{name} is placed by its RPCs at {rpc.height:g} m above the ellipsoid ({stated}), "
        "so places are off where the ground is higher or lower"
    )
    unused = () if asked.crs is None else ("`crs` is of no use: RPCs are in longitude and latitude",)
    return _Said(GeoRef(None, LONLAT, rpc=rpc), (note, *unused))
