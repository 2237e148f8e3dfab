"""`read_labels`: a COCO document from the file of whatever tool objects were labelled with."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Any

from sodslice.errors import DataError
from sodslice.tables.labelled.cvat import coco_of_xml
from sodslice.tables.labelled.label_studio import coco_of_tasks, is_label_studio
from sodslice.values.documents import read_json

MOST_BYTES = 1 << 30
"""Of an XML, unpacked: more than a million labelled images."""
INSIDE = "annotations.xml"


def read_labels(path: str | Path) -> Any:
    """What a file of labels holds: an export of Label Studio or CVAT as a COCO document, other JSON as it is.

    Args:
        path: COCO JSON; JSON or JSON-MIN of Label Studio; "CVAT for images 1.1", as XML or in its zip.

    Raises:
        DataError: it cannot be read, or its labels are no boxes; it says where.
    """
    path = Path(path)
    try:
        if zipfile.is_zipfile(path):
            return coco_of_xml(_from_zip(path), str(path))
        if _begins_as_xml(path):
            return coco_of_xml(_all_of(path), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    document = read_json(path)
    return coco_of_tasks(document, str(path)) if document and is_label_studio(document) else document


def _begins_as_xml(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _all_of(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise DataError(f"{path} is larger than {MOST_BYTES >> 20} MiB")
    return path.read_bytes()


def _from_zip(path: Path) -> bytes:
    """The XML in an archive of CVAT."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.rpartition("/")[2] == INSIDE]
            if len(names) != 1:
                raise DataError(f'{path} holds no {INSIDE}; export the task as "CVAT for images 1.1"')
            if archive.getinfo(names[0]).file_size > MOST_BYTES:
                raise DataError(f"{path} holds more than {MOST_BYTES >> 20} MiB of labels")
            with archive.open(names[0]) as file:
                return file.read(MOST_BYTES)
    except (zipfile.BadZipFile, RuntimeError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise DataError(f"{path} is a damaged archive: {' '.join(str(error).split())}") from None
