from __future__ import annotations

import numpy as np
import pytest

from sodslice import BlobDetector, SodsliceError


def test_blobs_have_exact_pixel_edges():
    tile = np.zeros((2, 60, 80, 3), np.uint8)
    tile[0, 10:15, 20:40] = 255
    tile[0, 30:32, 5:7] = 210
    first, second = BlobDetector().detect(tile)
    assert sorted(first.boxes.tolist()) == [[5, 30, 7, 32], [20, 10, 40, 15]]
    assert sorted(first.scores.tolist()) == pytest.approx([210 / 255, 1.0])
    assert len(second) == 0
    assert len(BlobDetector(smallest=5).detect(tile)[0]) == 1
    with pytest.raises(SodsliceError, match="level of 1..255"):
        BlobDetector(level=0)
