"""Sizes of images: what files are against what somebody wrote down."""

from __future__ import annotations

TURNED = (
    "width and height are exchanged, as where one of both did not see that the EXIF orientation turns the "
    "image; give both as viewers show it"
)
"""What two sizes mean that are each other's."""

Size = tuple[int, int]


def size_fault(name: str, size: Size, stated: Size | None) -> str | None:
    """What is wrong with the size (width, height) that a document states of an image.

    Args:
        name: of the image, for the sentence.
        size: as it is read.
        stated: as the document states it; None where it does not.

    Returns:
        One sentence; None where nothing is wrong.
    """
    if stated is None or stated == size:
        return None
    why = f"; {TURNED}" if stated == size[::-1] else ""
    return f"{name} is {size[0]} x {size[1]} pixels, its json says {stated[0]} x {stated[1]}{why}"
