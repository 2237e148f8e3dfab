"""From tile pixels to a graph's input, as a PaddleDetection export's `Preprocess` list says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError, did_you_mean
from sodslice.inference.detector import Pixels
from sodslice.system.opencv import opencv
from sodslice.values.records import read_fields

Images = npt.NDArray[np.float32]
Step = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""From tiles `(B, H, W, 3)` to such."""
Scale = tuple[float, float]
Sides = Any
"""What a yml has for height and width in pixels: a list of two, or one number for both."""
Levels = Any
"""What a yml has for channels: a list of three numbers, or one for all."""

LARGEST_SIDE = 1 << 16
LARGEST_LEVEL = float(np.finfo(np.float32).max)

INTERPOLATIONS = {0: "nearest", 1: "linear", 2: "cubic", 3: "area", 4: "lanczos"}
"""PaddleDetection's `interp` numbers are OpenCV's flags."""
NORM_TYPES = ("mean_std", "none")


@dataclass(frozen=True)
class Preprocess:
    """The `Preprocess` list of an `inference.yml`.

    Args:
        operations: the list, one mapping with a `type` each.
        stride: where no operation fixes the size, tiles are padded (right and bottom, black) to multiples
            of this many pixels.

    Raises:
        ModelError: an operation is unknown, misses what it needs, or has a value that cannot be obeyed.
    """

    operations: tuple[Mapping[str, Any], ...]
    stride: int = 32
    _steps: tuple[Step, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps = [_step(operation) for operation in self.operations]
        last = _step({"type": "PadStride", "stride": self.stride})
        if not any(isinstance(step, (_Resize, _Pad, _PadStride)) for step in steps):
            steps.append(last)
        object.__setattr__(self, "_steps", tuple(steps))

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) that tiles are stretched to; None where their size is kept."""
        resizes = (step for step in self._steps if isinstance(step, _Resize) and not step.keep_ratio)
        return next((_pair(step.target_size) for step in resizes), None)

    def describe(self) -> tuple[str, ...]:
        """One word per step, for people."""
        words = [str(operation["type"]) for operation in self.operations if operation["type"] != "Permute"]
        return tuple(words) or ("none",)

    @property
    def keeps_levels(self) -> bool:
        """Whether the graph takes levels 0..255, so that tiles may stay uint8 until they are in it."""
        return not any(isinstance(step, _Normalize) for step in self._steps)

    def shaped(self, pixels: Pixels) -> tuple[npt.NDArray[Any], Scale]:
        """A batch of tiles in the size and the numbers that the graph wants, channels still last.

        Args:
            pixels: `(B, H, W, 3)` uint8 RGB.

        Returns:
            `(B, h, w, 3)`, uint8 where the graph takes levels, and the scale (h / H, w / W) of the resizing,
            without padding.

        Raises:
            ModelError: a tile is larger than the size that the list pads it to.
        """
        scale = (1.0, 1.0)
        images: npt.NDArray[Any] = pixels
        for step in self._steps:
            if isinstance(step, _Resize):
                scale = step.scale(*images.shape[1:3])
            images = step(images)
        return images, scale

    def __call__(self, pixels: Pixels) -> tuple[Images, Scale]:
        """As `shaped`, channels first: `(B, 3, h, w)` float32."""
        images, scale = self.shaped(pixels)
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32), scale


def _step(operation: Mapping[str, Any]) -> Step:
    """What an operation asks for.

    Raises:
        ModelError: see `Preprocess`.
    """
    name = operation.get("type")
    if name not in list(_STEPS):
        raise ModelError(
            f"the model asks for the preprocessing {name!r}, known are {', '.join(sorted(_STEPS))}"
            f"{did_you_mean(str(name), list(_STEPS))}"
        )
    kind = _STEPS[str(name)]
    try:
        return kind(**read_fields(kind, operation, str(name)))
    except (ValueError, OverflowError) as error:
        raise ModelError(
            f"the model asks for preprocessing that cannot be done: {error}; correct the model's yml"
        ) from None


@dataclass(frozen=True)
class _Resize:
    """Tiles at a target size: stretched to it, or as large as fits into it."""

    target_size: Sides = None
    keep_ratio: bool = True
    interp: int = 1

    def __post_init__(self) -> None:
        _check_sides("Resize needs a target_size", self.target_size)
        if self.interp not in INTERPOLATIONS:
            known = ", ".join(f"{number} {word}" for number, word in INTERPOLATIONS.items())
            raise ValueError(f"Resize knows interp {known}, got {self.interp!r}")

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        target = self._target(*images.shape[1:3])
        if target == images.shape[1:3]:
            return images
        return np.stack([opencv().resize(one, target[::-1], interpolation=self.interp) for one in images])

    def scale(self, height: int, width: int) -> Scale:
        """What a tile's height and width are multiplied by; (1, 1) where that changes no pixel."""
        target = self._target(height, width)
        if target == (height, width):
            return 1.0, 1.0
        if self.keep_ratio:
            factor = self._factor(height, width)
            return factor, factor
        return target[0] / height, target[1] / width

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if not self.keep_ratio:
            return _pair(self.target_size)
        factor = self._factor(height, width)
        return max(1, round(height * factor)), max(1, round(width * factor))

    def _factor(self, height: int, width: int) -> float:
        target = _pair(self.target_size)
        return min(min(target) / min(height, width), max(target) / max(height, width))


