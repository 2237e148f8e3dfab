"""A tile for which a detector gives all boxes it can is looked at in parts; what stays cut short is said."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import orjson
import pytest
from click.testing import CliRunner

from sodslice import ArrayScene, BlobDetector, Detections, ModelInfo, load_result, make_plan, run
from sodslice.cli.run import command
from sodslice.models.store import DETECTORS, NamedDetector
from sodslice.results import write
from sodslice.running import execute, finish, finish_again
from tests.dense_models import CappedBlobs, dots
from tests.rasters import write_raster


def boxes_of(result) -> list[list[float]]:
    return sorted(result.detections.boxes.tolist())


@pytest.mark.parametrize(
    ("count", "cell", "most"),
    [(300, 20, 100), (2000, 14, 500), pytest.param(20_000, 7, 500, marks=pytest.mark.slow)],
)
def test_every_object_of_a_crowded_tile_is_found_at_its_own_pixels(count, cell, most):
    pixels = dots(count, cell)
    truth = run(pixels, model="blobs", options={"tile": 1024})
    capped = run(pixels, model=CappedBlobs(most), options={"tile": 1024})
    assert len(truth) == count
    assert boxes_of(capped) == boxes_of(truth)
    assert capped.provenance.counts.cut_short == capped.provenance.counts.saturated == 0


def test_crowds_in_some_tiles_of_a_scene_of_odd_size_are_found():
    pixels = np.full((700, 1500, 3), 20, np.uint8)
    pixels[:256, 600:856] = dots(450, 11, side=256)
    pixels[500:510, 100:110] = 240
    truth = run(pixels, model="blobs", options={"tile": 500})
    model = CappedBlobs(100)
    capped = run(pixels, model=model, options={"tile": 500})
    assert len(truth) == 451
    assert boxes_of(capped) == boxes_of(truth)
    assert 0 < capped.provenance.counts.tiles < model.looks


def test_a_tile_that_is_not_full_is_looked_at_once():
    model = CappedBlobs(101)
    assert len(run(dots(100, 20), model=model, options={"tile": 1024})) == 100
    assert model.looks == 1


class Watching(CappedBlobs):
    """Notes the shapes that it is shown."""

    def __init__(self, most: int, size: tuple[int, int] | None):
        super().__init__(most)
        self.info = replace(self.info, input_size=size)
        self.shapes = []

    def detect(self, pixels):
        self.shapes.append(pixels.shape)
        return super().detect(pixels)


def test_parts_are_shown_at_the_scale_of_the_whole_and_to_models_that_resize_in_its_shape():
    free, fixed = Watching(100, None), Watching(100, (1024, 1024))
    for model in (free, fixed):
        assert len(run(dots(120, 20), model=model, options={"tile": 1024})) == 120
    assert free.shapes[:2] == [(1, 1024, 1024, 3), (4, 640, 640, 3)]
    assert fixed.shapes[:2] == [(1, 1024, 1024, 3), (4, 1024, 1024, 3)]


class Endless:
    """A detector that always gives its most boxes, and never all."""

    def __init__(self, score: float = 0.9, most: int = 4):
        self.info = ModelInfo(
            ("thing",), name="endless", max_per_tile=most, suppressed=True, sha256="endless"
        )
        self._table = Detections(
            [[9.0 * n, 3, 9 * n + 6, 9] for n in range(most)], [score] * most, [0] * most, [0] * most
        )

    def detect(self, pixels):
        return [self._table for _ in pixels]


@pytest.fixture
def endless():
    DETECTORS.register("endless", NamedDetector("never done", lambda: Endless().info, Endless))
    yield "endless"
    DETECTORS.unregister("endless")


def test_what_stays_cut_short_is_counted_in_every_output_and_shown(endless, tmp_path):
    scene = write_raster(tmp_path / "a.tif", np.full((3, 300, 300), 90, np.uint8))
    outputs = [tmp_path / "a.json", tmp_path / "a.geojson"]
    for path in outputs:
        words = [str(scene), "--model", endless, "--tile", "160", "--overlap", "0.1", "-o", str(path)]
        assert "[4 tiles, 4 cut short, " in CliRunner().invoke(command, words).stdout
        quiet = CliRunner().invoke(command, [*words, "-q"])
        assert quiet.stdout == ""
        assert "[4 tiles, 4 cut short, " in quiet.stderr
        assert orjson.loads(path.read_bytes())["run"]["counts"]["cut_short"] == 4
        assert load_result(path).provenance.counts.cut_short == 4


def test_tiles_that_are_full_of_what_lies_below_the_threshold_are_not_said_to_be_cut_short(caplog):
    with caplog.at_level(logging.WARNING, logger="sodslice"):
        for score, counts in ((0.05, (0, 0)), (0.3, (1, 0)), (0.5, (1, 1)), (0.9, (1, 1))):
            result = run(np.full((64, 64), 90, np.uint8), model=Endless(score), options={"threshold": 0.5})
            found = result.provenance.counts
            assert (found.saturated, found.cut_short) == counts
    assert caplog.text.count("cut short") == 2


def test_a_lower_threshold_makes_the_same_tile_cut_short():
    scene = np.full((64, 64), 90, np.uint8)
    for threshold, count in ((0.06, 0), (0.05, 1), (0.01, 1)):
        result = run(scene, model=Endless(0.05), options={"threshold": threshold})
        assert result.provenance.counts.cut_short == count


def test_results_without_the_count_are_still_read(tmp_path):
    path = write(run(np.zeros((64, 64), np.uint8), model="blobs"), tmp_path / "a.json")
    content = orjson.loads(path.read_bytes())
    del content["run"]["counts"]["cut_short"]
    path.write_bytes(orjson.dumps(content))
    assert load_result(path).provenance.counts.cut_short == 0


def test_a_store_keeps_down_to_which_score_a_tile_is_whole(tmp_path, endless):
    scene = write_raster(tmp_path / "a.tif", np.full((3, 300, 300), 90, np.uint8))
    plan = make_plan(scene, model=endless, options={"tile": 160, "overlap": 0.1})
    store = execute(plan, tmp_path / "a.raw")
    assert finish(plan, [store]).provenance.counts.cut_short == 4
    assert finish_again(store, {"threshold": 0.95}).provenance.counts.cut_short == 0


def test_a_run_that_was_interrupted_is_not_gone_on_with_at_a_threshold_that_it_cut_off(tmp_path):
    scene = write_raster(tmp_path / "a.tif", np.full((3, 300, 300), 90, np.uint8))
    deep, usual = (
        make_plan(scene, model="blobs", options={"tile": 160, "threshold": threshold})
        for threshold in (0.05, 0.1)
    )
    assert (deep.lowest, usual.lowest) == (0.05, 0.1)
    assert deep.head != usual.head
    assert make_plan(scene, model="blobs", options={"tile": 160, "threshold": 0.7}).head == usual.head


def test_what_the_whole_showed_is_never_lost_to_its_parts():
    class Shy(BlobDetector):
        """Sees large objects in large views only."""

        def __init__(self):
            super().__init__()
            self.info = ModelInfo(("blob",), max_per_tile=50, suppressed=True)

        def detect(self, pixels):
            tables = super().detect(pixels)
            return [t[: 50 if image[700:].any() else 49] for t, image in zip(tables, pixels, strict=True)]

    pixels = dots(60, 64)
    result = run(ArrayScene(pixels), model=Shy(), options={"tile": 1024})
    whole = Shy().detect(pixels[None])[0].boxes.tolist()
    assert set(map(tuple, whole)) <= set(map(tuple, result.detections.boxes.tolist()))
