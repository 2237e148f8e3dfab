"""How far scenes reach, how small and how many tiles may be, and how their size is said."""

from __future__ import annotations

SMALLEST_TILE = 32
"""Side in pixels: the stride of the coarsest features that detectors see."""
MOST_TILES = 1_000_000
"""A file of a few bytes can claim any number of pixels, and so of tiles."""
MOST_PX = 2**31 - 1
"""Farther from its corner than this no raster reaches."""


def size_words(size: tuple[int, int]) -> str:
    """A tile's size as settings say it: 1024, or 1568x1440 where width and height differ."""
    width, height = size
    return f"{width}" if width == height else f"{width}x{height}"
