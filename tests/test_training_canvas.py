"""Where objects land: bright rectangles are drawn, warped, and looked for where the boxes say they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sodslice.training.canvas import CanvasMaker
from sodslice.training.cells import CutRule, Warp, cut_objects, place_warp, warp_objects, warp_pixels
from sodslice.training.drawn import cover_border, draw_flat, draw_texture
from sodslice.training.pictures import Objects, picture_of
from sodslice.training.settings import SourceSettings, TrainSettings

EVERYTHING = CutRule(visible_share=0.0, smallest_part=0.0, smallest_object=0.0)


def _objects(*boxes):
    table = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return Objects(table, np.arange(len(table)), np.zeros(len(table), dtype=bool))


def _picture(width, height, *boxes, free_rotation=0.0):
    """A grey picture with white rectangles."""
    pixels = np.full((height, width, 3), 60, dtype=np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = 255
    return picture_of(pixels, _objects(*boxes), 20.0, SourceSettings(free_rotation=free_rotation))


def _bright_box(pixels):
    """Edges of the pixels brighter than half, interpolated between levels along rows and columns."""
    light = (pixels[:, :, 0].astype(float) - 60) / 195
    columns, rows = light.max(axis=0), light.max(axis=1)
    return [
        _first(columns),
        _first(rows),
        len(columns) - _first(columns[::-1]),
        len(rows) - _first(rows[::-1]),
    ]


def _first(profile):
    return float(np.argmax(profile > 0.5))


@settings(max_examples=80, deadline=None)
@given(
    turns=st.integers(0, 3),
    flip=st.booleans(),
    scale=st.floats(0.3, 2.5),
    stretch=st.floats(0.9, 1.1),
    place=st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)),
)
def test_boxes_follow_the_pixels_through_scale_flip_and_right_angles(turns, flip, scale, stretch, place):
    box = (70, 90, 130, 120)
    picture = _picture(260, 240, box)
    angle = turns * math.pi / 2
    turn = np.rint([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    matrix = np.diag([scale * stretch, scale / stretch]) @ turn @ np.diag([-1.0 if flip else 1.0, 1.0])
    cell = (180, 160)
    focus, spot = np.array([100.0, 105.0]), np.array(place) * cell
    warp = place_warp(matrix, focus, spot, cell, picture, turned=False)
    objects = warp_objects(picture, warp, cell, EVERYTHING, mirrored=False)
    assume(len(objects) == 1)
    wanted = objects.boxes[0]
    assume((wanted[:2] > 3).all() and (wanted[2:] < np.array(cell) - 3).all())
    found = _bright_box(warp_pixels(picture, warp, cell, (60, 60, 60)))
    assert np.abs(wanted - found).max() <= 1.01


@settings(max_examples=40, deadline=None)
@given(angle=st.floats(0, 2 * math.pi), scale=st.floats(0.5, 2.0))
def test_a_box_turned_freely_is_the_support_of_a_rounded_rectangle(angle, scale):
    turn = np.array([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    warp = Warp(scale * turn, np.array([3.0, 5.0]), turned=True)
    (x0, y0, x1, y1), half, radius = warp.boxes(np.array([[10.0, 20.0, 50.0, 36.0]]))[0], (20, 8), 0.3 * 8
    around = np.linspace(0, 2 * math.pi, 720)
    corners = np.array(
        [(sx * (half[0] - radius), sy * (half[1] - radius)) for sx in (-1, 1) for sy in (-1, 1)]
    )
    rim = (corners[:, None] + radius * np.stack([np.cos(around), np.sin(around)], axis=1)).reshape(-1, 2)
    moved = (rim + (30, 28)) @ (scale * turn).T + (3, 5)
    assert np.allclose([x0, y0, x1, y1], [*moved.min(axis=0), *moved.max(axis=0)], atol=1e-3)


def test_a_picture_too_small_goes_on_as_its_mirror_image_with_its_boxes():
    picture = _picture(60, 50, (20, 10, 40, 22))
    cell = (150, 120)
    warp = place_warp(np.eye(2), np.array([30.0, 25.0]), np.array([75.0, 60.0]), cell, picture, turned=False)
    objects = warp_objects(picture, warp, cell, EVERYTHING, mirrored=True)
    pixels = warp_pixels(picture, warp, cell, None)
    painted = np.zeros(pixels.shape[:2], dtype=bool)
    for x0, y0, x1, y1 in np.rint(objects.boxes).astype(int):
        assert (pixels[y0:y1, x0:x1] > 200).all()
        painted[y0:y1, x0:x1] = True
    assert len(objects) >= 9
    assert not (pixels[:, :, 0] > 200)[~painted].any()
    assert not objects.ignored.any()


def test_objects_on_the_rim_of_a_mirrored_picture_are_ignored():
    picture = _picture(60, 50, (0, 10, 20, 22), (30, 20, 44, 30))
    cell = (150, 50)
    warp = place_warp(np.eye(2), np.array([30.0, 25.0]), np.array([75.0, 25.0]), cell, picture, turned=False)
    objects = warp_objects(picture, warp, cell, EVERYTHING, mirrored=True)
    assert objects.ignored[objects.labels == 0].all()
    assert not objects.ignored[objects.labels == 1].any()


def test_a_cell_that_fits_shows_nothing_beyond_the_picture():
    picture = _picture(200, 200, (0, 0, 200, 200))
    warp = place_warp(
        np.eye(2), np.array([2.0, 199.0]), np.array([60.0, 10.0]), (80, 80), picture, turned=False
    )
    assert (warp_pixels(picture, warp, (80, 80), (0, 0, 0)) == 255).all()


@pytest.mark.parametrize("turns", range(4))
def test_an_offset_of_the_labels_stays_what_it_was_whatever_turns(turns):
    pixels = np.full((200, 200, 3), 60, dtype=np.uint8)
    pixels[90:120, 70:130] = 255
    labelled = _objects((69.5, 89.5, 129.5, 119.5))
    picture = picture_of(pixels, labelled, 20.0, SourceSettings(label_offset=0.5))
    angle = turns * math.pi / 2
    matrix = np.rint([(math.cos(angle), -math.sin(angle)), (math.sin(angle), math.cos(angle))])
    cell = (160, 160)
    warp = place_warp(matrix, np.array([100.0, 100.0]), np.array([80.0, 80.0]), cell, picture, turned=False)
    found = _bright_box(warp_pixels(picture, warp, cell, (60, 60, 60)))
    objects = warp_objects(picture, warp, cell, EVERYTHING, mirrored=False)
    assert np.allclose(objects.boxes[0], np.array(found) - 0.5)


def test_objects_cut_beyond_the_visible_share_become_ignored_areas():
    objects = _objects(
        (-10, 0, 30, 20), (-30, 0, 10, 20), (90, 40, 110, 60), (98, 70, 120, 90), (-50, 0, -5, 9)
    )
    rule = CutRule(visible_share=0.35, smallest_part=3.0, smallest_object=5.0)
    cut = cut_objects(objects, (100, 100), rule)
    assert cut.labels.tolist() == [0, 1, 2, 3]
    assert cut.ignored.tolist() == [False, True, False, True]
    assert cut.boxes.tolist() == [[0, 0, 30, 20], [0, 0, 10, 20], [90, 40, 100, 60], [98, 70, 100, 90]]


def test_tiny_objects_are_neither_right_nor_wrong():
    rule = CutRule(visible_share=0.35, smallest_part=1.0, smallest_object=5.0)
    assert cut_objects(_objects((10, 10, 14, 12), (20, 20, 26, 22)), (64, 64), rule).ignored.tolist() == [
        True,
        False,
    ]


class _OnePicture:
    def __init__(self, picture, *, background=False):
        self.picture, self.background, self.weight = picture, background, 1.0

    def draw(self, rng):
        return self.picture


PLAIN = {
    "colour": 0.0,
    "blur": 0.0,
    "noise": 0.0,
    "jpeg": 0.0,
    "haze": 0.0,
    "nodata_border": 0.0,
    "flat": 0.0,
    "texture": 0.0,
}


def _settings(**changes):
    return TrainSettings(
        **{"sources": (SourceSettings(),), "canvas": 128, "batch": 4, "steps": 10, **changes}
    )


def test_on_mosaics_every_bright_patch_is_an_object_and_every_object_is_bright():
    picture = _picture(300, 260, (40, 40, 62, 52), (150, 90, 170, 104), (220, 200, 232, 226))
    maker = CanvasMaker(
        [_OnePicture(picture)], _settings(**PLAIN, mosaic=(0.3, 0.4, 0.3), object_size=(10, 40))
    )
    seen = 0
    for number in range(40):
        pixels, objects = maker.make(number)
        explained = np.zeros(pixels.shape[:2], dtype=bool)
        for (x0, y0, x1, y1), ignored in zip(objects.boxes, objects.ignored, strict=True):
            explained[max(int(y0) - 1, 0) : math.ceil(y1) + 1, max(int(x0) - 1, 0) : math.ceil(x1) + 1] = True
            if not ignored:
                seen += 1
                x, y = (x0 + x1) / 2, (y0 + y1) / 2
                assert pixels[int(y), int(x), 0] > 200
        grey_fill = np.ptp(pixels, axis=2) == 0
        assert grey_fill.all()
        flat = np.isin(pixels[:, :, 0], (60, 255, 0))
        assert flat.mean() > 0.3
        bright = (pixels[:, :, 0] > 200) & (pixels[:, :, 0] < 255)
        assert not (bright & ~explained).sum() > 0.02 * bright.size
    assert seen > 40


def test_a_canvas_depends_on_its_number_alone():
    source = _OnePicture(_picture(300, 260, (40, 40, 62, 52)))
    one, other = (CanvasMaker([source], _settings()) for _ in range(2))
    for number in (7, 3, 7):
        first, second = one.make(number), other.make(number)
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.objects.boxes, second.objects.boxes)
    assert not np.array_equal(one.make(3).pixels, one.make(7).pixels)


def test_background_canvases_hold_no_objects():
    sources = [
        _OnePicture(_picture(300, 260, (40, 40, 62, 52))),
        _OnePicture(_picture(200, 200), background=True),
    ]
    maker = CanvasMaker(sources, _settings(**PLAIN, background=1.0, mosaic=(1.0, 1.0)))
    assert all(not len(maker.make(number).objects) for number in range(12))


def test_the_last_canvases_are_plain_when_asked():
    picture = _picture(300, 260, (100, 100, 122, 112))
    asked = _settings(**PLAIN, closing=0.5, mosaic=(0.0, 0.0, 1.0), object_size=(20, 20), near_object=1.0)
    maker = CanvasMaker([_OnePicture(picture)], asked)
    counts = [len(maker.make(number).objects) for number in range(40)]
    assert min(counts[:20]) > max(counts[20:])


@pytest.mark.parametrize("draw", [draw_flat, draw_texture])
def test_drawn_canvases_are_images_of_the_wanted_size(draw):
    for seed in range(30):
        pixels = draw(np.random.default_rng(seed), 96)
        assert pixels.shape == (96, 96, 3)
        assert pixels.dtype == np.uint8


def test_flat_canvases_come_in_black_white_and_grey():
    greys = {tuple(np.unique(draw_flat(np.random.default_rng(seed), 32))) for seed in range(60)}
    assert {(0,), (255,)} <= greys


def test_a_border_without_data_takes_its_objects_away():
    picture = np.full((128, 128, 3), 90, dtype=np.uint8)
    for seed in range(10):
        pixels, covered = cover_border(picture, np.random.default_rng(seed))
        assert covered.mean() < 0.6
        assert (pixels[~covered] == 90).all()
        assert np.isin(pixels[covered], (0, 255)).all()
