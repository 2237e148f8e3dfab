"""Pictures: boxes where they are, labels that cover none of them, and what notebooks show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sodslice import Detections, RunResult, SodsliceError, run, write
from sodslice.errors import SceneError
from sodslice.results import is_own
from sodslice.results.colours import colour_of
from sodslice.results.html import html_of
from sodslice.results.picture import LONGEST_SIDE, draw_result
from sodslice.results.scenes import opened_scene
from sodslice.scene import ArrayScene
from sodslice.scene.overview import overview
from tests.placed_results import UTM, placed_result
from tests.rasters import scene_with_blobs, write_raster


@pytest.fixture
def result(tmp_path) -> RunResult:
    pixels = np.full((3, 800, 1000), 90, np.uint8)
    path = write_raster(tmp_path / "a.tif", pixels, crs="EPSG:32616", transform=UTM.transform)
    found = placed_result(count=12)
    return replace(found, scene=replace(found.scene, path=str(path)))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg"])
def test_a_picture_is_the_scene_with_its_boxes(result, tmp_path, suffix):
    path = write(result, tmp_path / f"a{suffix}")
    picture = np.array(Image.open(path)).astype(int)
    assert picture.shape == (800, 1000, 3)
    x0, y0, x1, _ = np.rint(result.detections.boxes[0]).astype(int)
    colour = np.array(colour_of(result.detections.labels[0]))
    assert np.abs(picture[y0, (x0 + x1) // 2] - colour).max() < (2 if suffix == ".png" else 90)
    assert is_own(path)
    Image.fromarray(picture.astype(np.uint8)).save(path)
    assert not is_own(path)
    path.write_bytes(b"nothing of the kind")
    assert not is_own(path)


def test_labels_cover_no_box_and_no_other_label():
    rng = np.random.default_rng(2)
    low = rng.uniform(0, 560, (60, 2))
    boxes = np.concatenate([low, low + rng.uniform(10, 40, (60, 2))], axis=1)
    found = Detections(boxes, np.linspace(0.9, 0.3, 60), np.zeros(60, int), np.full(60, -1))
    result = replace(placed_result(), detections=found, class_names=("car",))
    picture = Image.new("RGB", (600, 600), (90, 90, 90))
    draw_result(picture, result, (1.0, 1.0))
    drawn = np.array(picture)
    inside = [drawn[int(y0) + 2 : int(y1) - 2, int(x0) + 2 : int(x1) - 2] for x0, y0, x1, y1 in boxes[:50]]
    filled = np.array(colour_of(0))
    shares = [(np.abs(one.astype(int) - filled).max(axis=2) == 0).mean() for one in inside if one.size]
    assert max(shares) < 0.5  # lines of other boxes, and no label


def test_a_large_scene_is_drawn_smaller_with_its_boxes(tmp_path):
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(5000, 1000, [(2500, 500)]))
    result = run(scene, model="blobs", output=tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (LONGEST_SIDE, 400)
        seen = np.array(picture).astype(int)
    x0, y0, x1, y1 = result.detections.boxes[0] * 0.4
    near = seen[int(y0) - 2 : int(y1) + 3, int(x0) - 2 : int(x1) + 3]
    assert (np.abs(near - np.array(colour_of(0))).max(axis=2) < 30).any()


def test_plot_and_crop_are_images(result):
    assert result.plot(longest=500).size == (500, 400)
    x0, y0, x1, y1 = result.detections.boxes[0]
    crop = result.crop(0)
    assert crop.width == pytest.approx(3 * max(x1 - x0, y1 - y0), abs=3)
    with pytest.raises(IndexError):
        result.crop(99)


def test_a_notebook_shows_a_line_a_picture_and_rows_as_texts(result):
    hostile = replace(result, class_names=("<script>alert(1)</script>", "b", "c"))
    shown = hostile._repr_html_()
    assert shown == html_of(hostile)
    assert "<script>" not in shown
    assert "data:image/jpeg;base64," in shown
    assert shown.count("<tr>") == 9
    assert "and 4 more" in shown
    gone = replace(result, scene=replace(result.scene, path="gone.tif"))
    assert "there is no file gone.tif" in html_of(gone)
    assert "data:image" not in html_of(replace(result, scene=replace(result.scene, path="")))


def test_a_scene_that_is_no_file_or_another_one_is_refused(result, tmp_path):
    nowhere = replace(result, scene=replace(result.scene, path=""))
    with pytest.raises(
        SceneError, match="the scene of this result is no file, so there is nothing to draw on"
    ):
        write(nowhere, tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
    assert nowhere.plot(scene=result.scene.path).size == (1000, 800)
    with pytest.raises(SodsliceError, match="has 1000 x 800 pixels, the result is of 999 x 800"):
        opened_scene(replace(result, scene=replace(result.scene, width=999)))


def test_an_overview_is_read_in_bands(monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 255, (700, 300, 3), dtype=np.uint8)
    scene = ArrayScene(pixels)
    np.testing.assert_array_equal(overview(scene, 1.0), pixels)
    whole = overview(scene, 2.0)
    monkeypatch.setattr("sodslice.scene.overview.BAND", 64)
    np.testing.assert_array_equal(overview(scene, 1.0), pixels)
    assert overview(scene, 2.0).shape == whole.shape == (350, 150, 3)


def test_a_scene_that_cannot_be_read_again_is_refused_before_the_work(tmp_path):
    with pytest.raises(SodsliceError, match=r"a\.png: a picture needs its scene as a file, and .* is none"):
        run(np.zeros((60, 80, 3), np.uint8), model="blobs", output=tmp_path / "a.png")
    scene = write_raster(tmp_path / "a.tif", scene_with_blobs(300, 200, [(40, 40)]))
    with pytest.raises(SodsliceError, match="no picture is drawn of a scene that may read other folders"):
        run(scene, model="blobs", options={"allow_vrt": True}, output=tmp_path / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]
