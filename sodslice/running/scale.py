"""What the user should know of the scale at which a model sees a scene."""

from __future__ import annotations

from math import sqrt

from sodslice.inference import ModelInfo

LARGEST_FACTOR = 2.0
"""How much larger or smaller than in its training a model may see objects before the user is told."""
FEWEST_PX = 2.0
"""Pixels of the scene below which an object cannot be told from noise, whatever it is resampled to."""
USUAL_OBJECT_PX = 32.0
"""Side taken for objects of a model that does not say theirs: what COCO calls small ends there."""


def scale_notes(
    info: ModelInfo, side: int, *, own_gsd: float | None, seen_gsd: float | None, chosen: bool
) -> tuple[str, ...]:
    """What to say where the model sees objects much larger or smaller than in its training, or may.

    Args:
        info: of the model.
        side: of a tile, which the model resizes to its input.
        own_gsd: metres per pixel of the scene; None where unknown.
        seen_gsd: metres per pixel of the tiles; None where unknown.
        chosen: whether the user settled how large objects are seen: by `scale`, or by giving pixels that are
            in no file, of which nothing but their owner can know.
    """
    resized = side / max(info.input_size) if info.input_size else 1.0
    known = info.gsd_m
    if own_gsd is None or seen_gsd is None:
        return () if chosen else _where_unknown(info, resized)
    if not known:
        return ()
    if known * _typical_px(info) < FEWEST_PX * own_gsd:
        return (
            f"a pixel of the scene is {_length(own_gsd)} on the ground and the model's objects are "
            f"{_objects(info)}, so they cannot be seen there, whatever the scale",
        )
    seen = seen_gsd * resized
    if 1 / LARGEST_FACTOR <= seen / known <= LARGEST_FACTOR:
        return ()
    factor = known / seen
    words = f"{factor:.2g} times larger" if factor > 1 else f"{1 / factor:.2g} times smaller"
    return (
        f"the model sees {seen:.3g} m per pixel and was trained at {known:.3g}, so objects look "
        f"{words} than it knows them; try `gsd={known / resized:.3g}`",
    )


def _where_unknown(info: ModelInfo, resized: float) -> tuple[str, ...]:
    """What a user can compare with what is seen, where nothing else is known."""
    if info.object_px is None:
        return ()
    low, high = (pixels * resized for pixels in info.object_px)
    return (
        f"how large a pixel is on the ground is not known; the model expects objects of {low:.3g} to "
        f"{high:.3g} px: where they are larger or smaller, `scale` (below 1: smaller) brings them there",
    )


def _typical_px(info: ModelInfo) -> float:
    return sqrt(info.object_px[0] * info.object_px[1]) if info.object_px else USUAL_OBJECT_PX


def _objects(info: ModelInfo) -> str:
    """How long objects are on the ground, in words."""
    known = info.gsd_m or 0.0
    if info.object_px is None:
        return f"about {_length(known * USUAL_OBJECT_PX)}"
    low, high = info.object_px
    return f"{known * low:.2g} to {_length(known * high)}"


def _length(metres: float) -> str:
    return f"{metres:.3g} m" if metres < 999.5 else f"{metres / 1000:.3g} km"
