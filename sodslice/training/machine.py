"""What must be said to the machine before Paddle is loaded."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_CPU_FACTS = Path("/proc/cpuinfo")


def prepare_machine() -> None:
    """Let Paddle's matrix library use AVX2 on AMD processors too: steps take 0.6 of the time.

    MKL chooses by the maker's name and reads the variable once, so this does nothing after `import paddle`.
    A variable that is set already stays.
    """
    if "paddle" not in sys.modules and _is_amd():
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def _is_amd() -> bool:
    try:
        return "AuthenticAMD" in _CPU_FACTS.read_text(encoding="ascii", errors="replace")[:4096]
    except OSError:
        return False
