"""No object of a full tile is lost, whatever limit the NMS in a model's graph has."""

from __future__ import annotations

import hashlib
import json
import logging

import numpy as np
import pytest
import yaml

from sodslice import SodsliceError, load_model, run
from sodslice.inference import lifting
from sodslice.inference.limits import Limits
from sodslice.inference.nms import Nms, read_nms, write_copy
from tests.dense_models import dots, export_cells, export_legacy_cells
from tests.tiny_models import PERMUTE, export_bright_box


@pytest.fixture(scope="module")
def default():
    """The default model, loaded once."""
    return load_model("vehicle-t", device="cpu")


def counts_of(result) -> tuple[int, int]:
    return result.provenance.counts.saturated, result.provenance.counts.cut_short


def test_the_limits_of_a_graph_are_read_and_changed_in_a_copy_that_differs_in_nothing_else(tmp_path):
    graph = export_cells(tmp_path / "m", 64, candidates=1000, kept=300, classes=3) / "inference.json"
    before = graph.read_bytes()
    assert read_nms(graph) == Nms(candidates=1000, kept=300, classes=3)
    write_copy(graph, tmp_path / "copy.json", Nms(-1, 100_000))
    assert read_nms(tmp_path / "copy.json") == Nms(candidates=-1, kept=100_000, classes=3)
    write_copy(tmp_path / "copy.json", tmp_path / "back.json", Nms(1000, 300))
    assert json.loads((tmp_path / "back.json").read_bytes()) == json.loads(before)
    assert graph.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"program": {"regions": 1}}', b"\x08\x01\x02"])
