"""Colours of classes: as unlike each other as they can be, also to the colour-blind."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

FIRST = ("#d55e00", "#0072b2", "#f0e442", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito's, which the colour-blind tell apart; vermilion first, which shows on roads and on grass."""

OTHER: Colour = (255, 255, 255)
"""Of what is of no known class."""

DARK: Colour = (20, 20, 20)
LIGHT: Colour = (255, 255, 255)
BRIGHT_FROM = 140
"""Luma of a colour from which text on it is dark."""

AT_ONCE = 64
"""So many colours are chosen together."""

HUES, LIGHTNESSES, SATURATIONS = 36, (0.38, 0.5, 0.62, 0.74, 0.86), (0.5, 0.75, 1.0)
DARKEST, PALEST = 40, 92
"""CIELAB's L of the colours to choose from: others are lost on asphalt and on roofs."""

EYES = np.array(
    [
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ]
)
"""What most people, protanopes and deuteranopes see of linear red, green, blue (Machado and others, 2009)."""

TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Of linear sRGB under daylight (D65)."""


@lru_cache
def class_colours(count: int) -> tuple[Colour, ...]:
    """Colours for so many classes; those of fewer classes are the first of them.

    Each is the one of a table that is least like any before it, by the worst of three eyes. When all 449
    are taken, they come again.
    """
    chosen = [_named(word) for word in FIRST]
    table = _table()
    seen, gap = _seen(table), np.full(len(table), np.inf)
    for colour in (OTHER, *chosen):
        gap = np.minimum(gap, _unlikeness(seen, _seen(np.array([colour]))))
    while len(chosen) < count and gap.max() > 0:
        best = int(np.round(gap, 6).argmax())
        red, green, blue = table[best].tolist()
        chosen.append((red, green, blue))
        gap = np.minimum(gap, _unlikeness(seen, seen[:, best : best + 1]))
    return tuple(chosen[number % len(chosen)] for number in range(count))


def colour_of(number: int) -> Colour:
    """The colour of a class by its number."""
    return class_colours(number - number % AT_ONCE + AT_ONCE)[number]


def text_colour_on(colour: Colour) -> Colour:
    """The colour in which text on another is read."""
    red, green, blue = colour
    return DARK if 0.299 * red + 0.587 * green + 0.114 * blue > BRIGHT_FROM else LIGHT


def _named(word: str) -> Colour:
    red, green, blue = bytes.fromhex(word[1:])
    return red, green, blue


def _table() -> NDArray[np.int64]:
    """Colours `(N, 3)` to choose from."""
    made = product(range(HUES), LIGHTNESSES, SATURATIONS)
    shares = [colorsys.hls_to_rgb(hue / HUES, lightness, saturation) for hue, lightness, saturation in made]
    table = np.round(255 * np.array(shares)).astype(np.int64)
    lightness = _seen(table)[0, :, 0]
    return table[(lightness >= DARKEST) & (lightness <= PALEST)]


def _seen(colours: NDArray[np.int64]) -> NDArray[np.float64]:
    """CIELAB `(3 eyes, N, 3)` of colours `(N, 3)`."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = np.clip(np.einsum("eij,nj->eni", EYES, linear), 0, 1) @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    root = np.where(light > 0.008856, np.cbrt(light), 7.787 * light + 16 / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _unlikeness(seen: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances `(N,)` of colours, as they are seen, to another: the least of those of all eyes."""
    least: NDArray[np.float64] = np.linalg.norm(seen - other, axis=-1).min(axis=0)
    return least
