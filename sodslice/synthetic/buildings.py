"""Buildings seen from straight above: roofs lit by the sun, and what stands on them."""

from __future__ import annotations

import numpy as np

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import (
    Colour,
    DrawingLayer,
    Material,
    PlotFrame,
    Points,
    Sketch,
    rectangle,
    rectangles,
)
from sodslice.synthetic.spec import Sun

TILE_COLOURS: tuple[Colour, ...] = (
    (150.0, 92.0, 72.0),
    (132.0, 78.0, 64.0),
    (112.0, 84.0, 74.0),
    (98.0, 98.0, 100.0),
    (78.0, 80.0, 84.0),
    (128.0, 118.0, 106.0),
)
FLAT_COLOURS: tuple[Colour, ...] = (
    (150.0, 147.0, 140.0),
    (172.0, 170.0, 164.0),
    (126.0, 122.0, 116.0),
    (204.0, 203.0, 198.0),
    (92.0, 92.0, 92.0),
    (140.0, 128.0, 114.0),
)
HALL_COLOURS: tuple[Colour, ...] = (
    (176.0, 178.0, 180.0),
    (150.0, 156.0, 162.0),
    (196.0, 194.0, 186.0),
    (120.0, 134.0, 148.0),
    (148.0, 104.0, 92.0),
)


def facet_light(sun: Sun, slope_towards: Points, pitch: float) -> float:
    """How much lighter (above 1) or darker a roof facet is than level ground.

    Lambert's law with a third of the light from the sky.

    Args:
        sun: the scene's sun.
        slope_towards: unit vector `(2,)` x, y on the scene, down the facet.
        pitch: angle of the facet to the ground in radians.
    """
    facing = float(np.dot(slope_towards, sun.toward))
    direct = np.cos(pitch) + np.sin(pitch) * facing * sun.reach
    return float(np.clip(1.0 / 3 + 2.0 / 3 * direct, 0.5, 1.3))


def gabled_house(sketch: Sketch, plot: PlotFrame, sun: Sun, dice: Dice) -> None:
    """A house with a pitched roof that fills the frame, its ridge along the longer side."""
    frame = plot if plot.width >= plot.height else plot.turned()
    width, height = frame.width, frame.height
    colour = dice.pick(TILE_COLOURS)
    pitch = dice.between(0.45, 0.75)
    down = np.array([-np.sin(frame.heading), np.cos(frame.heading)])
    along = np.array([np.cos(frame.heading), np.sin(frame.heading)])
    hip = dice.between(0.2, 0.45) * height if dice.chance(0.4) else 0.0
    ridge = ((hip, height / 2), (width - hip, height / 2))
    near, far = [(0.0, 0.0), (width, 0.0)], [(width, height), (0.0, height)]
    facets = [
        (np.array([*near, ridge[1], ridge[0]]), -down),
        (np.array([*far, ridge[0], ridge[1]]), down),
        (np.array([(0.0, 0.0), ridge[0], (0.0, height)]), -along),
        (np.array([(width, 0.0), ridge[1], (width, height)]), along),
    ]
    for polygon, towards in facets[: 4 if hip > 0 else 2]:
        light = facet_light(sun, towards, pitch)
        sketch.fill(DrawingLayer.ROOF, frame.place(polygon), _lit(colour, light), Material.TILES)
    line = rectangle(hip, height / 2 - 0.12, width - hip, height / 2 + 0.12)
    sketch.fill(DrawingLayer.ROOF_DETAIL, frame.place(line), _lit(colour, 1.12))
    sketch.cast(frame.place(rectangle(0.0, 0.0, width, height)), dice.between(3.4, 5.0))
    sketch.cast(
        frame.place(rectangle(hip, height / 2 - 0.3, width - hip, height / 2 + 0.3)), dice.between(6.0, 8.5)
    )
    _on_tiles(sketch, frame, hip, dice)


def _on_tiles(sketch: Sketch, frame: PlotFrame, hip: float, dice: Dice) -> None:
    """A chimney, roof windows, perhaps a field of solar cells."""
    width, height = frame.width, frame.height
    x = dice.between(0.25, 0.75) * width
    y = height / 2 + dice.pick((-0.9, 0.4))
    sketch.fill(DrawingLayer.ROOF_DETAIL, frame.place(rectangle(x, y, x + 0.7, y + 0.6)), (126.0, 98.0, 88.0))
    sketch.fill(
        DrawingLayer.ROOF_DETAIL,
        frame.place(rectangle(x + 0.2, y + 0.18, x + 0.5, y + 0.42)),
        (48.0, 44.0, 42.0),
    )
    lower = dice.chance(0.5)
    band = (height * 0.6, height * 0.92) if lower else (height * 0.08, height * 0.4)
    if dice.chance(0.22) and width - 2 * hip > 6:
        left, right = hip + 1.2, width - hip - 1.2
        sketch.fill(
            DrawingLayer.ROOF_DETAIL,
            frame.place(rectangle(left, band[0], right, band[1])),
            (44.0, 52.0, 72.0),
        )
        seams = np.arange(left + 1.0, right - 0.4, 1.0)
        lines = rectangles(seams, np.full(len(seams), band[0]), seams + 0.07, np.full(len(seams), band[1]))
        sketch.fill_many(DrawingLayer.ROOF_DETAIL, frame.place(lines), (92.0, 100.0, 116.0))
        return
    for _ in range(dice.whole(0, 3)):
        x = dice.between(hip + 0.8, width - hip - 1.8)
        y = dice.between(band[0], band[1] - 1.0)
        sketch.fill(
            DrawingLayer.ROOF_DETAIL, frame.place(rectangle(x, y, x + 0.8, y + 1.15)), (70.0, 80.0, 92.0)
        )


