"""How far scenes reach, and how small and how many tiles may be."""

from __future__ import annotations

SMALLEST_TILE = 32
"""Side in pixels: the stride of the coarsest features that detectors see."""
MOST_TILES = 1_000_000
"""A file of a few bytes can claim any number of pixels, and so of tiles."""
MOST_PX = 2**31 - 1
"""Farther from its corner than this no raster reaches."""
