"""The seam rule against its definition: plain loops over rows, quadratic, to be read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sodslice.errors import DetectionsError
from sodslice.merging import merge
from sodslice.tables.detections import Detections
from sodslice.tables.tiles import Tile, plan_tiles

Box = tuple[float, float, float, float]


class Row(NamedTuple):
    """One detection; `tile` is an index into the tiles sorted by place, None if unknown."""

    box: Box
    score: float
    label: int
    tile: int | None


# ---------------------------------------------------------------------------------------- the definition


def definition(found: Detections, tiles: list[Tile], *, iou=0.5, joined=False, suppressed=True) -> Detections:
    """The seam rule as plain loops."""
    tiles = sorted(tiles, key=lambda t: (t.y, t.x, t.height, t.width))
    index = {t.id: k for k, t in enumerate(tiles)} | {-1: None}
    rows = [
        Row(tuple(map(float, b)), float(s), int(c), index[int(t)])
        for b, s, c, t in zip(found.boxes, found.scores, found.labels, found.tile_ids, strict=True)
    ]
    rule = Definition([edges(t) for t in tiles], iou, joined, suppressed)
    rule.reported = rows
    while True:
        after = rule.one_pass(rows)
        if canonical(after) == canonical(rows):
            break
        rows = after
    return table([row._replace(tile=-1 if row.tile is None else tiles[row.tile].id) for row in rows])


class Definition:
    def __init__(self, tiles: list[Box], iou: float, joined, suppressed: bool):
        self.tiles, self.iou, self.joined, self.suppressed = tiles, iou, joined, suppressed
        self.outermost = [min(t[k] for t in tiles) for k in (0, 1)] + [
            max(t[k] for t in tiles) for k in (2, 3)
        ]

    def one_pass(self, rows: list[Row]) -> list[Row]:
        rows = canonical(rows)
        rows = [r for k, r in enumerate(rows) if not any(same_place(r, q) for q in rows[:k])]
        rows = [r for r in rows if not any(self.covers(whole, r) for whole in rows)]
        rows = self.stitch(rows)
        return self.choose(rows)

    # what tiles see

    def is_inner(self, tile: int, side: int) -> bool:
        return self.tiles[tile][side] != self.outermost[side]

    def cut(self, row: Row) -> list[bool]:
        if row.tile is None:
            return [False] * 4
        return [
            self.is_inner(row.tile, k) and abs(row.box[k] - self.tiles[row.tile][k]) <= tolerance(row.box, k)
            for k in range(4)
        ]

    def sees_whole(self, tile: int, box: Box) -> bool:
        gap = [box[k] - self.tiles[tile][k] for k in (0, 1)] + [self.tiles[tile][k] - box[k] for k in (2, 3)]
        touches = shared(box, self.tiles[tile]) > 0
        return touches and all(gap[k] > tolerance(box, k) or not self.is_inner(tile, k) for k in range(4))

    def depth(self, tile: int, box: Box) -> float:
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        edge = self.tiles[tile]
        gap = [x - edge[0], y - edge[1], edge[2] - x, edge[3] - y]
        return min((gap[k] for k in range(4) if self.is_inner(tile, k)), default=float("inf"))

    def deepest(self, row: Row) -> int | None:
        """The tile that sees the box whole and deepest; the box's own if as deep; None if there is none."""
        seeing = [t for t in range(len(self.tiles)) if self.sees_whole(t, row.box)]
        if row.tile is None or not seeing:
            return None
        return min(seeing, key=lambda t: (-self.depth(t, row.box), t != row.tile, t))

    def standing(self, row: Row) -> float:
        deepest = self.deepest(row)
        if deepest in (None, row.tile):
            return 1.0
        own, best = (max(1.0, self.depth(t, row.box)) for t in (row.tile, deepest))
        return min(1.0, own / best)

    # which rows have to do with each other

    def group(self, row: Row) -> int:
        if self.joined is True:
            return 0
        return next((min(g) for g in self.joined or () if row.label in g), row.label)

    def of_two_tiles(self, one: Row, other: Row) -> bool:
        return one.tile is None or other.tile is None or one.tile != other.tile

    def rivals(self, one: Row, other: Row) -> bool:
        told_apart = self.suppressed and not self.of_two_tiles(one, other) and one.label == other.label
        return (
            not told_apart
            and self.group(one) == self.group(other)
            and overlap(one.box, other.box) >= self.iou
        )

    # step 1

    def covers(self, whole: Row, part: Row) -> bool:
        return (
            self.group(whole) == self.group(part)
            and self.of_two_tiles(whole, part)
            and any(self.cut(part))
            and not any(self.cut(whole))
            and shared(whole.box, part.box) > 0
            and shared(whole.box, part.box) >= 0.5 * area(part.box)
            and whole.score >= 0.5 * part.score
        )

    # step 2

    def agreement(self, one: Row, other: Row) -> float:
        """How well two fragments continue each other: 0 if they cannot."""
        if self.group(one) != self.group(other) or one.tile == other.tile:
            return 0.0
        if shared(self.grown(one), self.grown(other)) == 0:
            return 0.0
        if min(one.score, other.score) < 0.5 * max(one.score, other.score):
            return 0.0
        around = hull([one.box, other.box])
        agreement = min(
            overlap(clip(around, self.tiles[row.tile]), clip(row.box, self.tiles[row.tile]))
            for row in (one, other)
        )
        return agreement if agreement >= 0.6 else 0.0

    def grown(self, row: Row) -> Box:
        cut = self.cut(row)
        return tuple(row.box[k] + cut[k] * tolerance(row.box, k) * (-1, -1, 1, 1)[k] for k in range(4))

    def stitch(self, rows: list[Row]) -> list[Row]:
        parts = [r for r in rows if any(self.cut(r))]

        def best(row: Row, tile: int) -> Row | None:
            there = [r for r in parts if r.tile == tile and self.agreement(row, r) > 0]
            return max(there, key=lambda r: (self.agreement(row, r), -rows.index(r)), default=None)

        links = [
            (one, other)
            for k, one in enumerate(parts)
            for other in parts[:k]
            if self.agreement(one, other) > 0
            and best(one, other.tile) == other
            and best(other, one.tile) == one
        ]
        clusters = [{row} for row in parts]
        for one, other in links:
            joined = [c for c in clusters if one in c or other in c]
            clusters = [c for c in clusters if c not in joined] + [set().union(*joined)]
        clusters = [sorted(c, key=rows.index) for c in clusters if len(c) > 1]
        stitched = [c[0]._replace(box=self.joined_box(c)) for c in clusters]
        return canonical([r for r in rows if not any(r in c for c in clusters)] + stitched)

    def joined_box(self, parts: list[Row]) -> Box:
        box = list(hull([r.box for r in parts]))
        for k in range(4):
            free = [r for r in parts if not self.cut(r)[k]]
            weight = sum(r.score for r in free)
            if weight > 0:
                box[k] = sum(r.score * r.box[k] for r in free) / weight
        return (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))

    # steps 3 and 4

    def choose(self, rows: list[Row]) -> list[Row]:
        lost: dict[Row, list[Row]] = {}
        for row in sorted(rows, key=lambda r: (-r.score * (1.0 + 1.0 * self.standing(r)), rows.index(r))):
            winner = next((k for k in lost if self.rivals(k, row)), None)
            lost.setdefault(row, []) if winner is None else lost[winner].append(row)
        return [self.granted(self.averaged(row, lost[row], rows)) for row in lost]

    def averaged(self, keeper: Row, lost: list[Row], rows: list[Row]) -> Row:
        comparable = [r for r in lost if self.of_two_tiles(keeper, r) and r.score >= 0.5 * keeper.score]
        unknown = [r for r in comparable if r.tile is None]
        tiles = sorted({r.tile for r in comparable if r.tile is not None})
        best = [min((r for r in comparable if r.tile == t), key=rows.index) for t in tiles]
        box = list(keeper.box)
        for k in range(4):
            free = [keeper] + [
                r
                for r in best + sorted(unknown, key=rows.index)
                if not self.cut(r)[k] and not self.cut(keeper)[k]
            ]
            weight = sum(r.score for r in free)
            if weight > 0:
                box[k] = sum(r.score * r.box[k] for r in free) / weight
        return keeper._replace(box=tuple(box)) if comparable else keeper

    def granted(self, keeper: Row) -> Row:
        deepest = self.deepest(keeper)
        if deepest in (None, keeper.tile):
            return keeper
        support = max(
            (
                r.score
                for r in self.reported
                if r.tile == deepest
                and self.group(r) == self.group(keeper)
                and shared(r.box, keeper.box) > 0
                and overlap(r.box, keeper.box) >= self.iou
            ),
            default=0.0,
        )
        score = float(np.float32(min(keeper.score, 0.5 * keeper.score + support)))
        return keeper._replace(score=score, tile=deepest)


