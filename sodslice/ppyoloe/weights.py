"""Weights into networks and out of them: what fits which network, and files that describe themselves."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sodslice.errors import ModelError, OutputError
from sodslice.ppyoloe.checkpoints import (
    CLASS_HEAD,
    METADATA_KEY,
    Array,
    architecture_of,
    checkpoint_config,
    load_checkpoint,
    one_line,
    read_metadata,
)
from sodslice.ppyoloe.config import NetworkConfig
from sodslice.ppyoloe.network import Network, build_network
from sodslice.system.files import appearing

log = logging.getLogger(__name__)

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
    with appearing(path) as temporary:
        try:
            save_file(arrays, temporary, {METADATA_KEY: json.dumps(facts, sort_keys=True)})
        except SafetensorError as error:
            raise OutputError(f"cannot write {path}: {one_line(error)}") from None


def _fits(array: Array, shape: Sequence[int]) -> bool:
    return array.shape == tuple(shape) and array.dtype.kind == "f"


def _differs_in_classes(name: str, array: Array, shape: Sequence[int]) -> bool:
    return name.startswith(CLASS_HEAD) and array.ndim == len(shape) and array.shape[1:] == tuple(shape[1:])


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
    better = architecture_of(arrays)
    if better not in (None, config.name):
        counts = ", ".join(problem.partition(" (")[0] for problem in problems if problem)
        return f"{told}, it looks like {better}: {counts}"
    told = f"{told}: {'; '.join(filter(None, problems))}"
    if misshapen and all(name.startswith(CLASS_HEAD) for name in misshapen):
        way = "ask for its class head to be replaced (in the settings of a training: `new_head: true`)"
        return f"{told}; it has other classes: name its own, or {way}"
    return told
