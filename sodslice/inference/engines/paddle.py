"""Paddle Inference, on the CPU and on whatever else the installed Paddle was built for."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from threading import RLock
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DeviceError, ModelError
from sodslice.inference.engines.device import KINDS, Device
from sodslice.inference.engines.session import DeviceMemoryError, Engine, Feeds, Request
from sodslice.system import chip
from sodslice.system.quiet import quiet_native_output
from sodslice.system.signals import signals_held

log = logging.getLogger(__name__)

GPU_MEMORY_MB = 500
"""Paddle's first GPU allocation; it grows as needed."""

TENSORRT_LEAST = 3
"""Operations that a part of the graph must have to go to TensorRT; upstream's number."""

OUT_OF_MEMORY = ("ResourceExhausted", "Out of memory", "out of memory", "Cannot allocate memory")
"""Words of Paddle's errors."""

Configure = Callable[[Any], None]

_IMPORTING = RLock()
_LOADING = RLock()
"""Threads load one after the other: Paddle configures the process while it loads."""


def import_paddle() -> Any:
    """The `paddle` module, without what its import does to the process.

    It warns, gives the root logger a handler of its own, and takes over SIGTERM and the fault signals, so
    that Ctrl-C's sibling would end a run with a stack trace. Ctrl-C and SIGTERM wait until it is done, and
    the handlers are what they were.
    """
    with _IMPORTING:
        if "paddle" in sys.modules:
            import paddle  # which waits for a thread of somebody else's that is at it

            return paddle
        os.environ.setdefault("GLOG_minloglevel", "2")
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        with signals_held(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import paddle

            paddle.disable_signal_handler()
            root.handlers[:] = handlers
            root.setLevel(level)
        return paddle


def pick_device(asked: Device | None) -> Device:
    """The device to use: the one asked for, or a GPU if this Paddle can drive one, else the CPU.

    Raises:
        DeviceError: the device asked for is not there. It is never replaced silently.
    """
    if asked is None and not _built_for_gpus():
        return Device("cpu")
    if asked is not None and asked.kind == "cpu":
        return asked
    paddle = import_paddle()
    if asked is None:
        return Device("gpu") if _device_count(paddle, "gpu") else Device("cpu")
    count = _device_count(paddle, asked.kind)
    if asked.number < count:
        return asked
    if asked.kind == "gpu" and not paddle.is_compiled_with_cuda():
        raise DeviceError(
            f"`device={asked}` needs Paddle's GPU build, and this is the CPU build; "
            "run: pip uninstall paddlepaddle, then install paddlepaddle-gpu from Paddle's own index "
            "(paddlepaddle.org.cn), or use `device=cpu`"
        )
    raise DeviceError(
        f"`device={asked}` is not there: this Paddle sees {count} device(s) of kind {asked.kind}; "
        "use `device=cpu`"
    )


def _device_count(paddle: Any, kind: str) -> int:
    """How many devices of a kind this Paddle can drive."""
    if kind == "gpu":
        return int(paddle.device.cuda.device_count()) if paddle.is_compiled_with_cuda() else 0
    if kind == "xpu":
        return int(paddle.device.xpu.device_count()) if paddle.is_compiled_with_xpu() else 0
    names = paddle.device.get_all_custom_device_type() or []
    return (
        len([d for d in paddle.device.get_available_custom_device() or [] if d.split(":")[0] == kind])
        if kind in names
        else 0
    )


class PaddleSession:
    """An exported graph on Paddle Inference.

    On the CPU, oneDNN is tried in full, then without its placement pass (Paddle 3.3 cannot run
    `nearest_interp` through oneDNN), then, in fp32, not at all; each is probed with one run, since Paddle
    only notices then. The last step is warned about: it is several times slower, with the same boxes.

    Args:
        request: `.json` (PIR) or `.pdmodel` graph with `.pdiparams`. Its backend is `tensorrt` on a GPU,
            and `plain` (without oneDNN) on a CPU.

    Raises:
        ModelError: Paddle cannot load or run the files.

    Not thread-safe; `run` holds the GIL.
    """

    def __init__(self, request: Request) -> None:
        if request.precision == "fp32":
            chip.keep_fp32_exact()
        self._inference = import_paddle().inference
        self._predictor: Any = None
        self._inputs: dict[str, Any] = {}
        self._outputs: list[Any] = []
        graph, failures = request.graph, list[str]()
        for words, configure in _ways(request):
            try:
                with _LOADING, quiet_native_output():
                    self._load(request, configure)
                    if request.probe is not None:
                        self.run({n: request.probe[n] for n in self._inputs})
            except KeyError as error:
                raise ModelError(f"{graph} wants an input {error} that detectors do not have") from None
            except (RuntimeError, ValueError, OSError, TypeError) as error:
                failures.append(_reason(error))
                log.info("%s cannot run through %s: %s", graph, words, failures[-1])
                continue
            if words == "plain":
                log.warning(
                    "oneDNN cannot run this model here, so it runs several times slower: %s", failures[0]
                )
            self.description = ", ".join(
                [f"paddle {import_paddle().__version__}", request.device.kind, words, request.precision]
            )
            return
        raise ModelError(f"Paddle cannot run {graph}: {failures[-1]}")

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""
        return tuple(self._inputs)

    def run(self, feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Outputs of the graph, in its order, as copies.

        Raises:
            ModelError: the session is closed.
        """
        if self._predictor is None:
            raise ModelError("the model is closed; load it again")
        for name, handle in self._inputs.items():
            handle.copy_from_cpu(np.ascontiguousarray(feeds[name]))
        try:
            self._predictor.run()
        except (RuntimeError, MemoryError) as error:
            if any(word in str(error) for word in OUT_OF_MEMORY):
                raise DeviceMemoryError(
                    f"Paddle has not the memory for such a batch: {_reason(error)}"
                ) from None
            raise
        return [handle.copy_to_cpu() for handle in self._outputs]

    def close(self) -> None:
        """Give back the graph and its memory."""
        self._predictor = None
        self._inputs, self._outputs = {}, []

    def _load(self, request: Request, configure: Callable[[Any], None]) -> None:
        config = self._inference.Config(str(request.graph), str(request.parameters))
        config.set_cpu_math_library_num_threads(request.threads)
        config.disable_glog_info()
        configure(config)
        predictor = self._predictor = self._inference.create_predictor(config)
        self._outputs = [predictor.get_output_handle(n) for n in predictor.get_output_names()]
        self._inputs = {n: predictor.get_input_handle(n) for n in predictor.get_input_names()}


def _ways(request: Request) -> list[tuple[str, Configure]]:
    """How to configure Paddle for a device, the best way first, each with its name."""
    if request.device.kind != "cpu":
        words = request.backend or request.device.kind
        return [(words, lambda config: _accelerator(config, request))]
    if request.backend == "plain":
        return [("without oneDNN", _plain)]
    half = request.precision == "bf16"
    full, placed = (_in_bf16(way) if half else way for way in (_full_onednn, _placed_onednn))
    ways: list[tuple[str, Configure]] = [("oneDNN", full), ("oneDNN without placement", placed)]
    return ways if half else [*ways, ("plain", _plain)]


def _full_onednn(config: Any) -> None:
    config.disable_gpu()
    config.enable_mkldnn()
    config.set_mkldnn_cache_capacity(1)


def _placed_onednn(config: Any) -> None:
    _full_onednn(config)
    config.delete_pass("onednn_placement_pass")


def _in_bf16(way: Configure) -> Configure:
    def configure(config: Any) -> None:
        way(config)
        config.enable_mkldnn_bfloat16()

    return configure


def _plain(config: Any) -> None:
    config.disable_gpu()
    config.disable_mkldnn()


def _accelerator(config: Any, request: Request) -> None:
    device, words = request.device, import_paddle().inference.PrecisionType
    half = request.precision == "fp16"
    if device.kind == "gpu":
        config.enable_use_gpu(GPU_MEMORY_MB, device.number, words.Half if half else words.Float32)
        if request.backend == "tensorrt":
            config.enable_tensorrt_engine(
                workspace_size=1 << 30,
                max_batch_size=1,
                min_subgraph_size=TENSORRT_LEAST,
                precision_mode=words.Half if half else words.Float32,
                use_static=False,
                use_calib_mode=False,
            )
    elif device.kind == "xpu":
        config.enable_xpu()
        config.set_xpu_device_id(device.number)
    else:
        config.enable_custom_device(device.kind, device.number)


def _reason(error: Exception) -> str:
    """The first telling line of Paddle's words, without its call stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith("(") or "Error" in line]
    return (telling or lines or [type(error).__name__])[0][:200]


def _built_for_gpus() -> bool:
    return "paddlepaddle-gpu" in _installed()


def _installed() -> dict[str, str]:
    """The builds that are installed, with their versions; Paddle is not imported."""
    found = {}
    for distribution in ("paddlepaddle", "paddlepaddle-gpu"):
        try:
            found[distribution] = version(distribution)
        except PackageNotFoundError:
            continue
    return found


def _version() -> str | None:
    return next(iter(_installed().values()), None)


def _kinds() -> tuple[str, ...]:
    """All that Paddle has a word for: what a build can drive is known when it is imported."""
    return KINDS


def _precisions(kind: str) -> tuple[str, ...]:
    if kind == "cpu":
        return ("fp32", "bf16") if chip.computes_bf16() else ("fp32",)
    return ("fp32", "fp16") if kind == "gpu" else ("fp32",)


ENGINE = Engine(
    "paddle",
    (".json", ".pdmodel"),
    version=_version,
    pick=pick_device,
    load=PaddleSession,
    kinds=_kinds,
    precisions=_precisions,
    install="paddlepaddle",
)
