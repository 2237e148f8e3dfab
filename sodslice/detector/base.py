"""What the pipeline asks of a model, and what a model says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sodslice.detections import Detections

Pixels = npt.NDArray[np.uint8]

SCORE_FLOOR = 0.01
"""Boxes below it are never kept; the thresholds of users apply after the merge."""


@dataclass(frozen=True)
class ModelInfo:
    """What a user may want to know about a model, and what the pipeline must.

    Args:
        class_names: names of the labels 0..C-1.
        name: what outputs call the model.
        input_size: (height, width) in pixels that the model takes, tiles of other sizes are resized to it;
            None where it takes any size.
        stride: with `input_size` None: tiles are padded to multiples of it.
        threshold: score that its makers recommend.
        suppressed: whether its boxes have already been through NMS within the tile.
        max_per_tile: number of boxes per tile at which it stops; None where it does not.
        preprocess: what is done to a tile's pixels, one word each.
        gsd_m: ground sample distance of its training images in metres, where known.
        licence: what may be done with the weights, in a sentence.
        sha256: hash of its files, or of whatever its detections depend on. Where it is "", runs cannot be
            resumed, since one such model cannot be told from another.
    """

    class_names: tuple[str, ...]
    name: str = "custom"
    input_size: tuple[int, int] | None = None
    stride: int = 32
    threshold: float = 0.5
    suppressed: bool = False
    max_per_tile: int | None = None
    preprocess: tuple[str, ...] = ()
    gsd_m: float | None = None
    licence: str = ""
    sha256: str = ""


class Detector(Protocol):
    """What the pipeline asks of a model; anyone's class fits."""

    @property
    def info(self) -> ModelInfo:
        """Facts about the model."""

    @property
    def engine(self) -> str:
        """What runs it, in words, for the output."""

    def detect(self, pixels: Pixels) -> list[Detections]:
        """Boxes in each tile of a batch.

        Args:
            pixels: `(B, H, W, 3)` uint8 RGB.

        Returns:
            One table per tile, in order: boxes in tile pixels, tile_ids the row in the batch.
        """


class TensorRunner(Protocol):
    """What `ExportedDetector` asks of an engine: named float32 tensors in, raw arrays out."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the graph's inputs."""

    @property
    def description(self) -> str:
        """What runs the graph, in words."""

    def run(self, feeds: Mapping[str, npt.NDArray[np.float32]]) -> list[npt.NDArray[Any]]:
        """Outputs of the graph, in its order."""
