"""What the pipeline asks of a model, and what a model says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.tables.detections import Detections

Pixels = npt.NDArray[np.uint8]

SCORE_FLOOR = 0.01
"""Boxes below it are never kept; the thresholds of users apply after the merge."""

KEPT_FROM = 0.1
"""A tile's boxes of that score or more are all kept, however many: lower ones are noise, of which there are
thousands a tile, unless a user's threshold is lower still."""


@dataclass(frozen=True)
class ModelInfo:
    """What a user may want to know about a model, and what the pipeline must.

    Args:
        class_names: names of the labels 0..C-1.
        name: what outputs call the model.
        input_size: (height, width) in pixels that the model takes, tiles of other sizes are resized to it;
            None where it takes any size.
        stride: with `input_size` None: tiles are padded to multiples of it.
        threshold: score that its makers recommend.
        scores_from: score below which it keeps boxes to itself; thresholds below it are refused.
        suppressed: whether its boxes have already been through NMS within the tile.
        max_per_tile: number of boxes per tile at which it stops; None where it does not. A tile for which it
            gives that many, all scored `KEPT_FROM` or more, is looked at again in parts. Of an exported graph
            it is what its files say; where that can be changed, it does not stop there when it is loaded.
        preprocess: what is done to a tile's pixels, one word each.
        gsd_m: ground sample distance of its training images in metres, where known.
        object_px: least and greatest longer side in pixels of the objects that it knows, where known.
        licence: what may be done with the weights, in a sentence.
        sha256: hash of its files, or of whatever its detections depend on. Where it is "", runs cannot be
            resumed, since one such model cannot be told from another.
    """

    class_names: tuple[str, ...]
    name: str = "custom"
    input_size: tuple[int, int] | None = None
    stride: int = 32
    threshold: float = 0.5
    suppressed: bool = False
    max_per_tile: int | None = None
    preprocess: tuple[str, ...] = ()
    gsd_m: float | None = None
    object_px: tuple[float, float] | None = None
    licence: str = ""
    sha256: str = ""
    scores_from: float = 0.0


class Detector(Protocol):
    """What is asked of a model of somebody else's making; anyone's class fits."""

    @property
    def info(self) -> ModelInfo:
        """Facts about the model."""

    def detect(self, pixels: Pixels) -> list[Detections]:
        """Boxes in each tile of a batch.

        Args:
            pixels: `(B, H, W, 3)` uint8 RGB.

        Returns:
            One table per tile, in order: boxes in tile pixels, tile_ids the row in the batch.
        """


class Look(NamedTuple):
    """What was seen in a tile.

    Fields: `found`, in tile pixels; `whole_from`, the score from which on that is all of it: 0 where nothing
    was cut short.
    """

    found: Detections
    whole_from: float = 0.0


def just_above(score: float) -> float:
    """The next score: from there on nothing is missing where boxes of `score` itself were left out."""
    return float(np.nextafter(np.float32(score), np.float32(2)))


class ReadyDetector(Detector, Protocol):
    """A model that is loaded: what the inside of sodslice asks of every detector."""

    @property
    def engine(self) -> str:
        """What runs it, in words, for the output."""

    def close(self) -> None:
        """Give back what it holds; it detects no more. Closing twice does no harm."""


@runtime_checkable
class ThoroughDetector(Protocol):
    """A detector that can be told down to which score nothing may be cut short."""

    def look_down_to(self, pixels: Pixels, lowest: float) -> list[Look]:
        """As `Detector.detect`, and down to which score that is all.

        Args:
            pixels: `(B, H, W, 3)` uint8 RGB.
            lowest: score down to which all boxes are wanted.
        """


@runtime_checkable
class FittedDetector(Protocol):
    """A detector that found out by itself how many tiles a call are fast."""

    batch: int


@runtime_checkable
class ConcurrentDetector(Protocol):
    """A detector that says whether it may be called from several threads: it makes its graph wait itself."""

    concurrent: bool


@runtime_checkable
class ExpectingDetector(Protocol):
    """A detector that makes itself ready for tiles of a size, where it is told in time."""

    def expect(self, side: tuple[int, int], *, many: bool) -> None:
        """Be ready for tiles; safe to call while others detect.

        Args:
            side: their height and width in pixels.
            many: so many come that it pays to take half a second over it.
        """


OWN_ENGINE = "its own"
"""The engine of detectors that do not say what runs them."""


class ForeignDetector:
    """A detector of somebody else's making, with defaults for what it does not have.

    Args:
        detector: whatever fits `Detector`; closing it is its owner's affair.
    """

    engine = OWN_ENGINE

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.info = detector.info

    def detect(self, pixels: Pixels) -> list[Detections]:
        """See `Detector`."""
        return self._detector.detect(pixels)

    def close(self) -> None:
        """Nothing that is ours."""


def as_ready(model: Any) -> ReadyDetector:
    """A detector from an object that a caller gives, refused now if it lacks something.

    Args:
        model: with `info` and `detect`; with `engine` and `close` too, it stays as it is.

    Raises:
        ModelError: it lacks `info` or `detect`, or its info is none of a model.
    """
    lacking = [name for name in ("info", "detect") if not hasattr(model, name)]
    if lacking or not callable(model.detect):
        lacks = f"; it lacks {' and '.join(lacking)}" if len(lacking) == 1 else ""
        raise ModelError(
            f"a model must be a name, a path, or have `info` and `detect`, got {type(model).__name__}{lacks}"
        )
    if not isinstance(model.info, ModelInfo):
        raise ModelError(
            f"`info` of the model {type(model).__name__} must be a ModelInfo, got {type(model.info).__name__}"
        )
    check_info(model.info)
    if isinstance(getattr(model, "engine", None), str) and callable(getattr(model, "close", None)):
        ready: ReadyDetector = model
        return ready
    return ForeignDetector(model)


def check_info(info: ModelInfo) -> None:
    """Refuse facts that would fail later, or mislead.

    Raises:
        ModelError: the classes have no names, or a number is none.
    """
    names = info.class_names
    if not isinstance(names, tuple) or not names or not all(isinstance(name, str) and name for name in names):
        raise ModelError(
            f"the model {info.name} must name its classes as a tuple of words, got class_names={names!r}"
        )
    for name, right, words in (
        ("threshold", _is_score(info.threshold), "a score from 0 to 1"),
        ("scores_from", _is_score(info.scores_from), "a score from 0 to 1"),
        ("stride", _is_whole(info.stride), "a number of pixels from 1 on"),
        ("max_per_tile", info.max_per_tile is None or _is_whole(info.max_per_tile), "a number from 1 on"),
        ("input_size", info.input_size is None or _is_size(info.input_size), "height and width in pixels"),
        ("gsd_m", info.gsd_m is None or (_is_number(info.gsd_m) and info.gsd_m > 0), "metres above 0"),
        ("object_px", info.object_px is None or _is_range(info.object_px), "two sides in pixels, rising"),
    ):
        if not right:
            raise ModelError(
                f"the model {info.name} must have {words} as {name}, got {getattr(info, name)!r}"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_score(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0


def _is_size(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_whole, value))


def _is_range(value: Any) -> bool:
    numbers = isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
    return numbers and 0 < value[0] <= value[1]
