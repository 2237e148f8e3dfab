"""ONNX Runtime: on the CPU, on NVIDIA's GPUs (CUDA, TensorRT), and on whatever else its build has."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.errors import DeviceError, ModelError
from sodslice.inference.engines.device import Device
from sodslice.inference.engines.session import DeviceMemoryError, Engine, Feeds, Request
from sodslice.system import chip
from sodslice.system.signals import signals_held

DISTRIBUTIONS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-rocm",
)

PROVIDERS = {
    "": "CUDAExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Of GPUs, by the word for the backend; others go by their own name."""

DTYPES = {
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
}
"""Of inputs, by ONNX Runtime's words for them; the others are float32."""

ERRORS_ONLY = 3
"""Of its log: it warns of every constant that nobody folded."""


class OnnxruntimeSession:
    """An ONNX graph on ONNX Runtime.

    Args:
        request: `.onnx`. Its backend is `cuda` or `tensorrt`, or the name of a provider, such as
            `DmlExecutionProvider`.

    Raises:
        ModelError: ONNX Runtime cannot load or run the file.
        DeviceError: its build has no such provider, or the provider does not start.

    Not thread-safe; `run` lets other threads go on.
    """

    def __init__(self, request: Request) -> None:
        if request.precision == "fp32":
            chip.keep_fp32_exact()
        with signals_held():
            self._runtime: Any = importlib.import_module("onnxruntime")
        self._graph = request.graph
        providers = _providers(self._runtime, request)
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = request.threads
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session = self._runtime.InferenceSession(str(request.graph), options, providers=providers)
        except Exception as error:  # noqa: BLE001 - its own classes have no common base
            raise self._error(error) from None
        name = providers[0][0] if isinstance(providers[0], tuple) else providers[0]
        if name not in self._session.get_providers():
            raise DeviceError(
                f"ONNX Runtime cannot start its {name} for `device={request.device}`: libraries of the "
                "device are missing, or of another version; use `device=cpu`, or another `engine`"
            )
        self._dtypes = {port.name: DTYPES.get(port.type, "float32") for port in self._session.get_inputs()}
        self.input_names = tuple(self._dtypes)
        words = "" if name == "CPUExecutionProvider" else f" {name.removesuffix('ExecutionProvider')}"
        self.description = f"onnxruntime {_version()}{words}, {request.device.kind}, {request.precision}"
        if request.probe is not None:
            try:
                self.run({name: request.probe[name] for name in self.input_names})
            except KeyError as error:
                raise ModelError(
                    f"{request.graph} wants an input {error} that detectors do not have"
                ) from None

    def run(self, feeds: Feeds) -> list[npt.NDArray[Any]]:
        """Outputs of the graph, in its order.

        Raises:
            ModelError: the graph cannot be run on such input, or the session is closed.
        """
        if self._session is None:
            raise ModelError("the model is closed; load it again")
        given = {name: np.ascontiguousarray(feeds[name], dtype) for name, dtype in self._dtypes.items()}
        try:
            outputs: list[npt.NDArray[Any]] = self._session.run(None, given)
        except Exception as error:  # noqa: BLE001 - its own classes have no common base
            raise self._error(error) from None
        return outputs

    def close(self) -> None:
        """Give back the graph and its memory."""
        self._session = None

    def _error(self, error: Exception) -> ModelError:
        text = " ".join(str(error).split())
        full = any(word in text.lower() for word in ("out of memory", "failed to allocate memory"))
        kind = DeviceMemoryError if full else ModelError
        return kind(f"ONNX Runtime cannot run {self._graph}: {text[:200]}")


def _providers(runtime: Any, request: Request) -> list[Any]:
    """What runs the graph; on GPUs the CPU takes single operations that the GPU does not have.

    Raises:
        DeviceError: this build has no such provider.
    """
    known = runtime.get_available_providers()
    half, backend = request.precision == "fp16", request.backend.lower()
    if request.device.kind == "cpu" and backend in ("", "cpu"):
        return ["CPUExecutionProvider"]
    if half and backend == "cuda":
        raise DeviceError("CUDA runs graphs as they are, in fp32; for fp16 use `engine=onnxruntime:tensorrt`")
    name = PROVIDERS["tensorrt"] if half and not backend else PROVIDERS.get(backend, request.backend)
    found = next((one for one in known if one.lower() == name.lower()), None)
    if found is None:
        raise DeviceError(
            f"this build of ONNX Runtime has no {name} (it has {', '.join(known)}); install the build that "
            "has it, such as onnxruntime-gpu, in place of onnxruntime, or use `device=cpu`"
        )
    words: dict[str, Any] = {"device_id": request.device.number}
    if found == "TensorrtExecutionProvider":
        words["trt_fp16_enable"] = half
    return [(found, words), "CPUExecutionProvider"]


def pick_device(asked: Device | None) -> Device:
    """The device asked for; of itself a GPU where this build and a driver can use one.

    Raises:
        DeviceError: ONNX Runtime has no such device.
    """
    kinds = _kinds()
    if asked is None:
        return Device("gpu") if "gpu" in kinds and chip.has_nvidia_driver() else Device("cpu")
    if asked.kind in kinds:
        return asked
    if asked.kind == "gpu":
        raise DeviceError(
            f"`device={asked}` needs onnxruntime-gpu, and onnxruntime is installed; run: pip uninstall "
            "onnxruntime, then pip install onnxruntime-gpu, or use `device=cpu`"
        )
    raise DeviceError(f"the engine onnxruntime knows no `device={asked}`; use `engine=paddle`")


def _kinds() -> tuple[str, ...]:
    return ("cpu", "gpu") if "onnxruntime-gpu" in _installed() else ("cpu",)


def _precisions(kind: str) -> tuple[str, ...]:
    return ("fp32",) if kind == "cpu" else ("fp32", "fp16")


def _installed() -> dict[str, str]:
    """The builds that are installed, with their versions."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _version() -> str | None:
    return next(iter(_installed().values()), None)


ENGINE = Engine(
    "onnxruntime",
    (".onnx",),
    version=_version,
    pick=pick_device,
    load=OnnxruntimeSession,
    kinds=_kinds,
    precisions=_precisions,
    translates=True,
    install="onnxruntime",
)
