"""The weights of an exported graph, as a combined `.pdiparams` file holds them: in a row, nameless."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import ModelError

DTYPES = {0: "?", 1: "<i2", 2: "<i4", 3: "<i8", 4: "<f2", 5: "<f4", 6: "<f8", 20: "u1", 21: "i1"}
"""Numpy's words for the types of Paddle's `VarType`."""

_LEVELS = struct.Struct("<IQ")
_SIZE = struct.Struct("<Q")
_DESCRIPTION = struct.Struct("<Ii")


def read_parameters(file: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    """The weights by name.

    Args:
        file: in which they stand in the order of their names.
        shapes: of the weights that the graph wants.

    Returns:
        Read-only arrays that look into one copy of the file in memory.

    Raises:
        ModelError: the file holds others, is cut short, or cannot be read.
    """
    try:
        return _tensors(memoryview(file.read_bytes()), shapes)
    except (ValueError, LookupError, struct.error, OSError) as error:
        raise ModelError(f"{file} does not hold the weights of its graph: {error}") from None


def _tensors(content: memoryview, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, npt.NDArray[Any]]:
    position, found = 0, dict[str, npt.NDArray[Any]]()
    for name in sorted(shapes):
        found[name], position = _tensor(content, position)
        if found[name].shape != shapes[name]:
            raise ValueError(f"{name} has the shape {found[name].shape}, the graph wants {shapes[name]}")
    if position != len(content):
        raise ValueError(f"it goes on behind its {len(found)} weights")
    return found


def _tensor(content: memoryview, position: int) -> tuple[npt.NDArray[Any], int]:
    """The tensor at a position, and the position behind it.

    It begins with a version and levels of detail, of which weights have none, then comes the tensor's own
    version, its description (a protobuf message) and its bytes.
    """
    _, levels = _LEVELS.unpack_from(content, position)
    position += _LEVELS.size
    for _ in range(levels):
        position += _SIZE.size + _SIZE.unpack_from(content, position)[0]
    _, length = _DESCRIPTION.unpack_from(content, position)
    position += _DESCRIPTION.size
    kind, shape = _described(content[position : position + length])
    position += length
    dtype, count = np.dtype(DTYPES[kind]), int(np.prod(shape, dtype=np.int64))
    array = np.frombuffer(content, dtype, count, position).reshape(shape)
    return array, position + count * dtype.itemsize


def _described(message: memoryview) -> tuple[int, tuple[int, ...]]:
    """Type and shape from `VarType.TensorDesc`: field 1 is the type, field 2 the sides, packed or not."""
    kind, sides, numbers = -1, list[int](), _varints(message)
    for key in numbers:
        if key == 0x08:
            kind = next(numbers)
        elif key == 0x10:
            sides.append(next(numbers))
        else:
            raise ValueError(f"an unknown field {key} describes a tensor")
    return kind, tuple(sides)


def _varints(message: Iterable[int]) -> Any:
    """The variable-length integers of a message."""
    number = shift = 0
    for byte in message:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0
