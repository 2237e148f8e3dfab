"""`read_onnx_file`: a detector in one ONNX file, recognised but not loaded; and how it is spoken to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sodslice.inference.detector import SCORE_FLOOR, ModelInfo, Pixels
from sodslice.inference.foreign.decoding import read_answers
from sodslice.inference.foreign.layouts import Recognised, recognise
from sodslice.inference.foreign.letterbox import Letterbox, Place
from sodslice.inference.foreign.metadata import read_metadata
from sodslice.inference.graphs.ports import read_ports
from sodslice.inference.limits import Columns, Suppression
from sodslice.system.hashes import sha256_of


@dataclass(frozen=True)
class OnnxFile:
    """A YOLO or an RT-DETR in one ONNX file.

    Args:
        graph: the file.
        recognised: its layout.
        letterbox: how tiles come to its size.
        info: facts about the model.
        suppression: the NMS that it leaves to us; None where its boxes are final.
    """

    graph: Path
    recognised: Recognised
    letterbox: Letterbox
    info: ModelInfo
    suppression: Suppression | None = None

    @property
    def batch(self) -> int | None:
        """Images that it takes at once, no more and no less; None for any number."""
        return self.recognised.batch

    @property
    def layout(self) -> str:
        """What was recognised, in words."""
        recognised = self.recognised
        many = f", {recognised.batch} image{'s' * (recognised.batch > 1)} at once" if recognised.batch else ""
        return f"{recognised.layout.words}; {recognised.image.dtype}{many}"

    def feeds(self, tiles: Pixels) -> tuple[dict[str, npt.NDArray[Any]], Place]:
        """What the graph takes for tiles, and where these lie in it.

        Args:
            tiles: `(B, H, W, 3)` uint8 RGB.
        """
        images, place = self.letterbox(tiles)
        levels = np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32)
        levels /= np.float32(255)
        image, sizes = self.recognised.image, self.recognised.sizes
        feeds: dict[str, npt.NDArray[Any]] = {image.name: levels.astype(image.dtype, copy=False)}
        if sizes is not None:
            feeds[sizes.name] = np.tile(np.array(place.tile[::-1], sizes.dtype), (len(tiles), 1))
        return feeds, place

    def tables(self, outputs: Sequence[npt.NDArray[Any]], place: Place, info: ModelInfo) -> list[Columns]:
        """Boxes in tile pixels, scores and labels of each tile, checked.

        Raises:
            ModelError: the outputs are not those of the layout.
        """
        return read_answers(outputs, self.recognised, place, info)

    def most(self, outputs: Sequence[npt.NDArray[Any]]) -> int | None:
        """Boxes at which the model stops, by what it gave; None where it does not stop."""
        if self.recognised.layout.iou is not None:
            return None
        return int(outputs[self.recognised.outputs[0]].shape[1])


def read_onnx_file(path: Path) -> OnnxFile:
    """What a file holds.

    Args:
        path: an `.onnx` file.

    Raises:
        ModelError: it is no ONNX, no detector, or none that is recognised.
    """
    ports = read_ports(path)
    metadata = read_metadata(ports.metadata, path)
    recognised = recognise(ports, metadata, path)
    layout = recognised.layout
    letterbox = Letterbox(recognised.size, metadata.stride, layout.stretched)
    info = ModelInfo(
        class_names=metadata.names,
        name=path.stem,
        input_size=recognised.size,
        stride=metadata.stride,
        threshold=metadata.threshold,
        suppressed=True,
        max_per_tile=recognised.most,
        preprocess=letterbox.describe(),
        licence=metadata.licence,
        sha256=sha256_of(path, *ports.beside),
    )
    iou = None if layout.iou is None else metadata.iou or layout.iou
    return OnnxFile(path, recognised, letterbox, info, None if iou is None else Suppression(iou, SCORE_FLOOR))
