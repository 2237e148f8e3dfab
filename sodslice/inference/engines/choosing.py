"""`choose_engine`: which engine runs a graph, by what is installed and what the machine can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sodslice.errors import DeviceError, ModelError, OptionError, SodsliceError, did_you_mean
from sodslice.inference.engines import ENGINES
from sodslice.inference.engines.device import Device
from sodslice.inference.engines.session import Engine
from sodslice.system import chip

AUTO = "auto"

TRANSLATED = ".json"
"""Suffix of the graphs that are translated to ONNX for engines which do not read them."""


class Choice(NamedTuple):
    """Which engine runs a graph.

    Fields: the `engine`; its `backend`, "" for its own choice; and `why` others do not, one sentence each.
    """

    engine: Engine
    backend: str
    why: tuple[str, ...]

    @property
    def word(self) -> str:
        """What names engine and backend in one word."""
        return f"{self.engine.name}:{self.backend}" if self.backend else self.engine.name


@dataclass(frozen=True)
class Wish:
    """What is asked of the engine for a graph.

    Args:
        suffix: of the graph's file.
        engine: a name, with a backend behind a colon where wanted; `auto` for the fastest that is installed.
        precision: of the arithmetic.
        device: that the user named; None for the best that is there.
        hindrance: says why the graph cannot be translated, "" if it can; asked only where that matters.
    """

    suffix: str
    engine: str = AUTO
    precision: str = "fp32"
    device: Device | None = None
    hindrance: Callable[[], str] = lambda: ""


def split_word(word: str) -> tuple[Engine, str]:
    """The engine that a word names, and its backend.

    Raises:
        OptionError: there is no such engine.
    """
    name, _, backend = word.partition(":")
    if name not in ENGINES:
        known = (AUTO, *ENGINES.names())
        raise OptionError(f"unknown engine {name!r}; known are {', '.join(known)}{did_you_mean(name, known)}")
    return ENGINES[name], backend


def choose_engine(wish: Wish, *, source: str) -> Choice:
    """The engine that is named, or the first that can do what is asked.

    Args:
        wish: what that is.
        source: the model, for messages.

    Raises:
        OptionError: there is no such engine, or no engine computes in this precision here.
        DeviceError: no engine that is installed drives the device.
        ModelError: no engine runs such graphs, or none that does is installed.
    """
    if wish.engine != AUTO:
        engine, backend = split_word(wish.engine)
        refusal = _refusal(engine, wish, named=True)
        if refusal is not None:
            raise type(refusal)(f"{source}: {refusal}")
        return Choice(engine, backend, ())
    refusals = list[SodsliceError]()
    for engine in _in_order(wish):
        refusal = _refusal(engine, wish)
        if refusal is None:
            return Choice(engine, "", tuple(map(str, refusals)))
        refusals.append(refusal)
    raise _worst(refusals, source, wish)


def _in_order(wish: Wish) -> list[Engine]:
    """All engines, those first that may drive a GPU where there is one to use."""
    engines = list(ENGINES)
    if wish.device is None and chip.has_nvidia_driver():
        return sorted(engines, key=lambda engine: not _brings_gpus(engine))
    return engines


def _brings_gpus(engine: Engine) -> bool:
    """Whether a build for GPUs is installed, by what the engine would take by itself."""
    return engine.version() is not None and engine.pick(None).kind != "cpu"


def _refusal(engine: Engine, wish: Wish, *, named: bool = False) -> SodsliceError | None:
    """Why an engine is not the one; None if it can do what is asked.

    Args:
        engine: to ask.
        wish: what is asked.
        named: the user wants this one, so it may imitate a precision.
    """
    translated = wish.suffix not in engine.graphs
    if translated and not (engine.translates and wish.suffix == TRANSLATED):
        return ModelError(f"{engine.name} does not run {wish.suffix} graphs")
    if engine.version() is None:
        brings = f"; pip install {engine.install}" if engine.install else ""
        return ModelError(f"{engine.name} is not installed{brings}")
    kind = (wish.device or engine.pick(None)).kind
    if kind not in engine.kinds() and not (named and ":" in wish.engine):
        return DeviceError(f"{engine.name}, as installed, drives no {kind}")
    if not named and wish.precision not in engine.precisions(kind):
        if kind == "cpu" and wish.precision == "bf16":
            return OptionError(
                f"{engine.name} would only imitate bf16: this chip has neither avx512_bf16 nor amx_bf16"
            )
        return OptionError(f"{engine.name} does not compute in {wish.precision} on {kind}")
    hindrance = wish.hindrance() if translated else ""
    return ModelError(f"{engine.name} cannot run it: {hindrance}") if hindrance else None


def _worst(refusals: list[SodsliceError], source: str, wish: Wish) -> SodsliceError:
    """One error for the reasons of all engines: of the kind that came closest to running the graph."""
    reasons = "; ".join(map(str, refusals))
    for kind in (OptionError, DeviceError):
        if any(isinstance(refusal, kind) for refusal in refusals):
            asked = f"`precision={wish.precision}`" if kind is OptionError else f"`device={wish.device}`"
            return kind(f"no engine here runs {source} with {asked}: {reasons}")
    return ModelError(f"no engine here runs {source}, a {wish.suffix} graph: {reasons}")
