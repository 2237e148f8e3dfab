"""Sessions of graphs whose NMS is made to let all objects through, as far as memory and time allow."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from sodslice.errors import ModelError
from sodslice.inference.detector import ModelInfo
from sodslice.inference.engines.session import Session
from sodslice.inference.limits import USUAL, Limits
from sodslice.inference.nms import NO_LIMIT, Nms, read_nms, write_copy

log = logging.getLogger(__name__)

MOST = 100_000
"""Boxes that a tile may hold: two megabytes of rows."""

FEW_CANDIDATES = 10_000
"""Candidates of a class that the NMS always compares, upstream's number: more cost time on every noisy tile,
a second at 80 000, so they are compared only where a tile is so full that objects may be among them."""


def open_lifted(graph: Path, load: Callable[[Path], Session], info: ModelInfo) -> tuple[Session, Limits]:
    """A session of a graph that gives all boxes of a tile, where that can be had.

    The number of boxes that an NMS gives is an attribute of the graph. It is raised in a copy, which lies in
    a temporary folder while it is loaded; the files of the model stay as they are.

    Args:
        graph: of a model.
        load: makes a session of a graph, and runs it once.
        info: facts about the model; `max_per_tile` is the limit of a graph that cannot be changed.

    Returns:
        The session, of the graph itself if no copy of it can be loaded, and what stops it.

    Raises:
        ModelError: the graph itself cannot be loaded, or has more classes than names.
    """
    nms = read_nms(graph)
    if nms is None:
        return load(graph), Limits(kept=info.max_per_tile)
    if nms.classes is not None and nms.classes > len(info.class_names):
        raise ModelError(
            f"the model {info.name} tells {nms.classes} classes apart, and the label_list of its yml names "
            f"{len(info.class_names)}; complete the list"
        )
    usual = _less(USUAL, nms.kept)
    wanted = Nms(_more(FEW_CANDIDATES, nms.candidates), _more(MOST, nms.kept), nms.classes)
    deep = wanted._replace(candidates=NO_LIMIT)
    try:
        session = load(graph) if wanted == nms else _load_copy(graph, load, wanted)
    except ModelError as error:
        session = load(graph)
        _say(graph, error)
        return session, Limits(_known(nms.kept), usual=usual)

    def deeper() -> Session | None:
        try:
            return _load_copy(graph, load, deep)
        except ModelError as error:
            _say(graph, error)
            return None

    return session, Limits(
        _known(wanted.kept), _known(wanted.candidates), usual, None if deep == wanted else deeper
    )


def _load_copy(graph: Path, load: Callable[[Path], Session], limits: Nms) -> Session:
    """A session of a copy of a graph with other limits.

    Raises:
        ModelError: the copy cannot be made or loaded.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="sodslice-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder) / graph.name
            write_copy(graph, copy, limits)
            return load(copy)
    except OSError as error:
        raise ModelError(f"no copy of {graph} can be written: {error.strerror or error}") from None


def _say(graph: Path, error: ModelError) -> None:
    log.warning(
        "%s cannot be run without its limit of boxes a tile, so full tiles are looked at in parts: %s",
        graph,
        error,
    )


def _more(limit: int, other: int) -> int:
    """The laxer of two limits."""
    return NO_LIMIT if NO_LIMIT in (limit, other) else max(limit, other)


def _less(limit: int, other: int) -> int:
    """The stricter of two limits, of which the first is one."""
    return limit if other == NO_LIMIT else min(limit, other)


def _known(limit: int) -> int | None:
    return None if limit == NO_LIMIT else limit
