"""Boxes of COCO's annotations: a `bbox` by its corner and sides, polygons by shapely's bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from sodslice.tables.coco_boxes import box_column
from sodslice.values.columns import Columns, Place

places = st.floats(-1e6, 1e6)
sides = st.floats(0.01, 1e5)
rings = st.lists(
    st.tuples(places, places), min_size=3, max_size=7, unique_by=(lambda p: p[0], lambda p: p[1])
)


def read(*rows: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """The boxes of some annotations and what is wrong with them."""
    columns = Columns("annotations", [Place(number, row) for number, row in enumerate(rows)])
    return box_column(columns), columns.problems


@given(st.lists(st.tuples(places, places, sides, sides), max_size=5))
def test_a_bbox_is_a_corner_and_two_sides(boxes):
    found, problems = read(*({"id": k, "bbox": list(box)} for k, box in enumerate(boxes)))
    assert problems == []
    assert found == [[x, y, x + width, y + height] for x, y, width, height in boxes]


@given(st.lists(rings, min_size=1, max_size=3))
def test_without_a_bbox_the_polygons_are_enclosed(polygons):
    flat = [[number for point in ring for number in point] for ring in polygons]
    bounds = list(shapely.MultiPoint(np.concatenate(polygons)).bounds)
    for row in ({"segmentation": flat}, {"segmentation": flat, "bbox": None}):
        assert read(row) == ([bounds], [])


@given(st.tuples(places, places, sides, sides), rings)
def test_a_bbox_goes_before_polygons(box, ring):
    row = {"bbox": list(box), "segmentation": [[number for point in ring for number in point]]}
    assert read(row) == read({"bbox": list(box)})


@given(
    st.permutations(
        [{"bbox": [1, 2, 3, 4]}, {"bbox": [0, 0, 0, 1]}, {"segmentation": [[0, 0, 4, 0, 4, 2]]}, {}]
    )
)
def test_each_row_is_judged_by_itself(rows):
    found, problems = read(*rows)
    assert found == [read(row)[0][0] for row in rows]
    assert len(problems) == 2


EMPTY = "has an empty bbox"
NO_BOX = "must have bbox [x, y, width, height], got"
NO_RINGS = "must have a segmentation of polygons x, y, x, y, ..., got"


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"id": 7, "bbox": [1, 2, 0, 4]}, f"annotation 7 {EMPTY} [1, 2, 0, 4]"),
        ({"bbox": [1, 2, 3, -4]}, f"annotations[0] {EMPTY} [1, 2, 3, -4]"),
        ({"id": 7, "bbox": [1, 2, 3]}, f"annotation 7 {NO_BOX} [1, 2, 3]"),
        ({"id": 7, "bbox": [1, 2, 3, True]}, f"annotation 7 {NO_BOX} [1, 2, 3, True]"),
        ({"id": 7, "bbox": [1, 2, 3, 1e30]}, f"annotation 7 {NO_BOX} [1, 2, 3, 1e+30]"),
        ({"id": 7, "bbox": "1 2 3 4"}, f"annotation 7 {NO_BOX} '1 2 3 4'"),
        ({"id": 7, "segmentation": [[1, 2, 3]]}, f"annotation 7 {NO_RINGS} [[1, 2, 3]]"),
        ({"id": 7, "segmentation": [[]]}, f"annotation 7 {NO_RINGS} [[]]"),
        ({"id": 7, "segmentation": [1, 2, 3, 4]}, f"annotation 7 {NO_RINGS} [1, 2, 3, 4]"),
        ({"id": 7, "segmentation": [[1, 2, 1, 9]]}, "annotation 7 has a segmentation without extent"),
        ({"id": 7, "segmentation": []}, "1 of 1 annotations lack 'bbox', first id 7"),
        (
            {"id": 7, "bboxs": [1, 2, 3, 4]},
            "1 of 1 annotations lack 'bbox' (did you mean 'bboxs'?), first id 7",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(row, problem):
    assert read(row) == ([None], [problem])
