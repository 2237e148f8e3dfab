"""Times and numbers of pixels as people say them."""

from __future__ import annotations

FEW_SECONDS, FEW_MINUTES = 90, 90 * 60


def pixels_words(pixels: int, total: int | None = None) -> str:
    """A number of pixels, or of how many: "1.2 of 9.8 Gpx"."""
    largest = pixels if total is None else max(pixels, total)
    unit, size = ("Gpx", 1e9) if largest >= 1e9 else ("Mpx", 1e6)
    of = "" if total is None else f" of {total / size:.1f}"
    return f"{pixels / size:.1f}{of} {unit}"


def time_words(seconds: float) -> str:
    """A time as one says it: "40 s", "3 min", "2 h 10 min"."""
    if seconds < FEW_SECONDS:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if seconds < FEW_MINUTES else f"{minutes // 60} h {minutes % 60} min"
