"""From tile pixels to a graph's input, as a PaddleDetection export's `Preprocess` list says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError, did_you_mean
from sodslice.inference.detector import Pixels
from sodslice.system.opencv import opencv

Images = npt.NDArray[np.float32]
Step = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

LARGEST_SIDE = 1 << 16

INTERPOLATIONS = {0: "nearest", 1: "linear", 2: "cubic", 3: "area", 4: "lanczos"}
"""PaddleDetection's `interp` numbers are OpenCV's flags."""


@dataclass(frozen=True)
class Preprocess:
    """The `Preprocess` list of an `inference.yml`.

    Args:
        operations: the list, one mapping with a `type` each.
        stride: where no operation fixes the size, tiles are padded (right and bottom, black) to multiples
            of this many pixels.

    Raises:
        ModelError: an operation is unknown or misses what it needs.
    """

    operations: tuple[Mapping[str, Any], ...]
    stride: int = 32

    def __post_init__(self) -> None:
        for operation in self.operations:
            kind = operation.get("type")
            known = [*_STEPS, "Resize", "Permute"]
            if kind not in known:
                raise ModelError(
                    f"the model asks for the preprocessing {kind!r}, known are {', '.join(sorted(known))}"
                    f"{did_you_mean(str(kind), known)}"
                )
            if kind == "Resize":
                _target_size(operation)
                _interpolation(operation)
            elif kind == "NormalizeImage":
                _mean_and_std(operation)
            elif kind in ("Pad", "PadStride"):
                _check_padding(operation)

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) that tiles are stretched to; None where their size is kept."""
        for operation in self.operations:
            if operation["type"] == "Resize" and not operation.get("keep_ratio", True):
                return _target_size(operation)
        return None

    def describe(self) -> tuple[str, ...]:
        """One word per step, for people."""
        words = [str(operation["type"]) for operation in self.operations if operation["type"] != "Permute"]
        return tuple(words) or ("none",)

    def __call__(self, pixels: Pixels) -> tuple[Images, tuple[float, float]]:
        """The graph's input for a batch of tiles.

        Args:
            pixels: `(B, H, W, 3)` uint8 RGB.

        Returns:
            `(B, 3, h, w)` float32 and the scale (h / H, w / W) of the resizing, without padding.
        """
        scale = (1.0, 1.0)
        images: npt.NDArray[Any] = pixels
        for operation in self.operations:
            if operation["type"] == "Resize":
                images, scale = _resize(images, operation)
            elif operation["type"] in _STEPS:
                images = _STEPS[operation["type"]](images, operation)
        if not any(operation["type"] in ("Resize", "Pad", "PadStride") for operation in self.operations):
            images = _pad_stride(images, {"stride": self.stride})
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2), dtype=np.float32), scale


def _target_size(operation: Mapping[str, Any]) -> tuple[int, int]:
    size = operation.get("target_size")
    size = [size, size] if isinstance(size, int) else size
    if (
        not isinstance(size, Sequence)
        or len(size) != 2
        or not all(isinstance(s, int) and 0 < s <= LARGEST_SIDE for s in size)
    ):
        raise ModelError(f"Resize needs a target_size [height, width] in pixels, got {size!r}")
    return size[0], size[1]


def _interpolation(operation: Mapping[str, Any]) -> int:
    number = operation.get("interp", 1)
    if number not in list(INTERPOLATIONS):
        raise ModelError(
            f"Resize knows interp {', '.join(f'{n} {w}' for n, w in INTERPOLATIONS.items())}, got {number!r}"
        )
    return int(number)


def _resize(
    images: npt.NDArray[Any], operation: Mapping[str, Any]
) -> tuple[npt.NDArray[Any], tuple[float, float]]:
    """Tiles `(B, H, W, 3)` at the target size and the scale (h / H, w / W)."""
    height, width = images.shape[1:3]
    target = _target_size(operation)
    if operation.get("keep_ratio", True):
        factor = min(min(target) / min(height, width), max(target) / max(height, width))
        scale = (factor, factor)
        target = (round(height * factor), round(width * factor))
    else:
        scale = (target[0] / height, target[1] / width)
    if target == (height, width):
        return images, (1.0, 1.0)
    flag = _interpolation(operation)
    resized = [opencv().resize(image, target[::-1], interpolation=flag) for image in images]
    return np.stack(resized), scale