def flat_building(sketch: Sketch, frame: PlotFrame, storeys: int, dice: Dice) -> None:
    """A block with a flat roof that fills the frame: parapet, plant, hatches and puddle stains."""
    width, height = frame.width, frame.height
    colour = dice.pick(FLAT_COLOURS)
    sketch.fill(DrawingLayer.ROOF, frame.place(rectangle(0.0, 0.0, width, height)), _lit(colour, 1.18))
    inner = rectangle(0.45, 0.45, width - 0.45, height - 0.45)
    sketch.fill(DrawingLayer.ROOF, frame.place(inner), colour, Material.FLAT_ROOF)
    sketch.cast(frame.place(rectangle(0.0, 0.0, width, height)), 3.1 * storeys + 0.6)
    for step in np.arange(dice.between(5.0, 8.0), width - 2.0, dice.between(7.0, 11.0)):
        seam = rectangle(float(step), 0.45, float(step) + 0.09, height - 0.45)
        sketch.fill(DrawingLayer.ROOF_DETAIL, frame.place(seam), _lit(colour, 0.86))
    for _ in range(dice.whole(1, 3) + int(width * height / 220.0)):
        _plant(sketch, frame, colour, dice)
    if width > 14 and height > 8:
        side = (dice.between(2.2, 3.4), dice.between(2.2, 3.0))
        x, y = dice.between(2.0, width - 6.0), height / 2 - side[1] / 2
        house = frame.place(rectangle(x, y, x + side[0], y + side[1]))
        sketch.fill(DrawingLayer.ROOF_DETAIL, house, _lit(colour, 1.1), Material.FLAT_ROOF)


def _plant(sketch: Sketch, frame: PlotFrame, roof: Colour, dice: Dice) -> None:
    """One thing of a flat roof: a cooling unit with its fan, a dome light, or a vent, with a shaded side."""
    kind = dice.whole(0, 2)
    size = ((dice.between(1.2, 2.2), dice.between(1.0, 1.5)), (1.2, 1.2), (0.45, 0.45))[kind]
    x = dice.between(1.2, max(1.3, frame.width - size[0] - 1.2))
    y = dice.between(1.2, max(1.3, frame.height - size[1] - 1.2))
    shade = rectangle(x - 0.15, y - 0.3, x + size[0] + 0.15, y + size[1])
    sketch.fill(DrawingLayer.ROOF_DETAIL, frame.place(shade), _lit(roof, 0.72))
    tone = dice.between(150.0, 196.0) if kind != 1 else dice.between(176.0, 214.0)
    body = frame.place(rectangle(x, y, x + size[0], y + size[1]))
    sketch.fill(DrawingLayer.ROOF_DETAIL, body, (tone, tone, tone + 3.0))
    if kind == 0:
        middle = (x + size[0] / 2, y + size[1] / 2)
        turn = np.linspace(0.0, 2 * np.pi, 10, endpoint=False)
        fan = np.stack([middle[0] + 0.4 * np.cos(turn), middle[1] + 0.4 * np.sin(turn)], axis=1)
        sketch.fill(DrawingLayer.ROOF_DETAIL, frame.place(fan), (84.0, 86.0, 88.0))


def hall(sketch: Sketch, frame: PlotFrame, sun: Sun, dice: Dice) -> None:
    """A sheet-metal hall that fills the frame: a shallow ridge, ribs and rows of roof lights."""
    frame = frame if frame.width >= frame.height else frame.turned()
    width, height = frame.width, frame.height
    colour = dice.pick(HALL_COLOURS)
    down = np.array([-np.sin(frame.heading), np.cos(frame.heading)])
    halves = (
        (rectangle(0.0, 0.0, width, height / 2), -down),
        (rectangle(0.0, height / 2, width, height), down),
    )
    for polygon, towards in halves:
        light = facet_light(sun, towards, 0.14)
        sketch.fill(DrawingLayer.ROOF, frame.place(polygon), _lit(colour, light), Material.FLAT_ROOF)
    sketch.cast(frame.place(rectangle(0.0, 0.0, width, height)), dice.between(6.0, 9.0))
    ribs = np.arange(1.2, width - 0.5, 1.2)
    lines = rectangles(ribs, np.zeros(len(ribs)), ribs + 0.1, np.full(len(ribs), height))
    sketch.fill_many(DrawingLayer.ROOF_DETAIL, frame.place(lines), _lit(colour, 0.94))
    lights = np.arange(dice.between(3.0, 6.0), width - 2.0, dice.between(5.0, 8.0))
    for share in (0.12, 0.62):
        low = np.full(len(lights), height * share)
        panes = rectangles(lights, low, lights + 1.0, low + height * 0.26)
        sketch.fill_many(DrawingLayer.ROOF_DETAIL, frame.place(panes), _lit(colour, 1.16))
    ridge = rectangle(0.0, height / 2 - 0.2, width, height / 2 + 0.2)
    sketch.fill(DrawingLayer.ROOF_DETAIL, frame.place(ridge), _lit(colour, 0.9))


def box(sketch: Sketch, outline: Points, colour: Colour, height: float) -> None:
    """A small thing of one colour that stands on the ground and throws a shadow: a bin, a stall, a shed.

    Args:
        sketch: where to add it.
        outline: polygon `(n, 2)` in scene metres.
        colour: its top.
        height: its height in metres.
    """
    sketch.fill(DrawingLayer.FURNITURE, outline, colour)
    sketch.cast(outline, height)


def _lit(colour: Colour, light: float) -> Colour:
    return (min(colour[0] * light, 246.0), min(colour[1] * light, 246.0), min(colour[2] * light, 246.0))
