"""`render`: the pixels of any window, always drawn in the same blocks."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.errors import OptionError
from sodslice.synthetic.canvas import GROWTH, SUB, Canvas, DrawnWindow, FloatImage
from sodslice.synthetic.crowns import Crowns, corner_of, darken, paste
from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import DrawingLayer, Piece, Points, touching
from sodslice.synthetic.spec import NODATA, SceneSpec, Sun
from sodslice.synthetic.texture import grain
from sodslice.synthetic.town import Town, town_of
from sodslice.synthetic.vehicles import Vehicle, panels, silhouette, turn
from sodslice.system.opencv import opencv

BLOCK = 512
"""Side of the blocks in pixels that a scene is drawn in; also the tile of the GeoTIFF."""

SOFT_SHADOW_M = 0.2
CONTACT_DEPTH = 0.42
TALLEST_M = 17.0
LONGEST_SHADOW_M = 64.0
WIDEST_CROWN_M = 6.0
VEHICLE_REACH_M = 20.0
TREE_HEIGHTS = (0.4, 0.7, 1.0)
TRUNK_M = 1.6

Pixels = npt.NDArray[np.uint8]


class Sight(NamedTuple):
    """What one block is drawn from: pieces of town, vehicles, and trees `(T, 4)` x, y, radius, variety."""

    pieces: list[Piece]
    vehicles: list[Vehicle]
    trees: Points


def render(spec: SceneSpec, window: tuple[int, int, int, int] | None = None) -> Pixels:
    """Draw a window of the scene.

    Every pixel is drawn as part of its own block of 512 x 512, so it is the same in every window.

    Args:
        spec: the scene.
        window: x, y, width, height in scene pixels; None for the whole scene, which must fit into memory.

    Returns:
        `(height, width, 3)` uint8, red, green, blue; 0 in all bands where there is no data.

    Raises:
        OptionError: the window is empty or leaves the scene.
    """
    x, y, width, height = window or (0, 0, spec.width, spec.height)
    inside = x >= 0 and y >= 0 and x + width <= spec.width and y + height <= spec.height
    if width < 1 or height < 1 or not inside:
        raise OptionError(f"the window must lie in the scene of {spec.width} x {spec.height}, got {window}")
    picture: Pixels = np.empty((height, width, 3), dtype=np.uint8)
    for row in range(y // BLOCK, (y + height - 1) // BLOCK + 1):
        for column in range(x // BLOCK, (x + width - 1) // BLOCK + 1):
            block = render_block(spec, column, row)
            left, top = column * BLOCK, row * BLOCK
            x0, x1 = max(x, left), min(x + width, left + block.shape[1])
            y0, y1 = max(y, top), min(y + height, top + block.shape[0])
            picture[y0 - y : y1 - y, x0 - x : x1 - x] = block[y0 - top : y1 - top, x0 - left : x1 - left]
    return picture


def block_window(spec: SceneSpec, column: int, row: int) -> DrawnWindow:
    """The pixels of a block; blocks at the right and lower edges may be smaller."""
    x, y = column * BLOCK, row * BLOCK
    return DrawnWindow(x, y, min(BLOCK, spec.width - x), min(BLOCK, spec.height - y))


def render_block(spec: SceneSpec, column: int, row: int) -> Pixels:
    """Draw one block: `(H, W, 3)` uint8."""
    window = block_window(spec, column, row)
    margin = math.ceil(4 * spec.blur_px + 3 * SOFT_SHADOW_M / spec.gsd_m) + 2
    wide = DrawnWindow(
        window.x - margin, window.y - margin, window.width + 2 * margin, window.height + 2 * margin
    )
    light = _photograph(spec, paint(spec, wide))[margin:-margin, margin:-margin]
    light = light + _sensor_noise(spec, light, Dice(spec.seed, "noise", column, row))
    pixels: Pixels = np.clip(np.rint(light), NODATA + 1, 255).astype(np.uint8)
    x: Points = np.arange(window.width, dtype=np.float64)[None, :] + (window.x + 0.5)
    y: Points = np.arange(window.height, dtype=np.float64)[:, None] + (window.y + 0.5)
    pixels[~spec.holds_data(x, y)] = NODATA
    return pixels


def paint(spec: SceneSpec, window: DrawnWindow) -> FloatImage:
    """The scene's light on a window before camera and sensor: `(H, W, 3)` float32, about 0 to 255."""
    town, crowns = town_of(spec), _crowns_of(spec.gsd_m, spec.sun, spec.seed)
    canvas = Canvas(window, spec.gsd_m)
    sight = _look(town, canvas)
    _draw_layers(canvas, sight.pieces, [layer for layer in DrawingLayer if layer < DrawingLayer.ROOF])
    _draw_vehicles(canvas, sight.vehicles, town)
    _draw_layers(canvas, sight.pieces, [layer for layer in DrawingLayer if layer >= DrawingLayer.ROOF])
    cv2 = opencv()
    light, hue = grain(window, canvas.materials(), spec.gsd_m, spec.seed)
    picture = canvas.colours()
    picture *= cv2.merge([light * (1.0 + hue), light, light * (1.0 - hue)])
    shadow = np.maximum(_shadow_of_things(canvas, sight, town), _shadow_of_vehicles(canvas, sight, town))
    for x, y, radius, variety in sight.trees:
        crown = crowns.of(radius, variety)
        for share in TREE_HEIGHTS:
            throw = town.sun.reach * (radius + TRUNK_M) * share
            spot = (x - town.sun.toward[0] * throw, y - town.sun.toward[1] * throw)
            darken(shadow, crown, corner_of(*spot, crown, window, spec.gsd_m))
    rim = 1.0 - CONTACT_DEPTH * _contact(canvas, sight.vehicles)
    picture *= cv2.merge([rim * (1.0 - shadow * np.float32(1.0 - left)) for left in town.sun.shade])
    for x, y, radius, variety in sight.trees:
        crown = crowns.of(radius, variety)
        paste(picture, crown, corner_of(x, y, crown, window, spec.gsd_m))
    return picture


