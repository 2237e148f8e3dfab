"""`opened_scene`: the scene of a result once more, read as the run read it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from sodslice.errors import SceneError
from sodslice.results.result import RunResult
from sodslice.scene import Rendering, SceneBase, open_scene
from sodslice.values.setting import settings_of


def opened_scene(result: RunResult, path: str | Path | None = None, *, allow_vrt: bool = False) -> SceneBase:
    """The scene of a result, to be closed.

    Args:
        result: of a run.
        path: where the scene lies now; None for where the result says.
        allow_vrt: whether it may point to images outside of its folder.

    Raises:
        SceneError: it cannot be read, or is another one.
    """
    options = result.provenance.options
    how = {name: options[name] for name in settings_of(Rendering) if name in options}
    where = path or result.scene.path
    opened = open_scene(where, Rendering(**{**how, "allow_vrt": allow_vrt}))
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


def scene_below(folder: Path, said: str) -> Path:
    """The file below a folder that ends as a result's path of its scene does, in as many parts as possible.

    Raises:
        SceneError: there is none.
    """
    path = (PureWindowsPath if "\\" in said else PurePosixPath)(said)
    parts = [part for part in path.parts if part not in (path.anchor, "..")]
    tails = (folder.joinpath(*parts[start:]) for start in range(len(parts)))
    found = next((tail for tail in tails if tail.is_file()), None)
    if found is None:
        raise SceneError(
            f"{folder} holds no {path.name or 'scene'}; give the folder that {said!r} lies in now"
        )
    return found
