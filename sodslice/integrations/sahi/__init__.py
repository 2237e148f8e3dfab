"""SAHI both ways: sodslice's models in SAHI's functions, and SAHI's models in sodslice's runs.

    from sodslice.integrations.sahi import SahiDetector, register

    register()  # from here on SAHI's AutoDetectionModel knows "sodslice"
    sodslice.run("ortho.tif", model=SahiDetector(any_model_of_sahi, tile=640))

docs/sahi.md says what is the same on both ways and what is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sodslice.system.lazy import lazy_names

if TYPE_CHECKING:
    from sodslice.integrations.sahi.detector import SahiDetector
    from sodslice.integrations.sahi.model import SodsliceDetectionModel
    from sodslice.integrations.sahi.registration import register

__all__ = ["SahiDetector", "SodsliceDetectionModel", "register"]

__getattr__ = lazy_names(
    __name__,
    {"detector": "SahiDetector", "model": "SodsliceDetectionModel", "registration": "register"},
)
