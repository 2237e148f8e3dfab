from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from sodslice import ArrayScene, BlobDetector, Detections, GeoRef, SodsliceError, make_plan, open_scene, run
from sodslice.scene import ScaledScene, ScaleWish, seen_size
from tests.rasters import scene_with_blobs, write_raster

CORNERS = [(40, 40), (200, 80), (400, 240), (720, 560)]
DEGREES = rasterio.Affine(4e-6, 0, 11.0, 0, -4e-6, 60.0)


def scene_file(folder, **profile):
    return write_raster(folder / "a.tif", scene_with_blobs(800, 640, CORNERS, side=40), **profile)


def corners_of(result) -> list[tuple[float, ...]]:
    return sorted(tuple(np.round(box, 6)) for box in result.detections.boxes.tolist())


EXPECTED = sorted((x, y, x + 40.0, y + 40.0) for x, y in CORNERS)
FLAT = GeoRef((0.5, 0, 0, 0, -0.5, 0), 'LOCAL_CS["a field",UNIT["metre",1]]')


@pytest.mark.parametrize("gsd", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("kind", ["file", "array"])
def test_boxes_come_back_in_scene_pixels_at_any_gsd(tmp_path, gsd, kind):
    crs = FLAT.crs
    transform = rasterio.Affine(*FLAT.transform)
    path = scene_file(tmp_path, crs=crs, transform=transform)
    pixels = scene_with_blobs(800, 640, CORNERS, side=40).transpose(1, 2, 0)
    scene = path if kind == "file" else ArrayScene(np.ascontiguousarray(pixels), georef=FLAT)
    result = run(scene, model="blobs", options={"gsd": gsd, "tile": 1024})
    assert corners_of(result) == EXPECTED
    assert result.provenance.seen_px == (round(800 * 0.5 / gsd), round(640 * 0.5 / gsd))
    assert result.scene.gsd_m == 0.5
    plan = make_plan(scene, model="blobs", options={"gsd": gsd, "tile": 1024})
    assert (plan.grid.width, plan.grid.height) == result.provenance.seen_px
    assert plan.gsd_seen_m == gsd


def test_a_gsd_that_divides_no_pixels_is_right_to_a_pixel(tmp_path):
    result = run(scene_file(tmp_path), model="blobs", options={"gsd": 0.83, "tile": 96, "overlap": 0.5})
    assert len(result) == len(EXPECTED)
    np.testing.assert_allclose(corners_of(result), EXPECTED, atol=0.83 / 0.5)


def test_pixels_that_are_seen_are_square_on_the_ground(tmp_path):
    path = scene_file(tmp_path, crs="EPSG:4326", transform=DEGREES)
    width, height = run(path, model="blobs", options={"gsd": 0.4}).provenance.seen_px
    assert width / 800 == pytest.approx(4e-6 * 111_320 * 0.5 / 0.4, rel=0.01)
    assert height / 640 == pytest.approx(4e-6 * 111_320 / 0.4, rel=0.01)


def test_coarse_views_are_read_from_overviews(tmp_path):
    path = scene_file(tmp_path)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([4], Resampling.average)
    with rasterio.open(path, "r+", OVERVIEW_LEVEL=0) as overview:
        overview.write(np.full((3, 160, 200), 77, np.uint8))
    scene = open_scene(path)
    seen = ScaledScene(scene, seen_size(scene, ScaleWish(2.0)))
    assert (seen.read(0, 0, 64, 64)[0] == 77).all()
    assert (scene.read(0, 0, 30, 30)[0] == 40).all()


@pytest.mark.parametrize("gsd", [0.31, 0.5, 1.27])
def test_tiles_of_a_scaled_scene_are_crops_of_one_image(tmp_path, gsd):
    rng = np.random.default_rng(0)
    scene = open_scene(write_raster(tmp_path / "a.tif", rng.integers(0, 255, (3, 500, 400), dtype=np.uint8)))
    seen = ScaledScene(scene, seen_size(scene, ScaleWish(gsd)))
    whole, valid = seen.read(0, 0, seen.width, seen.height)
    part, _ = seen.read(37, 51, 70, 90)
    assert valid.all()
    assert np.abs(part.astype(int) - whole[51:141, 37:107]).max() <= 1


def test_no_data_stays_no_data_at_another_gsd(tmp_path):
    pixels = scene_with_blobs(800, 640, CORNERS, side=40)
    pixels[:, :, :400] = 0
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, nodata=0))
    _, valid = ScaledScene(scene, seen_size(scene, ScaleWish(1.0))).read(0, 0, 400, 320)
    assert not valid[:, :199].any()
    assert valid[:, 201:].all()


