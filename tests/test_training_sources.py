"""Sources of pictures: what is read, and every complaint about the data, before anything starts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from sodslice.errors import DataError
from sodslice.training.data import open_data
from sodslice.training.settings import SourceSettings, TrainSettings
from tests.training_data import change_json, write_set

NAMES = ("vehicle",)


def _open(folder, *sources):
    sources = sources or (SourceSettings(images="images", annotations="truth.json"),)
    settings = TrainSettings(data_root=str(folder), sources=sources)
    return open_data(settings, NAMES, 1 << 26).sources


def _set(content, table, row, key, value):
    content[table][row][key] = value


FAULTS = {
    "box outside": (
        lambda c: _set(c, "annotations", 0, "bbox", [120, 5, 20, 10]),
        "annotation 1 has its bbox [120, 5, 20, 10] outside 0.png (128 x 128)",
    ),
    "empty box": (
        lambda c: _set(c, "annotations", 1, "bbox", [5, 5, 0, 10]),
        "annotation 2 has an empty bbox [5, 5, 0, 10]",
    ),
    "no box": (
        lambda c: _set(c, "annotations", 1, "bbox", "5 5"),
        "annotation 2 must have bbox [x, y, width, height], got '5 5'",
    ),
    "unknown category": (
        lambda c: _set(c, "categories", 0, "name", "vehicel"),
        "unknown category 'vehicel' (did you mean 'vehicle'?); class_names has vehicle",
    ),
    "unknown category id": (
        lambda c: _set(c, "annotations", 0, "category_id", 7),
        "unknown category_id 7 in 1 annotations; categories lists [1]",
    ),
    "duplicate annotation": (
        lambda c: _set(c, "annotations", 1, "id", 1),
        "1 ids of annotations are used twice, first 1",
    ),
    "duplicate image": (lambda c: _set(c, "images", 1, "id", 1), "1 ids of images are used twice, first 1"),
    "duplicate file": (
        lambda c: _set(c, "images", 1, "file_name", "0.png"),
        "1 file names are listed twice, first 0.png",
    ),
    "unlisted image": (
        lambda c: _set(c, "annotations", 0, "image_id", 99),
        "annotation 1 belongs to image 99, which is not listed",
    ),
    "misspelt key": (
        lambda c: c["annotations"][0].update(bboxs=c["annotations"][0].pop("bbox")),
        "1 of 12 annotations lack 'bbox' (did you mean 'bboxs'?), first id 1",
    ),
    "misspelt table": (
        lambda c: c.update(anotations=c.pop("annotations")),
        "the table 'annotations' is missing (did you mean 'anotations'?)",
    ),
    "id as text": (
        lambda c: _set(c, "images", 0, "id", "one"),
        "id in images must be a whole number, got 'one'",
    ),
    "missing file": (lambda c: _set(c, "images", 0, "file_name", "gone.png"), "gone.png is missing"),
    "other size": (
        lambda c: _set(c, "images", 0, "height", 500),
        "0.png is 128 x 128 pixels, its json says 128 x 500",
    ),
    "no boxes": (
        lambda c: c["annotations"].clear(),
        "truth.json: it has no boxes; say `background: true` if that is meant",
    ),
    "no images": (lambda c: (c["images"].clear(), c["annotations"].clear()), "truth.json: it has no images"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_json_is_named(tmp_path, fault):
    folder = write_set(tmp_path / "set", images=3)
    change, message = FAULTS[fault]
    change_json(folder, change)
    with pytest.raises(DataError) as caught:
        _open(folder)
    assert message in str(caught.value)
    assert str(caught.value).startswith("the data has 1 problem, nothing was started: ")


def test_all_faults_of_all_sources_are_listed_together(tmp_path):
    for name in ("a", "b"):
        write_set(tmp_path / name, images=3)
    change_json(tmp_path / "a", lambda c: _set(c, "annotations", 0, "bbox", [-20, 0, 10, 10]))
    change_json(tmp_path / "a", lambda c: _set(c, "images", 2, "file_name", "gone.png"))
    change_json(tmp_path / "b", lambda c: _set(c, "categories", 0, "name", "boat"))
    sources = [SourceSettings(images=f"{name}/images", annotations=f"{name}/truth.json") for name in "ab"]
    with pytest.raises(DataError) as caught:
        _open(tmp_path, *sources)
    assert "the data has 3 problems" in str(caught.value)
    for word in ("outside 0.png", "gone.png", "'boat'"):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_image_is_named(tmp_path):
    folder = write_set(tmp_path / "set", images=2)
    (folder / "images" / "1.png").write_text("not an image")
    with pytest.raises(DataError, match=r"1\.png is not an image"):
        _open(folder)


def test_a_missing_or_broken_json_is_named(tmp_path):
    folder = write_set(tmp_path / "set", images=2)
    (folder / "truth.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        _open(folder)
    (folder / "truth.json").unlink()
    with pytest.raises(DataError, match="No such file"):
        _open(folder)


def test_a_source_must_say_what_it_is(tmp_path):
    with pytest.raises(
        DataError, match="source number 1: give images and annotations, or scene and truth, or synth"
    ):
        _open(tmp_path, SourceSettings(images="images"))


def test_background_sources_alone_teach_nothing(tmp_path):
    folder = write_set(tmp_path / "set", images=3, empty=1)
    with pytest.raises(DataError, match="no source has objects to learn from"):
        _open(folder, SourceSettings(images="images", annotations="truth.json", background=True))


def test_a_background_source_gives_only_images_without_boxes(tmp_path):
    folder = write_set(tmp_path / "set", images=4, empty=2)
    both = [
        SourceSettings(images="images", annotations="truth.json", background=flag) for flag in (False, True)
    ]
    source, background = _open(folder, *both)
    rng = np.random.default_rng(0)
    assert not any(len(background.draw(rng).objects) for _ in range(40))
    assert any(len(source.draw(rng).objects) for _ in range(40))


def test_crowds_and_ignored_annotations_become_ignored_areas(tmp_path):
    folder = write_set(tmp_path / "set", images=1, objects=3)
    change_json(folder, lambda c: _set(c, "annotations", 0, "iscrowd", 1))
    change_json(folder, lambda c: _set(c, "annotations", 1, "ignore", 1))
    (source,) = _open(folder)
    assert source.draw(np.random.default_rng(0)).objects.ignored.tolist() == [True, True, False]


def test_file_patterns_choose_images(tmp_path):
    folder = write_set(tmp_path / "set", images=4, empty=3)
    with pytest.raises(DataError, match="it has no boxes"):
        _open(folder, SourceSettings(images="images", annotations="truth.json", files="[123].png"))


SIDE = 900


@pytest.fixture
def scene(tmp_path):
    """A GeoTIFF with white squares, and its truth as COCO and as GeoJSON."""
    corners = [(x, y) for x in range(40, SIDE - 60, 200) for y in range(30, SIDE - 60, 160)]
    pixels = np.full((3, SIDE, SIDE), 60, dtype=np.uint8)
    for x, y in corners:
        pixels[:, y : y + 20, x : x + 30] = 255
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 0.2, 0.2)}
    with rasterio.open(
        tmp_path / "s.tif", "w", driver="GTiff", width=SIDE, height=SIDE, count=3, dtype="uint8", **place
    ) as file:
        file.write(pixels)
    coco = {
        "images": [{"id": 1, "file_name": "s.tif", "width": SIDE, "height": SIDE}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": [x, y, 30, 20], "area": 600, "iscrowd": 0}
            for i, (x, y) in enumerate(corners)
        ],
        "categories": [{"id": 1, "name": "vehicle"}],
    }
    (tmp_path / "s.json").write_text(json.dumps(coco))
    features = []
    for x, y in corners:
        ring = [(x, y), (x + 30, y), (x + 30, y + 20), (x, y + 20), (x, y)]
        eastings = [[500_000 + 0.2 * px, 5_300_000 - 0.2 * py] for px, py in ring]
        features.append(
            {
                "type": "Feature",
                "properties": {"label": "vehicle"},
                "geometry": {"type": "Polygon", "coordinates": [eastings]},
            }
        )
    member = {"type": "name", "properties": {"name": "EPSG:32632"}}
    collection = {"type": "FeatureCollection", "crs": member, "features": features}
    (tmp_path / "s.geojson").write_text(json.dumps(collection))
    return tmp_path


@pytest.mark.parametrize("truth", ["s.json", "s.geojson"])
def test_windows_of_a_scene_carry_their_boxes(scene, truth):
    (source,) = _open(scene, SourceSettings(scene="s.tif", truth=truth, window=256))
    rng = np.random.default_rng(0)
    whole = 0
    for _ in range(20):
        picture = source.draw(rng)
        pixels = picture.levels[0]
        assert pixels.shape == (256, 256, 3)
        explained = np.zeros((256, 256), dtype=bool)
        for box, ignored in zip(picture.objects.boxes, picture.objects.ignored, strict=True):
            x0, y0, x1, y1 = np.rint(box).astype(int)
            assert (pixels[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] == 255).all()
            explained[y0:y1, x0:x1] = True
            if not ignored:
                whole += 1
                assert x1 - x0 >= 29
                assert y1 - y0 >= 19
        assert not ((pixels[:, :, 0] == 255) & ~explained).any()
    assert whole > 20


def test_a_scene_of_another_place_is_refused(scene):
    text = (scene / "s.geojson").read_text().replace("5300000.0", "5300000").replace("52", "51")
    (scene / "s.geojson").write_text(text)
    with pytest.raises(DataError, match="boxes lie outside"):
        _open(scene, SourceSettings(scene="s.tif", truth="s.geojson"))


def test_a_scene_without_truth_must_be_background(scene):
    with pytest.raises(DataError, match="give its truth, or say `background: true`"):
        _open(scene, SourceSettings(scene="s.tif"))


def test_drawn_scenes_have_objects_unless_they_are_background(tmp_path):
    town, country = _open(
        tmp_path,
        SourceSettings(synthetic=1, window=256, synthetic_seed=5),
        SourceSettings(synthetic=1, window=256, background=True),
    )
    rng = np.random.default_rng(0)
    assert len(town.draw(rng).objects) > 0
    assert len(country.draw(rng).objects) == 0
    assert country.draw(rng).levels[0].shape == (256, 256, 3)
