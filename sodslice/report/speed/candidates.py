"""Which engines, precisions and batches are measured."""

from __future__ import annotations

from collections.abc import Iterator

from sodslice.errors import DeviceError
from sodslice.inference import InferenceChoice, read_folder
from sodslice.inference.engines import ENGINES, Engine, parse_devices
from sodslice.inference.engines.choosing import TRANSLATED, split_word
from sodslice.inference.folder import ONNX_SUFFIX, QUANTISED
from sodslice.models.store import DETECTORS, MODELS, files_of
from sodslice.report.speed.records import BASELINE, Candidate, Effort


def candidates_of(asked: InferenceChoice, effort: Effort) -> list[Candidate]:
    """All rows, in their order: models as they are named, engines as they are known, fp32 first.

    Args:
        asked: model, device, batch and threads.
        effort: engines, and further models.

    Raises:
        SodsliceError: there is no such model or engine.
    """
    return [
        Candidate(model, word, precision, batch, asked.device, asked.threads)
        for model in (asked.model, *effort.beside)
        for word, precision, kind in _ways(model, asked.device, effort)
        for batch in _batches(asked.batch, kind)
    ]


def precision_of(model: str, asked: str) -> str:
    """The precision of a row: int8 for a graph that was quantised, whatever is done with the rest of it."""
    return QUANTISED if _suffix_and_content(model)[1] else asked


def _ways(model: str, device: str, effort: Effort) -> Iterator[tuple[str, str, str]]:
    """Word of the engine, precision, and kind of device."""
    suffix, quantised = _suffix_and_content(model)
    if not suffix:
        yield "auto", "fp32", "cpu"
        return
    words = effort.engines or tuple(e.name for e in ENGINES if e.version() and _reads(e, suffix))
    for word in (*words, *([BASELINE] if effort.baseline and BASELINE not in words else [])):
        engine = split_word(word)[0]
        kind = _kind(engine, device)
        plain = word == BASELINE or quantised
        for precision in ("fp32",) if plain else _precisions(engine, kind):
            yield word, precision, kind


def _suffix_and_content(model: str) -> tuple[str, bool]:
    """Suffix of a model's graph, "" where it has none, and whether the graph was quantised."""
    if model not in MODELS and model in DETECTORS:
        return "", False
    path = files_of(model)
    if path.is_file():
        return path.suffix if path.suffix == ONNX_SUFFIX else TRANSLATED, False
    files = read_folder(path)
    return files.graph.suffix, files.quantised


def _reads(engine: Engine, suffix: str) -> bool:
    """Whether an engine runs such graphs, at least once they are translated."""
    return suffix in engine.graphs or (engine.translates and suffix == TRANSLATED)


def _kind(engine: Engine, device: str) -> str:
    """The kind of device that an engine would take; what it cannot have is said by its row."""
    devices = parse_devices(device)
    if devices:
        return devices[0].kind
    try:
        return engine.pick(None).kind
    except DeviceError:
        return "cpu"


def _precisions(engine: Engine, kind: str) -> tuple[str, ...]:
    """Those that a graph can be run in as it is; int8 is a graph of its own."""
    return tuple(known for known in engine.precisions(kind) if known != QUANTISED) or ("fp32",)


def _batches(asked: int | None, kind: str) -> tuple[int, ...]:
    """Tiles per call: one, and besides what is asked for; on other devices than CPUs as many as fit."""
    usual = 1 if kind == "cpu" else 0
    return tuple(dict.fromkeys((1, usual if asked is None else asked)))
