"""Everything sodslice raises on purpose.

    SodsliceError
    ├── OptionError       (ValueError)    a setting that is unknown, malformed or out of range
    ├── DetectionsError   (ValueError)    a detection table with wrong shapes or values
    ├── GeoRefError       (ValueError)    a place on the map that cannot be computed
    ├── SceneError        (OSError)       an image that cannot be opened, read or understood
    ├── ModelError        (ValueError)    a model that is unknown, incomplete or broken
    ├── DeviceError       (RuntimeError)  a device or an engine that is not there
    ├── DataError         (ValueError)    training or evaluation data that contradicts itself
    ├── FetchError        (OSError)       a file of the web that cannot be had
    ├── OutputError       (OSError)       a result that cannot be written
    ├── StoreError        (ValueError)    a raw store that is damaged, unfinished, or of another run
    └── Cancelled                         work that was called off; what was seen is kept

Each message is one line: what was wrong, what was received, what to do. It names a setting in backticks,
as `tile`, and a value for one as `tile=1024`; the command line shows these as its flags, prints the line and
exits with 1. A notebook shows the line, too, and the traceback where it is asked for with `%tb`.
"""

from __future__ import annotations

import linecache
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from difflib import get_close_matches

_NAMED = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`]+))?`")


class SodsliceError(Exception):
    """Base of all errors that sodslice raises on purpose."""

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings that the message speaks of, in its order."""
        return tuple(dict.fromkeys(name for name, _ in _NAMED.findall(str(self))))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the message and the user's own line, and the traceback where `%tb` asks for it.

        IPython asks while the error is handled, `%tb` when that is over.
        """
        if sys.exc_info()[1] is self:
            return [f"{type(self).__name__}: {self}", *_line_of_the_user(self)]
        shell = sys.modules["IPython"].get_ipython()
        return list(
            shell.InteractiveTB.structured_traceback(type(self), self, self.__traceback__, tb_offset=1)
        )


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


class FetchError(SodsliceError, OSError):
    """A file of the web cannot be had."""


class OutputError(SodsliceError, OSError):
    """A result cannot be written."""


class HeldError(OutputError):
    """Another process writes there at this moment."""


class StoreError(SodsliceError, ValueError):
    """A raw store is damaged, unfinished, or of another run."""


class Cancelled(SodsliceError):  # noqa: N818 -- says what happened, and is no failure
    """Work was called off; what was seen is kept."""


def _line_of_the_user(error: BaseException) -> list[str]:
    """Where an error came out of what the user typed, as a line of its own; none where that is not known."""
    frames = traceback.walk_tb(error.__traceback__)
    typed = [
        (frame.f_code.co_filename, at)
        for frame, at in frames
        if frame.f_globals.get("__name__") == "__main__"
    ]
    return [f"line {at}: {linecache.getline(file, at).strip()}  (more: %tb)" for file, at in typed[-1:]]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A closing hint for a message about an unknown word.

    Returns:
        ``" (did you mean 'tile'?)"``, or ``""`` when nothing is near.
    """
    near = get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def respell(message: str, spelling: Callable[[str, str | None], str | None]) -> str:
    """A message with the settings in it spelt in another way.

    Args:
        message: of an error or a note, with settings as `name` and `name=value`.
        spelling: from a name and a value (None where there is none) to the words in their place; None where
            the name is no setting, which stays as it is.
    """
    return _NAMED.sub(lambda found: spelling(found[1], found[2]) or found[0], message)
