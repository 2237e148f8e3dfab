"""`CanvasMaker`: the number of a canvas in, its pixels and objects out, the same ones each time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sodslice.training.cells import Cell, CutRule, Warp, place_warp, warp_objects, warp_pixels
from sodslice.training.disturb import add_noise, compress, recolour, refocus, veil
from sodslice.training.drawn import cover_border, draw_flat, draw_texture
from sodslice.training.pictures import NO_OBJECT_SIDE, Objects, Picture
from sodslice.training.settings import TrainSettings
from sodslice.training.sources import Source

CUT_JITTER = {2: 0.2, 3: 0.08, 4: 0.05}
"""How far a cut between cells may lie from an even division, as a share of the canvas's side."""


class CanvasMaker:
    """Draws canvases; canvas `n` depends on the seed and on `n` alone.

    Args:
        sources: where pictures come from.
        settings: of the training.
    """

    def __init__(self, sources: Sequence[Source], settings: TrainSettings) -> None:
        self._with_objects = [s for s in sources if not s.background and s.weight > 0]
        self._background = [s for s in sources if s.background and s.weight > 0]
        self._settings = settings
        self._closing = _closing_settings(settings)
        self._closing_from = settings.batch * round(settings.steps * (1 - settings.closing))
        self._rule = CutRule(settings.visible_share, settings.smallest_part, settings.smallest_object)

    def make(self, number: int) -> Cell:
        """Pixels `(side, side, 3)` uint8 RGB, and objects in canvas pixels."""
        settings = self._closing if number >= self._closing_from else self._settings
        rng = np.random.default_rng([settings.seed, number])
        kind = rng.random()
        if kind < settings.flat:
            return Cell(draw_flat(rng, settings.canvas), Objects.none())
        if kind < settings.flat + settings.texture:
            canvas = Cell(draw_texture(rng, settings.canvas), Objects.none())
        else:
            background = kind < settings.flat + settings.texture + settings.background
            canvas = self._mosaic(rng, settings, background=background and bool(self._background))
        return self._disturbed(rng, settings, canvas)

    def _mosaic(self, rng: np.random.Generator, settings: TrainSettings, *, background: bool) -> Cell:
        shares = np.array(settings.mosaic) / sum(settings.mosaic)
        count = 1 + int(rng.choice(len(shares), p=shares))
        columns, rows = (_cuts(rng, count, settings.canvas) for _ in range(2))
        pixels = np.empty((settings.canvas, settings.canvas, 3), dtype=np.uint8)
        objects = []
        for y0, y1 in pairwise(rows):
            for x0, x1 in pairwise(columns):
                cell = self._cell(rng, settings, (x1 - x0, y1 - y0), background=background)
                pixels[y0:y1, x0:x1] = recolour(cell.pixels, rng, settings.colour)
                objects.append(cell.objects.shifted(x0, y0))
        return Cell(pixels, Objects.concatenate(objects))

    def _cell(
        self, rng: np.random.Generator, settings: TrainSettings, size: tuple[int, int], *, background: bool
    ) -> Cell:
        aside = bool(self._background) and rng.random() < settings.background_pictures
        sources = self._background if background or aside else self._with_objects
        weights = np.array([source.weight for source in sources])
        picture = sources[int(rng.choice(len(sources), p=weights / weights.sum()))].draw(rng)
        warp = _random_warp(rng, settings, picture, size)
        mirrored = rng.random() < settings.mirror
        fill = None if mirrored else _fill_colour(rng, picture)
        pixels = warp_pixels(picture, warp, size, fill)
        return Cell(pixels, warp_objects(picture, warp, size, self._rule, mirrored=mirrored))

    def _disturbed(self, rng: np.random.Generator, settings: TrainSettings, canvas: Cell) -> Cell:
        pixels, objects = canvas
        if rng.random() < settings.haze:
            pixels = veil(pixels, rng)
        if rng.random() < settings.blur:
            pixels = refocus(pixels, rng)
        if rng.random() < settings.noise:
            pixels = add_noise(pixels, rng)
        if rng.random() < settings.nodata_border:
            pixels, covered = cover_border(pixels, rng)
            objects = _uncovered(objects, covered, self._rule.visible_share)
        if rng.random() < settings.jpeg:
            pixels = compress(pixels, rng)
        return Cell(pixels, objects)


