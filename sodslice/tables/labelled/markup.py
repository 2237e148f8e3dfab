"""XML from anywhere, read element by element: no document type, no entities, no more than so many bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, NoReturn
from xml.parsers import expat

from sodslice.errors import DataError

MOST_BYTES = 1 << 30
AT_ONCE = 1 << 20
DEEPEST = 64


def read_markup(
    file: BinaryIO,
    source: str,
    begin: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
) -> None:
    """Read a file from its beginning to its end.

    Args:
        file: open.
        source: its name, for messages.
        begin: told of each element and its attributes.
        end: told of the end of each element.
        text: told of the characters between, piece by piece.

    Raises:
        DataError: it is no XML, is too large or too deep, or declares a document type, which entities that
            grow without end, or read other files, need.
    """
    parser = expat.ParserCreate()
    depth = 0

    def deeper(tag: str, given: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise DataError(f"{source} nests elements more than {DEEPEST} deep, which no export does")
        begin(tag, given)

    def higher(tag: str) -> None:
        nonlocal depth
        depth -= 1
        end(tag)

    def refuse(*_: Any) -> NoReturn:
        raise DataError(f"{source} declares a document type, which no export does; it is not read")

    parser.StartElementHandler, parser.EndElementHandler = deeper, higher
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        for piece in _pieces(file, source):
            parser.Parse(piece, False)  # noqa: FBT003 -- expat's own signature
        parser.Parse(b"", True)  # noqa: FBT003
    except DataError:
        raise
    except (expat.ExpatError, LookupError, ValueError) as error:  # also of encodings that it does not know
        raise DataError(f"{source} is not XML: {error}") from None


def _pieces(file: BinaryIO, source: str) -> Iterator[bytes]:
    """A file from its beginning to its end.

    Raises:
        DataError: it is too large.
    """
    read = 0
    while piece := file.read(AT_ONCE):
        read += len(piece)
        if read > MOST_BYTES:
            raise DataError(f"{source} has more than {MOST_BYTES >> 20} MiB of XML; export fewer images")
        yield piece
