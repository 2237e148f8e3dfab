"""Streets drawn: carriageway, footways, crossings, wear, paint, and what stands along the kerb."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sodslice.synthetic.dice import Dice
from sodslice.synthetic.sketch import Bay, Colour, DrawingLayer, Material, Points, Sketch, Tree, disc
from sodslice.synthetic.streets import CORNER_M, KERB_M, PARKING_M, Path, StreetSection

KERBSTONE: Colour = (172.0, 171.0, 166.0)
WHITE: Colour = (206.0, 206.0, 202.0)


def draw_section(sketch: Sketch, section: StreetSection, dice: Dice) -> None:
    """Add a section of street with its footways, wear, paint and trees."""
    street, path = section.street, section.path
    whole = (0.0, path.length)
    pave = dice.between(150.0, 188.0)
    paving: Colour = (pave, pave * 0.985, pave * 0.95)
    green = dice.between(0.85, 1.1)
    lawn: Colour = (92.0 * green, 106.0 * green, 66.0 * green)
    for side in (-1, 1):
        kerb = street.kerb(side)
        sketch.fill(
            DrawingLayer.WALK, path.strip(whole, (0.0, side * street.edge_m)), paving, Material.PAVING
        )
        if street.verge_m > 0:
            band = (side * (kerb + KERB_M), side * (kerb + KERB_M + street.verge_m))
            sketch.fill(DrawingLayer.WALK, path.strip(section.clear, band), lawn, Material.GRASS)
        # On concrete the kerb shows as the dark joint beside it.
        edge: Colour = (130.0, 129.0, 126.0) if street.slabs else KERBSTONE
        sketch.fill(DrawingLayer.KERB, path.strip(whole, (0.0, side * (kerb + KERB_M))), edge)
        sketch.fill(DrawingLayer.ROAD, path.strip(whole, (0.0, side * kerb)), street.tone, Material.ASPHALT)
    if street.median_m > 1.0:
        band = (-street.median_m / 2 + 0.3, street.median_m / 2 - 0.3)
        sketch.fill(
            DrawingLayer.PAINT, path.strip(section.clear, (band[0] - 0.15, band[1] + 0.15)), KERBSTONE
        )
        sketch.fill(DrawingLayer.PAINT, path.strip(section.clear, band), lawn, Material.GRASS)
    _wear(sketch, section, dice)
    _paint(sketch, section, dice)
    _roadside(sketch, section, dice)


def draw_crossing(sketch: Sketch, sections: tuple[StreetSection, StreetSection], dice: Dice) -> None:
    """Add the asphalt where two sections begin, its corners rounded, with patches and manholes."""
    main = max((section.street for section in sections), key=lambda street: street.kerb_m)
    sketch.fill(DrawingLayer.KERB, _crossing_outline(sections, KERB_M), KERBSTONE)
    sketch.fill(DrawingLayer.CROSSING, _crossing_outline(sections, 0.0), main.tone, Material.ASPHALT)
    centre = sections[0].path.at(0.0)
    for throw in dice.many(dice.whole(1, 3), 2):
        spot = centre + (throw - 0.5) * main.kerb_m * 1.6
        sketch.fill(
            DrawingLayer.WEAR,
            disc(float(spot[0]), float(spot[1]), 0.34, corners=10),
            _shift(main.tone, -34.0),
        )


def _crossing_outline(sections: tuple[StreetSection, StreetSection], beyond: float) -> Points:
    """A cross with hollow corners `(28, 2)`: the kerbs of two streets, moved out by `beyond` metres."""
    centre = sections[0].path.at(0.0)
    headings = [section.path.heading(0.0) for section in sections]
    axes = np.array([(np.cos(heading), np.sin(heading)) for heading in headings])
    half = np.array([sections[1].street.kerb_m + beyond, sections[0].street.kerb_m + beyond])
    radius = CORNER_M - beyond
    quarter = np.linspace(0.0, np.pi / 2, 7)
    arc = np.stack([1.0 - np.sin(quarter), 1.0 - np.cos(quarter)], axis=1)
    corners = [
        np.array(signs) * (half + radius * (arc if turned else arc[::-1]))
        for signs, turned in (((1, 1), True), ((-1, 1), False), ((-1, -1), True), ((1, -1), False))
    ]
    outline: Points = centre + np.concatenate(corners) @ axes
    return outline


def _wear(sketch: Sketch, section: StreetSection, dice: Dice) -> None:
    """Wheel tracks, joints, repairs, cracks and manholes."""
    street, path = section.street, section.path
    worn = (max(section.clear[0] - 4.0, 0.0), min(section.clear[1] + 4.0, path.length))
    for side in (-1, 1):
        for lane in range(street.lanes):
            middle = side * (street.median_m / 2 + (lane + 0.5) * street.lane_m)
            oil = (middle - 0.35, middle + 0.35)
            sketch.fill(
                DrawingLayer.WEAR,
                path.strip(worn, oil),
                _shift(street.tone, dice.between(-9.0, -2.0)),
                Material.ASPHALT,
            )
            for track in (-0.8, 0.8):
                band = (middle + track - 0.28, middle + track + 0.28)
                tone = _shift(street.tone, dice.between(-3.0, 8.0))
                sketch.fill(DrawingLayer.WEAR, path.strip(worn, band), tone, Material.ASPHALT)
    if street.slabs:
        joints = np.arange(worn[0], worn[1], 4.6)
        bars = _bars(path, joints, (-street.kerb(-1), street.kerb(1)), 0.07)
        sketch.fill_many(DrawingLayer.WEAR, bars, _shift(street.tone, -26.0))
    for _ in range(dice.whole(1, 5)):
        start = dice.between(0.0, 0.9) * path.length
        reach = (start, min(start + dice.between(1.5, 12.0), path.length))
        left = dice.between(-street.drive_m, street.drive_m - 1.6)
        patch = path.strip(reach, (left, left + dice.between(0.8, 3.0)))
        sketch.fill(
            DrawingLayer.WEAR, patch, _shift(street.tone, dice.between(-26.0, 12.0)), Material.ASPHALT
        )
    for _ in range(dice.whole(1, 6)):
        steps = dice.between(0.0, 1.0) * path.length + np.cumsum(dice.many(7) * 1.6)
        steps = np.clip(steps, 0.0, path.length)
        offsets = dice.between(-1.0, 1.0) * street.drive_m + np.cumsum(dice.many(7) - 0.5) * 0.9
        line = np.concatenate([path.at(steps, offsets), path.at(steps, offsets + 0.07)[::-1]])
        sketch.fill(DrawingLayer.WEAR, line, _shift(street.tone, -34.0))
    for _ in range(dice.whole(1, 3)):
        x, y = path.at(dice.between(0.1, 0.9) * path.length, dice.between(-0.9, 0.9) * street.drive_m)
        sketch.fill(DrawingLayer.WEAR, disc(float(x), float(y), 0.33, corners=10), _shift(street.tone, -36.0))


def _paint(sketch: Sketch, section: StreetSection, dice: Dice) -> None:
    """Centre and lane lines, stop lines, zebra crossings and arrows."""
    street, path = section.street, section.path
    begin, end = section.clear
    fade = dice.between(0.0, 0.75)
    white: Colour = tuple(w + fade * (t - w) for w, t in zip(WHITE, street.tone, strict=True))  # type: ignore[assignment]
    if street.dashed and end - begin > 8:
        starts = np.arange(begin + 1.0, end - 4.0, 3.0 + dice.pick((4.0, 6.0)))
        for side in (-1, 1):
            for lane in range(1, street.lanes):
                offset = side * (street.median_m / 2 + lane * street.lane_m)
                sketch.fill_many(DrawingLayer.PAINT, path.dashes(starts, 3.0, offset, 0.14), white)
            if street.lanes > 1 or street.parking[(side + 1) // 2]:
                offset = side * (street.drive_m - (0.2 if street.lanes > 1 else 0.0))
                sketch.fill(
                    DrawingLayer.PAINT, path.strip((begin, end), (offset - 0.06, offset + 0.06)), white
                )
        if street.lanes == 1:
            sketch.fill_many(DrawingLayer.PAINT, path.dashes(starts, 3.0, 0.0, 0.14), white)
        elif street.median_m < 1.0:
            for offset in (-0.17, 0.17):
                band = (offset - 0.07, offset + 0.07)
                sketch.fill(DrawingLayer.PAINT, path.strip((begin, end), band), (190.0, 160.0, 92.0))
    for way, side in ((end, 1), (begin, -1)):
        if dice.chance(0.35 if street.lanes == 1 else 0.8):
            across = np.arange(-street.drive_m + 0.4, street.drive_m - 0.5, 1.0)
            sketch.fill_many(DrawingLayer.PAINT, _zebra(path, way - side * 0.2, across, side), white)
        if street.dashed:
            band = (0.15 * side, side * street.drive_m)
            sketch.fill(
                DrawingLayer.PAINT, path.strip((way - side * 1.0 - 0.2, way - side * 1.0 + 0.2), band), white
            )
            if street.lanes > 1:
                _arrows(sketch, section, way - side * 6.0, side, white)


def _zebra(path: Path, way: float, across: npt.NDArray[np.float64], side: int) -> Points:
    """The bars `(k, 4, 2)` of a crossing for people just outside the stop line."""
    near, far = np.full(len(across), way + side * 0.6), np.full(len(across), way + side * 3.4)
    corners = ((near, across), (far, across), (far, across + 0.5), (near, across + 0.5))
    return np.stack([path.at(np.clip(w, 0.0, path.length), offset) for w, offset in corners], axis=1)


def _arrows(sketch: Sketch, section: StreetSection, way: float, side: int, colour: Colour) -> None:
    """One arrow on each lane that leads to the stop line."""
    outline = np.array(
        [[-2.2, -0.1], [0.2, -0.1], [0.2, -0.42], [1.8, 0.0], [0.2, 0.42], [0.2, 0.1], [-2.2, 0.1]]
    )
    street, path = section.street, section.path
    for lane in range(street.lanes):
        middle = side * (street.median_m / 2 + (lane + 0.5) * street.lane_m)
        sketch.fill(
            DrawingLayer.PAINT, path.at(way + side * outline[:, 0], middle + side * outline[:, 1]), colour
        )


def _roadside(sketch: Sketch, section: StreetSection, dice: Dice) -> None:
    """Street trees and lamp posts along both kerbs, and the places where cars park."""
    street, path = section.street, section.path
    begin, end = section.clear
    for side in (-1, 1):
        kerb = street.kerb(side)
        planted = dice.chance(0.6)
        step = dice.between(9.0, 16.0)
        size = dice.between(1.6, 3.0)
        variety = dice.between(0.0, 1.0)
        for way in np.arange(begin + step / 2, end, step):
            throws = dice.many(3)
            x, y = path.at(float(way), side * (kerb + KERB_M + max(street.verge_m / 2, 1.2)))
            if planted and throws[0] < 0.8:
                sketch.trees.append(Tree(float(x), float(y), size * (0.75 + 0.5 * float(throws[1])), variety))
            elif throws[2] < 0.3:
                _lamp(sketch, path, float(way), side * (kerb + 0.6))
        if street.parking[(side + 1) // 2]:
            middle = side * (street.drive_m + PARKING_M / 2 + 0.15)
            for way in np.arange(begin + 3.5, end - 3.0, 6.2):
                x, y = path.at(float(way), middle)
                heading = path.heading(float(way)) + (0.0 if side > 0 else np.pi)
                sketch.bays.append(Bay(float(x), float(y), heading, 5.9, street.parked, "kerb"))


def _lamp(sketch: Sketch, path: Path, way: float, offset: float) -> None:
    """A lamp post: a thin arm towards the road and a long thin shadow."""
    arm = path.strip((way - 0.07, way + 0.07), (offset, offset - np.sign(offset) * 1.9))
    head = path.strip(
        (way - 0.18, way + 0.18), (offset - np.sign(offset) * 1.5, offset - np.sign(offset) * 2.2)
    )
    sketch.fill(DrawingLayer.ROOF_DETAIL, arm, (150.0, 152.0, 154.0))
    sketch.fill(DrawingLayer.ROOF_DETAIL, head, (196.0, 197.0, 198.0))
    x, y = path.at(way, offset)
    sketch.cast(disc(float(x), float(y), 0.09, corners=6), 7.0)


def _bars(path: Path, ways: npt.NDArray[np.float64], offsets: tuple[float, float], width: float) -> Points:
    """Marks `(k, 4, 2)` straight across the path, one at each of the ways `(k,)`."""
    corners = ((-1, 0), (-1, 1), (1, 1), (1, 0))
    bars = [path.at(ways + half * width / 2, np.full(len(ways), offsets[end])) for half, end in corners]
    return np.stack(bars, axis=1)


def _shift(colour: Colour, by: float) -> Colour:
    return (colour[0] + by, colour[1] + by, colour[2] + by)