@dataclass(frozen=True)
class _Normalize:
    """Levels from 0 to 1, and in deviations from a mean, as float32."""

    mean: Levels = None
    std: Levels = None
    is_scale: bool = True
    norm_type: str = "mean_std"

    def __post_init__(self) -> None:
        if self.norm_type not in NORM_TYPES:
            raise ValueError(
                f"NormalizeImage knows norm_type {' and '.join(NORM_TYPES)}, got {self.norm_type!r}"
            )
        if self.norm_type == "none":
            return
        right = _are_levels(self.mean, -LARGEST_LEVEL, LARGEST_LEVEL)
        right = right and _are_levels(self.std, -LARGEST_LEVEL, LARGEST_LEVEL)
        if not right or not np.asarray(self.std, np.float32).all():
            raise ValueError(
                "NormalizeImage needs three numbers each as mean and std, none of std 0, "
                f"got {self.mean!r} and {self.std!r}"
            )

    def __call__(self, images: npt.NDArray[Any]) -> Images:
        values = images.astype(np.float32)
        if self.is_scale:
            values *= np.float32(1 / 255)
        if self.norm_type == "mean_std":
            mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
            values = (values - mean) / std
        return values


@dataclass(frozen=True)
class _PadStride:
    """Tiles with black on the right and at the bottom, up to the next multiple of a stride."""

    stride: int = 0

    def __post_init__(self) -> None:
        _check_stride("PadStride needs a stride", self.stride)

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.stride <= 1:
            return images
        height, width = (-(-side // self.stride) * self.stride for side in images.shape[1:3])
        return _padded(images, height, width, 0)


@dataclass(frozen=True)
class _Pad:
    """Tiles with a colour on the right and at the bottom, up to a size; without one as `_PadStride`."""

    size: Sides = None
    size_divisor: int = 32
    fill_value: Levels = 114.0

    def __post_init__(self) -> None:
        if self.size is not None:
            _check_sides("Pad needs a size", self.size)
        _check_stride("Pad needs a size_divisor", self.size_divisor)
        if not _are_levels(self.fill_value, 0, 255):
            raise ValueError(
                f"Pad needs a level from 0 to 255, or three, as fill_value, got {self.fill_value!r}"
            )

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.size is None:
            return _PadStride(self.size_divisor)(images)
        height, width = _pair(self.size)
        if images.shape[1] > height or images.shape[2] > width:
            raise ModelError(
                f"the model pads to {width} x {height}, "
                f"but its image is {images.shape[2]} x {images.shape[1]}"
            )
        return _padded(images, height, width, self.fill_value)


@dataclass(frozen=True)
class _Permute:
    """Tiles as they are: what is done to the others ends with the channels first anyway."""

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return images


_STEPS: Mapping[str, Callable[..., Step]] = {
    "NormalizeImage": _Normalize,
    "Pad": _Pad,
    "PadStride": _PadStride,
    "Permute": _Permute,
    "Resize": _Resize,
}


def _pair(sides: Sides) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else (sides[0], sides[1])


def _check_sides(needed: str, sides: Sides) -> None:
    row = [sides, sides] if isinstance(sides, int) else _row(sides)
    if len(row) != 2 or not all(isinstance(side, int) and _is_within(side, 1, LARGEST_SIDE) for side in row):
        raise ValueError(f"{needed} [height, width] in pixels, from 1 to {LARGEST_SIDE}, got {sides!r}")


def _check_stride(needed: str, stride: int) -> None:
    if not 0 <= stride <= LARGEST_SIDE:
        raise ValueError(f"{needed} in pixels, from 0 to {LARGEST_SIDE}, got {stride!r}")


def _are_levels(given: Levels, low: float, high: float) -> bool:
    """Whether it is a number for each channel, or one for all, all within limits."""
    row = _row(given)
    return len(row) in (1, 3) and all(_is_within(level, low, high) for level in row)


def _row(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _is_within(given: Any, low: float, high: float) -> bool:
    """Whether it is a number, and not true or false, from `low` to `high`."""
    return isinstance(given, (int, float)) and not isinstance(given, bool) and low <= given <= high


def _padded(images: npt.NDArray[Any], height: int, width: int, fill: Levels) -> npt.NDArray[Any]:
    """Tiles `(B, height, width, 3)` with the fill on the right and at the bottom."""
    if images.shape[1:3] == (height, width):
        return images
    canvas = np.empty((len(images), height, width, images.shape[3]), images.dtype)
    canvas[:] = np.asarray(fill, images.dtype)
    canvas[:, : images.shape[1], : images.shape[2]] = images
    return canvas
