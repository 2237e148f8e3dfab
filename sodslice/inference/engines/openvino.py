"""OpenVINO: fast on CPUs of most kinds, for graphs in ONNX, in its own format, or in Paddle's old one."""

from __future__ import annotations

import importlib
import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from queue import SimpleQueue
from threading import Event, Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DeviceError, ModelError
from sodslice.inference.engines.device import Device
from sodslice.inference.engines.session import DeviceMemoryError, Engine, Feeds, Request
from sodslice.system import chip
from sodslice.system.signals import signals_held

log = logging.getLogger(__name__)

HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16", "int8": "f32"}
"""What is not quantised in a graph of int8 runs in fp32. OpenVINO's own default is bf16 where it can."""

SHAPES_KEPT = 2
"""Compiled graphs that are held: of tiles, and of parts of tiles that are looked at again."""


_FIRST = Lock()
_BEGUN = Event()


@contextmanager
def _alone_at_first() -> Iterator[None]:
    """The first run of a process is alone: OpenVINO's bindings set themselves up in it.

    Two threads that do so at once can wait for each other for ever, one with the GIL and one with a lock.
    """
    if _BEGUN.is_set():
        yield
        return
    with _FIRST:
        yield
        _BEGUN.set()


class OpenvinoSession:
    """A graph on OpenVINO, compiled for each shape of input, which is faster than for any shape.

    Args:
        request: `.onnx`, `.xml` or `.pdmodel`. Its backend is one of OpenVINO's devices, such as GPU.

    Raises:
        ModelError: OpenVINO cannot read, compile or run the files.

    As many threads as there are streams may call `run` at once; it lets other threads go on.
    """

    def __init__(self, request: Request) -> None:
        with signals_held():
            self._openvino = importlib.import_module("openvino")
        self._request = request
        self._target = request.backend.upper() or "CPU"
        self._core: Any = self._openvino.Core()
        self._compiled: OrderedDict[tuple[Any, ...], SimpleQueue[Any]] = OrderedDict()
        self._compiling = Lock()
        try:
            self._model = self._read()
            self.input_names = tuple(port.get_any_name() for port in self._model.inputs)
            if request.probe is not None:
                self.run({name: request.probe[name] for name in self.input_names})
        except KeyError as error:
            raise ModelError(f"{request.graph} wants an input {error} that detectors do not have") from None
        self.description = f"openvino {_version()}, {request.device.kind}, {request.precision}"

    def run(self, feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Outputs of the graph, in its order.

        Raises:
            ModelError: the graph cannot be run on such input, or the session is closed.
        """
        if self._core is None:
            raise ModelError("the model is closed; load it again")
        with _alone_at_first():
            return self._infer(feeds)

    def _infer(self, feeds: Feeds) -> list[npt.NDArray[Any]]:
        try:
            free = self._compiled_for(feeds)
            given = {name: np.ascontiguousarray(feeds[name]) for name in self.input_names}
            request = free.get()
            try:
                outputs = request.infer(given, share_inputs=True)
                return [np.array(outputs[port]) for port in request.model_outputs]
            finally:
                free.put(request)
        except RuntimeError as error:
            raise self._error(error) from None

    def close(self) -> None:
        """Give back the graph and its memory."""
        self._compiled.clear()
        self._core = self._model = None

    def _read(self) -> Any:
        """The graph, with pixels as its input where that is asked for.

        Raises:
            ModelError: it cannot be read.
        """
        graph, parameters = self._request.graph, self._request.parameters
        try:
            weights = str(parameters) if parameters and graph.suffix == ".pdmodel" else ""
            model = self._core.read_model(str(graph), weights)
        except RuntimeError as error:
            raise self._error(error) from None
        if not self._request.pixels:
            return model
        layouts = self._openvino.Layout("NHWC"), self._openvino.Layout("NCHW")
        steps = importlib.import_module("openvino.preprocess").PrePostProcessor(model)
        image = steps.input("image")
        image.tensor().set_element_type(self._openvino.Type.u8).set_layout(layouts[0])
        image.model().set_layout(layouts[1])
        return steps.build()

    def _compiled_for(self, feeds: Feeds) -> SimpleQueue[Any]:
        """The requests that are free for input of these shapes; the graph is compiled for new ones."""
        shapes = tuple(feeds[name].shape for name in self.input_names)
        with self._compiling:
            if shapes in self._compiled:
                self._compiled.move_to_end(shapes)
                return self._compiled[shapes]
            model = self._model.clone()
            model.reshape(dict(zip(self.input_names, map(list, shapes), strict=True)))
            compiled = self._core.compile_model(model, self._target, self._settings())
            while len(self._compiled) >= SHAPES_KEPT:
                self._compiled.popitem(last=False)
            free = self._compiled[shapes] = SimpleQueue()
            for _ in range(self._request.streams):
                free.put(compiled.create_infer_request())
            return free

    def _settings(self) -> dict[str, Any]:
        precision = {"INFERENCE_PRECISION_HINT": HINTS[self._request.precision]}
        if self._target != "CPU":
            return precision
        return precision | {
            "INFERENCE_NUM_THREADS": self._request.threads,
            "NUM_STREAMS": self._request.streams,
            "ENABLE_CPU_PINNING": False,  # two processes would pin themselves to the same cores
        }

    def _error(self, error: RuntimeError) -> ModelError:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        telling = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
        reason = (telling or lines or [type(error).__name__])[-1][:200]
        kind = DeviceMemoryError if "alloc" in str(error).lower() else ModelError
        return kind(f"OpenVINO cannot run {self._request.graph}: {reason}")


def pick_device(asked: Device | None) -> Device:
    """The CPU.

    Raises:
        DeviceError: another device is asked for.
    """
    if asked in (None, Device("cpu")):
        return Device("cpu")
    raise DeviceError(
        f"the engine openvino runs on the CPU, got `device={asked}`; for Intel's GPUs take "
        "`engine=openvino:gpu`, for others another `engine`"
    )


def _precisions(_: str) -> tuple[str, ...]:
    return ("fp32", "bf16", "int8") if chip.computes_bf16() else ("fp32", "int8")


def _version() -> str | None:
    try:
        return version("openvino")
    except PackageNotFoundError:
        return None


ENGINE = Engine(
    "openvino",
    (".onnx", ".xml", ".pdmodel"),
    version=_version,
    pick=pick_device,
    load=OpenvinoSession,
    precisions=_precisions,
    translates=True,
    takes_pixels=True,
    has_streams=True,
    install="openvino",
)
