"""SHA-256 of files, of bytes and of facts, in hexadecimal."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

_BLOCK_BYTES = 1 << 20


def sha256_of(*paths: Path) -> str:
    """One hash over the contents of files, in order, as if they were one file.

    Raises:
        OSError: one cannot be read.
    """
    total = sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                total.update(block)
    return total.hexdigest()


def sha256_of_bytes(*parts: bytes) -> str:
    """One hash over parts, in order, as if they were one."""
    return sha256(b"".join(parts)).hexdigest()


def sha256_of_facts(facts: Mapping[str, Any]) -> str:
    """The hash of facts that JSON can say, whatever the order of their names.

    Tuples count as lists, and nan and infinities as null; 1 and 1.0 differ.

    Raises:
        TypeError: JSON cannot say them.
    """
    return sha256_of_bytes(orjson.dumps(dict(facts), option=orjson.OPT_SORT_KEYS))
