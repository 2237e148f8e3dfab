"""Checkpoints: upstream's `.pdparams` and our `.safetensors` as arrays, and the network they belong to.

Needs no Paddle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from sodslice.errors import ModelError
from sodslice.ppyoloe.config import ARCHITECTURES, NetworkConfig, network_config
from sodslice.ppyoloe.pdparams import read_pdparams

Array = npt.NDArray[Any]

METADATA_KEY = "sodslice"
"""One JSON text under one key: safetensors writes several keys in no particular order."""
CLASS_HEAD = "yolo_head.pred_cls."


def load_checkpoint(path: Path) -> dict[str, Array]:
    """The arrays of a `.pdparams` or `.safetensors` file by name; nothing in the file is run.

    Raises:
        ModelError: no such file, another suffix, damaged, or holding anything but arrays.
    """
    _check_file(path)
    if path.suffix == ".pdparams":
        return read_pdparams(path)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays: dict[str, Array] = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} is no intact .safetensors file of numbers that numpy knows: {one_line(error)}"
        ) from None
    if not arrays:
        raise ModelError(f"{path} holds no arrays; give a file of network weights")
    return arrays


def read_metadata(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself: see `save_safetensors`; empty for foreign files and `.pdparams`.

    Raises:
        ModelError: no such file, another suffix or damaged.
    """
    _check_file(path)
    if path.suffix == ".pdparams":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(METADATA_KEY, "{}")
        facts = json.loads(text)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no intact .safetensors file: {one_line(error)}") from None
    if not isinstance(facts, dict):
        raise ModelError(f"the metadata of {path} must be a table, got {type(facts).__name__}")
    return facts


def checkpoint_config(
    arrays: Mapping[str, Array],
    metadata: Mapping[str, Any] | None = None,
    *,
    architecture: str | None = None,
    class_names: Sequence[str] | None = None,
) -> NetworkConfig:
    """The network a checkpoint belongs to, told by its tensors where nobody says.

    Args:
        arrays: the checkpoint.
        metadata: what it says of itself.
        architecture: its architecture, when known better.
        class_names: names in the order of the class ids, when known better. Without them and without
            metadata the architecture's own names are taken if they are as many as the head's classes.

    Raises:
        ModelError: no known architecture has such tensors, or nobody names the classes.
    """
    facts = metadata or {}
    told = architecture or facts.get("architecture")
    config = network_config(str(told)) if told else _recognised(arrays)
    if architecture_of(arrays) not in (None, config.name):
        raise ModelError(f"the checkpoint is not of {config.name}: it looks like {architecture_of(arrays)}")
    names = class_names or facts.get("class_names") or config.class_names
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ModelError(f"class names must be a list of words, got {names!r}")
    head = arrays.get(f"{CLASS_HEAD}0.bias")
    if head is not None and len(names) != len(head):
        raise ModelError(
            f"the checkpoint tells {len(head)} classes apart, but there are {len(names)} class names "
            f"({', '.join(names)}); name its classes in the order of their ids"
        )
    return replace(config, class_names=tuple(names))


def architecture_of(arrays: Mapping[str, Array]) -> str | None:
    """The name of the known architecture that has such tensors; None where none has."""
    try:
        return _recognised(arrays).name
    except ModelError:
        return None


def one_line(error: Exception) -> str:
    """An error's words without line breaks."""
    return " ".join(str(error).split())


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"there is no checkpoint {path}")
    if path.suffix not in (".pdparams", ".safetensors"):
        raise ModelError(f"{path.name} is no checkpoint: .pdparams and .safetensors are read")


def _recognised(arrays: Mapping[str, Array]) -> NetworkConfig:
    """The architecture with the checkpoint's widths, depths, transformer and distance bins."""
    stem = arrays.get("backbone.stem.conv1.conv.weight")
    bins = arrays.get("yolo_head.proj_conv.weight")
    deep = any(name.startswith("backbone.stages.1.blocks.5.") for name in arrays)
    deeper = any(name.startswith("neck.fpn_stages.0.0.convs.2.") for name in arrays)
    encoder = any(name.startswith("neck.encoder.") for name in arrays)
    if stem is not None and bins is not None:
        for config in ARCHITECTURES.values():
            same = (
                stem.shape[:1] == (config.backbone_channels[0] // 2,)
                and deep == (config.backbone_blocks[1] > 5)
                and deeper == (config.neck_blocks > 2)
                and encoder == (config.transformer is not None)
                and bins.size == config.bins
            )
            if same:
                return config
    names = ", ".join(list(arrays)[:3])
    raise ModelError(
        f"no known network has these {len(arrays)} tensors ({names}, ...); "
        f"known are {', '.join(ARCHITECTURES)}"
    )
