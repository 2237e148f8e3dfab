"""What counts as one object: the settings of the merge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sodslice.errors import OptionError
from sodslice.merging.names import METHOD_NAMES
from sodslice.tables.classes import class_ids
from sodslice.values.kinds import Kind, OneOf, Real, Schema, Switch, Words, items
from sodslice.values.setting import Setting, check_settings, setting

_WORDS = Words()


class Groups(Kind):
    """Groups of words: from "car,van", a list of such texts, or a list of lists."""

    def read(self, given: Any) -> tuple[tuple[str, ...], ...]:
        """See `Kind`."""
        try:
            found = tuple(_WORDS.read(group) for group in items(given))
        except ValueError:
            found = ((),)
        if any(len(set(group)) < 2 for group in found):
            raise ValueError("two classes or more that can be one object, for example car,van")
        return found

    def schema(self) -> Schema:
        """See `Kind`."""
        return {"type": "array", "items": {**_WORDS.schema(), "minItems": 2}}


@dataclass(frozen=True)
class Joining:
    """How boxes of several tiles become one box an object.

    Raises:
        OptionError: a value is malformed or out of range, or two contradict each other.
    """

    merge: str = setting(
        "seam",
        Setting(OneOf(METHOD_NAMES), "How boxes of several tiles are joined.", "Merge", after_detection=True),
    )
    iou: float = setting(
        0.5,
        Setting(
            Real(0.01, 1), "Overlap (IoU) from which two boxes are one object.", "Merge", after_detection=True
        ),
    )
    class_agnostic: bool = setting(
        False, Setting(Switch(), "Join boxes of different classes too.", "Merge", after_detection=True)
    )
    class_group: tuple[tuple[str, ...], ...] = setting(
        (),
        Setting(
            Groups(),
            "Classes that are joined as if they were one, such as car,van.",
            "Merge",
            "none",
            repeatable=True,
            after_detection=True,
        ),
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.class_agnostic and self.class_group:
            raise OptionError("`class_agnostic` joins all classes already; leave out `class_group`")

    def joined_classes(self, class_names: tuple[str, ...]) -> bool | tuple[tuple[int, ...], ...]:
        """Which classes can be one object: all (True), or the ids of each group of them.

        Args:
            class_names: the model's.

        Raises:
            OptionError: a class is named that the model does not know, or stands in two groups.
        """
        if self.class_agnostic:
            return True
        groups = tuple(class_ids("class_group", words, class_names) for words in self.class_group)
        lone = next((w for w, group in zip(self.class_group, groups, strict=True) if len(group) < 2), None)
        if lone is not None:
            raise OptionError(
                f"`class_group` {','.join(lone)} names one class only, by its name and by its id; "
                "give two classes or more"
            )
        members = [member for group in groups for member in group]
        twice = next((member for member in members if members.count(member) > 1), None)
        if twice is not None:
            raise OptionError(
                f"`class_group` names {class_names[twice]!r} in two groups; join those groups into one"
            )
        return groups
