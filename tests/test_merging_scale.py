"""Memory of merging where boxes are many, or all in one place."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from sodslice.merging import merge
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import Tile, plan_tiles

MANY = 100_000
BYTES_A_BOX = 600
"""600 MB for a million boxes, the table itself not counted."""

MOST_BYTES = 400e6
"""However many boxes lie in one place: all pairs of 100 000 would be 80 GB."""


def peak(found: Detections, tiles: list[Tile], method: str) -> tuple[Detections, float]:
    """The merged table, and the most bytes a box that were held meanwhile."""
    tracemalloc.start()
    merged = merge(found, tiles, method=method)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return merged, most / len(found)


def strewn(count: int) -> tuple[Detections, list[Tile]]:
    """Small boxes all over a scene, each reported by all tiles that hold its corner, and cut to the tile."""
    rng = np.random.default_rng(0)
    tiles = plan_tiles(5_000, 5_000, tile=640, overlap=0.25)
    objects = count * 9 // 16
    corners = rng.uniform(0, 4_950, (objects, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 40, (objects, 2))], axis=1)
    labels, scores = rng.integers(0, 10, objects), rng.uniform(0.1, 1, objects)
    seen = []
    for tile in tiles:
        low, high = np.array([tile.x, tile.y]), np.array([tile.x + 640, tile.y + 640])
        rows = np.flatnonzero(((corners >= low) & (corners < high - 4)).all(axis=1))
        jittered = boxes[rows] + rng.normal(0, 0.3, (len(rows), 4))
        cut = jittered.clip(np.tile(low, 2), np.tile(high, 2))
        seen.append(Detections(cut, scores[rows], labels[rows], np.full(len(rows), tile.id)))
    return Detections.concatenate(seen), tiles


@pytest.mark.parametrize("method", ["seam", "nms"])
def test_a_crowded_scene_takes_less_than_600_bytes_a_box(method):
    found, tiles = strewn(MANY)
    merged, bytes_a_box = peak(found, tiles, method)
    assert 0.4 * len(found) < len(merged) < 0.7 * len(found)
    assert bytes_a_box < BYTES_A_BOX


@pytest.mark.parametrize(
    ("method", "tile_ids"),
    [
        ("seam", "one"),
        ("seam", "any"),
        ("seam", "unknown"),
        ("nms", "any"),
        pytest.param("nms", "one", marks=pytest.mark.slow),  # it is blind to tiles
        pytest.param("nms", "unknown", marks=pytest.mark.slow),
    ],
)
def test_boxes_that_are_all_alike_take_bounded_memory(method, tile_ids):
    rng = np.random.default_rng(0)
    tiles = plan_tiles(4_000, 4_000, tile=640, overlap=0.25)
    ids = {"one": np.zeros(MANY), "any": rng.integers(0, len(tiles), MANY), "unknown": np.full(MANY, -1)}[
        tile_ids
    ]
    boxes = np.tile([100.0, 100, 120, 120], (MANY, 1))
    found = Detections(boxes, rng.uniform(0, 1, MANY), np.zeros(MANY), ids)
    merged, bytes_a_box = peak(found, tiles, method)
    assert len(merged) == 1
    assert bytes_a_box * MANY < MOST_BYTES


def test_one_box_as_large_as_the_scene_costs_little():
    found, tiles = strewn(MANY)
    boxes = found.boxes.copy()
    boxes[7] = 0, 0, 5_000, 5_000
    found = Detections(
        boxes, found.scores, found.labels, np.where(np.arange(len(boxes)) == 7, -1, found.tile_ids)
    )
    merged, bytes_a_box = peak(found, tiles, "seam")
    assert (merged.boxes == boxes[7]).all(axis=1).sum() == 1
    assert bytes_a_box < BYTES_A_BOX


def test_a_heap_of_boxes_in_one_place_takes_bounded_memory():
    rng = np.random.default_rng(0)
    corners = rng.uniform(500, 560, (4_000, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(8, 40, (4_000, 2))], axis=1)
    found = Detections(boxes, rng.uniform(0, 1, 4_000), np.zeros(4_000), np.full(4_000, -1))
    tracemalloc.start()
    merge(found, [], method="nms")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < MOST_BYTES


def test_a_long_chain_of_conflicts_is_decided_as_one_by_one():
    left = np.arange(MANY) * 4.0
    boxes = np.stack([left, left * 0, left + 20, left * 0 + 20], axis=1)
    found = Detections(boxes, np.linspace(0.9, 0.1, MANY), np.zeros(MANY), np.full(MANY, -1))
    merged = merge(found, [], method="nms")
    np.testing.assert_array_equal(merged.boxes, boxes[::2])
