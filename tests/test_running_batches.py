from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from sodslice import ArrayScene, SodsliceError, plan_tiles
from sodslice.errors import OptionError, SceneError
from sodslice.running.batches import Reading, read_batches


class SlowScene(ArrayScene):
    """Reads later tiles faster than earlier ones, and counts what is in flight."""

    def __init__(self, pixels, **settings):
        super().__init__(pixels, **settings)
        self.reads = 0
        self.lock = threading.Lock()

    def read(self, x, y, width, height):
        with self.lock:
            self.reads += 1
        time.sleep(0.003 if (x + y) % 128 == 0 else 0)
        return super().read(x, y, width, height)


def scene(holes=()):
    pixels = np.random.default_rng(0).integers(1, 255, (300, 400, 3), dtype=np.uint8)
    valid = np.ones((300, 400), bool)
    for y, x in holes:
        valid[y, x] = False
    return SlowScene(pixels, valid=valid)


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("readers", [1, 2, 4])
def test_every_tile_comes_once_in_order_with_its_own_pixels(batch, readers):
    whole = scene()
    tiles = plan_tiles(400, 300, tile=64, overlap=0.25)
    batches = list(read_batches(whole, tiles, Reading(batch, (64, 64), readers)))
    assert [t for b in batches for t in b.tiles] == tiles
    assert all(len(b.tiles) == batch for b in batches[:-1])
    for b in batches:
        assert b.pixels.shape == (len(b.tiles), 64, 64, 3)
        for tile, pixels in zip(b.tiles, b.pixels, strict=True):
            assert np.array_equal(pixels, whole.read(tile.x, tile.y, 64, 64)[0])


def test_tiles_without_data_are_reported_and_do_not_take_a_place():
    whole = scene(holes=[np.s_[0:64, 0:400]])
    tiles = plan_tiles(400, 300, tile=64, overlap=0)
    batches = list(read_batches(whole, tiles, Reading(4, (64, 64))))
    skipped = [t for b in batches for t in b.skipped]
    assert skipped == tiles[:7]
    assert [t for b in batches for t in b.tiles] == tiles[7:]


def test_a_scene_without_any_data_gives_only_skipped_tiles():
    whole = scene(holes=[np.s_[:, :]])
    tiles = plan_tiles(400, 300, tile=64, overlap=0)
    (only,) = read_batches(whole, tiles, Reading(4, (64, 64)))
    assert only.tiles == ()
    assert list(only.skipped) == tiles


def test_reading_ahead_is_bounded():
    whole = scene()
    tiles = plan_tiles(400, 300, tile=32, overlap=0)
    batches = read_batches(whole, tiles, Reading(2, (32, 32), 2))
    next(batches)
    time.sleep(0.2)
    assert whole.reads <= 2 * 2 + 2 + 1
    batches.close()


def test_small_tiles_are_padded_black_on_the_right_and_at_the_bottom():
    pixels = np.full((20, 40, 3), 200, np.uint8)
    (only,) = read_batches(ArrayScene(pixels), plan_tiles(40, 20, tile=64), Reading(1, (64, 64)))
    assert np.array_equal(only.pixels[0, :20, :40], pixels)
    assert only.pixels.sum() == pixels.sum()


class Broken(ArrayScene):
    """Cannot be read from x 101 on."""

    def read(self, x, y, width, height):
        if x > 100:
            raise SceneError(f"bad block at {x}")
        return super().read(x, y, width, height)


def test_an_error_in_a_reader_reaches_the_caller():
    broken = Broken(np.ones((64, 400), np.uint8))
    with pytest.raises(SodsliceError, match="bad block"):
        list(read_batches(broken, plan_tiles(400, 64, tile=64), Reading(2, (64, 64))))


def test_failed_tiles_are_reported_where_the_caller_goes_on():
    broken = Broken(np.ones((64, 400), np.uint8))
    tiles = plan_tiles(400, 64, tile=64)
    batches = list(read_batches(broken, tiles, Reading(2, (64, 64), skip_failed=True)))
    assert [t for b in batches for t in b.tiles] == tiles[:2]
    assert [(t, e) for b in batches for t, e in b.failed] == [(t, f"bad block at {t.x}") for t in tiles[2:]]


def test_every_tile_is_announced_before_it_is_read():
    announced = []
    tiles = plan_tiles(400, 300, tile=64)
    list(read_batches(scene(), tiles, Reading(2, (64, 64), starting=announced.append)))
    assert sorted(announced) == tiles


@pytest.mark.parametrize(("batch", "side"), [(1, 26_755), (2, 18_919), (256, 1_673)])
def test_a_batch_that_no_model_can_count_is_refused(batch, side):
    Reading(batch, (side - 1, side - 1))
    with pytest.raises(OptionError) as caught:
        Reading(batch, (side, side))
    assert str(caught.value) == (
        f"a batch of {batch} x {side} x {side} pixels takes 2.0 GiB, and 2 GiB is the most; "
        "take a smaller `tile` or `batch`"
    )


def no_memory(*_):
    raise MemoryError("Unable to allocate 9 GiB")


class Vast(ArrayScene):
    """A scene that finds no memory for its windows, and says so as Python does or as rasters do."""

    def __init__(self, *, in_words):
        super().__init__(np.zeros((64, 64, 3), np.uint8))
        self.in_words = in_words

    def read(self, x, y, width, height):
        try:
            no_memory()
        except MemoryError as error:
            if self.in_words:
                raise SceneError(f"vast.tif cannot be read: {error}") from None
            raise


@pytest.mark.parametrize("in_words", [True, False])
@pytest.mark.parametrize("skip", [True, False])
def test_a_window_without_memory_ends_the_reading_and_says_what_to_do(in_words, skip):
    how = Reading(1, (64, 64), skip_failed=skip)
    with pytest.raises(
        SceneError, match="cannot be read.*: Unable to allocate 9 GiB; take a smaller `tile` or `batch`"
    ):
        list(read_batches(Vast(in_words=in_words), plan_tiles(64, 64, tile=64), how))


def test_a_batch_without_memory_says_what_to_do(monkeypatch):
    whole = ArrayScene(np.ones((64, 128, 3), np.uint8))
    batches = read_batches(whole, plan_tiles(128, 64, tile=64, overlap=0), Reading(2, (64, 64)))
    monkeypatch.setattr("sodslice.running.batches.np.zeros", no_memory)
    with pytest.raises(SceneError, match=r"a batch of 2 x 64 x 64 pixels is too large: Unable .* `batch`"):
        list(batches)