def _closing_settings(settings: TrainSettings) -> TrainSettings:
    """Plain canvases for the last steps: no mosaic, half the disturbances."""
    shares = {
        name: getattr(settings, name) / 2
        for name in ("colour", "blur", "noise", "jpeg", "haze", "nodata_border")
    }
    return dataclasses.replace(settings, mosaic=(1.0,), **shares)


def _cuts(rng: np.random.Generator, count: int, side: int) -> list[int]:
    """Edges of `count` cells along one direction, 0 and `side` included."""
    jitter = CUT_JITTER.get(count, 0.0)
    cuts = [round(side * (i / count + rng.uniform(-jitter, jitter))) for i in range(1, count)]
    return [0, *cuts, side]


def _random_warp(
    rng: np.random.Generator, settings: TrainSettings, picture: Picture, size: tuple[int, int]
) -> Warp:
    """Scale, flip, rotation, stretch and place of one cell of `size` width, height."""
    objects = picture.objects[~picture.objects.ignored]
    side = picture.object_side or NO_OBJECT_SIDE
    focus = rng.uniform(0, 1, 2) * (picture.width, picture.height)
    if len(objects) and rng.random() < settings.near_object:
        x0, y0, x1, y1 = objects.boxes[int(rng.integers(len(objects)))]
        focus = np.array([x0 + x1, y0 + y1]) / 2
        # A lorry among cars is enlarged less than it could be, so that the cars keep their size.
        side = math.sqrt(side * float(np.clip(max(x1 - x0, y1 - y0), side / 3, side * 3)))
    low, high = np.log(settings.object_size)
    scale = math.exp(rng.triangular(low, (low + high) / 2, high) if high > low else low) / side
    stretch = math.exp(rng.uniform(-settings.aspect, settings.aspect) / 2)
    turned = bool(rng.random() < picture.free_rotation)
    angle = rng.uniform(0, 2 * math.pi) if turned else float(rng.integers(4)) * math.pi / 2
    cosine, sine = (
        (math.cos(angle), math.sin(angle)) if turned else (round(math.cos(angle)), round(math.sin(angle)))
    )
    matrix = np.diag([scale * stretch, scale / stretch]) @ np.array([(cosine, -sine), (sine, cosine)])
    if rng.random() < 0.5:
        matrix = matrix @ np.diag([-1.0, 1.0])
    place = rng.uniform(0, 1, 2) * size
    return place_warp(matrix, focus, place, size, picture, turned=turned)


def _fill_colour(rng: np.random.Generator, picture: Picture) -> tuple[int, int, int]:
    """Black, white, the picture's mean or any grey, for what lies beyond a picture."""
    kind = rng.integers(4)
    if kind == 3:
        red, green, blue = picture.levels[-1].reshape(-1, 3).mean(axis=0)
        return int(red), int(green), int(blue)
    grey = (0, 255, int(rng.integers(256)))[kind]
    return grey, grey, grey


def _uncovered(objects: Objects, covered: npt.NDArray[np.bool_], visible_share: float) -> Objects:
    """Objects that a cover `(H, W)` leaves visible; partly hidden ones are ignored, hidden ones gone."""
    shares = np.zeros(len(objects))
    for i, (x0, y0, x1, y1) in enumerate(objects.boxes):
        shares[i] = covered[math.floor(y0) : math.ceil(y1), math.floor(x0) : math.ceil(x1)].mean()
    ignored = objects.ignored | (shares > min(0.2, 1 - visible_share))
    return Objects(objects.boxes, objects.labels, ignored)[shares < 1]
