"""What the XMP packet of an image says, by name: read within bounds, without entities, nothing fetched."""

from __future__ import annotations

import re
from xml.parsers import expat

LARGEST_PACKET = 2**20
"""Characters; a JPEG holds at most 2^16 of them, a TIFF as many as it likes."""

DEEPEST = 32
"""Elements within elements; XMP needs about eight."""

_CAMERA = re.compile(r"https?://(pix4d\.com/camera|ns\.sensefly\.com/camera)\b", re.IGNORECASE)
_WRAPPERS = ("rdf", "x")
_NUMBER = re.compile(
    r"[\s(]*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)(?:\s*/\s*(\d+\.?\d*))?(?![\d,.])", re.IGNORECASE
)
LONGEST_NUMBER = 64


def read_xmp(packet: str) -> dict[str, str]:
    """Texts by name out of a packet, whatever prefix its maker gave them.

    A name stands alone where it belongs to the image (`RelativeAltitude`), behind its structure where it
    belongs to one (`CameraOrientationNED/Pitch`), and, besides, behind `Camera:` where it is of the namespace
    that Pix4D and senseFly define. Of several equal names the first counts.

    Args:
        packet: XML, with whatever padding is around it.

    Raises:
        ValueError: it is no XML, has a document type (where entities are made), or is too long.
    """
    if len(packet) > LARGEST_PACKET:
        raise ValueError(f"it has {len(packet)} characters, more than {LARGEST_PACKET}")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(packet[packet.find("<") : packet.rfind(">") + 1], True)  # noqa: FBT003 -- expat's own
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML ({error})") from None
    return reader.found


def number(text: str | None) -> float | None:
    """The number that a text of EXIF or XMP begins with: +40.00, (3.61), 361/100, 12 m; None without one."""
    found = _NUMBER.match((text or "")[:LONGEST_NUMBER])
    if found is None:
        return None
    above, below = float(found[1]), float(found[2] or 1)
    value = above / below if below else float("inf")
    return value if abs(value) < float("inf") else None


def _refuse(*_: object) -> None:
    raise ValueError("it has a document type, which XMP has not")


class _Reader:
    """Collects attributes and texts of elements while expat walks through a packet."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self._cameras = {"Camera"}
        self._open: list[str] = []
        self._text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self._cameras |= {
            key[len("xmlns:") :]
            for key, value in attributes.items()
            if key.startswith("xmlns:") and _CAMERA.match(value)
        }
        self._open.append(name)
        if len(self._open) > DEEPEST:
            raise ValueError(f"its elements are nested more than {DEEPEST} deep")
        for key, value in attributes.items():
            self._keep(key, value, self._open)
        self._text = ""

    def text(self, text: str) -> None:
        """Text within the innermost element."""
        self._text += text

    def end(self, name: str) -> None:
        """An element ends; it is a property if there was text in it."""
        self._open.pop()
        if self._text.strip():
            self._keep(name, self._text, self._open)
        self._text = ""

    def _keep(self, name: str, text: str, around: list[str]) -> None:
        prefix, _, local = name.rpartition(":")
        owners = [one for one in around if one.partition(":")[0] not in _WRAPPERS]
        if prefix in ("xmlns", "", *_WRAPPERS):
            return
        if owners:
            self.found.setdefault(f"{owners[-1].rpartition(':')[2]}/{local}", text.strip())
            return
        self.found.setdefault(local, text.strip())
        if prefix in self._cameras:
            self.found.setdefault(f"Camera:{local}", text.strip())