def _normalize(images: npt.NDArray[Any], operation: Mapping[str, Any]) -> Images:
    values = images.astype(np.float32)
    if operation.get("is_scale", True):
        values *= np.float32(1 / 255)
    if operation.get("norm_type", "mean_std") == "mean_std":
        mean, std = _mean_and_std(operation)
        values = (values - mean) / std
    return values


def _mean_and_std(operation: Mapping[str, Any]) -> tuple[Any, Any]:
    """Mean and standard deviation of the channels, three numbers each or one for all."""
    if operation.get("norm_type", "mean_std") != "mean_std":
        return 0.0, 1.0
    try:
        mean, std = np.float32(operation["mean"]), np.float32(operation["std"])
        shape = np.broadcast_shapes(np.shape(mean), np.shape(std), (3,))
        right = shape == (3,) and bool(np.all(np.isfinite(mean) & np.isfinite(std) & (std != 0)))
    except (KeyError, TypeError, ValueError):
        right = False
    if not right:
        raise ModelError(
            "NormalizeImage needs three numbers each as mean and std, none of std 0, "
            f"got {operation.get('mean')!r} and {operation.get('std')!r}"
        )
    return mean, std


def _check_padding(operation: Mapping[str, Any]) -> None:
    """Refuse a size, a stride or a fill that is none.

    Raises:
        ModelError: there is one.
    """
    kind, fill = operation["type"], operation.get("fill_value", 114)
    try:
        np.broadcast_to(np.asarray(fill, np.uint8), (3,))
    except (TypeError, ValueError, OverflowError):
        raise ModelError(f"{kind} needs a level, or three, as fill_value, got {fill!r}") from None
    if kind == "Pad" and operation.get("size") is not None:
        _target_size({"target_size": operation["size"]})
        return
    name = "stride" if kind == "PadStride" else "size_divisor"
    stride = operation.get(name, 32)
    if not isinstance(stride, int) or not 0 <= stride <= LARGEST_SIDE:
        raise ModelError(f"{kind} needs a number of pixels as {name}, got {stride!r}")


def _pad_stride(images: npt.NDArray[Any], operation: Mapping[str, Any]) -> npt.NDArray[Any]:
    stride = int(operation.get("stride", 0))
    if stride <= 1:
        return images
    height, width = images.shape[1:3]
    return _padded(images, -(-height // stride) * stride, -(-width // stride) * stride, 0)


def _pad(images: npt.NDArray[Any], operation: Mapping[str, Any]) -> npt.NDArray[Any]:
    size = operation.get("size")
    if size is None:
        return _pad_stride(images, {"stride": operation.get("size_divisor", 32)})
    height, width = _target_size({"target_size": size})
    if images.shape[1] > height or images.shape[2] > width:
        raise ModelError(
            f"the model pads to {width} x {height}, but its image is {images.shape[2]} x {images.shape[1]}"
        )
    return _padded(images, height, width, operation.get("fill_value", 114))


def _padded(images: npt.NDArray[Any], height: int, width: int, fill: Any) -> npt.NDArray[Any]:
    """Tiles `(B, height, width, 3)` with the fill on the right and at the bottom."""
    if images.shape[1:3] == (height, width):
        return images
    canvas = np.empty((len(images), height, width, images.shape[3]), images.dtype)
    canvas[:] = np.asarray(fill, images.dtype)
    canvas[:, : images.shape[1], : images.shape[2]] = images
    return canvas


_STEPS: Mapping[str, Callable[[npt.NDArray[Any], Mapping[str, Any]], npt.NDArray[Any]]] = {
    "NormalizeImage": _normalize,
    "Pad": _pad,
    "PadStride": _pad_stride,
}
