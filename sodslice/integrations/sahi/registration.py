"""`register`: sodslice among the types of models that SAHI loads by name."""

from __future__ import annotations

import sys
from importlib import import_module

TYPE = "sodslice"
"""The name of our models in SAHI."""


def register() -> None:
    """Let `sahi.AutoDetectionModel.from_pretrained("sodslice", model_path=...)` load models of sodslice.

    SAHI has no entry points, so it is told in each process anew; telling it twice does no harm.

    Raises:
        DeviceError: SAHI cannot load.
    """
    from sodslice.integrations.sahi import model

    sys.modules[f"sahi.models.{TYPE}"] = model
    import_module("sahi.auto_model").MODEL_TYPE_TO_MODEL_CLASS_NAME[TYPE] = (
        model.SodsliceDetectionModel.__name__
    )
