"""How the work of a run is done, and how it survives."""

from __future__ import annotations

from dataclasses import dataclass

from sodslice.values.kinds import OneOf, Switch, Whole
from sodslice.values.setting import Setting, check_settings, setting


@dataclass(frozen=True)
class Work:
    """What is done about time, errors and interruptions.

    Raises:
        OptionError: a value is malformed or out of range.
    """

    readers: int = setting(
        2,
        Setting(
            Whole(1, 64), "Threads that read tiles ahead, of all workers.", "Machine", changes_result=False
        ),
    )
    workers: int = setting(
        1,
        Setting(
            Whole(1, 256),
            "Processes that look at tiles, each with a share of the cores; 1 is the process itself. A device "
            "of several ids, such as gpu:0,1, has one for each.",
            "Machine",
            changes_result=False,
        ),
    )
    on_error: str = setting(
        "fail",
        Setting(
            OneOf(("fail", "skip")),
            "What to do about a tile that cannot be read: fail, or skip it and list it in the output.",
            "Survival",
        ),
    )
    fresh: bool = setting(
        False,
        Setting(
            Switch(),
            "Start over, even if a run of the same output was interrupted.",
            "Survival",
            changes_result=False,
        ),
    )
    keep_raw: bool = setting(
        False,
        Setting(
            Switch(),
            "Keep every tile's detections beside the output, for `sodslice merge`.",
            "Survival",
            changes_result=False,
        ),
    )

    def __post_init__(self) -> None:
        check_settings(self)
