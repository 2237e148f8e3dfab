"""Everything a training needs to go on as if it had never stopped, in one file that appears whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from sodslice.errors import DataError
from sodslice.system.files import write_atomically
from sodslice.training.settings import TrainSettings
from sodslice.values.setting import settings_of, value_from

CHECKPOINT = "checkpoint.safetensors"

CHANGEABLE = (
    "data_root",
    "weights",
    "validation",
    "workers",
    "cache_mb",
    "log_every",
    "checkpoint_every",
    "validate_every",
)
"""Settings that may differ when a training goes on: they do not change what it learns."""

_FORMAT = 1
_META = "sodslice_training"

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a training after a number of steps.

    Canvases, dropout and learning rate depend on the step alone, so the step stands for all dice.

    Attributes:
        step: steps done.
        settings: of the training, as `plain_values` gives them.
        best: validation AP of the best weights so far, -1 where none was measured.
        network: the weights that learn.
        average: their moving average.
        velocities: the optimizer's memory.
    """

    step: int
    settings: dict[str, Any]
    best: float
    network: Arrays
    average: Arrays
    velocities: Arrays


def write_checkpoint(folder: Path, state: Checkpoint) -> None:
    """Replace the checkpoint of a training.

    Raises:
        OutputError: the folder or the disk refuses.
    """
    from safetensors.numpy import save

    groups = {"network": state.network, "average": state.average, "velocities": state.velocities}
    arrays = {
        f"{group}/{name}": np.ascontiguousarray(array)
        for group, named in groups.items()
        for name, array in named.items()
    }
    facts = {"format": _FORMAT, "step": state.step, "settings": state.settings, "best": state.best}
    write_atomically(folder / CHECKPOINT, save(arrays, {_META: orjson.dumps(facts).decode()}))


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint of a training.

    Raises:
        DataError: there is none, or it is not one of this version.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / CHECKPOINT
    if not path.is_file():
        raise DataError(
            f"there is no training to resume in {folder}: {CHECKPOINT} is missing; start without `resume`"
        )
    groups: dict[str, Arrays] = {"network": {}, "average": {}, "velocities": {}}
    try:
        with safe_open(str(path), framework="numpy") as file:
            facts = orjson.loads((file.metadata() or {}).get(_META, "{}"))
            for key in file.keys():  # noqa: SIM118 (a safetensors file is no mapping)
                group, name = key.split("/", 1)
                groups[group][name] = file.get_tensor(key)
    except (SafetensorError, orjson.JSONDecodeError, ValueError, KeyError) as error:
        raise DataError(f"{path} is damaged ({error}); start anew without `resume`") from None
    if facts.get("format") != _FORMAT:
        raise DataError(f"{path} has format {facts.get('format')}, this version reads {_FORMAT}; start anew")
    return Checkpoint(step=facts["step"], settings=facts["settings"], best=facts["best"], **groups)


def state_to_resume(folder: Path, settings: TrainSettings) -> Checkpoint:
    """The checkpoint of a training, when it has the same settings.

    Raises:
        DataError: there is none, or a setting differs that would change the result.
    """
    state = read_checkpoint(folder)
    before = value_from(TrainSettings, state.settings, where=CHECKPOINT)
    for name in settings_of(settings):
        old, new = getattr(before, name), getattr(settings, name)
        if name not in CHANGEABLE and old != new:
            raise DataError(
                f"`{name}` is {new!r}, the training in {folder} has {old!r}; resume with the same settings"
            )
    return state
