"""Training sees its images at the scale that `run` and `eval` see them at."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sodslice import run
from sodslice.errors import DataError, OptionError
from sodslice.inference import BlobDetector
from sodslice.metrics import evaluate, read_truth, result_layer
from sodslice.report import find_images, judge
from sodslice.settings import Options
from sodslice.tables.detections import NO_TILE, Detections
from sodslice.training.data import open_data
from sodslice.training.pictures import Objects
from sodslice.training.settings import SourceSettings, TrainSettings
from tests.photos import NADIR, write_photo
from tests.rasters import scene_with_blobs, write_raster

CORNERS = [(40, 40), (200, 120), (300, 240)]
GSD = {"low": 40 * 36 / 20 / 400, "high": 80 * 36 / 20 / 400}


def photos(folder: Path) -> Path:
    """Two photos of 400 x 300 pixels, from 40 and from 80 metres, each with three bright squares."""
    (folder / "images").mkdir()
    pixels = np.ascontiguousarray(scene_with_blobs(400, 300, CORNERS, side=20).transpose(1, 2, 0))
    rows, annotations = [], []
    for number, (name, height) in enumerate({"low": "40", "high": "80"}.items(), start=1):
        xmp = NADIR | {"drone-dji:RelativeAltitude": height}
        write_photo(folder / "images" / f"{name}.jpg", pixels, xmp=xmp)
        rows.append({"id": number, "file_name": f"{name}.jpg", "width": 400, "height": 300})
        annotations += [
            {
                "id": 10 * number + place,
                "image_id": number,
                "category_id": 1,
                "bbox": [x, y, 20, 20],
                "area": 400,
                "iscrowd": 0,
            }
            for place, (x, y) in enumerate(CORNERS)
        ]
    content = {"images": rows, "annotations": annotations, "categories": [{"id": 1, "name": "blob"}]}
    (folder / "truth.json").write_text(json.dumps(content))
    return folder


def coco(**more) -> SourceSettings:
    return SourceSettings(images="images", annotations="truth.json", **more)


def opened(folder: Path, *sources: SourceSettings, validation=()):
    settings = TrainSettings(data_root=str(folder), sources=sources, validation=validation)
    return open_data(settings, ("blob",), 1 << 26)


def drawn(source, seed: int = 0):
    return source.draw(np.random.default_rng(seed))


def by_size(source) -> dict[int, object]:
    """The pictures of a source by their width."""
    return {picture.width: picture for picture in (drawn(source, seed) for seed in range(12))}


def test_a_source_is_seen_at_so_many_pixels_for_each_of_its_own(tmp_path):
    picture = drawn(opened(photos(tmp_path), coco(scale=0.5)).sources[0])
    assert picture.levels[0].shape == (150, 200, 3)
    assert sorted(picture.objects.boxes.tolist()) == [
        [x / 2, y / 2, x / 2 + 10, y / 2 + 10] for x, y in CORNERS
    ]
    assert picture.object_side == 10


def test_photos_of_other_heights_are_seen_at_one_scale(tmp_path):
    pictures = by_size(opened(photos(tmp_path), coco(gsd=0.36)).sources[0])
    assert sorted(pictures) == [200, 400]  # 40 m up at half its size, 80 m up as it is
    assert pictures[400].object_side == 2 * pictures[200].object_side == 20
    for width, picture in pictures.items():
        result = run(
            tmp_path / "images" / ("low.jpg" if width == 200 else "high.jpg"),
            model="blobs",
            options={"gsd": 0.36},
        )
        assert result.provenance.seen_px == (picture.width, picture.height)


def test_labels_lie_off_by_pixels_of_the_image_not_of_what_is_seen():
    labels = Objects(np.array([[9.5, 19.5, 29.5, 39.5]]), np.zeros(1, np.int64), np.zeros(1, np.bool_))
    seen = labels.seen_at((0.5, 0.5), 0.5).shifted(0.5, 0.5)
    assert seen.boxes.tolist() == [[5, 10, 15, 20]]
    assert labels.seen_at((1.0, 1.0), 0.5) is labels


def test_a_large_scene_is_seen_at_another_scale(tmp_path):
    write_raster(tmp_path / "a.tif", scene_with_blobs(800, 600, CORNERS, side=20))
    boxes = [
        {"id": i, "image_id": 1, "category_id": 1, "bbox": [x, y, 20, 20]} for i, (x, y) in enumerate(CORNERS)
    ]
    images = [{"id": 1, "file_name": "a.tif", "width": 800, "height": 600}]
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "blob"}]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    source = SourceSettings(scene="a.tif", truth="a.json", window=256, gsd=1.0)
    picture = drawn(opened(tmp_path, source).sources[0])
    assert picture.width == picture.height == 256
    whole = picture.objects.boxes[~picture.objects.ignored]
    assert len(whole)
    for x0, y0, x1, y1 in whole.round().astype(int).tolist():
        assert (x1 - x0, y1 - y0) == (10, 10)
        assert picture.levels[0][y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].min() > 200


def test_a_scale_that_an_image_cannot_have_is_found_before_training(tmp_path):
    folder = photos(tmp_path)
    pixels = np.zeros((300, 400, 3), np.uint8)
    write_photo(folder / "images" / "low.jpg", pixels, xmp=NADIR | {"drone-dji:GimbalPitchDegree": "-30"})
    with pytest.raises(DataError, match=r"low\.jpg: `gsd` needs a scene whose metres are known"):
        opened(folder, coco(gsd=0.3))
    assert opened(folder, coco(scale=0.5)).sources
    with pytest.raises(OptionError, match="give `gsd` or `scale`, not both"):
        coco(gsd=0.3, scale=0.5)
    with pytest.raises(DataError, match="drawn scenes have scales of their own"):
        opened(folder, SourceSettings(synthetic=2, scale=0.5))


def test_validation_sees_what_eval_sees(tmp_path, monkeypatch):
    validate = pytest.importorskip("sodslice.training.validate")
    images = opened(photos(tmp_path), coco(), validation=(coco(gsd=0.36),)).validation

    class Fixed:
        config = type("Config", (), {"class_names": ("blob",)})

    def detect(_network, pixels):
        found = BlobDetector().detect(pixels[None])[0]
        return Detections(found.boxes, found.scores, found.labels, np.full(len(found), NO_TILE))

    monkeypatch.setattr(validate, "detect", detect)
    assert validate.validate(Fixed(), images).ap50 == pytest.approx(1.0)


def test_eval_sees_the_images_of_a_set_at_one_scale(tmp_path):
    truths = read_truth(photos(tmp_path) / "truth.json")
    paths = find_images(truths, tmp_path / "images")
    options = Options.from_mapping({"gsd": 0.36})
    results = judge(BlobDetector(), paths, options)
    assert sorted(result.provenance.seen_px for result in results) == [(200, 150), (400, 300)]
    found = [result_layer(result, str(path)) for result, path in zip(results, paths, strict=True)]
    assert evaluate(found, truths).metrics.ap50 == pytest.approx(1.0)
