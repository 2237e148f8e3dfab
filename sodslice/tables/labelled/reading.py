"""From a file to labels, by what the file holds: COCO and other JSON, exports of Label Studio and CVAT."""

from __future__ import annotations

import zipfile
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any
from zlib import error as ZlibError  # noqa: N812 -- its own name says nothing

from sodslice.errors import DataError
from sodslice.tables.labelled.cvat import cvat_labels
from sodslice.tables.labelled.gathering import Labels
from sodslice.tables.labelled.label_studio import is_label_studio, label_studio_labels
from sodslice.values.documents import read_json

UNREADABLE = (zipfile.BadZipFile, ZlibError, LZMAError, EOFError, OSError, RuntimeError)
"""What a zip raises that is damaged, by its compression, or is encrypted or of a compression unknown here."""
ZIPPED = b"PK\x03\x04"
BEGINS_WITH = 256
IN_ZIP = "annotations.xml"


def read_labels(path: str | Path) -> Labels:
    """What a file of labels holds.

    Exports become documents of COCO: Label Studio's JSON and JSON-MIN, CVAT's "CVAT for images 1.1" as XML or
    in its zip. Any other JSON is given as it is.

    Args:
        path: of the file.

    Raises:
        DataError: it cannot be read, or is an export with something in it that is no box.
    """
    head = _head(path)
    if head.startswith(ZIPPED):
        return _zipped(Path(path))
    if head.lstrip(b"\xef\xbb\xbf\xfe\xff \t\r\n\0").startswith(b"<"):
        with Path(path).open("rb") as file:
            return cvat_labels(file, str(path))
    document: Any = read_json(path)
    return label_studio_labels(document, str(path)) if is_label_studio(document) else Labels(document)


def _head(path: str | Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(BEGINS_WITH)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # of a path that no disk knows
        raise DataError(f"{path} cannot be read: {error}") from None


def _zipped(path: Path) -> Labels:
    """The annotations in a zip of CVAT.

    Raises:
        DataError: it is damaged or encrypted, or holds none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if PurePosixPath(name).name == IN_ZIP]
            if len(names) != 1:
                raise DataError(
                    f"{path} holds {len(names)} files {IN_ZIP}, it must be one; export the task from CVAT as "
                    '"CVAT for images 1.1"'
                )
            with archive.open(names[0]) as file:
                return cvat_labels(file, f"{path}/{names[0]}")  # type: ignore[arg-type]
    except UNREADABLE as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} is a zip that cannot be read: {' '.join(str(error).split())}") from None
