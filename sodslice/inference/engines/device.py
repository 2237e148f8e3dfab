"""The words that name a device: `cpu`, `gpu`, `gpu:0`, `xpu:1`, ..., as Paddle spells them."""

from __future__ import annotations

from typing import NamedTuple

from sodslice.errors import DeviceError, did_you_mean

KINDS = ("cpu", "gpu", "xpu", "npu", "mlu", "dcu", "gcu", "metax_gpu", "iluvatar_gpu")


class Device(NamedTuple):
    """One device: `kind` as Paddle names it, `number` from 0 (0 on the CPU)."""

    kind: str
    number: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.number}"


def parse_device(text: str) -> Device | None:
    """The device that a user names; None for `auto`.

    Raises:
        DeviceError: the kind is unknown, the index is no number, or the CPU is given an index.
    """
    if text.lower() == "auto":
        return None
    kind, colon, index = text.lower().partition(":")
    if kind not in KINDS:
        known = ("auto", *KINDS)
        raise DeviceError(f"unknown device {text!r}; known are {', '.join(known)}{did_you_mean(kind, known)}")
    if kind == "cpu" and colon:
        raise DeviceError(
            f"the CPU takes no index, got {text!r}; write cpu, and `threads` for the number of cores"
        )
    if "," in index:
        raise DeviceError(f"one run uses one device, got {text!r}; name one of them")
    if colon and not index.isdigit():
        raise DeviceError(f"a device index is a number from 0, got {text!r}; write for example {kind}:0")
    return Device(kind, int(index or 0))
