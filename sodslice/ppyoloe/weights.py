"""Weights in and out: upstream's `.pdparams`, our `.safetensors`, and what fits which network."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError, OutputError
from sodslice.ppyoloe.config import ARCHITECTURES, NetworkConfig, network_config
from sodslice.ppyoloe.network import Network, build_network
from sodslice.ppyoloe.pdparams import read_pdparams

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]

_METADATA_KEY = "sodslice"
"""One JSON text under one key: safetensors writes several keys in no particular order."""
_CLASS_HEAD = "yolo_head.pred_cls."
_NAMES_TOLD = 50


@dataclass(frozen=True)
class LoadReport:
    """What `apply_weights` did.

    Attributes:
        loaded: number of tensors taken over.
        replaced: names of the class head's tensors that kept their fresh values, since the checkpoint's
            were for another number of classes.
    """

    loaded: int
    replaced: tuple[str, ...] = ()


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
            f"{path} is no intact .safetensors file of numbers that numpy knows: {_line(error)}"
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
            text = (file.metadata() or {}).get(_METADATA_KEY, "{}")
        facts = json.loads(text)
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no intact .safetensors file: {_line(error)}") from None
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
    if _looks_like(arrays) not in (None, config.name):
        raise ModelError(f"the checkpoint is not of {config.name}: it looks like {_looks_like(arrays)}")
    names = class_names or facts.get("class_names") or config.class_names
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ModelError(f"class names must be a list of words, got {names!r}")
    head = arrays.get(f"{_CLASS_HEAD}0.bias")
    if head is not None and len(names) != len(head):
        raise ModelError(
            f"the checkpoint tells {len(head)} classes apart, but there are {len(names)} class names "
            f"({', '.join(names)}); name its classes in the order of their ids"
        )
    return replace(config, class_names=tuple(names))


def apply_weights(network: Network, arrays: Mapping[str, Array], *, replace_head: bool = False) -> LoadReport:
    """Fill a network with the arrays of a checkpoint, all or none.

    Args:
        network: takes the values, as float32.
        arrays: the checkpoint.
        replace_head: keep the network's fresh class head where the checkpoint's has another number of
            classes; the report says so.

    Raises:
        ModelError: one message with all names that are missing, unexpected or misshapen, or the name of an
            array that holds something not finite. The network is as it was.
    """
    state = network.state_dict()
    misshapen = [
        name for name, tensor in state.items() if name in arrays and not _fits(arrays[name], tensor.shape)
    ]
    replaced: list[str] = []
    if replace_head:
        replaced = [name for name in misshapen if _differs_in_classes(name, arrays[name], state[name].shape)]
        misshapen = [name for name in misshapen if name not in replaced]
    problems = (
        _listed("missing", [name for name in state if name not in arrays]),
        _listed("unexpected", [name for name in arrays if name not in state]),
        _listed("misshapen", [_mismatch(name, arrays[name], state[name].shape) for name in misshapen]),
    )
    if any(problems):
        raise ModelError(_misfit(network.config, arrays, problems, misshapen))
    taken = [name for name in state if name not in replaced]
    broken = [name for name in taken if not np.isfinite(arrays[name]).all()]
    if broken:
        raise ModelError(f"the checkpoint holds values that are not finite: {_listed('broken', broken)}")
    for name in taken:
        state[name].set_value(np.ascontiguousarray(arrays[name], np.float32))
    return LoadReport(len(taken), tuple(replaced))


def load_network(
    path: Path, *, architecture: str | None = None, class_names: Sequence[str] | None = None
) -> tuple[Network, dict[str, Any]]:
    """A network in evaluation mode with a checkpoint's weights, and the checkpoint's metadata.

    Raises:
        ModelError: as `load_checkpoint`, `checkpoint_config` and `apply_weights`.
    """
    arrays, metadata = load_checkpoint(path), read_metadata(path)
    try:
        config = checkpoint_config(arrays, metadata, architecture=architecture, class_names=class_names)
        network = build_network(config)
        apply_weights(network, arrays)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    if class_names is None and "class_names" not in metadata:
        log.warning("%s names no classes; taken are %s", path.name, ", ".join(config.class_names))
    network.eval()
    return network, metadata


def save_safetensors(
    network: Network | Mapping[str, Array], path: Path, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write a checkpoint that describes itself; it appears whole or not at all.

    Args:
        network: a network, whose architecture, class names and reg_range join the metadata, or arrays.
        path: a `.safetensors` file.
        metadata: further facts that JSON can say, such as `model_name`, `gsd_m` or `licence`.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    facts: dict[str, Any] = dict(metadata or {})
    if isinstance(network, Network):
        config = network.config
        own = {
            "architecture": config.name,
            "class_names": list(config.class_names),
            "reg_range": list(config.reg_range),
        }
        facts = own | facts
        arrays = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    else:
        arrays = {name: np.ascontiguousarray(array) for name, array in network.items()}
    half = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(arrays, half, {_METADATA_KEY: json.dumps(facts, sort_keys=True)})
        half.replace(path)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written: {_line(error)}") from None
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)


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


def _looks_like(arrays: Mapping[str, Array]) -> str | None:
    try:
        return _recognised(arrays).name
    except ModelError:
        return None


def _fits(array: Array, shape: Sequence[int]) -> bool:
    return array.shape == tuple(shape) and array.dtype.kind == "f"


def _differs_in_classes(name: str, array: Array, shape: Sequence[int]) -> bool:
    return name.startswith(_CLASS_HEAD) and array.ndim == len(shape) and array.shape[1:] == tuple(shape[1:])


def _mismatch(name: str, array: Array, shape: Sequence[int]) -> str:
    return f"{name} {array.dtype}{list(array.shape)} instead of float32{list(shape)}"


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f", and {len(names) - _NAMES_TOLD} more" if len(names) > _NAMES_TOLD else ""
    return f"{len(names)} {what} ({', '.join(names[:_NAMES_TOLD])}{more})"


def _misfit(
    config: NetworkConfig, arrays: Mapping[str, Array], problems: Sequence[str], misshapen: Sequence[str]
) -> str:
    told = f"the checkpoint does not fit {config.name} with {config.num_classes} classes"
    better = _looks_like(arrays)
    if better not in (None, config.name):
        counts = ", ".join(problem.partition(" (")[0] for problem in problems if problem)
        return f"{told}, it looks like {better}: {counts}"
    told = f"{told}: {'; '.join(filter(None, problems))}"
    if misshapen and all(name.startswith(_CLASS_HEAD) for name in misshapen):
        return f"{told}; it has other classes: name its own, or ask for its class head to be replaced"
    return told


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
