"""sodslice.inference.pooling: tiles of several threads share calls, and each gets what is its own."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sodslice import BlobDetector, Detections, load_model
from sodslice.errors import ModelError
from sodslice.inference.detector import Look, ModelInfo
from sodslice.inference.pooling import PooledDetector
from tests.tiny_models import PERMUTE, export_bright_box


class Numbered:
    """Finds one box a tile, whose left side is the level of the tile; slow, and never twice at once."""

    concurrent = True
    engine = "numbered"
    info = ModelInfo(("car",))
    batch = 4

    def __init__(self):
        self.calls = []
        self.closed = False
        self._alone = threading.Lock()

    def look_down_to(self, pixels, lowest):
        assert self._alone.acquire(blocking=False), "two at once"
        time.sleep(0.02)
        self.calls.append((len(pixels), lowest, pixels.shape[1:3]))
        self._alone.release()
        if (pixels == 99).all(axis=(1, 2, 3)).any():
            raise ModelError("torn")
        levels = pixels[:, 0, 0, 0].tolist()
        return [
            Look(Detections([[level, 0, level + 1, 1]], [0.5], [0], [row]), level / 1000)
            for row, level in enumerate(levels)
        ]

    def close(self):
        self.closed = True


def tiles(*levels, side=8):
    return np.stack([np.full((side, side, 3), level, np.uint8) for level in levels])


def test_each_thread_gets_what_was_seen_in_its_own_tiles_and_calls_are_full():
    numbered = Numbered()
    pooled = PooledDetector.of(numbered)
    with ThreadPoolExecutor(12) as pool:
        levels = [(k,) if k % 3 else (k, k + 100) for k in range(60)]
        looks = list(pool.map(lambda some: pooled.look_down_to(tiles(*some), 0.1), levels))
    for some, seen in zip(levels, looks, strict=True):
        assert [look.found.boxes[0, 0] for look in seen] == list(some)
        assert [look.found.tile_ids.tolist() for look in seen] == [[row] for row in range(len(some))]
        assert [look.whole_from for look in seen] == [level / 1000 for level in some]
    sizes = [size for size, _, _ in numbered.calls]
    assert sum(sizes) == 80
    assert max(sizes) == 4
    assert len(sizes) < 40


def test_tiles_of_other_sizes_and_other_depths_share_no_call():
    numbered = Numbered()
    pooled = PooledDetector.of(numbered)
    with ThreadPoolExecutor(9) as pool:
        kinds = [(8, 0.1), (16, 0.1), (8, 0.01)] * 6
        list(pool.map(lambda kind: pooled.look_down_to(tiles(3, side=kind[0]), kind[1]), kinds))
    assert {(lowest, shape) for _, lowest, shape in numbered.calls} == {
        (0.1, (8, 8)),
        (0.1, (16, 16)),
        (0.01, (8, 8)),
    }
    assert sum(size for size, _, _ in numbered.calls) == 18


def test_an_error_is_heard_by_those_who_shared_the_call_and_by_nobody_else():
    pooled = PooledDetector.of(Numbered())
    with pytest.raises(ModelError, match="torn"):
        pooled.detect(tiles(99))
    assert len(pooled.detect(tiles(7))) == 1


def test_nobody_answers_for_others_when_his_own_answer_is_there():
    pooled, ended = PooledDetector.of(Numbered()), []

    def ask(name, count):
        for level in range(count):
            pooled.look_down_to(tiles(level), 0.1)
        ended.append(name)

    with ThreadPoolExecutor(7) as pool:
        first = pool.submit(ask, "few", 2)
        others = [pool.submit(ask, "many", 30) for _ in range(6)]
        for one in (first, *others):
            one.result()
    assert ended[0] == "few"


def test_detectors_that_cannot_share_stay_as_they_are(tmp_path):
    blobs = BlobDetector()
    assert PooledDetector.of(blobs) is blobs
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE])
    one, three = (load_model(folder, device="cpu", batch=batch) for batch in (1, 3))
    assert PooledDetector.of(one) is one
    pooled = PooledDetector.of(three)
    assert isinstance(pooled, PooledDetector)
    assert (pooled.batch, pooled.engine, pooled.info) == (3, three.engine, three.info)
    pixels = np.full((1, 96, 96, 3), 20, np.uint8)
    pixels[:, 30:40, 20:32] = 250
    with ThreadPoolExecutor(7) as pool:
        found = list(pool.map(lambda _: pooled.detect(pixels)[0], range(20)))
    assert all(table == one.detect(pixels)[0] for table in found)
    told = []
    three.expect = lambda side, *, many: told.append((side, many))
    pooled.expect((96, 96), many=True)
    assert told == [((96, 96), True)]
    pooled.close()
    with pytest.raises(ModelError, match="closed"):
        three.detect(pixels)
