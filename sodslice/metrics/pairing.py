"""Which result belongs to which image of a truth: by the image's file name."""

from __future__ import annotations

import unicodedata
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
    images' file names; where a stem comes twice, by their folders, then by their suffixes. Letters count as
    they look, in whatever way Unicode composes them.

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
        by_stem.setdefault(_stem(truth.image), []).append(row)
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
            f"{_shown(missing)}; run them too, or compare the others with `partial`"
        )
    return [(taken[row], truth) for row, truth in enumerate(truths) if row in taken]


def other_names(found: Layer, truth: Layer) -> bool:
    """Whether both sides name their image, and not alike."""
    return bool(found.image and truth.image) and _stem(found.image) != _stem(truth.image)


def _row_of(layer: Layer, truths: Sequence[Layer], by_stem: Mapping[str, Sequence[int]]) -> int:
    """The truth that names the same image: of one stem, the one that shares most folders, then the suffix."""
    name = layer.image or layer.source
    rows = by_stem.get(_stem(name), ())
    if not rows:
        hint = did_you_mean(_stem(name), by_stem)
        raise DataError(
            f"{layer.source} is about {layer.image or 'no named image'}, which the truth does not name{hint}"
        )
    shared = {row: _likeness(name, truths[row].image) for row in rows}
    best = [row for row in rows if shared[row] == max(shared.values())]
    if len(best) > 1:
        could = _shown([truths[row].image for row in best])
        raise DataError(
            f"{layer.source} is about {layer.image}, which could be {could}; "
            "name the images by their folders and suffixes"
        )
    return best[0]


def _likeness(one: str, other: str) -> tuple[int, bool]:
    """How many folders two names share, counted from the file, and whether their suffixes are the same."""
    mine, theirs = _path(one), _path(other)
    return _shared_end(mine.parts[-2::-1], theirs.parts[-2::-1]), mine.suffix.lower() == theirs.suffix.lower()


def _stem(path: str) -> str:
    return _path(path).stem


def _path(path: str) -> PurePath:
    return PurePath(unicodedata.normalize("NFC", path).replace("\\", "/"))


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