@lru_cache(maxsize=2)
def _crowns_of(gsd_m: float, sun: Sun, seed: int) -> Crowns:
    """The stock of crowns, kept from block to block."""
    return Crowns(gsd_m, sun, seed)


def _look(town: Town, canvas: Canvas) -> Sight:
    """What stands on a canvas or may throw a shadow onto it."""
    reach = min(town.sun.reach * TALLEST_M, LONGEST_SHADOW_M) + WIDEST_CROWN_M
    x0, y0, x1, y1 = canvas.bounds_m
    wide = (x0 - reach, y0 - reach, x1 + reach, y1 + reach)
    cells = town.plan.cells_over(*wide)
    bounds = np.array([town.plan.piece(cell).bounds for cell in cells])
    near = [cells[row] for row in touching(bounds, *wide)]
    pieces = [town.plan.piece(cell) for cell in near]
    trees = np.concatenate([piece.trees for piece in pieces])
    trees = trees[touching(np.hstack([trees[:, :2], trees[:, :2]]), *wide)]
    seen = [one.vehicle for cell in near for one in town.vehicles(cell)]
    places = np.array([(one.x, one.y, one.x, one.y) for one in seen]).reshape(-1, 4)
    beside = (x0 - VEHICLE_REACH_M, y0 - VEHICLE_REACH_M, x1 + VEHICLE_REACH_M, y1 + VEHICLE_REACH_M)
    # Low trees first, so that higher ones lie above them in every block.
    order = np.lexsort((trees[:, 1], trees[:, 0], trees[:, 2]))
    return Sight(pieces, [seen[row] for row in touching(places, *beside)], trees[order])


def _draw_layers(canvas: Canvas, pieces: list[Piece], layers: list[DrawingLayer]) -> None:
    """Fill the shapes of the layers that touch the canvas, layer by layer over all pieces."""
    for layer in layers:
        for piece in pieces:
            shelf = piece.layers.get(layer)
            if shelf is not None:
                canvas.fill(shelf)


def _draw_vehicles(canvas: Canvas, vehicles: list[Vehicle], town: Town) -> None:
    """Fill the panels of every vehicle."""
    for vehicle in vehicles:
        cos, sin = np.cos(vehicle.heading), np.sin(vehicle.heading)
        x, y = town.sun.toward
        parts = panels(vehicle, np.array([x * cos + y * sin, y * cos - x * sin]))
        placed = turn(vehicle, _shrunk([part.polygon for part in parts], vehicle, canvas.gsd_m))
        canvas.plain(placed[2])
        canvas.fill_convex(placed, [part.colour for part in parts])


