"""Exports of the small networks of `ppyoloe_weights`, each made once for all tests and processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sodslice.ppyoloe.config import NetworkConfig
from sodslice.ppyoloe.description import ExportSettings
from sodslice.ppyoloe.export import export_folder
from sodslice.ppyoloe.onnx import export_onnx
from sodslice.system.locks import alone
from tests.ppyoloe_weights import TINY, TINY_ANY_SIZE, lively

SIZE = (64, 96)
FACTS = {"gsd_m": 0.1}

Kind = tuple[NetworkConfig, Callable[..., object], ExportSettings]

KINDS: dict[str, Kind] = {
    "any size": (TINY_ANY_SIZE, export_folder, ExportSettings(None)),
    "64 x 96": (TINY, export_folder, ExportSettings(SIZE, draw_threshold=0.4, facts={"gsd_m": 0.2})),
    "raw 64 x 96": (TINY, export_folder, ExportSettings(SIZE, nms=False)),
    "raw ONNX": (TINY, export_onnx, ExportSettings(SIZE, nms=False, draw_threshold=0.1, facts=FACTS)),
}


def tiny_export(kind: str, factory: pytest.TempPathFactory) -> Path:
    """The folder of an export, to be read only; processes that test side by side share it.

    Args:
        kind: one of `KINDS`.
        factory: says where the processes of one test run have their files.
    """
    base = factory.getbasetemp()
    common = base.parent if base.name.startswith("popen-") else base
    folder = common / f"export {kind}" / "tiny"
    with alone(common / f"export {kind}.lock"):
        if not folder.exists():
            config, write, settings = KINDS[kind]
            write(lively(config), folder, settings)
    return folder
