"""What tells one scene file from another, and from its own later self."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sodslice.scene.base import SceneBase
from sodslice.scene.georeference import LARGEST_SIDECAR
from sodslice.system.hashes import sha256_of_bytes

STATISTICS = re.compile(
    rb'<MDI key="STATISTICS_[^"]*">[^<]*</MDI>|<Histograms>(?:[^<]|<(?!/?Histograms>))*</Histograms>'
)
EMPTY = re.compile(rb"<(Metadata|PAMRasterBand|PAMDataset)\b[^<>/]*(?:/>|></\1>)")
"""Parts of an .aux.xml, without spaces between them, that say nothing."""


def scene_identity(scene: SceneBase) -> dict[str, Any]:
    """What tells one scene file from another: size in bytes, time of change; {} where there is no file.

    A scene that is made of more files than one, as they were when it was opened, has a hash of theirs too.
    Statistics, which QGIS leaves in an .aux.xml beside each image that it shows, make no other scene of it.
    """
    path = Path(scene.name)
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return {}
    identity = {"scene": path.name, "scene bytes": facts.st_size, "scene changed (ns)": facts.st_mtime_ns}
    states = {file: state for file in scene.companions if (state := _state(file))}
    return identity | {"scene sources": _condensed(states, path)} if states else identity


def _condensed(states: Mapping[Path, str], scene: Path) -> str:
    """One hash of the states of files; their names count from the scene's folder."""
    folder = f"{scene.absolute().parent}{os.sep}"
    lines = (f"{str(file).removeprefix(folder)}\n{state}\n" for file, state in states.items())
    return sha256_of_bytes(*map(os.fsencode, lines))


def _state(file: Path) -> str:
    """Size and time of change, or what an .aux.xml says; "" if it says nothing of the image itself."""
    try:
        facts = file.stat()
        if file.name.endswith(".aux.xml") and facts.st_size <= LARGEST_SIDECAR:
            return _said(file.read_bytes())
    except OSError:
        return "gone"
    return f"{facts.st_size} {facts.st_mtime_ns}"


def _said(content: bytes) -> str:
    """A hash of what an .aux.xml says beside statistics; "" where there is nothing else."""
    left = re.sub(rb">\s+<", b"><", STATISTICS.sub(b"", content)).strip()
    for _ in ("Metadata", "PAMRasterBand", "PAMDataset"):
        left = EMPTY.sub(b"", left)
    return sha256_of_bytes(left) if left else ""
