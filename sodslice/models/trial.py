"""One tile through a model that has just come."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sodslice.errors import DeviceError, ModelError, SodsliceError
from sodslice.inference import InferenceChoice

ANY_SIDE = 320
"""Side of the tile for models that take any."""

NOT_TRIED = "not tried"
"""What the words begin with where nothing here can run a model."""


def try_one_tile(folder: Path) -> str:
    """What runs the model of an exported folder on a tile, in words, or why nothing here can.

    Raises:
        ModelError: it was run, and gave no answer of a detector.
    """
    from sodslice.models.loading import load_spec, resolve_model  # which knows the shelf, and so this

    try:
        spec = resolve_model(folder, InferenceChoice(model=str(folder), device="cpu"))
    except (ModelError, DeviceError) as error:
        return f"{NOT_TRIED}: {error}"
    try:
        detector = load_spec(spec)
        try:
            detector.detect(_tile(detector.info.input_size or (ANY_SIDE, ANY_SIDE)))
        finally:
            detector.close()
    except DeviceError as error:
        return f"{NOT_TRIED}: {error}"
    except SodsliceError as error:
        raise ModelError(f"{spec.engine} cannot run it: {error}") from None
    return f"a tile runs on {spec.engine}"


def _tile(side: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """One tile `(1, H, W, 3)` of slopes of colour."""
    rows, columns = np.mgrid[: side[0], : side[1]]
    return np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=-1).astype(np.uint8)[None]
