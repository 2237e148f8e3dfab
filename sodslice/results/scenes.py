"""`opened_scene`: the scene of a result once more, read as the run read it."""

from __future__ import annotations

from pathlib import Path

from sodslice.errors import SceneError
from sodslice.results.result import RunResult
from sodslice.scene import Rendering, SceneBase, open_scene
from sodslice.values.setting import settings_of


def opened_scene(result: RunResult, path: str | Path | None = None) -> SceneBase:
    """The scene of a result, to be closed.

    Args:
        result: of a run.
        path: where the scene lies now; None for where the result says.

    Raises:
        SceneError: it cannot be read, or is another one.
    """
    options = result.provenance.options
    how = Rendering(**{name: options[name] for name in settings_of(Rendering) if name in options})
    where = path or result.scene.path
    opened = open_scene(where, how)
    if (opened.width, opened.height) != (result.scene.width, result.scene.height):
        opened.close()
        raise SceneError(
            f"{where} has {opened.width} x {opened.height} pixels, the result is of {result.scene.width} x "
            f"{result.scene.height}; give the scene that was run with `scene`"
        )
    return opened


def moved_scene(said: str, result: Path) -> Path | None:
    """Where a scene lies that is named without its folder, or is no longer where its result says.

    It is looked for beside the result, as after a folder was moved; None: it is where the result says.
    """
    beside, bare = result.parent / Path(said).name, Path(said).name == said
    return beside if beside.is_file() and (bare or not Path(said).is_file()) else None
