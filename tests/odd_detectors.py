"""Detectors that misbehave, as a package of somebody else's would bring them: by entry points."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from sodslice import BlobDetector, ModelInfo
from sodslice.errors import ModelError
from sodslice.models import NamedDetector

DEADLY_LEVEL = 7
"""Grey level of pixels at which `Deadly` ends its process."""

LOG = "ODD_DETECTORS_LOG"
"""Variable of the environment with the name of a file, to which each process adds a line that loads one."""


def _log(words: str) -> None:
    if LOG in os.environ:
        with Path(os.environ[LOG]).open("a") as file:
            file.write(f"{os.getpid()} {words}\n")


class Deadly(BlobDetector):
    """Ends its process where it sees a certain level."""

    def detect(self, pixels):
        if (pixels == DEADLY_LEVEL).any():
            os._exit(DEADLY_LEVEL)
        return super().detect(pixels)


class Noisy(BlobDetector):
    """Prints wherever it can, and reads what is not its own."""

    def __init__(self):
        super().__init__()
        sys.stdout.write("HELO SEEN TILE\n")
        assert sys.stdin.read(4) == ""

    def detect(self, pixels):
        sys.stdout.write("nothing to see here\n")
        os.write(1, b"TILE\x00\x00\x00\x00" * 8)
        sys.stderr.write("nor here\n")
        return super().detect(pixels)


class Slow(BlobDetector):
    """Takes its time."""

    def __init__(self):
        super().__init__()
        _log("slow")

    def detect(self, pixels):
        time.sleep(0.02)
        return super().detect(pixels)


class Faulty(BlobDetector):
    """Has a fault of its own."""

    def detect(self, pixels):
        raise ZeroDivisionError("no such\nblob")


def unloadable():
    raise ModelError("the weights of unloadable are torn; write them again with `model=blobs`")


def stillborn():
    os._exit(5)


def _named(make, word: str) -> NamedDetector:
    def info() -> ModelInfo:
        return replace(BlobDetector().info, name=word)

    return NamedDetector(word, info, make)


DEADLY, NOISY, SLOW, FAULTY = (_named(kind, kind.__name__) for kind in (Deadly, Noisy, Slow, Faulty))
UNLOADABLE, STILLBORN = _named(unloadable, "unloadable"), _named(stillborn, "stillborn")

ENTRY_POINTS = """
[sodslice.detectors]
deadly = tests.odd_detectors:DEADLY
noisy = tests.odd_detectors:NOISY
slow = tests.odd_detectors:SLOW
faulty = tests.odd_detectors:FAULTY
unloadable = tests.odd_detectors:UNLOADABLE
stillborn = tests.odd_detectors:STILLBORN
"""


def install(folder: Path) -> Path:
    """A folder for `sys.path` or PYTHONPATH in which they lie as pip would install them."""
    facts = folder / "odd-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder
