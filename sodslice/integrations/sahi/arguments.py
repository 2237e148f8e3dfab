"""What users of SAHI give when they ask for a model, checked: what cannot be obeyed is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sodslice.errors import ModelError, OptionError
from sodslice.inference import SCORE_FLOOR, ModelInfo
from sodslice.inference.engines import parse_devices

OWN = ("engine", "precision", "threads", "batch")
"""Settings of `sodslice.load_model` that SAHI's functions pass on."""

MASK_THRESHOLD = 0.5
"""SAHI's default."""


def check_arguments(path: Any, model: Any, settings: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse what would be without effect.

    Args:
        path: of the model, as `model_path`.
        model: that is loaded, as `model`.
        settings: the other arguments of SAHI's `DetectionModel`.
        own: settings of `OWN`.

    Raises:
        OptionError: there is such an argument.
        ModelError: both a path and a model are given.
    """
    if model is not None:
        if path is not None:
            raise ModelError("`model` is loaded already; leave out `model_path`, or leave out `model`")
        needless = [name for name in ("device", *OWN) if {**settings, **own}.get(name) is not None]
        if needless:
            raise OptionError(
                f"`{needless[0]}` is for loading and the model is loaded already; leave it out, or give "
                "`model_path`"
            )
    if settings.get("config_path") is not None:
        raise OptionError("a model of sodslice has no `config_path`; give its folder as `model_path`")
    if settings.get("mask_threshold", MASK_THRESHOLD) != MASK_THRESHOLD:
        raise OptionError("a model of sodslice gives boxes and no masks; leave out `mask_threshold`")


def device_word(asked: Any) -> str:
    """A device in sodslice's words: torch calls gpu:1 cuda:1, and an object of torch says its name.

    Raises:
        DeviceError: there is no such device.
    """
    word = "auto" if asked is None else str(asked).strip().lower()
    kind, colon, number = word.partition(":")
    word = f"gpu{colon}{number}" if kind == "cuda" else word
    parse_devices(word)
    return word


def check_threshold(threshold: Any, info: ModelInfo | None = None) -> float:
    """The lowest score that is kept.

    Args:
        threshold: `confidence_threshold`.
        info: of the model, where it is known.

    Raises:
        OptionError: it is no score, or the model gives no boxes down to it.
    """
    floor = max(SCORE_FLOOR, info.scores_from if info else 0.0)
    is_number = isinstance(threshold, (int, float, np.number)) and not isinstance(threshold, bool)
    if not is_number or not floor <= threshold <= 1:
        below = f"; {info.name if info else 'sodslice'} keeps no boxes below {floor:g}" if is_number else ""
        raise OptionError(
            f"`confidence_threshold` must be a score from {floor:g} to 1, got {threshold!r}{below}"
        )
    return float(threshold)


def check_image_size(size: Any, info: ModelInfo) -> None:
    """Refuse a size to which the model would not bring its images.

    Args:
        size: `image_size`, in pixels; None leaves it to the model.
        info: of the model.

    Raises:
        OptionError: it is another one than the model's, or the model has none.
    """
    if size is None:
        return
    if info.input_size is None:
        raise OptionError(
            f"the model {info.name} takes images as large as they are and resizes none, got "
            f"`image_size={size}`; leave it out, and choose slice_height and slice_width"
        )
    height, width = info.input_size
    if (height, width) != (size, size):
        raise OptionError(
            f"the model {info.name} takes images at {width} x {height} pixels, got `image_size={size}`; "
            "leave it out, or give a checkpoint, which is exported for any multiple of 32"
        )


def check_image(image: Any) -> None:
    """Refuse what is no image of three bands.

    Args:
        image: `(H, W, 3)` uint8 RGB.

    Raises:
        ModelError: it is something else.
    """
    kind = type(image).__name__ if not isinstance(image, np.ndarray) else f"{image.dtype} {image.shape}"
    right = isinstance(image, np.ndarray) and image.ndim == 3 and image.dtype == np.uint8
    if not right or image.shape[2] != 3 or 0 in image.shape:
        raise ModelError(
            f"images must be arrays (H, W, 3) of uint8 RGB, got {kind}; convert it, for example with "
            'Image.open(path).convert("RGB"), or let sodslice.run read the file'
        )