@pytest.mark.parametrize("name", ["inference.json", "inference.pdmodel", "inference.onnx"])
def test_a_graph_that_cannot_be_read_has_no_limits_that_are_known(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read_nms(tmp_path / name) is None


def test_a_graph_without_nms_has_no_limits(tmp_path):
    folder = export_bright_box(tmp_path / "m", preprocess=[PERMUTE], nms=False)
    assert read_nms(folder / "inference.json") is None
    assert load_model(folder, device="cpu").info.max_per_tile is None


def test_all_of_5000_objects_in_one_tile_are_found(tmp_path):
    pixels = dots(5000, 14)
    result = run(pixels, model=str(export_cells(tmp_path / "m", 14)), options={"tile": 1024})
    assert len(result) == 5000
    assert counts_of(result) == (0, 0)


def test_all_of_20000_objects_in_one_tile_are_found_though_each_has_three_candidates(tmp_path):
    pixels = dots(20_000, 7)
    result = run(pixels, model=str(export_cells(tmp_path / "m", 7, anchors=3)), options={"tile": 1024})
    assert len(result) == 20_000
    assert counts_of(result) == (0, 0)


@pytest.mark.parametrize(
    ("candidates", "kept"), [(400, 500), (10_000, 300), (100, 20), (-1, 500), (1000, -1)]
)
def test_whatever_the_limits_are_no_object_is_lost(tmp_path, candidates, kept):
    folder = export_cells(tmp_path / "m", 32, candidates=candidates, kept=kept)
    detector = load_model(folder, device="cpu")
    (found,) = detector.detect(dots(700, 32)[None])
    assert len(found) == 700


def test_of_a_batch_only_the_full_tiles_are_looked_at_more_deeply(tmp_path):
    folder = export_cells(tmp_path / "m", 16, candidates=1000, anchors=4)
    detector = load_model(folder, device="cpu", batch=3)
    pixels = np.stack([dots(count, 16, seed=count) for count in (10, 3000, 0, 4000, 7)])
    found = detector.detect(pixels)
    assert [len(table) for table in found] == [10, 3000, 0, 4000, 7]
    assert [set(table.tile_ids.tolist()) for table in found] == [{0}, {1}, set(), {3}, {4}]
    detector.close()
    with pytest.raises(SodsliceError, match="the model is closed"):
        detector.look_down_to(pixels, 0.01)


def test_files_and_hash_of_a_model_stay_as_they_are(tmp_path):
    folder = export_cells(tmp_path / "m", 32)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    detector = load_model(folder, device="cpu")
    detector.detect(dots(700, 32)[None])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    content = b"".join(before[f"inference.{ending}"] for ending in ("json", "pdiparams", "yml"))
    assert detector.info.sha256 == hashlib.sha256(content).hexdigest()


def test_a_graph_whose_copy_does_not_load_is_taken_as_it_is_and_full_tiles_are_looked_at_in_parts(
    tmp_path, monkeypatch, caplog
):
    folder = export_cells(tmp_path / "m", 32)
    whole = run(dots(700, 32), model=str(folder), options={"tile": 1024})

    def broken(graph, copy, limits):
        copy.write_text("{}")

    monkeypatch.setattr(lifting, "write_copy", broken)
    with caplog.at_level(logging.WARNING):
        result = run(dots(700, 32), model=str(folder), options={"tile": 1024})
    assert "full tiles are looked at in parts" in caplog.text
    assert counts_of(result) == (0, 0)
    assert len(result) == len(whole) == 700


def test_no_object_of_a_legacy_graph_is_lost_either(tmp_path):
    folder = export_legacy_cells(tmp_path / "m", 16)
    if folder is None:
        pytest.skip("the installed Paddle writes no .pdmodel")
    assert read_nms(folder / "inference.pdmodel") == Nms(candidates=10_000, kept=500)
    result = run(dots(3000, 16), model=str(folder), options={"tile": 1024})
    assert len(result) == 3000
    assert counts_of(result) == (0, 0)


def test_a_graph_with_more_classes_than_names_is_refused_before_a_tile_is_read(tmp_path):
    folder = export_cells(tmp_path / "m", 64, classes=3)
    words = "the model cells tells 3 classes apart, and the label_list of its yml names 1; complete the list"
    with pytest.raises(SodsliceError, match=words):
        load_model(folder, device="cpu")
    settings = yaml.safe_load((folder / "inference.yml").read_text())
    settings["label_list"] = ["one", "two", "three"]
    (folder / "inference.yml").write_text(yaml.safe_dump(settings))
    assert load_model(folder, device="cpu").info.class_names == ("one", "two", "three")


def test_noise_below_the_threshold_is_neither_kept_in_full_nor_counted(default):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    result = run(noise, model=default, options={"tile": 1024})
    assert counts_of(result) == (0, 0)
    (look,) = default.look_down_to(rng.integers(0, 256, (1, 1024, 1024, 3), dtype=np.uint8), 0.1)
    assert len(look.found) == 500
    assert 0.01 < look.whole_from <= 0.1


def test_a_low_threshold_has_all_that_lies_above_it(default):
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    options = {"tile": 1024, "merge": "none"}
    low = run(pixels, model=default, options=options | {"threshold": 0.02})
    floor = run(pixels, model=default, options=options | {"threshold": 0.01})
    assert len(low) > 5000
    assert counts_of(low) == counts_of(floor) == (0, 0)
    assert int((floor.detections.scores >= np.float32(0.02)).sum()) == len(low)
    assert floor.detections.scores.min() < 0.0101


def test_rows_of_low_scores_are_the_best_that_upstream_keeps():
    boxes, labels = np.zeros((900, 4)), np.zeros(900, np.int32)
    scores = np.random.default_rng(0).permutation(np.linspace(0.011, 0.3, 900)).astype(np.float32)
    (_, kept, _), whole_from = Limits(kept=100_000, usual=500).kept_of((boxes, scores, labels), 0.1)
    assert sorted(kept) == sorted(scores[scores >= 0.1])
    assert whole_from == 0.1
    (_, kept, _), whole_from = Limits(kept=100_000, usual=800).kept_of((boxes, scores, labels), 0.1)
    assert sorted(kept) == sorted(scores)[100:]
    assert float(np.float32(sorted(scores)[99])) < whole_from <= sorted(scores)[101]


@pytest.mark.slow
def test_the_default_model_loses_no_car_of_a_drawn_car_park():
    """1200 cars a tile; small tiles, of which none is full, say how many of the drawn ones it knows."""
    rng = np.random.default_rng(0)
    pixels = (92 + rng.normal(0, 5, (2048, 2048, 1)) + np.zeros((1, 1, 3))).clip(0, 255).astype(np.uint8)
    count = 0
    for y in range(20, 2008, 42):
        for x in range(20, 2018, 20):
            _draw_car(pixels[y : y + 26, x : x + 14], rng.integers(0, 6))
            count += 1
    found = run(pixels, options={"device": "cpu"})
    parts = run(pixels, options={"device": "cpu", "tile": 320})
    assert count == 4800
    assert len(found) > 0.98 * len(parts) > 0.9 * count
    assert counts_of(found) == (0, 0)


PAINTS = [(235, 235, 235), (200, 30, 30), (40, 60, 140), (25, 25, 25), (150, 150, 155), (90, 20, 30)]


def _draw_car(patch: np.ndarray, paint: int) -> None:
    """A car from above, 14 x 26 pixels: body, windscreens, roof."""
    colour = np.array(PAINTS[paint])
    patch[1:25, 1:13] = colour
    patch[6:10, 2:12] = patch[19:22, 2:12] = (25, 30, 35)
    patch[10:19, 3:11] = np.clip(colour * 1.1 + 8, 0, 255)
    patch[:, 13] = (40, 40, 42)
