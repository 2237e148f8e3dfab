"""Whether a scene can lie where its file says: what is impossible is told from what is only strange."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sodslice.errors import GeoRefError
from sodslice.place.georef import GeoRef, Points
from sodslice.place.ground import Ground, ground_of

MOST_TURNS = 3
"""Round the Earth, by which longitudes may go on in either direction."""
SAMPLES = 33
"""Points in each direction at which it is asked whether the CRS reaches a scene."""
PLAUSIBLE_GSD_M = 1e-4, 5e4
"""Metres per pixel between which nothing is said."""

Notes = tuple[str, ...]


def examined(georef: GeoRef, size: tuple[int, int], name: str) -> tuple[GeoRef, tuple[str, ...]]:
    """A georeference with its fault, if it has one, and what the user should know of it.

    Args:
        georef: as a file or a caller gives it.
        size: width and height of the scene in pixels.
        name: of the scene, for the notes.
    """
    if georef.crs is None or not georef.placed or georef.fault:
        return georef, ()
    try:
        ground = ground_of(georef.crs)
    except GeoRefError:
        return georef, ()
    looking = _angles if ground.in_angles else _reach
    fault, notes = looking(georef, ground, size)
    if fault:
        said = f"{name} is taken as a scene without a map: {fault}; give its `crs`"
        return replace(georef, fault=fault), (said,)
    notes = (*notes, *_strange_scale(georef, size))
    return georef, tuple(f"{name} {note}" for note in notes)


def _angles(georef: GeoRef, ground: Ground, size: tuple[int, int]) -> tuple[str, Notes]:
    """The fault of longitudes and latitudes that are none, and a note on those half a pixel beyond a pole."""
    degrees = 90 / ground.quarter
    points = _outermost(georef, size) * degrees
    if not len(points):
        return "the scene's RPCs place no corner of it", ()
    x, y = points[np.argmax(np.abs(points[:, 1]))].tolist()
    farthest = float(points[np.argmax(np.abs(points[:, 0])), 0])
    beyond = f"latitude {y:.10g}" if abs(y) > 90 + georef.slack * degrees else ""
    beyond = beyond or (f"longitude {farthest:.10g}" if abs(farthest) > 360 * MOST_TURNS else "")
    if beyond:
        swapped = abs(x) <= 90 and abs(y) <= 360
        guess = "are the two swapped?" if swapped else "are its coordinates metres?"
        return f"the scene's CRS is one of longitude and latitude and puts it at {beyond} ({guess})", ()
    if abs(y) > 90:
        return "", (
            "reaches half a pixel beyond a pole, as grids of pixel centres do; places end at the pole",
        )
    return "", ()


def _outermost(georef: GeoRef, size: tuple[int, int]) -> Points:
    """Map coordinates `(N, 2)` that the file itself states: of the corners, or of the control points."""
    if georef.gcps:
        return np.array(georef.gcps)[:, 2:]
    width, height = size
    places = georef.to_map(np.array([[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]]))
    known: Points = places[np.isfinite(places).all(axis=1)]
    return known


def _reach(georef: GeoRef, ground: Ground, size: tuple[int, int]) -> tuple[str, Notes]:
    """The fault of a projection that reaches nothing of a scene, and a note where it reaches a part."""
    if ground.geodetic is None:
        return "", ()
    share = np.linspace(0, 1, SAMPLES)
    pixels = np.stack(np.meshgrid(share * size[0], share * size[1]), axis=-1).reshape(-1, 2)
    known = ~np.isnan(ground.angles(georef.to_map(pixels))[:, 0])
    if not known.any():
        return "the scene's CRS has a longitude and latitude for no part of it", ()
    if known.all():
        return "", ()
    without = "GeoJSON leaves out what is found there" if georef.on_map else "metres are not known there"
    return "", (f"lies in part where its CRS has no longitude and latitude; {without}",)


def _strange_scale(georef: GeoRef, size: tuple[int, int]) -> Notes:
    """A note on pixels that are hardly as small or as large as the CRS has them."""
    try:
        gsd = georef.gsd_m(*size)
    except GeoRefError:
        return ()
    least, most = PLAUSIBLE_GSD_M
    if least <= gsd <= most:
        return ()
    said = f"{gsd / 1000:.3g} km" if gsd > most else f"{gsd:.3g} m"
    return (f"has pixels of {said} by its CRS, which is hardly so; if it is another, give it with `crs`",)