def canonical(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (-r.score, r.label, r.box, -1 if r.tile is None else r.tile))


def same_place(one: Row, other: Row) -> bool:
    return (one.box, one.label, one.tile) == (other.box, other.label, other.tile)


def edges(tile: Tile) -> Box:
    return float(tile.x), float(tile.y), float(tile.x + tile.width), float(tile.y + tile.height)


def tolerance(box: Box, side: int) -> float:
    return max(2.0, 0.06 * (box[side % 2 + 2] - box[side % 2]))


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def shared(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def overlap(one: Box, other: Box) -> float:
    union = area(one) + area(other) - shared(one, other)
    return shared(one, other) / union if union > 0 else 0.0


def hull(boxes: list[Box]) -> Box:
    low = [min(b[k] for b in boxes) for k in (0, 1)]
    return (*low, *(max(b[k] for b in boxes) for k in (2, 3)))


def clip(box: Box, limits: Box) -> Box:
    return tuple(min(max(box[k], limits[k % 2]), limits[k % 2 + 2]) for k in range(4))


def table(rows: list[Row]) -> Detections:
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    boxes, scores, labels, tiles = columns
    found = Detections(np.array(boxes, float).reshape(-1, 4), scores, labels, tiles)
    return found[found.canonical_order()]


# ------------------------------------------------------------------------------------------ random scenes


def scene_of(seed: int) -> tuple[Detections, list[Tile]]:
    """Objects seen by the tiles that they touch, cut and jittered, with false alarms and unknown tiles.

    Whole pixels and scores in eighths make ties and exact thresholds common.
    """
    rng = np.random.default_rng(seed)
    tiles = plan_tiles(*rng.integers(30, 100, 2), tile=32, overlap=int(rng.choice([0, 5, 12, 20])))
    rows = []
    for _ in range(rng.integers(0, 6)):
        at, sides = rng.integers(-2, 100, 2), rng.integers(1, rng.choice([16, 90]), 2)
        label, score, jitters = rng.integers(0, 3), rng.integers(0, 9) / 8, rng.random() < 0.5
        for tile in tiles:
            jitter = rng.integers(-1, 2, 4) if jitters else np.zeros(4)
            box = clip(tuple(np.concatenate([at, at + sides]) + jitter), edges(tile))
            if box[0] < box[2] and box[1] < box[3] and rng.random() < 0.9:
                seen = score if rng.random() < 0.6 else rng.integers(0, 9) / 8
                rows.append(Row(box, seen, label, tile.id))
    for _ in range(rng.integers(0, 4)):
        at, sides = rng.integers(-2, 100, 2), rng.integers(0, 40, 2)
        rows.append(Row((*at, *(at + sides)), rng.integers(0, 9) / 8, 0, rng.integers(-1, len(tiles))))
    return table(rows), tiles


scenes = st.integers(0, 2**32 - 1).map(scene_of)

rules = st.fixed_dictionaries(
    {
        "iou": st.sampled_from([0.3, 0.5, 0.7]),
        "joined": st.sampled_from([False, True, [[0, 2]]]),
        "suppressed": st.booleans(),
    }
)


def by_product(found: Detections, tiles: list[Tile], rule: dict) -> Detections:
    rule = dict(rule)
    return merge(found, tiles, method="seam", class_agnostic=rule.pop("joined"), **rule)


# -------------------------------------------------------------------------------------------------- laws


@settings(max_examples=150, deadline=None)
@given(scenes, rules)
def test_seam_equals_its_definition(scene, rule):
    found, tiles = scene
    merged, expected = by_product(found, tiles, rule), definition(found, tiles, **rule)
    np.testing.assert_allclose(merged.boxes, expected.boxes, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(merged.scores, expected.scores)
    np.testing.assert_array_equal(merged.labels, expected.labels)
    np.testing.assert_array_equal(merged.tile_ids, expected.tile_ids)


@settings(max_examples=150, deadline=None)
@given(scenes, rules)
def test_merging_again_changes_nothing(scene, rule):
    found, tiles = scene
    merged = by_product(found, tiles, rule)
    assert by_product(merged, tiles, rule) == merged


@settings(max_examples=100, deadline=None)
@given(scenes, rules, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_tiles_and_their_numbers_change_nothing(scene, rule, random):
    found, tiles = scene
    rows = random.sample(range(len(found)), len(found))
    numbers = dict(zip([t.id for t in tiles], random.sample(range(1000), len(tiles)), strict=True)) | {-1: -1}
    shuffled = [t._replace(id=numbers[t.id]) for t in random.sample(tiles, len(tiles))]
    renumbered = np.array([numbers[t] for t in found.tile_ids], dtype=int)
    again = Detections(found.boxes, found.scores, found.labels, renumbered)[np.array(rows, dtype=int)]
    merged, other = by_product(found, tiles, rule), by_product(again, shuffled, rule)
    np.testing.assert_array_equal(other.boxes, merged.boxes)
    np.testing.assert_array_equal(other.scores, merged.scores)
    np.testing.assert_array_equal(other.labels, merged.labels)
    np.testing.assert_array_equal(other.tile_ids, [numbers[t] for t in merged.tile_ids])


@settings(max_examples=60, deadline=None)
@given(scenes, rules)
def test_rows_that_are_equal_in_all_columns_count_once(scene, rule):
    found, tiles = scene
    twice = Detections.concatenate([found, found])
    assert by_product(twice, tiles, rule) == by_product(found, tiles, rule)


@settings(max_examples=60, deadline=None)
@given(scenes, rules)
def test_no_box_reaches_beyond_those_that_were_reported(scene, rule):
    found, tiles = scene
    merged = by_product(found, tiles, rule)
    if len(merged):
        assert (merged.boxes[:, :2] >= found.boxes[:, :2].min(axis=0) - 1e-9).all()
        assert (merged.boxes[:, 2:] <= found.boxes[:, 2:].max(axis=0) + 1e-9).all()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_objects_that_do_not_touch_pass_untouched_where_the_deepest_tile_reports_them(data):
    tiles = plan_tiles(200, 200, tile=64, overlap=16)
    cells = data.draw(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), unique=True, max_size=30))
    corners = np.array(cells, float).reshape(-1, 2) * 20
    sides = np.array([data.draw(st.tuples(st.integers(1, 19), st.integers(1, 19))) for _ in cells], float)
    boxes = np.concatenate([corners, corners + sides.reshape(-1, 2)], axis=1)
    place = Definition([edges(t) for t in tiles], 0.5, joined=False, suppressed=True)
    ids = [place.deepest(Row(tuple(box), 1.0, 0, 0)) for box in boxes]
    scores = data.draw(st.lists(st.integers(0, 8), min_size=len(cells), max_size=len(cells)))
    found = Detections(
        boxes, np.array(scores) / 8, np.zeros(len(cells)), [-1 if i is None else i for i in ids]
    )
    assert merge(found, tiles) == found[found.canonical_order()]


# ------------------------------------------------------------------------------------- examples by hand

ROW_OF_TILES = [Tile(0, 0, 0, 100, 100), Tile(1, 80, 0, 100, 100), Tile(2, 160, 0, 100, 100)]
"""Three tiles in a row, 20 px of overlap: 80..100 and 160..180."""


def seen(*rows: tuple) -> Detections:
    """Rows of x0, x1, score, tile; all from y 40 to 60, of class 0 unless a fifth value says so."""
    boxes = [(x0, 40, x1, 60) for x0, x1, *_ in rows]
    labels = [row[4] if len(row) > 4 else 0 for row in rows]
    return Detections(boxes, [r[2] for r in rows], labels, [r[3] for r in rows])


def test_a_fragment_loses_to_the_whole_box_though_its_score_is_better():
    whole, fragment = (84, 104, 0.5, 1), (84, 100, 0.9, 0)
    assert merge(seen(whole, fragment), ROW_OF_TILES) == seen(whole)


def test_noise_does_not_take_a_fragment_away():
    noise, fragment = (83, 140, 0.05, 1), (70, 100, 0.9, 0)
    merged = merge(seen(noise, fragment), ROW_OF_TILES)
    assert merged == seen(fragment, noise)


def test_an_object_larger_than_a_tile_comes_out_whole():
    tiles = plan_tiles(300, 300, tile=100, overlap=20)
    object_ = np.array([30.0, 30.0, 270.0, 250.0])
    parts = [clip(tuple(object_), edges(tile)) for tile in tiles]
    found = Detections(parts, np.full(len(tiles), 0.75), np.zeros(len(tiles)), [t.id for t in tiles])
    merged = merge(found, tiles)
    np.testing.assert_array_equal(merged.boxes, [object_])


def test_two_fragments_across_a_seam_become_one_box_with_the_tile_of_the_better_part():
    merged = merge(seen((70, 100, 0.6, 0), (80, 115, 0.8, 1)), ROW_OF_TILES)
    assert merged == seen((70, 115, 0.8, 1))


def test_an_object_across_three_tiles_comes_out_whole():
    merged = merge(seen((50, 100, 0.6, 0), (80, 180, 0.8, 1), (160, 210, 0.7, 2)), ROW_OF_TILES)
    assert merged == seen((50, 210, 0.8, 1))


def test_fragments_are_stitched_without_overlap_too():
    tiles = [Tile(0, 0, 0, 100, 100), Tile(1, 100, 0, 100, 100)]
    assert merge(seen((70, 99.5, 0.8, 0), (100, 115, 0.6, 1)), tiles) == seen((70, 115, 0.8, 0))


def test_an_object_at_the_corner_of_four_tiles_becomes_one_box():
    tiles = plan_tiles(180, 180, tile=100, overlap=20)
    quarters = [(60, 60, 100, 100), (80, 60, 130, 100), (60, 80, 100, 125), (80, 80, 130, 125)]
    found = Detections(quarters, [0.6, 0.7, 0.8, 0.9], [0] * 4, [0, 1, 2, 3])
    assert merge(found, tiles) == Detections([(60, 60, 130, 125)], [0.9], [0], [3])


def test_neighbours_beside_a_seam_are_not_stitched():
    upper = Detections([(70, 40, 100, 60)], [0.8], [0], [0])
    lower = Detections([(80, 58, 115, 78)], [0.8], [0], [1])
    assert len(merge(Detections.concatenate([upper, lower]), ROW_OF_TILES)) == 2


def test_of_two_whole_boxes_the_deeper_one_is_kept_and_its_sides_become_means_by_score():
    merged = merge(seen((83, 93, 0.6, 0), (84, 94, 0.6, 1)), ROW_OF_TILES)
    assert merged == seen((83.5, 93.5, 0.6, 0))


def test_what_the_deepest_tile_did_not_report_is_worth_half():
    assert merge(seen((83, 93, 0.5, 1)), ROW_OF_TILES) == seen((83, 93, 0.25, 0))


def test_what_the_deepest_tile_doubted_is_worth_no_more_than_half_and_its_own_score():
    merged = merge(seen((83, 93, 0.75, 1), (83, 93, 0.125, 0)), ROW_OF_TILES)
    assert merged == seen((83, 93, 0.5, 0))


def test_a_tile_that_reported_a_part_of_a_stitched_box_is_no_dissenter():
    # The whole box of the first tile ends within the tolerance of its edge, so it counts as cut there, until
    # the means with the other tiles' parts move it out of the tolerance, and the tile becomes the deepest.
    tiles = plan_tiles(600, 600, tile=256, overlap=51)
    boxes = [[209, 186, 280, 217], [209, 186, 256, 217], [209, 205, 280, 217], [210, 205, 256, 217]]
    found = Detections(boxes, [0.98] * 4, [0] * 4, [1, 0, 4, 3])
    merged = merge(found, tiles)
    assert len(merged) == 1
    assert merged.scores[0] == np.float32(0.98)


def test_neighbours_of_one_tile_and_class_are_left_alone():
    pair = seen((10, 30, 0.9, 0), (14, 34, 0.8, 0))
    assert merge(pair, ROW_OF_TILES) == pair
    assert len(merge(pair, ROW_OF_TILES, suppressed=False)) == 1


def test_classes_that_can_be_one_object_are_suppressed_within_a_tile_too():
    car_and_van = seen((10, 30, 0.9, 0, 3), (10, 30, 0.8, 0, 4), (11, 31, 0.7, 0, 5))
    assert len(merge(car_and_van, ROW_OF_TILES)) == 3
    assert merge(car_and_van, ROW_OF_TILES, class_agnostic=[[3, 4]]) == car_and_van[[0, 2]]
    assert merge(car_and_van, ROW_OF_TILES, class_agnostic=True) == car_and_van[[0]]


def test_boxes_of_unknown_tiles_are_suppressed_and_never_taken_for_fragments():
    unknown = seen((84, 100, 0.9, -1), (84, 100.5, 0.8, -1), (84, 104, 0.5, 1))
    merged = merge(unknown, ROW_OF_TILES)
    assert len(merged) == 1
    assert merged.tile_ids.tolist() == [-1]


def test_a_table_without_known_tiles_needs_none():
    merged = merge(seen((0, 10, 0.75, -1), (2, 12, 0.75, -1)), [])
    assert merged == seen((1, 11, 0.75, -1))


def test_nothing_merges_to_nothing():
    assert merge(Detections.empty(), []) == Detections.empty()
    assert merge(Detections.empty(), ROW_OF_TILES) == Detections.empty()


def test_a_tile_id_that_is_none_of_the_tiles_is_refused():
    with pytest.raises(DetectionsError, match="tile id 9 is none of the 3 tiles; give all tiles of the run"):
        merge(seen((0, 10, 0.9, 9)), ROW_OF_TILES)


def test_tiles_with_one_id_twice_are_refused():
    with pytest.raises(DetectionsError, match="each tile needs its own id, got 2 tiles with 1 ids"):
        merge(seen((0, 10, 0.9, 0)), [ROW_OF_TILES[0], ROW_OF_TILES[0]])


def test_tiles_may_come_as_an_array():
    found = seen((70, 100, 0.6, 0), (80, 115, 0.8, 1))
    assert merge(found, np.array(ROW_OF_TILES)) == merge(found, ROW_OF_TILES)
    with pytest.raises(DetectionsError, match=r"tiles must have shape \(T, 5\): id, x, y, width, height"):
        merge(found, np.array(ROW_OF_TILES)[:, :4])


@pytest.mark.parametrize("suppressed", [False, True])
@pytest.mark.parametrize("joined", [False, True, [[0, 1]]])
def test_of_one_tile_that_is_all_of_the_scene_the_best_are_kept(suppressed, joined):
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 180, (160, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 60, (160, 2))], axis=1).clip(0, 200)
    boxes[100:110] = boxes[:10]
    scores = np.round(rng.uniform(0, 1, 160), 1)
    found = Detections(boxes, scores, rng.integers(0, 3, 160), np.full(160, 7))
    tiles = [Tile(7, 0, 0, 200, 200)]
    merged = merge(found, tiles, class_agnostic=joined, suppressed=suppressed)
    expected = definition(found, tiles, joined=joined, suppressed=suppressed)
    assert 0 < len(merged) < 160
    for column in ("boxes", "scores", "labels", "tile_ids"):
        assert np.array_equal(getattr(merged, column), getattr(expected, column))