def _shrunk(polygons: list[Points], vehicle: Vehicle, gsd_m: float) -> list[Points]:
    """Polygons in the vehicle's own metres, drawn in by what filling adds to them."""
    grown = 2 * GROWTH * gsd_m / SUB
    scale = np.array([1.0 - grown / vehicle.length, 1.0 - grown / vehicle.width])
    return [polygon * scale for polygon in polygons]


def _shadow_of_things(canvas: Canvas, sight: Sight, town: Town) -> FloatImage:
    """Shadows `(H, W)`, 0 to 1, of buildings, fences and whatever else stands on the ground."""
    mask = canvas.mask()
    away = -np.array(town.sun.toward) * town.sun.reach
    near = []
    for piece in sight.pieces:
        things, bounds = piece.casters
        heights = np.array([thing.height for thing in things])
        ends = np.tile(heights[:, None] * away, 2)
        swept = np.hstack(
            [np.minimum(bounds, bounds + ends)[:, :2], np.maximum(bounds, bounds + ends)[:, 2:]]
        )
        near += [things[row] for row in touching(swept, *canvas.bounds_m)]
    for polygon, height in near:
        mask.sweep(polygon, away * height)
    for polygon, _ in near:
        mask.fill(polygon, 0)
    return mask.shares(soft_px=SOFT_SHADOW_M / canvas.gsd_m)


def _shadow_of_vehicles(canvas: Canvas, sight: Sight, town: Town) -> FloatImage:
    """Shadows `(H, W)`, 0 to 1, of vehicles on the ground beside them."""
    mask = canvas.mask()
    away = -np.array(town.sun.toward) * town.sun.reach
    bodies = [(turn(vehicle, silhouette(vehicle)[:1])[0], vehicle.height) for vehicle in sight.vehicles]
    for body, height in bodies:
        # The edge that throws the shadow's rim is the roof's, lower and narrower than a box would have it.
        mask.sweep(body, away * height * 0.8)
    for body, _ in bodies:
        mask.fill(body, 0)
    return mask.shares(soft_px=0.5 * SOFT_SHADOW_M / canvas.gsd_m)


def _contact(canvas: Canvas, vehicles: list[Vehicle]) -> FloatImage:
    """The dark rim `(H, W)`, 0 to 1, around vehicles, where the sky does not reach the ground either."""
    mask = canvas.mask()
    bodies = [silhouette(vehicle)[0] for vehicle in vehicles]
    for vehicle, body in zip(vehicles, bodies, strict=True):
        scale = 1.0 + 0.3 / np.array([vehicle.length, vehicle.width])
        mask.fill(turn(vehicle, [body * scale])[0], 255)
    for vehicle, body in zip(vehicles, bodies, strict=True):
        mask.fill(turn(vehicle, [body])[0], 0)
    return mask.shares(soft_px=0.12 / canvas.gsd_m)


def _photograph(spec: SceneSpec, light: FloatImage) -> FloatImage:
    """Exposure, colour cast, haze and the camera's blur, each decided by the seed."""
    dice = Dice(spec.seed, "camera")
    exposure = dice.between(0.92, 1.08)
    cast = np.array([1.0 + dice.between(-0.03, 0.03), 1.0, 1.0 + dice.between(-0.03, 0.03)])
    haze = dice.between(0.0, 14.0)
    picture = light * (cast * exposure * (1.0 - haze / 255.0)).astype(np.float32) + np.float32(haze)
    if spec.blur_px > 0:
        picture = opencv().GaussianBlur(picture, (0, 0), spec.blur_px)
    return np.asarray(picture, dtype=np.float32)


def _sensor_noise(spec: SceneSpec, light: FloatImage, dice: Dice) -> FloatImage:
    """Noise `(H, W, 3)` in grey levels: stronger in bright pixels, mostly shared by the bands."""
    if spec.noise == 0:
        return np.zeros_like(light)
    height, width = light.shape[:2]
    throws = dice.bytes(4, height, width).astype(np.float32)
    throws -= np.float32(127.5)
    # A uniform byte has the standard deviation 256 / sqrt(12).
    spread = np.float32(spec.noise * math.sqrt(12.0) / 256.0)
    strength = spread * (0.6 + 0.4 * np.sqrt(np.maximum(light[..., 1], 0.0) * np.float32(1 / 128.0)))
    shared = np.float32(0.85) * throws[0]
    bands = [(np.float32(0.5) * own + shared) * strength for own in throws[1:]]
    return np.asarray(opencv().merge(bands), dtype=np.float32)
