"""Engines: named arrays in, raw arrays out. They know nothing of boxes.

An engine is one module that makes an `Engine`; packages add theirs by the entry point `sodslice.engines`.
"""

from __future__ import annotations

from importlib import import_module

from sodslice.inference.engines.device import Device, parse_device, parse_devices
from sodslice.inference.engines.session import (
    PRECISIONS,
    DeviceMemoryError,
    Engine,
    Feeds,
    Request,
    Session,
)
from sodslice.system.registry import Registry

__all__ = [
    "ENGINES",
    "PRECISIONS",
    "Device",
    "DeviceMemoryError",
    "Engine",
    "Feeds",
    "Request",
    "Session",
    "parse_device",
    "parse_devices",
]

ENGINES: Registry[Engine] = Registry(
    "engine",
    "sodslice.engines",
    {
        "openvino": lambda: import_module("sodslice.inference.engines.openvino").ENGINE,
        "onnxruntime": lambda: import_module("sodslice.inference.engines.onnxruntime").ENGINE,
        "paddle": lambda: import_module("sodslice.inference.engines.paddle").ENGINE,
    },
)
"""What can run graphs, by name, the faster ones first."""
