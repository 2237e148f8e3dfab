"""Models: anything that a user can name becomes facts, and then a ready detector.

Names, folders, archives, ONNX files, checkpoints and URLs; what is elsewhere is fetched to the user's cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.models.loading import load_model, load_spec, model_info, model_layout, resolve_model
    from sodslice.models.pulling import Pulled, Pulling, pull
    from sodslice.models.store import (
        DETECTORS,
        MODELS,
        NamedDetector,
        StoredModel,
        checkpoint_of,
        model_names,
    )
    from sodslice.models.tending import Checked, remove, verify

__all__ = [
    "DETECTORS",
    "MODELS",
    "Checked",
    "NamedDetector",
    "Pulled",
    "Pulling",
    "StoredModel",
    "checkpoint_of",
    "load_model",
    "load_spec",
    "model_info",
    "model_layout",
    "model_names",
    "pull",
    "remove",
    "resolve_model",
    "verify",
]

__getattr__ = lazy_names(
    __name__,
    {
        "loading": "load_model load_spec model_info model_layout resolve_model",
        "pulling": "Pulled Pulling pull",
        "store": "DETECTORS MODELS NamedDetector StoredModel checkpoint_of model_names",
        "tending": "Checked remove verify",
    },
)
