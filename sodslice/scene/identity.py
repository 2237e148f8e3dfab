"""What tells one scene file from another, and from its own later self."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sodslice.scene.base import SceneBase
from sodslice.system.hashes import sha256_of_bytes


def scene_identity(scene: SceneBase) -> dict[str, Any]:
    """What tells one scene file from another: size in bytes, time of change; {} where there is no file.

    A scene that is made of more files than one, as they were when it was opened, has a hash of theirs too.
    """
    path = Path(scene.name)
    try:
        facts = path.stat()
    except (OSError, ValueError):
        return {}
    identity = {"scene": path.name, "scene bytes": facts.st_size, "scene changed (ns)": facts.st_mtime_ns}
    companions = scene.companions
    return identity | {"scene sources": _condensed(companions, path)} if companions else identity


def _condensed(files: Sequence[Path], scene: Path) -> str:
    """One hash of the sizes and times of change of files; their names count from the scene's folder."""
    folder = f"{scene.absolute().parent}{os.sep}"
    lines = (f"{str(file).removeprefix(folder)}\n{_state(file)}\n" for file in files)
    return sha256_of_bytes(*map(os.fsencode, lines))


def _state(file: Path) -> str:
    try:
        facts = file.stat()
    except OSError:
        return "gone"
    return f"{facts.st_size} {facts.st_mtime_ns}"
