"""Pictures of what was found."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sodslice import ArrayScene
from sodslice.integrations.paddlex import drawing
from sodslice.integrations.paddlex.drawing import COLOURS, draw_boxes, picture_of

GREY = (90, 90, 90)


def box(x0, y0, x1, y1, *, cls_id=0, score=0.5):
    return {"cls_id": cls_id, "label": "car", "score": score, "coordinate": [x0, y0, x1, y1]}


def drawn(*boxes, size=(200, 150)) -> np.ndarray:
    picture = Image.new("RGB", size, GREY)
    draw_boxes(picture, boxes)
    return np.asarray(picture)


def of_colour(pixels, cls_id=0):
    return (pixels == COLOURS[cls_id]).all(axis=2)


def test_the_line_lies_on_the_outermost_pixels_of_a_box():
    pixels = of_colour(drawn(box(50, 60, 90, 100)))
    assert pixels[60:100, 50].all()
    assert pixels[99, 50:90].all()
    assert not pixels[101:].any()
    assert not pixels[60:, 90:].any()
    assert not pixels[62:98, 52:88].any()


@pytest.mark.parametrize(("place", "above"), [((50, 60, 90, 100), True), ((50, 0, 90, 10), False)])
def test_a_label_stands_above_a_box_or_where_there_is_no_room_below(place, above):
    pixels = of_colour(drawn(box(*place)))
    assert pixels[: place[1]].any() == above
    assert pixels[place[3] :].any() != above


def test_a_label_of_a_box_that_fills_the_picture_is_inside():
    assert of_colour(drawn(box(0, 0, 200, 150)))[130:148, 2:40].any()


def test_a_label_at_the_right_edge_is_moved_inside():
    pixels = of_colour(drawn(box(190, 60, 200, 70)))
    assert pixels[:59].any(axis=0)[199]
    assert not pixels[:59].any(axis=0)[:120].any()


def test_classes_have_colours_of_their_own_over_and_over():
    pixels = drawn(box(10, 60, 40, 90), box(60, 60, 90, 90, cls_id=1), box(110, 60, 140, 90, cls_id=10))
    assert of_colour(pixels, 1)[60:90, 60].all()
    assert of_colour(pixels)[60:90, 110].all()


def test_the_surest_label_is_on_top():
    sure, unsure = box(50, 60, 90, 100, score=0.9), box(52, 60, 92, 100, cls_id=1, score=0.2)
    for boxes in ((sure, unsure), (unsure, sure)):
        pixels = drawn(*boxes)
        assert of_colour(pixels)[50:58, 55].any()
        assert not of_colour(pixels, 1)[50:58, 55].any()


@pytest.mark.parametrize("place", [(30, 30, 30, 30), (0, 0, 0.2, 0.2), (199.5, 149.5, 200, 150)])
def test_empty_and_tiny_boxes_are_drawn(place):
    assert of_colour(drawn(box(*place))).any()


def test_a_picture_is_the_scene_and_very_large_ones_are_drawn_smaller(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 200, (120, 160, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(picture_of(ArrayScene(pixels), [])), pixels)
    monkeypatch.setattr(drawing, "MOST_PIXELS", 120 * 160 / 4)
    small = picture_of(ArrayScene(pixels), [box(80, 100, 140, 120)])
    assert small.size == (80, 60)
    assert of_colour(np.asarray(small))[50:60, 40].all()
