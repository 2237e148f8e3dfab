from __future__ import annotations

import subprocess
import sys

import numpy as np

from sodslice.system.memory import peak_mb

TOLD = "from sodslice.system.memory import peak_mb; print(peak_mb())"


def test_the_peak_stays_when_memory_is_given_back():
    before = peak_mb()
    np.ones(100 << 20, np.uint8).sum()
    assert peak_mb() >= before
    assert peak_mb() >= 100


def test_a_child_does_not_inherit_the_peak_of_its_parent():
    held = np.ones(300 << 20, np.uint8)
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, check=True)
    assert 1 < float(done.stdout) < 200 < peak_mb()
    assert len(held)
