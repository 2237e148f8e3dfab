"""Where a raster lies on the map, from what its file says."""

from __future__ import annotations

from typing import Any

import numpy as np
from rasterio.errors import CRSError

from sodslice.errors import GeoRefError, SceneError
from sodslice.georef import GeoRef, Rpc
from sodslice.georef.reference import LONLAT
from sodslice.georef.spline import ControlPoint

MOST_CONTROL_POINTS = 1000


def georef_of(dataset: Any, name: str, rpc_height: float | None) -> tuple[GeoRef, tuple[str, ...]]:
    """The georeference of an open dataset, and what the user should know about it.

    A transform with a CRS goes before ground control points, and these before RPCs. GDAL has already moved
    the transform of a PixelIsPoint file by half a pixel, and gives the identity where there is none.

    Args:
        dataset: open.
        name: what messages call it.
        rpc_height: metres above the ellipsoid at which RPCs are used; None takes their own middle height.

    Raises:
        SceneError: what the file says places nothing.
    """
    try:
        crs = dataset.crs.to_wkt() if dataset.crs else None
        transform = None if dataset.transform.is_identity else tuple(dataset.transform)[:6]
        if transform is not None and crs is not None:
            return GeoRef(transform, crs), ()
        points, points_crs = dataset.gcps
        if points and points_crs:
            return _by_points(points, points_crs.to_wkt(), name)
        if dataset.rpcs is not None:
            return _by_rpc(dataset.rpcs, name, rpc_height)
        return GeoRef(transform, crs), ()
    except (GeoRefError, CRSError, ValueError, KeyError, TypeError) as error:
        raise SceneError(
            f"{name} has a broken georeference: {' '.join(str(error).split())}; "
            "give it a new one with gdal_translate -a_srs and -a_ullr"
        ) from None


def _by_points(points: list[Any], crs: str, name: str) -> tuple[GeoRef, tuple[str, ...]]:
    """By ground control points, of very many only some, evenly spread."""
    table: list[ControlPoint] = [(p.col, p.row, p.x, p.y) for p in points]
    notes: tuple[str, ...] = ()
    if len(table) > MOST_CONTROL_POINTS:
        kept = np.linspace(0, len(table) - 1, MOST_CONTROL_POINTS).round().astype(int)
        notes = (f"{name} has {len(table)} ground control points, of which {MOST_CONTROL_POINTS} are used",)
        table = [table[i] for i in kept]
    return GeoRef(None, crs, gcps=_unwrapped(table)), notes


def _unwrapped(points: list[ControlPoint]) -> tuple[ControlPoint, ...]:
    """Control points in degrees on both sides of the antimeridian, all counted eastwards."""
    longitudes = [x for _, _, x, _ in points]
    degrees = all(abs(x) <= 180 and abs(y) <= 90 for _, _, x, y in points)
    if degrees and max(longitudes) - min(longitudes) > 180:
        return tuple((col, row, x + 360 if x < 0 else x, y) for col, row, x, y in points)
    return tuple(points)


def _by_rpc(rpcs: Any, name: str, height: float | None) -> tuple[GeoRef, tuple[str, ...]]:
    rpc = Rpc.from_values(rpcs.to_dict(), height)
    stated = "as --rpc-height says" if height is not None else "their own middle; --rpc-height changes it"
    note = (
        f"{name} is placed by its RPCs at {rpc.height:g} m above the ellipsoid ({stated}), "
        "so places are off where the ground is higher or lower"
    )
    return GeoRef(None, LONLAT, rpc=rpc), (note,)
