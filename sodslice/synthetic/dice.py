"""Random numbers that depend on a name and a place, never on the order in which things are drawn.

Only the raw words of PCG64 are used, whose stream numpy promises to keep (`Generator`'s methods may change),
so a seed keeps its town.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

CELL_ZERO = 1 << 31
"""Added to cell numbers, since a seed sequence takes no negative words."""


class Dice:
    """The throws of one stream: equal arguments give equal throws.

    Args:
        seed: the scene's seed.
        stream: what the throws are for; streams do not disturb each other.
        cell: whole numbers that say where, for example a block's column and row.
    """

    def __init__(self, seed: int, stream: str, *cell: int) -> None:
        words = [seed, zlib.crc32(stream.encode()), *(number + CELL_ZERO for number in cell)]
        self._bits = np.random.PCG64(np.random.SeedSequence(words))

    def many(self, *shape: int) -> npt.NDArray[np.float64]:
        """Uniform throws in [0, 1) of the shape given."""
        words = np.asarray(self._bits.random_raw(math.prod(shape)), dtype=np.uint64)
        uniform: npt.NDArray[np.float64] = (words >> np.uint64(11)) * 2.0**-53
        return uniform.reshape(shape)

    def bytes(self, *shape: int) -> npt.NDArray[np.uint8]:
        """Uniform bytes of the shape given; the fastest throws, for noise."""
        count = math.prod(shape)
        words = np.asarray(self._bits.random_raw(-(-count // 8)), dtype="<u8")
        return words.view(np.uint8)[:count].reshape(shape)

    def between(self, low: float, high: float) -> float:
        """One uniform throw in [low, high)."""
        return low + (high - low) * self._throw()

    def chance(self, probability: float) -> bool:
        """Whether something of this probability happens."""
        return self._throw() < probability

    def whole(self, low: int, high: int) -> int:
        """One of the whole numbers low..high, both included."""
        return low + int((high - low + 1) * self._throw())

    def pick(self, items: Sequence[Any], weights: Sequence[float] | None = None) -> Any:
        """One of the items, with the weights given or all alike."""
        if weights is None:
            return items[self.whole(0, len(items) - 1)]
        steps = np.cumsum(weights)
        place = int(np.searchsorted(steps, self._throw() * float(steps[-1]), side="right"))
        return items[min(place, len(items) - 1)]

    def bell(self, spread: float) -> float:
        """One throw of a bell curve around 0 with the standard deviation given (sum of twelve uniforms)."""
        return spread * (float(self.many(12).sum()) - 6.0)

    def _throw(self) -> float:
        """One uniform throw in [0, 1): the upper 53 bits of a word."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53
