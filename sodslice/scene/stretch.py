"""From a raster's own levels to 8 bits: one straight line per band, the same for all of a scene."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.scene.rendering import StretchRule
from sodslice.scene.rgb import looked_up

Pixels = npt.NDArray[np.uint8]

TABLES = 64
"""Tables of up to 64 KB that are kept."""

EXACT = 2**53
"""Up to here float64 holds every whole number; longer ones are no good in JSON."""

FLOAT32_LEVELS = 2**14
"""Levels up to which float32 is right to a thousandth of one."""

SMALL = 2.0**-700


@dataclass(frozen=True)
class FittedStretch:
    """The levels that a stretch came to: those that become 0 and 255, by band.

    What lies between is scaled, what lies outside is cut. The bare word stretch is for the rule that a user
    gives, a `StretchRule` or its text.

    Args:
        low: level of each band that becomes 0.
        high: level that becomes 255, above `low`.
        rule: how they were chosen, as the user would write it.
        sample: from which pixels, in words.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    rule: str
    sample: str

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form, for outputs."""
        low, high = ([v if abs(v) <= EXACT else float(v) for v in vs] for vs in (self.low, self.high))
        return {"rule": self.rule, "low": low, "high": high, "sample": self.sample}

    def apply(self, planes: npt.NDArray[Any]) -> list[Pixels]:
        """Planes `(H, W)` uint8, of planes `(bands, H, W)` of real numbers; NaN becomes 0."""
        return [_stretched(p, low, high) for p, low, high in zip(planes, self.low, self.high, strict=True)]


def fixed_stretch(
    rule: StretchRule, dtype: np.dtype[Any], count: int, bits: int | None
) -> FittedStretch | None:
    """The stretch that a rule gives without a look at the pixels; None where it takes one.

    Args:
        rule: what the user asked for.
        dtype: of the pixels.
        count: of bands.
        bits: significant bits of a pixel, where they are fewer than the type has.
    """
    few = bits is not None and bits < 8
    if rule.kind == "minmax":
        low, high = rule.low, rule.high
    elif rule.kind == "auto" and few:
        low, high = 0.0, float(2 ** (bits or 8) - 1)
    elif rule.kind == "none" or (rule.kind == "auto" and dtype == np.uint8):
        low, high = 0.0, 255.0
    else:
        return None
    if dtype.kind != "f":
        low, high = math.floor(low), math.ceil(high)
    return FittedStretch((low,) * count, (high,) * count, str(rule), "none: the levels were given")


def percentile_stretch(values: npt.NDArray[Any], rule: StretchRule, sample: str) -> FittedStretch:
    """Levels at two percentiles of a sample.

    Where the two coincide, as in a flat scene with a few bright things, the sample's least and greatest
    levels are taken, and where these coincide too, all that is above them becomes white.

    Args:
        values: `(bands, N)`, N at least 1, finite.
        rule: the percentiles.
        sample: from which pixels, in words.
    """
    lows, highs = [], []
    for band in values:
        low, high = np.percentile(band, [rule.low, rule.high]).tolist()
        if low >= high:
            low, high = float(band.min()), float(band.max())
        if values.dtype.kind != "f":
            low, high = round(low), round(high)
        if low >= high:
            step = 1 if values.dtype.kind != "f" else max(abs(low) * 1e-6, 1e-12)
            high = low + step
        lows.append(low)
        highs.append(high)
    return FittedStretch(tuple(lows), tuple(highs), str(rule), sample)


def _stretched(plane: npt.NDArray[Any], low: float, high: float) -> Pixels:
    """One plane `(H, W)` as uint8: by a table where its type has few levels, else by arithmetic."""
    if plane.dtype.kind == "f" or plane.dtype.itemsize > 2:
        return _computed(plane, low, high)
    return looked_up(plane.view(f"u{plane.dtype.itemsize}"), _table(plane.dtype, low, high))


@lru_cache(TABLES)
def _table(dtype: np.dtype[Any], low: float, high: float) -> Pixels:
    """What each level of a type of 8 or 16 bits becomes, in the order of their bits as whole numbers."""
    bits = np.arange(2 ** (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    table: Pixels = _computed(bits.view(dtype)[None], low, high)[0]
    table.flags.writeable = False
    return table


def _computed(plane: npt.NDArray[Any], low: float, high: float) -> Pixels:
    """One plane `(H, W)` as uint8, by arithmetic."""
    whole = plane.dtype.kind != "f" and plane.dtype.itemsize < 8  # float64 does not hold longer ones
    scale = _whole_numbers_as if whole else _floats_as
    with np.errstate(over="ignore"):
        return scale(plane, low, high).astype(np.uint8, copy=False)


def _whole_numbers_as(part: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[Any]:
    """Integers of up to 32 bits on the scale 0.5..255.5, since the cast to uint8 cuts.

    The limits are whole, and may lie far outside of what the type holds.
    """
    holds = np.iinfo(part.dtype)
    if low >= holds.max or high <= holds.min:
        return np.full(part.shape, 0 if low >= holds.max else 255, np.uint8)
    least, most = int(max(low, holds.min)), int(min(high, holds.max))
    slope = 127.5 / (high / 2 - low / 2)  # high - low can be more than a float holds
    rise = 0.5 - low * slope
    near = part.dtype.itemsize <= 2 and max(abs(rise), abs(most * slope)) < FLOAT32_LEVELS
    work: Any = np.float32 if near else np.float64
    scaled: npt.NDArray[Any] = np.multiply(
        part.clip(part.dtype.type(least), part.dtype.type(most)), work(slope), dtype=work
    )
    np.add(scaled, work(rise), out=scaled)
    return scaled


def _floats_as(part: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.float64]:
    """Floats, and integers of 64 bits, on the scale 0..255.5; what is not a number becomes 0."""
    reach = max(abs(low), abs(high))
    if not SMALL < reach < 1 / SMALL:  # where differences overflow, and quotients of them
        power = SMALL if reach > 1 else 1 / SMALL
        part, low, high = np.multiply(part, power, dtype=np.float64), low * power, high * power
    scaled: npt.NDArray[np.float64] = np.subtract(part, float(low), dtype=np.float64)
    np.multiply(scaled, 255 / (high - low), out=scaled)
    np.add(scaled, 0.5, out=scaled)
    np.fmax(scaled, 0, out=scaled)  # fmax takes the number where the other is none
    return np.minimum(scaled, 255, out=scaled)
