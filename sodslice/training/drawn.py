"""Canvases without objects that are drawn, not photographed: what a scene holds besides ground.

A detector that never saw a flat tile may answer it with certainty, and no photograph shows it one.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sodslice.system.opencv import opencv
from sodslice.training.pictures import Pixels


def draw_flat(rng: np.random.Generator, side: int) -> Pixels:
    """One colour, mostly grey, black or white, or a plain gradient, with or without faint noise."""
    kind = rng.integers(6)
    if kind == 0:
        colour = np.zeros(3)
    elif kind == 1:
        colour = np.full(3, 255.0)
    elif kind <= 3:
        colour = np.full(3, rng.uniform(0, 255))
    else:
        colour = rng.uniform(0, 255, 3)
    flat = np.broadcast_to(colour, (side, side, 3))
    if kind == 5:
        flat = flat + _slope(rng, side)[:, :, None] * rng.uniform(-120, 120, 3)
    if rng.random() < 0.3:
        flat = flat + rng.standard_normal((side, side, 1)) * rng.uniform(0.5, 6)
    return np.clip(flat, 0, 255).astype(np.uint8)


def draw_texture(rng: np.random.Generator, side: int) -> Pixels:
    """Ground, water, fields or roofs: clouds of noise, rows, waves and large plain shapes with edges."""
    ground = _two_colours(rng, _clouds(rng, side, rough=rng.uniform(0.3, 1.1)))
    kind = rng.integers(5)
    if kind == 1:
        ground = _add(ground, _waves(rng, side), rng.uniform(8, 50))
    elif kind == 2:
        glints = np.maximum(_clouds(rng, side, rough=1.4) - rng.uniform(0.7, 0.9), 0) * 8
        ground = _add(ground, np.minimum(glints, 1), rng.uniform(80, 200))
    elif kind == 3:
        for _ in range(int(rng.integers(1, 5))):
            ground = _draw_roof(rng, ground)
    elif kind == 4:
        ground = _draw_lines(rng, ground)
    return ground


def cover_border(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, npt.NDArray[np.bool_]]:
    """A scene's end inside the canvas: black or white beyond a straight, slightly ragged or stepped line.

    Returns:
        The pixels `(H, W, 3)`, and where they are covered `(H, W)` bool.
    """
    height, width = pixels.shape[:2]
    angle = rng.choice([0, 0.5, 1, 1.5]) * math.pi if rng.random() < 0.3 else rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    if rng.random() < 0.3:
        step = rng.integers(4, 33)
        x, y = np.repeat(x[:, ::step], step, axis=1)[:, :width], np.repeat(y[::step], step, axis=0)[:height]
    line = x * math.cos(angle) + y * math.sin(angle)
    if rng.random() < 0.3:
        line = line + 0.02 * rng.standard_normal((height, 1))
    covered = line > rng.uniform(0.05, 0.6)
    colour = (0, 0, 0) if rng.random() < 0.6 else (255, 255, 255)
    changed = pixels.copy()
    changed[covered] = colour
    return changed, covered


def _slope(rng: np.random.Generator, side: int) -> npt.NDArray[np.float64]:
    """A plane `(side, side)` from about -0.7 to 0.7 that rises in any direction."""
    angle = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[-0.5 : 0.5 : side * 1j, -0.5 : 0.5 : side * 1j]
    return np.asarray(x * math.cos(angle) + y * math.sin(angle))


def _clouds(rng: np.random.Generator, side: int, *, rough: float) -> npt.NDArray[np.float64]:
    """Noise of all sizes `(side, side)` in 0..1; the larger `rough`, the more of it is fine."""
    cv2 = opencv()
    total = np.zeros((side, side), dtype=np.float32)
    size, weight = 2, 1.0
    while size <= side:
        coarse = rng.random((size, size), dtype=np.float32)
        total += np.float32(weight) * cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
        size, weight = size * 2, weight * 0.6 * rough**0.5
    low, high = float(total.min()), float(total.max())
    return np.asarray((total - low) / max(high - low, 1e-6), dtype=np.float64)


def _two_colours(rng: np.random.Generator, share: npt.NDArray[np.float64]) -> Pixels:
    """Mix two natural colours by `share` `(H, W)`."""
    base = rng.uniform(20, 220) + rng.uniform(-35, 35, 3)
    other = base + rng.uniform(-60, 60) + rng.uniform(-15, 15, 3)
    return np.clip(base + (other - base) * share[:, :, None], 0, 255).astype(np.uint8)


def _add(pixels: Pixels, light: npt.NDArray[np.float64], amount: float) -> Pixels:
    return np.clip(pixels + amount * light[:, :, None], 0, 255).astype(np.uint8)


def _waves(rng: np.random.Generator, side: int) -> npt.NDArray[np.float64]:
    """Parallel rows `(side, side)` in -1..1, as ploughed fields, tiles and water show."""
    angle, period = rng.uniform(0, math.pi), math.exp(rng.uniform(math.log(3), math.log(40)))
    y, x = np.mgrid[:side, :side]
    phase = (x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period)
    wave = np.sin(phase + 2 * _clouds(rng, side, rough=0.4))
    return np.asarray(np.sign(wave) if rng.random() < 0.3 else wave)


def _draw_roof(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """A large turned rectangle with a shadow, a ridge and sometimes rows; too large for a vehicle."""
    cv2 = opencv()
    side = pixels.shape[0]
    size = rng.uniform(0.45, 1.2, 2) * side
    centre, angle = rng.uniform(0, side, 2), rng.uniform(0, 180)
    corners = cv2.boxPoints((centre.tolist(), size.tolist(), float(angle)))
    shadow = corners + rng.uniform(-0.06, 0.06, 2).astype(np.float32) * side
    changed = pixels.copy()
    cv2.fillPoly(changed, [np.rint(shadow).astype(np.int32)], (rng.uniform(10, 60, 3)).tolist())
    mask = np.zeros((side, side), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    roof = _two_colours(rng, _clouds(rng, side, rough=0.8))
    if rng.random() < 0.5:
        roof = _add(roof, _waves(rng, side), rng.uniform(5, 30))
    changed = np.where(mask[:, :, None] > 0, roof, changed)
    ridge = (corners[[0, 2]] + corners[[1, 3]]) / 2
    if rng.random() < 0.6:
        ends = np.rint(ridge).astype(int).tolist()
        cv2.line(changed, ends[0], ends[1], rng.uniform(0, 255, 3).tolist(), int(rng.integers(1, 4)))
    return np.asarray(changed)


def _draw_lines(rng: np.random.Generator, pixels: Pixels) -> Pixels:
    """Roads, paths, wires and markings: long thin lines right across."""
    cv2 = opencv()
    side = pixels.shape[0]
    changed = pixels.copy()
    for _ in range(int(rng.integers(1, 7))):
        ends = np.rint(rng.uniform(-0.5, 1.5, (2, 2)) * side).astype(int).tolist()
        width = int(math.exp(rng.uniform(0, math.log(side / 4))))
        cv2.line(changed, ends[0], ends[1], rng.uniform(0, 255, 3).tolist(), width, cv2.LINE_AA)
    return np.asarray(changed)
