"""Many scenes: one model, one result a scene, and a broken scene does not stop the others."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sodslice.detector import Detector
from sodslice.errors import GeoRefError, OptionError, OutputError, SceneError, SodsliceError
from sodslice.georef import GeoRef
from sodslice.journal import JournalDiffersError
from sodslice.options import Options
from sodslice.pipeline import as_detector, as_options, check_classes, detect_scene, open_with
from sodslice.result import RunResult
from sodslice.writers import check_output

log = logging.getLogger(__name__)

IMAGE_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".jpg", ".jpeg", ".png", ".img")

SceneProgress = Callable[[Path, int, int], None]
"""Called with the scene, the number of its tiles that are done and of all its tiles."""


class ScenesFailed(SodsliceError):  # noqa: N818 -- says what happened, and is no single error
    """Some scenes of a batch could not be done; the others were.

    Args:
        failures: the error of each scene that failed.
        done: number of scenes that were done.
    """

    def __init__(self, failures: Mapping[Path, SodsliceError], done: int) -> None:
        self.failures = dict(failures)
        self.done = done
        lines = "; ".join(str(error) for error in self.failures.values())
        super().__init__(f"{len(self.failures)} of {done + len(self.failures)} scenes failed: {lines}")


def find_scenes(folder: Path) -> list[Path]:
    """Images in a folder and below, sorted; hidden files and folders are left out.

    Raises:
        SceneError: there are none.
    """
    inside = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    found = sorted(p for p in inside if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    if not found:
        raise SceneError(f"{folder} holds no images; known suffixes are {', '.join(IMAGE_SUFFIXES)}")
    return found


def run_many(
    paths: str | Path | Iterable[str | Path],
    *,
    model: str | Path | Detector | None = None,
    options: Options | Mapping[str, Any] | str | Path | None = None,
    output: str | Path | None = None,
    progress: SceneProgress | None = None,
) -> Iterator[RunResult]:
    """Find the objects in many scenes, one after the other, with one model.

    Args:
        paths: images, or a folder that is searched for them.
        model: as for `run`.
        options: as for `run`.
        output: folder for one file per scene, named like the scene and placed like it below the folder
            that was searched: `.geojson` where the scene has a CRS, `.json` where not.
        progress: told about each scene's tiles.

    Yields:
        One result per scene that could be done, in the order given, each written before it is yielded.

    Raises:
        ScenesFailed: after the last result, if scenes failed.
        SodsliceError: before the first result, if the model, options or output folder are wrong.
    """
    settings = as_options(options)
    scenes, root = _listed(paths)
    stems = output_stems(scenes, root)
    if output is not None:
        check_output(Path(output) / "any.json", georef=GeoRef())
    detector = as_detector(model, settings)
    check_classes(settings, detector)
    failures: dict[Path, SodsliceError] = {}
    for path, stem in zip(scenes, stems, strict=True):
        target = None if output is None else Path(output) / stem
        try:
            result = _run_one(path, detector, settings, output=target, progress=progress)
        except (SceneError, GeoRefError, OptionError, JournalDiffersError) as error:
            log.error("%s", error)  # noqa: TRY400 -- one line, and the rest goes on
            failures[path] = error
            continue
        yield result
    if failures:
        raise ScenesFailed(failures, len(scenes) - len(failures))


def _listed(paths: str | Path | Iterable[str | Path]) -> tuple[list[Path], Path | None]:
    """The scenes, and the folder that was searched for them."""
    if isinstance(paths, (str, Path)):
        path = Path(paths)
        return (find_scenes(path), path) if path.is_dir() else ([path], None)
    return [Path(path) for path in paths], None


def output_stems(scenes: list[Path], root: Path | None = None) -> list[str]:
    """A name for each scene's outputs, without suffix; scenes that would share one keep their suffix.

    Raises:
        OutputError: two scenes still share a name.
    """
    plain = [path.relative_to(root) if root else Path(path.name) for path in scenes]
    short = [str(path.with_suffix("")) for path in plain]
    often = Counter(short)
    stems = [name if often[name] == 1 else str(path) for name, path in zip(short, plain, strict=True)]
    twice = [name for name, count in Counter(stems).items() if count > 1]
    if twice:
        raise OutputError(
            f"several scenes are named {twice[0]}, so their outputs would collide; run their folders apart"
        )
    return stems


def _run_one(
    path: Path, detector: Detector, options: Options, *, output: Path | None, progress: SceneProgress | None
) -> RunResult:
    scene = open_with(path, options)
    try:
        suffix = ".geojson" if scene.georef.on_map else ".json"
        outputs = [] if output is None else [Path(f"{output}{suffix}")]
        tell = None if progress is None else lambda done, total: progress(path, done, total)
        return detect_scene(scene, detector, options, outputs=outputs, progress=tell)
    finally:
        scene.close()
