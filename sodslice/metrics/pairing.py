"""Which result belongs to which image of a truth: by the image's file name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from sodslice.errors import DataError, did_you_mean
from sodslice.metrics.layer import Layer

MOST_SHOWN = 3
"""How many images a message names."""


def pair_up(
    found: Sequence[Layer], truths: Sequence[Layer], *, partial: bool = False
) -> list[tuple[Layer, Layer]]:
    """Result and truth of each scene, in the order of the truth.

    One result and one truth belong together whatever their names. Several are matched by the stems of their
    images' file names; where a stem comes twice, by their folders.

    Args:
        found: the results.
        truths: the truths.
        partial: whether truths without a result are left out, not refused.

    Raises:
        DataError: a result has no truth, a truth no result, or two results are of one image.
    """
    if len(found) == 1 and len(truths) == 1:
        return [(found[0], truths[0])]
    by_stem: dict[str, list[int]] = {}
    for row, truth in enumerate(truths):
        by_stem.setdefault(_parts(truth.image)[0], []).append(row)
    taken: dict[int, Layer] = {}
    for layer in found:
        row = _row_of(layer, truths, by_stem)
        if row in taken:
            raise DataError(
                f"{layer.source} and {taken[row].source} are both results of {truths[row].image}; give one"
            )
        taken[row] = layer
    missing = [truth.image for row, truth in enumerate(truths) if row not in taken]
    if missing and not partial:
        raise DataError(
            f"{len(missing)} of {len(truths)} images of {truths[0].source} have no result: "
            f"{_shown(missing)}; run them too, or compare the others with --partial"
        )
    return [(taken[row], truth) for row, truth in enumerate(truths) if row in taken]


def _row_of(layer: Layer, truths: Sequence[Layer], by_stem: Mapping[str, Sequence[int]]) -> int:
    """The truth that names the same image: of one stem, the one that shares most folders."""
    mine = _parts(layer.image or layer.source)
    rows = by_stem.get(mine[0], ())
    if not rows:
        hint = did_you_mean(mine[0], by_stem)
        raise DataError(
            f"{layer.source} is about {layer.image or 'no named image'}, which the truth does not name{hint}"
        )
    shared = {row: _shared_end(mine, _parts(truths[row].image)) for row in rows}
    best = [row for row in rows if shared[row] == max(shared.values())]
    if len(best) > 1:
        could = _shown([truths[row].image for row in best])
        raise DataError(
            f"{layer.source} is about {layer.image}, which could be {could}; name the images by their folders"
        )
    return best[0]


def _parts(path: str) -> list[str]:
    """Folders and stem, last first."""
    pure = PurePath(path.replace("\\", "/"))
    return [pure.stem, *reversed(pure.parts[:-1])]


def _shared_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else ""
    return ", ".join(names[:MOST_SHOWN]) + more
