"""`Dialect`: how tiles are put to a graph, and what its answers mean; that of PaddleDetection's exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sodslice.inference.detector import ModelInfo, Pixels
from sodslice.inference.limits import Columns
from sodslice.inference.outputs import tables_of
from sodslice.inference.preprocess import Preprocess

Arrays = dict[str, npt.NDArray[Any]]


class Dialect(Protocol):
    """How tiles are put to a graph, and what its answers mean."""

    def feeds(self, tiles: Pixels) -> tuple[Arrays, Any]:
        """All that the graph may want as input, and whatever `tables` needs to bring boxes back.

        Args:
            tiles: `(B, H, W, 3)` uint8 RGB.
        """

    def tables(self, outputs: Sequence[npt.NDArray[Any]], place: Any, info: ModelInfo) -> list[Columns]:
        """Boxes in tile pixels, scores and labels of each tile of the batch, checked.

        Args:
            outputs: of the graph, in its order.
            place: what `feeds` gave beside the arrays.
            info: facts about the model.

        Raises:
            ModelError: the outputs are not what they must be.
        """


@dataclass(frozen=True)
class PaddleDialect:
    """The dialect of PaddleDetection's exports.

    Args:
        preprocess: from tiles to the graph's input.
        pixels: `image` is wanted as `(B, h, w, 3)` uint8 rather than `(B, 3, h, w)` float32.
    """

    preprocess: Preprocess
    pixels: bool = False

    def feeds(self, tiles: Pixels) -> tuple[Arrays, tuple[int, tuple[float, float]]]:
        """See `Dialect`; beside the arrays, how many tiles there are and the scale of their resizing."""
        feeds, scale = feeds_for(self.preprocess, tiles, pixels=self.pixels)
        return feeds, (len(tiles), scale)

    def tables(
        self, outputs: Sequence[npt.NDArray[Any]], place: tuple[int, tuple[float, float]], info: ModelInfo
    ) -> list[Columns]:
        """See `Dialect`."""
        return tables_of(outputs, *place, info)


def feeds_for(preprocess: Preprocess, tiles: Pixels, *, pixels: bool) -> tuple[Arrays, tuple[float, float]]:
    """All that a graph may want as input for tiles, and the scale of their resizing.

    Args:
        preprocess: from tiles to the graph's input.
        tiles: `(B, H, W, 3)` uint8 RGB.
        pixels: `image` is wanted as `(B, h, w, 3)` uint8 rather than `(B, 3, h, w)` float32.
    """
    images, scale = preprocess.shaped(tiles) if pixels else preprocess(tiles)
    sides = images.shape[1:3] if pixels else images.shape[2:]
    feeds = {
        "image": images,
        "scale_factor": np.tile(np.array(scale, np.float32), (len(tiles), 1)),
        "im_shape": np.tile(np.array(sides, np.float32), (len(tiles), 1)),
    }
    return feeds, scale
