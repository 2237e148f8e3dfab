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


def parse_devices(text: str) -> tuple[Device, ...]:
    """The devices that a user names, `gpu:0,1` for two of a kind; none for `auto`.

    Raises:
        DeviceError: the kind is unknown, an index is no number or stands twice, or the CPU is given one.
    """
    if text.lower() == "auto":
        return ()
    kind, colon, indexes = text.lower().partition(":")
    if kind not in KINDS:
        known = ("auto", *KINDS)
        raise DeviceError(f"unknown device {text!r}; known are {', '.join(known)}{did_you_mean(kind, known)}")
    if kind == "cpu" and colon:
        raise DeviceError(
            f"the CPU takes no index, got {text!r}; write cpu, and `threads` for the number of cores"
        )
    numbers = indexes.split(",") if colon else ["0"]
    if not all(number.isdecimal() for number in numbers) or len(set(numbers)) < len(numbers):
        raise DeviceError(
            f"device indexes are numbers from 0, each once, got {text!r}; write for example {kind}:0 "
            f"or {kind}:0,1"
        )
    return tuple(Device(kind, int(number)) for number in numbers)


def parse_device(text: str) -> Device | None:
    """The one device that a user names; None for `auto`.

    Raises:
        DeviceError: as `parse_devices`, or there are several.
    """
    devices = parse_devices(text)
    if len(devices) > 1:
        raise DeviceError(f"one model runs on one device, got {text!r}; name one of them")
    return devices[0] if devices else None
