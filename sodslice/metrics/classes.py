"""Which class of the result is which class of the truth: by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sodslice.errors import DataError, did_you_mean
from sodslice.metrics.geojson import NO_CLASS
from sodslice.metrics.layer import Layer, distinct_names

UNKNOWN = -1
"""The label of a detection whose class the truth does not have."""


@dataclass(frozen=True)
class ClassPlan:
    """The classes to compare, and how each side's names turn into them.

    Args:
        names: the classes of the truth, which are those compared.
        renamed: a file's name -> the name it is read as.
        notes: what the reader should know about classes that only one side has.
    """

    names: tuple[str, ...]
    renamed: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def labels(self, names: Iterable[str]) -> npt.NDArray[np.int32]:
        """Rows of `names` for a side's class names `(N,)`; -1 for those that the truth does not have."""
        rows = {name: row for row, name in enumerate(self.names)}
        return np.array([rows.get(self.renamed.get(name, name), UNKNOWN) for name in names], dtype=np.int32)


def plan_classes(
    found: Sequence[Layer], truths: Sequence[Layer], *, class_map: Mapping[str, str], agnostic: bool = False
) -> ClassPlan:
    """Match the classes of both sides by name.

    Args:
        found: the detections of each scene.
        truths: the objects of each scene.
        class_map: names to read as other names, on both sides.
        agnostic: whether all classes count as one.

    Raises:
        DataError: the map names a class that neither side has, or the two have no class in common.
    """
    there = distinct_names([name for layer in truths for name in layer.classes])
    here = distinct_names([name for layer in found for name in layer.classes])
    for name in class_map:
        if name not in there + here:
            raise DataError(
                f"`class_map` names {name!r}{did_you_mean(name, there + here)}; "
                f"the truth has {_list(there)}, the result {_list(here)}"
            )
    if agnostic:
        return ClassPlan((NO_CLASS,), dict.fromkeys(there + here, NO_CLASS))
    wanted = distinct_names([class_map.get(name, name) for name in there])
    offered = distinct_names([class_map.get(name, name) for name in here])
    if offered and wanted and not set(offered) & set(wanted):
        way = "" if "=" in offered[0] else f"`class_map={offered[0]}={wanted[0]}` or "
        raise DataError(
            f"the truth has the classes {_list(wanted)}, the result {_list(offered)}: none in common; "
            f"use {way}`class_agnostic`"
        )
    notes = [
        *_extra(found, class_map, wanted),
        *([] if set(wanted) <= set(offered) or not offered else [_lacking(wanted, offered)]),
    ]
    return ClassPlan(wanted, dict(class_map), tuple(notes))


def _extra(found: Sequence[Layer], class_map: Mapping[str, str], wanted: Sequence[str]) -> list[str]:
    """A note on detections whose class the truth does not have."""
    counts = Counter(class_map.get(name, name) for layer in found for name in layer.names)
    extra = {name: count for name, count in counts.items() if name not in wanted}
    if not extra:
        return []
    listed = ", ".join(f"{name} {count}" for name, count in sorted(extra.items()))
    return [f"detections of classes that the truth does not have are left out: {listed}"]


def _lacking(wanted: Sequence[str], offered: Sequence[str]) -> str:
    lacking = [name for name in wanted if name not in offered]
    return f"the result does not know {_list(lacking)}; all objects of that class are missed"


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "no class"
