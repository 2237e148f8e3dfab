"""OpenVINO: fast on CPUs of most kinds, for graphs in ONNX, in its own format, or in Paddle's old one."""

from __future__ import annotations

import importlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
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

Shapes = tuple[tuple[int, ...], ...]
"""One of each input; -1 stands for any length."""

SHAPES_KEPT = 2
"""Graphs compiled for one shape that are held where others run on one for any: those of large scenes."""

SHAPES_KEPT_ALL = 8
"""Where each shape has its own: of tiles of some scenes, and of parts of tiles that are looked at again."""

KERNELS_KEPT = 1000
"""Of the shapes that came before: a third of the time of a small image of a new shape. OpenVINO's own 5000
let a folder of images of 240 sizes grow by 750 MB."""

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


class _Graph:
    """A graph as it is compiled, in time for its first run.

    Args:
        compiled: gives it, compiled.
        requests: so many threads may run it at once.
    """

    def __init__(self, compiled: Callable[[], Any], requests: int) -> None:
        self._compiled = compiled
        self._requests = requests
        self._lock = Lock()
        self._free: SimpleQueue[Any] | None = None

    def ready(self) -> SimpleQueue[Any]:
        """The requests that are free; the first caller compiles, and others wait for it."""
        with self._lock:
            if self._free is None:
                graph, free = self._compiled(), SimpleQueue[Any]()
                for _ in range(self._requests):
                    free.put(graph.create_infer_request())
                self._free = free
            return self._free


class OpenvinoSession:
    """A graph on OpenVINO, compiled once for tiles of any size, and for those of which many come.

    What is compiled for one shape is up to a tenth faster, but that takes half a second. In fp32 on a CPU
    both give the same; elsewhere, where what came before could change what is seen, each shape has its own.

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
        self._graphs: OrderedDict[Shapes, _Graph] = OrderedDict()
        self._flexible: dict[Shapes, _Graph] = {}
        self._choosing = Lock()
        self._alike = self._target == "CPU" and request.precision == "fp32"
        try:
            self._model = self._read()
            self.input_names = tuple(port.get_any_name() for port in self._model.inputs)
            if request.probe is not None:
                self.compile_for(request.probe, many=True)
                self.run({name: request.probe[name] for name in self.input_names})
        except KeyError as error:
            raise ModelError(f"{request.graph} wants an input {error} that detectors do not have") from None
        self.description = f"openvino {_version()}, {request.device.kind}, {request.precision}"

    def run(self, feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Outputs of the graph, in its order.

        Raises:
            ModelError: the graph cannot be run on such input, or the session is closed.
        """
        with _alone_at_first(), self._refusals_said():
            free = self._graph_for(feeds).ready()
            given = {name: np.ascontiguousarray(feeds[name]) for name in self.input_names}
            request = free.get()
            try:
                outputs = request.infer(given, share_inputs=True)
                return [np.array(outputs[port]) for port in request.model_outputs]
            finally:
                free.put(request)

    def compile_for(self, feeds: Feeds, *, many: bool) -> None:
        """See `CompilingSession`.

        Raises:
            ModelError: the graph cannot be compiled for such input, or the session is closed.
        """
        with self._refusals_said():
            self._graph_for(feeds, alone=many).ready()

    def close(self) -> None:
        """Give back the graph and its memory."""
        with self._choosing:
            self._graphs.clear()
            self._flexible.clear()
            self._core = self._model = None

    def _read(self) -> Any:
        """The graph, with pixels as its input where that is asked for.

        Raises:
            ModelError: it cannot be read.
        """
        graph, parameters = self._request.graph, self._request.parameters
        with self._refusals_said():
            weights = str(parameters) if parameters and graph.suffix == ".pdmodel" else ""
            model = self._core.read_model(str(graph), weights)
        if not self._request.pixels:
            return model
        layouts = self._openvino.Layout("NHWC"), self._openvino.Layout("NCHW")
        steps = importlib.import_module("openvino.preprocess").PrePostProcessor(model)
        image = steps.input("image")
        image.tensor().set_element_type(self._openvino.Type.u8).set_layout(layouts[0])
        image.model().set_layout(layouts[1])
        return steps.build()

    def _graph_for(self, feeds: Feeds, *, alone: bool = False) -> _Graph:
        """What runs input of these shapes: that which is compiled for them alone, or for tiles of any size.

        Raises:
            ModelError: the session is closed.
        """
        shapes = tuple(feeds[name].shape for name in self.input_names)
        with self._choosing:
            if self._core is None:
                raise ModelError("the model is closed; load it again")
            if shapes in self._graphs:
                self._graphs.move_to_end(shapes)
                return self._graphs[shapes]
            if alone or not self._alike:
                while len(self._graphs) >= (SHAPES_KEPT if self._alike else SHAPES_KEPT_ALL):
                    self._graphs.popitem(last=False)
                self._graphs[shapes] = self._graph(shapes)
                return self._graphs[shapes]
            flexible = tuple(map(self._of_any_size, self.input_names, shapes))
            if flexible not in self._flexible:
                self._flexible[flexible] = self._graph(flexible)
            return self._flexible[flexible]

    def _of_any_size(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Such a shape as stands for images of all heights and widths that an input takes."""
        axes = enumerate(zip(shape, self._model.input(name).partial_shape, strict=True))
        return tuple(-1 if axis and taken.is_dynamic else length for axis, (length, taken) in axes)

    def _graph(self, shapes: Shapes) -> _Graph:
        """The graph for input of some shapes, not compiled yet."""
        core, model = self._core, self._model.clone()

        def compiled() -> Any:
            model.reshape(dict(zip(self.input_names, map(list, shapes), strict=True)))
            return core.compile_model(model, self._target, self._settings())

        return _Graph(compiled, self._request.streams)

    def _settings(self) -> dict[str, Any]:
        precision = {"INFERENCE_PRECISION_HINT": HINTS[self._request.precision]}
        if self._target != "CPU":
            return precision
        return precision | {
            "INFERENCE_NUM_THREADS": self._request.threads,
            "NUM_STREAMS": self._request.streams,
            "ENABLE_CPU_PINNING": False,  # two processes would pin themselves to the same cores
            "CPU_RUNTIME_CACHE_CAPACITY": KERNELS_KEPT,
        }

    @contextmanager
    def _refusals_said(self) -> Iterator[None]:
        """What OpenVINO refuses in one line."""
        try:
            yield
        except RuntimeError as error:
            raise self._error(error) from None

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
