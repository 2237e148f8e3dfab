"""At which scale a scene is seen: as wished, as its map or the photo itself says, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sodslice import RunPlan, SodsliceError, load_result, make_plan, open_scene, run, write
from sodslice.errors import GeoRefError, OptionError, SceneError
from sodslice.inference import BlobDetector, ModelInfo, read_folder
from sodslice.jobs import JobEvents, run_many
from sodslice.models import MODELS
from sodslice.place.georef import GeoRef
from sodslice.running import finish_again
from sodslice.running.scale import scale_notes
from sodslice.scene import ArrayScene
from tests.photos import LONLAT, NADIR, write_photo
from tests.rasters import scene_with_blobs, write_raster
from tests.written import box_of

GSD = 40 * 36 / 20 / 400
"""Metres per pixel of a photo of 400 x 300 pixels, 40 m above the ground, with a lens of 20 mm."""
CORNERS = [(40, 40), (200, 120), (300, 240)]


class Trained(BlobDetector):
    """Knows what it was trained at."""

    def __init__(self, **info):
        super().__init__()
        self.info = replace(self.info, **info)


def blobs(side: int = 20) -> np.ndarray:
    """`(300, 400, 3)` with three bright squares."""
    return np.ascontiguousarray(scene_with_blobs(400, 300, CORNERS, side=side).transpose(1, 2, 0))


def nadir_photo(folder: Path, pixels: np.ndarray | None = None, **more) -> Path:
    return write_photo(folder / "photo.jpg", blobs() if pixels is None else pixels, xmp=NADIR, **more)


def in_order(result) -> np.ndarray:
    return result.detections.boxes[np.lexsort(result.detections.boxes.T[:1])]


EXPECTED = np.array([(x, y, x + 20, y + 20) for x, y in CORNERS], float)


@pytest.mark.parametrize(("scale", "seen"), [(0.5, (200, 150)), (1, (400, 300)), (2, (800, 600))])
def test_a_scale_in_pixels_is_for_any_image(scale, seen):
    result = run(blobs(), model="blobs", options={"scale": scale, "tile": 256})
    assert result.provenance.seen_px == seen
    assert result.provenance.options["scale"] == scale
    np.testing.assert_allclose(in_order(result), EXPECTED, atol=2)


def test_a_scale_is_the_same_as_the_metres_that_it_comes_to(tmp_path):
    path = write_raster(tmp_path / "a.tif", scene_with_blobs(400, 300, CORNERS, side=20))
    metres = run(path, model="blobs", options={"gsd": 1.0})
    pixels = run(path, model="blobs", options={"scale": 0.5})
    assert pixels.provenance.seen_px == metres.provenance.seen_px == (200, 150)
    np.testing.assert_array_equal(pixels.detections.boxes, metres.detections.boxes)
    plan = make_plan(path, model="blobs", options={"scale": 0.5})
    assert plan.gsd_seen_m == pytest.approx(1.0, rel=2e-3)
    again = RunPlan.from_json(plan.to_json())
    assert again == plan
    assert again.seen_px == (200, 150)
    assert plan.head["scale"] == 0.5


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"gsd": 0.1, "scale": 0.5}, OptionError, "give `gsd` or `scale`, not both, got `gsd=0.1` and"),
        ({"scale": 0}, OptionError, "`scale` must be a number above 0, got 0"),
        ({"scale": -1}, OptionError, "`scale` must be"),
        ({"scale": "nan"}, OptionError, "`scale` must be"),
        ({"scale": 0.001}, SceneError, "would be 0.4 x 0.3 pixels at `scale=0.001`; it has 400 x 300"),
        ({"scale": 1e8}, SceneError, "at `scale=1e\\+08`; it has 400 x 300"),
        ({"gsd": 1}, GeoRefError, "metres are known: the scene has no CRS; `scale` takes any scene"),
    ],
)
def test_a_scale_that_cannot_be_is_refused(options, error, words):
    with pytest.raises(error, match=words):
        run(blobs(), model="blobs", options=options)


def test_a_photo_that_states_its_scale_is_seen_at_metres_per_pixel(tmp_path):
    result = run(nadir_photo(tmp_path), model="blobs", options={"gsd": 2 * GSD})
    assert result.provenance.seen_px == (200, 150)
    np.testing.assert_allclose(in_order(result), EXPECTED, atol=2)
    content = json.loads(write(result, tmp_path / "a.json").read_text())
    assert content["scene"]["gsd_m"] == pytest.approx(GSD)
    assert content["scene"]["gsd_from"] == (
        "RelativeAltitude 40 m, GimbalPitchDegree -90, FocalLengthIn35mmFilm 20 mm"
    )
    assert content["scene"]["notes"][0].startswith("0.18 m per pixel, by what the photo says of itself")
    assert "georef_from" not in content["scene"]
    assert content["georef"] == {"crs": None, "transform": None}
    assert load_result(tmp_path / "a.json").scene == result.scene


def test_sizes_of_a_photo_are_in_metres(tmp_path):
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[40:60, 40:60] = pixels[100:200, 100:180] = 255
    path = nadir_photo(tmp_path, pixels)
    large = run(path, model="blobs", options={"min_size": 50 * GSD})
    small = run(path, model="blobs", options={"max_size": 50 * GSD})
    assert [len(large), len(small)] == [1, 1]
    assert large.detections.boxes[0, 2] > 150 > small.detections.boxes[0, 2]
    written = write(run(path, model="blobs", options={"pixel_coords": True}), tmp_path / "a.geojson")
    first = max(json.loads(written.read_text())["features"], key=lambda one: one["properties"]["area_m2"])
    assert first["properties"]["length_m"] == pytest.approx(100 * GSD, rel=0.05)
    assert first["properties"]["width_m"] == pytest.approx(80 * GSD, rel=0.05)
    assert first["properties"]["area_m2"] == pytest.approx(8000 * GSD**2, rel=0.1)


def test_an_oblique_photo_has_no_metres(tmp_path):
    path = write_photo(tmp_path / "a.jpg", blobs(), xmp=NADIR | {"drone-dji:GimbalPitchDegree": "-45"})
    result = run(path, model="blobs", options={"min_size": 15, "max_size": 25})
    assert len(result) == 3  # in pixels
    assert result.scene.gsd_m is None
    assert "so its scale is not known; `scale` sets one by hand" in result.scene.notes[0]
    with pytest.raises(GeoRefError, match="`gsd` needs a scene whose metres are known"):
        run(path, model="blobs", options={"gsd": 0.3})
    assert len(run(path, model="blobs", options={"scale": 0.5})) == 3


def test_a_photo_is_placed_on_request_only(tmp_path):
    path = nadir_photo(tmp_path)
    with pytest.raises(
        SodsliceError, match="the scene has no CRS; .*`photo_footprint` places a drone's photo"
    ):
        run(path, model="blobs", output=tmp_path / "a.geojson")
    options = {"photo_footprint": True, "keep_raw": True}
    result = run(path, model="blobs", options=options, output=tmp_path / "a.geojson")
    content = json.loads((tmp_path / "a.geojson").read_text())
    assert content["scene"]["georef_from"].endswith("good to metres")
    assert any("good to metres" in note for note in content["scene"]["notes"])
    assert content["scene"]["gsd_from"].startswith("RelativeAltitude 40 m")
    assert content["scene"]["gsd_m"] == pytest.approx(GSD)
    feature = next(one for one in content["features"] if box_of(one)[0] < 100)
    lon, lat = np.mean(feature["geometry"]["coordinates"][0][:4], axis=0)
    # 150 pixels left of and 100 above the middle, where the camera was; its heading is north
    assert (lat - LONLAT[1]) * 111_200 == pytest.approx(100 * GSD, abs=0.5)
    assert (lon - LONLAT[0]) * 111_320 * np.cos(np.radians(48.5)) == pytest.approx(-150 * GSD, abs=0.5)
    assert feature["properties"]["length_m"] == pytest.approx(20 * GSD, rel=0.1)
    assert load_result(tmp_path / "a.geojson").georef == result.georef
    assert len(finish_again(tmp_path / "a.geojson", {"min_size": 1.0})) == 3


def test_an_area_of_interest_reaches_a_photo_that_is_placed(tmp_path):
    lon, lat = LONLAT
    north_west = (
        f"POLYGON (({lon - 1} {lat}, {lon} {lat}, {lon} {lat + 1}, {lon - 1} {lat + 1}, {lon - 1} {lat}))"
    )
    options = {"photo_footprint": True, "aoi": north_west}
    found = run(nadir_photo(tmp_path), model="blobs", options=options)
    assert found.detections.boxes[:, 0].max() < 60
    assert len(found) == 1


def test_a_footprint_is_refused_where_the_photo_does_not_tell_it(tmp_path):
    options = {"photo_footprint": True}
    with pytest.raises(GeoRefError, match="array states no height or view; leave it out"):
        run(blobs(), model="blobs", options=options)
    with pytest.raises(GeoRefError, match="needs the GPS position of the photo"):
        run(nadir_photo(tmp_path, place=None), model="blobs", options=options)
    placed = write_raster(tmp_path / "a.tif", scene_with_blobs(400, 300, CORNERS))
    assert run(placed, model="blobs", options=options).scene.georef_from == ""


def test_photos_of_a_folder_are_placed_too(tmp_path):
    (tmp_path / "in").mkdir()
    nadir_photo(tmp_path / "in")
    plain = list(run_many(tmp_path / "in", model="blobs", output=tmp_path / "plain"))
    placed = list(
        run_many(
            tmp_path / "in", model="blobs", options={"photo_footprint": True}, output=tmp_path / "placed"
        )
    )
    assert [plain[0].outputs[0].name, placed[0].outputs[0].name] == ["photo.jpg.json", "photo.jpg.geojson"]
    assert load_result(placed[0].outputs[0]).scene.georef_from.endswith("good to metres")


def test_a_note_that_is_true_of_many_images_is_said_once(tmp_path):
    class Heard(JobEvents):
        def __init__(self):
            self.notes, self.scenes = [], 0

        def note(self, text):
            self.notes.append(text)

        def scene(self, path, number, total):
            self.scenes += 1

    (tmp_path / "in").mkdir()
    for name in "abc":
        write_photo(tmp_path / "in" / f"{name}.jpg", blobs(), xmp="")
    heard = Heard()
    done = list(run_many(tmp_path / "in", model=Trained(object_px=(16.0, 60.0)), events=heard))
    assert (len(done), heard.scenes, len(heard.notes)) == (3, 3, 1)
    assert all("expects objects of 16 to 60 px" in one.result.scene.notes[-1] for one in done)


SEEN = ModelInfo(("thing",), gsd_m=0.15, object_px=(16.0, 60.0))


@pytest.mark.parametrize(
    ("info", "facts", "words"),
    [
        (SEEN, {"own_gsd": 0.15, "seen_gsd": 0.15}, None),
        (
            SEEN,
            {"own_gsd": 0.018, "seen_gsd": 0.018},
            "look 8.3 times larger than it knows them; try `gsd=0.15`",
        ),
        (SEEN, {"own_gsd": 0.018, "seen_gsd": 0.15}, None),
        (
            SEEN,
            {},
            "not known; the model expects objects of 16 to 60 px: where they are larger or smaller, `scale`",
        ),
        (SEEN, {"chosen": True}, None),
        (
            SEEN,
            {"own_gsd": 1000.0, "seen_gsd": 1000.0},
            "a pixel of the scene is 1 km on the ground and the model's",
        ),
        (SEEN, {"own_gsd": 1000.0, "seen_gsd": 0.15}, "objects are 2.4 to 9 m, so they cannot be seen there"),
        (SEEN, {"own_gsd": 10.0, "seen_gsd": 10.0}, "a pixel of the scene is 10 m on the ground"),
        (
            SEEN,
            {"own_gsd": 1.0, "seen_gsd": 1.0},
            "look 6.7 times smaller than it knows them; try `gsd=0.15`",
        ),
        (
            replace(SEEN, object_px=None),
            {"own_gsd": 30.0, "seen_gsd": 30.0},
            "objects are about 4.8 m, so they",
        ),
        (replace(SEEN, object_px=None), {}, None),
        (replace(SEEN, gsd_m=None), {"own_gsd": 30.0, "seen_gsd": 30.0}, None),
        (replace(SEEN, input_size=(512, 512)), {}, "expects objects of 32 to 120 px"),
        (replace(SEEN, input_size=(512, 512)), {"own_gsd": 0.6, "seen_gsd": 0.6}, "try `gsd=0.075`"),
    ],
)
def test_what_is_said_of_the_scale(info, facts, words):
    told = {"own_gsd": None, "seen_gsd": None, "chosen": False} | facts
    notes = scale_notes(info, 1024, **told)
    assert (words in notes[0]) if words else notes == ()
    assert "try" not in "".join(notes) or told["own_gsd"] < 2


def test_the_note_where_metres_are_not_known_is_in_the_plan(tmp_path):
    photo, model = write_photo(tmp_path / "a.jpg", blobs(), xmp=""), Trained(object_px=(16.0, 60.0))
    for scene in (photo, open_scene(photo)):
        notes = make_plan(scene, model=model).notes
        assert "the model expects objects of 16 to 60 px" in notes[-1]
        scaled = make_plan(scene, model=model, options={"scale": 0.5}).notes
        assert not any("expects objects" in note for note in scaled)


def test_who_gives_pixels_knows_what_they_show():
    model = Trained(object_px=(16.0, 60.0))
    assert make_plan(blobs(), model=model).notes == ()
    assert make_plan(ArrayScene(blobs()), model=model).notes == ()


def test_a_satellite_raster_is_told_that_nothing_can_be_seen_there():
    flat = GeoRef((1000.0, 0.0, 500_000.0, 0.0, -1000.0, 5_300_000.0), "EPSG:32632")
    scene = ArrayScene(np.zeros((64, 64), np.uint8), georef=flat)
    notes = make_plan(scene, model=Trained(gsd_m=0.15)).notes
    assert "cannot be seen there, whatever the scale" in notes[-1]
    assert "try" not in notes[-1]


def test_the_shipped_model_says_which_sizes_it_knows(tmp_path):
    info = read_folder(MODELS["vehicle-t"].folder).info
    assert info.object_px == (16.0, 60.0)
    photo = write_photo(tmp_path / "a.jpg", blobs(), xmp="")
    assert "16 to 60 px" in make_plan(photo).notes[-1]


@pytest.mark.shared
def test_a_real_photo_says_how_much_finer_it_is_than_the_model_knows(shared):
    path = shared / "data" / "scenes" / "drone_photo_exif_xmp.jpg"
    plan = make_plan(path)
    assert plan.scene.gsd_m == pytest.approx(0.018)
    assert "objects look 8.3 times larger than it knows them; try `gsd=0.15`" in plan.notes[-1]
    fitting = make_plan(path, options={"gsd": 0.15})
    assert fitting.seen_px == (480, 270)
    assert "try" not in fitting.notes[-1]