def test_a_gsd_needs_metres_and_sense(tmp_path):
    with pytest.raises(
        SodsliceError, match="`gsd` needs a scene whose metres are known: the scene has no CRS"
    ):
        run(np.zeros((64, 64), np.uint8), model="blobs", options={"gsd": 1})
    with pytest.raises(
        SodsliceError, match="would be 0.4 x 0.32 pixels at `gsd=1000`; its own pixels are 0.5"
    ):
        run(scene_file(tmp_path), model="blobs", options={"gsd": 1000})


@pytest.mark.parametrize(
    ("seen", "trained", "words"),
    [
        (0.12, 0.12, None),
        (0.06, 0.12, None),
        (0.24, 0.12, None),
        (None, 0.12, None),
        (0.03, None, None),
        (0.03, 0.12, "objects look 4 times larger than it knows them; try `gsd=0.12`"),
        (0.6, 0.12, "objects look 5 times smaller than it knows them; try `gsd=0.12`"),
    ],
)
def test_a_scale_that_the_model_does_not_know_is_said(seen, trained, words):
    scene = ArrayScene(np.zeros((64, 64), np.uint8), georef=FLAT if seen else GeoRef())
    notes = make_plan(scene, model=Trained(gsd_m=trained), options={"gsd": seen}).notes
    assert (words in notes[0]) if words else notes == ()


class Trained(BlobDetector):
    """Knows what it was trained at."""

    def __init__(self, **info):
        super().__init__()
        self.info = replace(self.info, **info)


def test_the_note_on_scale_counts_what_the_model_sees_after_all_resizing(tmp_path, caplog):
    path = scene_file(tmp_path)
    with caplog.at_level(logging.WARNING, logger="sodslice"):
        run(path, model=Trained(gsd_m=0.4), options={"tile": 320})
        assert "`gsd" not in caplog.text
        run(path, model=Trained(gsd_m=0.1), options={"tile": 320, "gsd": 0.1, "window": (0, 0, 200, 200)})
        assert "`gsd" not in caplog.text
        run(path, model=Trained(gsd_m=0.1, input_size=(320, 320)), options={"tile": 64})
        assert "`gsd" not in caplog.text
        run(path, model=Trained(gsd_m=0.1), options={"tile": 320})
    assert (
        "the model sees 0.5 m per pixel and was trained at 0.1, so objects look 5 times smaller"
        in caplog.text
    )


@pytest.mark.parametrize(
    ("least", "most", "kept"), [(None, 12, 1), (12, None, 2), (9, 30, 2), (None, None, 3)]
)
def test_size_is_the_longer_side_in_metres(least, most, kept):
    pixels = np.zeros((200, 300), np.uint8)
    pixels[10:18, 10:30] = pixels[50:90, 50:58] = pixels[100:180, 100:260] = 255
    scene = ArrayScene(pixels, georef=FLAT)
    assert len(run(scene, model="blobs", options={"min_size": least, "max_size": most})) == kept


def test_size_is_in_pixels_where_there_is_no_crs():
    pixels = np.zeros((200, 300), np.uint8)
    pixels[10:18, 10:30] = pixels[100:180, 100:260] = 255
    assert len(run(pixels, model="blobs", options={"min_size": 20, "max_size": 159})) == 1
    assert len(run(pixels, model="blobs", options={"min_size": 21, "max_size": 160})) == 1


def test_boxes_in_pixels_that_are_seen_are_put_back_and_cut_to_the_scene():
    """A scene of 101 x 51 pixels of 0.5 m is seen at 10 x 5: its last column and row are cut."""

    class Whole(BlobDetector):
        def detect(self, pixels):
            return [Detections([[0, 0, 10, 5]], [0.9], [0], [0]) for _ in pixels]

    scene = ArrayScene(np.full((51, 101), 255, np.uint8), georef=FLAT)
    result = run(scene, model=Whole(), options={"gsd": 5, "tile": 64})
    assert result.provenance.seen_px == (10, 5)
    assert result.detections.boxes.tolist() == [[0, 0, 101, 51]]
    fine = run(scene, model="blobs", options={"gsd": 0.3, "tile": 1024})
    assert fine.provenance.seen_px == (168, 85)
    assert fine.detections.boxes.tolist() == [[0, 0, 101, 51]]


def test_a_threshold_below_which_the_model_keeps_boxes_to_itself_is_refused(tmp_path):
    model = BlobDetector()
    model.info = replace(model.info, scores_from=0.3)
    plan = make_plan(scene_file(tmp_path), model=model, options={"threshold": 0.3})
    assert type(plan).from_json(plan.to_json()).model.info.scores_from == 0.3
    with pytest.raises(SodsliceError) as caught:
        make_plan(tmp_path / "a.tif", model=model, options={"threshold": {"all": 0.5, "blob": 0.29}})
    assert str(caught.value) == (
        "the model blobs gives no boxes with scores below 0.3, got `threshold=0.29`; take `threshold=0.3` or "
        "more, or make the model with a lower limit"
    )
