"""Read Paddle's `.pdparams` files, which are pickles, without unpickling them.

A pickle is a program for a small stack machine that may call anything. The reader here knows just the
instructions that arrays in plain containers need and *calls nothing*: where the program asks for numpy's
array constructor, the reader makes the array itself. Everything else is refused. The file is mapped, so no
length that the program states can make the reader allocate more than the file holds.

Paddle stores a tensor as `tuple((name, array))`, and the array as numpy pickles it (protocols 2 to 5).
"""

from __future__ import annotations

import math
import mmap
import pickletools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError

Array = npt.NDArray[Any]

_DTYPES = frozenset(
    ["b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]  # no objects, strings or records
)
_MOST_INSTRUCTIONS = 200_000
"""The 819 arrays of SOD-L take some 20 000; each may cost memory, so there is an end to them."""
_NAME_TABLE = "StructuredToParameterName@@"
"""Paddle's own bookkeeping beside the tensors: structured names to parameter names."""


def read_pdparams(path: Path) -> dict[str, Array]:
    """The arrays of a `.pdparams` file by name; nothing in the file is run.

    Raises:
        ModelError: not such a file, cut short, or it asks for anything but arrays and plain containers.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program:
            found = _Reader(len(program)).read(program)
    except _Refused as refused:
        raise ModelError(f"{path} was not loaded, and nothing in it was run: {refused}") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError):
        # mmap refuses an empty file, pickletools an unknown or a truncated instruction, and a garbled program
        # misses what it wants on the stack.
        raise ModelError(
            f"{path} is no intact .pdparams file ({path.stat().st_size} bytes); download it again"
        ) from None
    return _named_arrays(found, path)


def _named_arrays(found: Any, path: Path) -> dict[str, Array]:
    if not isinstance(found, dict):
        raise ModelError(f"{path} holds a {_kind(found)} where a table of arrays by name was expected")
    arrays = {}
    for name, value in found.items():
        if name == _NAME_TABLE:
            continue
        array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if isinstance(array, _ArrayState):
            array = array.array
        if not isinstance(array, np.ndarray):
            raise ModelError(
                f"{path} holds a {_kind(value)} named {_short(name)} where an array was expected"
            )
        arrays[str(name)] = array
    if not arrays:
        raise ModelError(f"{path} holds no arrays; give a file of network weights")
    return arrays


class _Refused(Exception):  # noqa: N818 - it is caught in this file
    """The program asks for what arrays do not need."""


class _Global(NamedTuple):
    """A name the program wants to call; only ever compared."""

    module: str
    name: str


class _DtypeState:
    """A dtype under construction: its code, and the byte order that comes in a second step."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or code not in _DTYPES:
            raise _Refused(f"it holds an array of type {_short(code)}")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise _Refused(f"it holds an array of byte order {_short(order)}")
        self.dtype = self.dtype.newbyteorder(order)


class _ArrayState:
    """An array under construction: empty, then given its shape, type and bytes in a second step."""

    def __init__(self) -> None:
        self.array: Array | None = None

    def build(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.array = _array(data, dtype, shape, "F" if fortran is True else "C")


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """A read-only array over the bytes themselves."""
    if not (isinstance(data, bytes | bytearray) and isinstance(dtype, _DtypeState) and _is_shape(shape)):
        raise _Refused("it holds an array that is not made of plain numbers")
    if len(data) != math.prod(shape) * dtype.dtype.itemsize:
        raise _Refused(f"it holds an array of shape {_short(shape)} with {len(data)} bytes")
    array: Array = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if order == "F" else "C")
    return array


def _is_shape(shape: Any) -> bool:
    """Whether it is a tuple of a few numbers that are small enough to be multiplied."""
    return (
        isinstance(shape, tuple)
        and len(shape) <= 8
        and all(type(side) is int and 0 <= side < 1 << 48 for side in shape)
    )


class _Reader:
    """The stack machine, without the power to call.

    Args:
        limit: bytes that text turned into bytes may take in all: no honest file needs more than its own size.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def read(self, program: mmap.mmap) -> Any:
        # mmap has the `read`, `readline` and `tell` that genops asks for, though typeshed calls it no file.
        for count, (instruction, argument, _) in enumerate(pickletools.genops(program)):  # type: ignore[arg-type]
            if count == _MOST_INSTRUCTIONS:
                raise _Refused(f"it has more than {_MOST_INSTRUCTIONS} instructions")
            name = instruction.name
            if name in _LITERALS:
                self._stack.append(argument)
            elif name in _INSTRUCTIONS:
                _INSTRUCTIONS[name](self, argument)
            elif name not in _IGNORED:
                raise _Refused(f"it uses the pickle instruction {name}, which arrays do not need")
        (result,) = self._stack
        return result

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        return self._stack.pop()

    def pop_to_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def tuple_of(self, count: int) -> None:
        items = [self._stack.pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def memoize(self, key: int | None) -> None:
        self._memo[len(self._memo) if key is None else key] = self._stack[-1]

    def recall(self, key: int) -> None:
        self._stack.append(self._memo[key])

    def set_items(self, items: list[Any]) -> None:
        table = self._stack[-1]
        keys = items[::2]
        if type(table) is not dict or not all(isinstance(key, str) for key in keys):
            raise _Refused("it holds a table whose keys are not names")
        table.update(zip(keys, items[1::2], strict=True))

    def append(self, items: list[Any]) -> None:
        row = self._stack[-1]
        if type(row) is not list:
            raise _Refused("it fills something that is not a list")
        row.extend(items)

    def name(self, text: str | None) -> None:
        if text is None:
            module, name = self._stack[-2:]
            del self._stack[-2:]
        else:
            module, name = text.split(" ", 1)
        if not isinstance(module, str) or not isinstance(name, str):
            raise _Refused("it wants to call something whose name is not text")
        wanted = _Global(module, name)
        if wanted not in _KNOWN:
            raise _Refused(f"it wants to call {_short(f'{module}.{name}', quote=False)}")
        self._stack.append(wanted)

    def reduce(self) -> None:
        arguments, wanted = self._stack.pop(), self._stack.pop()
        if not isinstance(wanted, _Global) or not isinstance(arguments, tuple):
            raise _Refused("it wants to call something that has no name")
        self._stack.append(_KNOWN[wanted](self, arguments))

    def build(self) -> None:
        state, unfinished = self._stack.pop(), self._stack[-1]
        if not isinstance(unfinished, _ArrayState | _DtypeState):
            raise _Refused("it wants to alter something that is not an array")
        unfinished.build(state)

    def latin_bytes(self, text: Any, encoding: Any) -> bytes:
        """The bytes that protocol 2 hides in text."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _Refused(f"it encodes text as {_short(encoding)}")
        self._limit -= len(text)
        if self._limit < 0:
            raise _Refused("it blows up to more than its own size")
        return text.encode("latin-1")


def _empty_array(_: _Reader, arguments: tuple[Any, ...]) -> _ArrayState:
    """An array as numpy's `_reconstruct(ndarray, (0,), b'b')`; what it becomes is said later, by BUILD."""
    if arguments[0] != _Global("numpy", "ndarray"):
        raise _Refused("it makes an array of an unknown class")
    return _ArrayState()


def _plain(_: _Reader, arguments: tuple[Any, ...]) -> Any:
    """`tuple((name, array))` and `OrderedDict()`: the first is already there, the second is empty."""
    if not arguments:
        return {}
    (value,) = arguments
    if not isinstance(value, tuple):
        raise _Refused(f"it makes a tuple out of a {_kind(value)}")
    return value


def _no_bytes(_: _Reader, arguments: tuple[Any, ...]) -> bytes:
    """What protocol 2 says for empty bytes: `bytes()`."""
    if arguments:
        raise _Refused("it makes bytes out of something")
    return b""


def _buffer_array(_: _Reader, arguments: tuple[Any, ...]) -> Array:
    """An array as numpy's `_frombuffer(data, dtype, shape, order)`, which protocol 5 uses."""
    return _array(*arguments)


_KNOWN: Mapping[_Global, Callable[[_Reader, tuple[Any, ...]], Any]] = {
    _Global("numpy", "ndarray"): _empty_array,
    _Global("numpy", "dtype"): lambda _, arguments: _DtypeState(arguments[0]),
    _Global("numpy.core.multiarray", "_reconstruct"): _empty_array,
    _Global("numpy._core.multiarray", "_reconstruct"): _empty_array,
    _Global("numpy.core.numeric", "_frombuffer"): _buffer_array,
    _Global("numpy._core.numeric", "_frombuffer"): _buffer_array,
    _Global("_codecs", "encode"): lambda reader, arguments: reader.latin_bytes(*arguments),
    _Global("collections", "OrderedDict"): _plain,
    _Global("builtins", "tuple"): _plain,
    _Global("__builtin__", "tuple"): _plain,  # as protocol 2 spells it
    _Global("__builtin__", "bytes"): _no_bytes,
}

_LITERALS = frozenset(
    [
        *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
        *("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    ]
)
_IGNORED = frozenset(["PROTO", "FRAME", "STOP"])

_INSTRUCTIONS: Mapping[str, Callable[[_Reader, Any], None]] = {
    "MARK": lambda reader, _: reader.mark(),
    "NONE": lambda reader, _: reader.push(None),
    "NEWTRUE": lambda reader, _: reader.push(value=True),
    "NEWFALSE": lambda reader, _: reader.push(value=False),
    "EMPTY_DICT": lambda reader, _: reader.push({}),
    "EMPTY_LIST": lambda reader, _: reader.push([]),
    "EMPTY_TUPLE": lambda reader, _: reader.push(()),
    "TUPLE": lambda reader, _: reader.push(tuple(reader.pop_to_mark())),
    "TUPLE1": lambda reader, _: reader.tuple_of(1),
    "TUPLE2": lambda reader, _: reader.tuple_of(2),
    "TUPLE3": lambda reader, _: reader.tuple_of(3),
    "SETITEM": lambda reader, _: reader.set_items([*reversed((reader.pop(), reader.pop()))]),
    "SETITEMS": lambda reader, _: reader.set_items(reader.pop_to_mark()),
    "APPEND": lambda reader, _: reader.append([reader.pop()]),
    "APPENDS": lambda reader, _: reader.append(reader.pop_to_mark()),
    "MEMOIZE": lambda reader, _: reader.memoize(None),
    "BINPUT": lambda reader, key: reader.memoize(key),
    "LONG_BINPUT": lambda reader, key: reader.memoize(key),
    "BINGET": lambda reader, key: reader.recall(key),
    "LONG_BINGET": lambda reader, key: reader.recall(key),
    "GLOBAL": lambda reader, text: reader.name(text),
    "STACK_GLOBAL": lambda reader, _: reader.name(None),
    "REDUCE": lambda reader, _: reader.reduce(),
    "BUILD": lambda reader, _: reader.build(),
}


def _kind(value: Any) -> str:
    return value.name if isinstance(value, _Global) else type(value).__name__.lstrip("_")


def _short(value: Any, *, quote: bool = True) -> str:
    """A value from the file fit for one line of an error; containers are not looked into."""
    small = isinstance(value, int) and abs(value) < 1 << 64
    text = value if isinstance(value, str) else repr(value) if small else _kind(value)
    text = text if len(text) <= 80 else text[:77] + "..."
    return repr(text) if quote and isinstance(value, str) else " ".join(text.split())
