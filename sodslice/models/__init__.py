"""Models by name, folder or checkpoint: anything a user can name becomes facts, and then a ready detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.models.loading import load_model, load_spec, model_info, resolve_model
    from sodslice.models.store import (
        DETECTORS,
        MODELS,
        NamedDetector,
        StoredModel,
        checkpoint_of,
        model_names,
    )

__all__ = [
    "DETECTORS",
    "MODELS",
    "NamedDetector",
    "StoredModel",
    "checkpoint_of",
    "load_model",
    "load_spec",
    "model_info",
    "model_names",
    "resolve_model",
]

__getattr__ = lazy_names(
    __name__,
    {
        "loading": "load_model load_spec model_info resolve_model",
        "store": "DETECTORS MODELS NamedDetector StoredModel checkpoint_of model_names",
    },
)
