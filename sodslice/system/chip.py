"""The processor: its cores, and which kinds of numbers it computes with by itself."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""Of x86 chips, and of ARM ones."""

TELLING_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_bf16",
    "amx_int8",
    "asimdhp",
    "bf16",
)
"""Those that say how fast a network can run."""

DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "C:/Windows/System32/nvcuda.dll")
"""Files that are there where an NVIDIA driver is."""


@cache
def flags() -> frozenset[str]:
    """What the processor says that it can do, in Linux's words; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    found = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return frozenset(next(found, "").split())


def computes_bf16() -> bool:
    """Whether bfloat16 is faster than float32 here, and not imitated."""
    return bool(flags() & BF16_FLAGS)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is installed; nothing is loaded to find out."""
    return any(Path(file).exists() for file in DRIVERS)


def keep_fp32_exact() -> None:
    """Tell NVIDIA's libraries, before they are loaded, not to round fp32 to TF32, unless the user did."""
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")


def describe() -> str:
    """The processor in a line, for tables of speeds."""
    telling = [flag for flag in TELLING_FLAGS if flag in flags()]
    return f"{_model()}, {cores()} cores, {' '.join(telling) or 'flags unknown'}"


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
