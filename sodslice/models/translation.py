"""Paddle's graphs as ONNX: translated once, and held against Paddle before an engine is trusted with them.

A translation is a folder: `inference.onnx`; `check.npz`, a tile of a drawn town with all that Paddle answers
to it; `translation.json`. It lies beside the graph, as that of the default model does, or in the user's cache
under a name that its content decides.

Paddle is needed to make one, so it is made in a child process.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from sodslice.errors import ModelError
from sodslice.inference import ModelFolder, read_folder
from sodslice.inference.dialect import feeds_for
from sodslice.inference.engines import Session
from sodslice.inference.graphs.translation import VERSION, raw_copy, translate_graph
from sodslice.inference.limits import Suppression
from sodslice.system.caches import alone_with, cache_folder, cache_refusals_said
from sodslice.system.files import appearing_folder, write_atomically
from sodslice.system.hashes import sha256_of, sha256_of_facts
from sodslice.system.starting import python_command, python_environment

log = logging.getLogger(__name__)

BESIDE = "translation"
"""Name of the folder beside a graph."""

GRAPH, CHECK, FACTS = "inference.onnx", "check.npz", "translation.json"

ANY_SIDE = 320
"""Side of the tile for graphs that take any."""

TOLERANCE_PX, TOLERANCE_SCORE = 0.05, 1e-3
SURE = 0.05
"""Boxes of anchors that score less are of no weight."""


@dataclass(frozen=True)
class Translation:
    """A graph of Paddle in ONNX, up to its NMS.

    Args:
        folder: where it lies.
        key: what it was made from, as a hash.
        suppression: the NMS that is left to the caller; None where the graph had none.
    """

    folder: Path
    key: str
    suppression: Suppression | None

    @property
    def graph(self) -> Path:
        """The ONNX file."""
        return self.folder / GRAPH


def translation_of(files: ModelFolder) -> Translation:
    """The translation of a model's graph: that which is there, or one made now.

    Two processes that want the same one make it once.

    Raises:
        ModelError: the graph cannot be translated, or is not a model.
        OutputError: the cache cannot be written.
    """
    key = _key(files)
    beside = _read(files.graph.parent / BESIDE, key)
    if beside is not None:
        return beside
    folder = cache_folder() / "translations" / key[:32]
    with cache_refusals_said(), alone_with(folder, [folder]):
        if _read(folder, key) is None:
            log.warning("translating %s for faster engines, this once; it is kept in %s", files.graph, folder)
            _translate_in_child(files.graph.parent, folder)
    made = _read(folder, key)
    if made is None:
        raise ModelError(f"the translation of {files.graph} in {folder} is damaged; remove that folder")
    return made


def write_translation(files: ModelFolder, folder: Path) -> None:
    """Translate a model's graph, and ask Paddle what the translation is to answer.

    Args:
        files: of the model.
        folder: appears whole or not at all.

    Raises:
        ModelError: the graph cannot be translated, or run by Paddle.
        OutputError: the folder cannot be written.
    """
    import onnx

    made = translate_graph(files.graph, _parameters(files))
    tile = _tile(files)
    boxes, scores = _answers_of_paddle(files, tile)
    with appearing_folder(folder, overwrite=True) as half:
        onnx.save(made.model, str(half / GRAPH))
        np.savez_compressed(half / CHECK, tile=tile, boxes=boxes, scores=scores)
        rule = made.suppression
        facts = {"key": _key(files), "suppression": None if rule is None else [rule.iou, rule.floor]}
        (half / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def hold_against(translation: Translation, session: Session, files: ModelFolder, *, pixels: bool) -> None:
    """Refuse a session that does not answer to a tile what Paddle answers.

    Args:
        translation: that the session runs.
        session: of an engine, in fp32.
        files: of the model.
        pixels: the session takes tiles as uint8.

    Raises:
        ModelError: it gives other boxes or scores.
    """
    with np.load(translation.folder / CHECK) as check:
        tile, wanted, wanted_scores = check["tile"], check["boxes"], check["scores"]
    feeds, _ = feeds_for(files.preprocess, tile[None], pixels=pixels)
    boxes, scores = session.run({name: feeds[name] for name in session.input_names})
    sure = wanted_scores.max(axis=0) >= SURE
    gaps = (
        float(np.abs(boxes[0] - wanted)[sure].max(initial=0)),
        float(np.abs(scores[0] - wanted_scores).max(initial=0)),
    )
    if not (gaps[0] <= TOLERANCE_PX and gaps[1] <= TOLERANCE_SCORE):  # not-a-number is refused too
        raise ModelError(
            f"{session.description} gives other answers than Paddle for {files.info.name}: boxes differ by "
            f"{gaps[0]:.3g} px and scores by {gaps[1]:.3g}; use `engine=paddle`"
        )


@contextmanager
def trusted(translation: Translation, engine: str) -> Iterator[bool]:
    """Whether an engine has been held against Paddle with a translation; noted when the block ends well.

    Args:
        translation: that it runs.
        engine: with its version and all else that its numbers depend on.
    """
    note = cache_folder() / "trusted" / sha256_of_facts({"key": translation.key, "engine": engine})[:32]
    known = note.is_file()
    yield known
    if not known:
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(note, engine.encode())
        except OSError as error:  # it is then held against Paddle each time
            log.info("%s cannot be written: %s", note, error)


def _key(files: ModelFolder) -> str:
    """One hash over all that a translation depends on."""
    sides = files.preprocess.input_size
    facts = {"graph": sha256_of(files.graph), "parameters": sha256_of(_parameters(files))}
    return sha256_of_facts(
        {**facts, "version": VERSION, "sides": sides, "words": files.preprocess.describe()}
    )


def _parameters(files: ModelFolder) -> Path:
    if files.parameters is None:
        raise ModelError(f"{files.graph} has no weights beside it")
    return files.parameters


def _read(folder: Path, key: str) -> Translation | None:
    """The translation in a folder; None where there is none that was made from this key."""
    try:
        facts: dict[str, Any] = orjson.loads((folder / FACTS).read_bytes())
        rule = facts["suppression"]
        if facts["key"] != key or not all((folder / name).is_file() for name in (GRAPH, CHECK)):
            return None
        return Translation(folder, key, None if rule is None else Suppression(*rule))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _translate_in_child(model: Path, folder: Path) -> None:
    """Run this module on a model.

    Raises:
        ModelError: it failed.
    """
    words = python_command(f"from {__name__} import main; sys.exit(main())", str(model), str(folder))
    child = subprocess.run(words, capture_output=True, text=True, check=False, env=python_environment())
    if child.returncode:
        lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
        said = lines[-1].removeprefix("error: ") if lines else f"exit code {child.returncode}"
        raise ModelError(f"{model} cannot be translated: {said[:400]}; use `engine=paddle`")


def _tile(files: ModelFolder) -> npt.NDArray[np.uint8]:
    """A tile `(H, W, 3)` of a drawn town, in the size that the graph takes."""
    from sodslice.synthetic import SceneSpec, render

    height, width = files.preprocess.input_size or (ANY_SIDE, ANY_SIDE)
    return render(SceneSpec(width=width, height=height, gsd_m=0.12, seed=5))


def _answers_of_paddle(files: ModelFolder, tile: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    """Boxes `(A, 4)` in pixels of the graph's input and scores `(C, A)`, before NMS."""
    from sodslice.inference.engines import Device, Request
    from sodslice.inference.engines.paddle import PaddleSession
    from sodslice.system.chip import cores

    feeds, _ = feeds_for(files.preprocess, tile[None], pixels=False)
    feeds["scale_factor"] = np.ones((1, 2), np.float32)
    with TemporaryDirectory(prefix="sodslice-", ignore_cleanup_errors=True) as folder:
        graph = raw_copy(files.graph, Path(folder))
        session = PaddleSession(Request(graph, files.parameters, Device("cpu"), cores(), feeds))
        boxes, scores = session.run({name: feeds[name] for name in session.input_names})
        session.close()
    return [boxes[0], scores[0]]


def main() -> int:
    """Translate the model of the first word into the folder of the second."""
    from sodslice.errors import SodsliceError

    model, folder = sys.argv[1:]
    try:
        write_translation(read_folder(Path(model)), Path(folder))
    except SodsliceError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0
