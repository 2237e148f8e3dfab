"""Texts of other people's making in XML."""

from __future__ import annotations

import re

FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML 1.0 may hold, even escaped."""


def xml_text(text: str) -> str:
    """A text as XML can hold it: characters that it forbids become question marks in diamonds."""
    return FORBIDDEN.sub("\ufffd", text)
