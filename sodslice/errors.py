"""Everything sodslice raises on purpose.

    SodsliceError
    ├── OptionError       (ValueError)    a setting that is unknown, malformed or out of range
    ├── DetectionsError   (ValueError)    a detection table with wrong shapes or values
    ├── GeoRefError       (ValueError)    a place on the map that cannot be computed
    ├── SceneError        (OSError)       an image that cannot be opened, read or understood
    ├── ModelError        (ValueError)    a model that is unknown, incomplete or broken
    ├── DeviceError       (RuntimeError)  a device or an engine that is not there
    ├── DataError         (ValueError)    training or evaluation data that contradicts itself
    └── OutputError       (OSError)       a result that cannot be written

Each message is one line: what was wrong, what was received, what to do. The command line prints it and
exits with 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SodsliceError(Exception):
    """Base of all errors that sodslice raises on purpose."""


class OptionError(SodsliceError, ValueError):
    """A setting is unknown, malformed or out of range."""


class DetectionsError(SodsliceError, ValueError):
    """A detection table has wrong shapes or values."""


class GeoRefError(SodsliceError, ValueError):
    """A place on the map cannot be computed."""


class SceneError(SodsliceError, OSError):
    """An image cannot be opened, read or understood."""


class ModelError(SodsliceError, ValueError):
    """A model is unknown, incomplete or broken."""


class DeviceError(SodsliceError, RuntimeError):
    """A device or an engine is not there."""


class DataError(SodsliceError, ValueError):
    """Training or evaluation data contradicts itself."""


class OutputError(SodsliceError, OSError):
    """A result cannot be written."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A closing hint for a message about an unknown word.

    Returns:
        ``" (did you mean 'tile'?)"``, or ``""`` when nothing is near.
    """
    near = get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
