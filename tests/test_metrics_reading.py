from __future__ import annotations

import json

import numpy as np
import pytest

from sodslice.errors import DataError
from sodslice.metrics import read_results, read_truth
from sodslice.metrics.pairing import pair_up
from sodslice.place.georef import GeoRef
from sodslice.results import Provenance, RunResult, SceneFacts, write
from sodslice.tables.detections import Detections

COCO = {
    "images": [
        {"id": 7, "file_name": "a/one.jpg", "width": 100, "height": 80},
        {"id": 9, "file_name": "b/one.jpg", "width": 60, "height": 60},
    ],
    "categories": [{"id": 3, "name": "car"}, {"id": 5, "name": "van"}],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 5, "bbox": [1, 2, 30, 40], "area": 700, "iscrowd": 1},
        {"id": 2, "image_id": 7, "category_id": 3, "segmentation": [[10, 10, 30, 20, 20, 40]]},
    ],
}


def square(x: float, y: float, side: float = 0.001) -> dict:
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry, **properties) -> dict:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features, **members) -> dict:
    return {"type": "FeatureCollection", "features": list(features), **members}


@pytest.fixture
def save(tmp_path):
    def saved(document, name="file.json"):
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return saved


def run_result(path="a/one.jpg", boxes=((10, 20, 30, 40),), *, georef=None, size=(100, 80)) -> RunResult:
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    count = len(boxes)
    return RunResult(
        Detections(boxes, np.linspace(0.9, 0.5, count), np.zeros(count), np.full(count, -1)),
        ("car", "van"),
        georef or GeoRef(),
        SceneFacts(path, *size),
        Provenance(options={"threshold": {"all": 0.6}}),
    )


def test_coco_gives_a_layer_an_image(save):
    one, two = read_truth(save(COCO))
    assert (one.image, one.size, one.names, one.classes) == ("a/one.jpg", (100, 80), ("car",), ("car", "van"))
    assert one.pixels.tolist() == [[10, 10, 30, 40]]
    assert (two.image, two.names, two.crowd.tolist(), two.areas.tolist()) == (
        "b/one.jpg",
        ("van",),
        [True],
        [700],
    )
    assert two.pixels.tolist() == [[1, 2, 31, 42]]


def broken(**changes) -> dict:
    return {
        **COCO,
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], **changes}],
    }


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (broken(image_id=8), "annotation 1 belongs to image 8, which is not listed"),
        (broken(category_id=1), "unknown category_id 1 in 1 annotations; categories lists [3, 5]"),
        (broken(bbox=[1, 2, 0, 4]), "annotation 1 has an empty bbox [1, 2, 0, 4]"),
        (broken(bbox=[1, 2, 3]), "annotation 1 must have bbox [x, y, width, height], got [1, 2, 3]"),
        (
            {**COCO, "annotations": [{"image_id": 7, "category_id": 3, "bbbox": [1, 2, 3, 4]}]},
            "1 of 1 annotations lack 'bbox' (did you mean 'bbbox'?), first row 0",
        ),
        (
            {**COCO, "annotations": [{"image_id": 7, "catagory_id": 3, "bbox": [1, 2, 3, 4]}]},
            "1 of 1 annotations lack 'category_id' (did you mean 'catagory_id'?), first row 0",
        ),
        (
            {"images": [], "annotation": [], "categories": []},
            "the table 'annotations' is missing (did you mean 'annotation'?)",
        ),
        (
            {
                **COCO,
                "annotations": [
                    {"image_id": i, "category_id": 3, "bbox": [1, 2, 3, 4]} for i in range(20, 26)
                ],
            },
            "annotations[0] belongs to image 20, which is not listed; annotations[1] belongs to image 21, "
            "which is not listed; annotations[2] belongs to image 22, which is not listed; and 3 more",
        ),
        (
            {"shapes": []},
            "is neither COCO (images, annotations, categories) nor a FeatureCollection; it has the keys s",
        ),
        ({**COCO, "annotations": []}, "holds no object, so there is no AP"),
        (collection(), "holds no object, so there is no AP"),
        (collection(feature(None, label="car")), "feature 0 has no readable geometry; it needs a Polygon"),
        (
            collection(feature({"type": "Point", "coordinates": [1, 2]}, label="car")),
            "feature 0 is a Point, which has no extent; it needs a Polygon",
        ),
        (
            collection(feature(square(1, 2), Label="car", id=4)),
            "feature 0 has no property 'label' (did you mean 'Label'?); it has Label, id",
        ),
        (
            collection(feature(square(305000, 4771000), label="car")),
            "holds the point 305000, 4.771e+06, which is no longitude and latitude; "
            "save it as WGS 84 (EPSG:4326), or name its CRS in a member `crs`",
        ),
        (
            collection(feature(square(1, 2), label="car", bbox_px=[3, 3, 1, 4])),
            "each property 'bbox_px' must be x0, y0, x1, y1 with x0 <= x1 and y0 <= y1",
        ),
    ],
)
def test_what_is_wrong_with_a_truth_is_said_in_one_line(save, document, message):
    path = save(document)
    with pytest.raises(DataError) as error:
        read_truth(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json cannot be read: No such file or directory"):
        read_truth(tmp_path / "gone.json")
    (tmp_path / "text.json").write_text("no json")
    with pytest.raises(DataError, match="is not JSON"):
        read_truth(tmp_path / "text.json")


def test_an_empty_truth_may_be_asked_for(save):
    assert len(read_truth(save({**COCO, "annotations": []}), allow_empty=True)) == 2


def test_geojson_polygons_keep_their_class_pixels_and_crowds(save):
    path = save(collection(feature(square(9, 50), kind="car", bbox_px=[1, 2, 3, 4], iscrowd=1)))
    (layer,) = read_truth(path, label_key="kind", allow_empty=True)
    assert (layer.names, layer.pixels.tolist(), layer.crowd.tolist()) == (("car",), [[1, 2, 3, 4]], [True])
    assert layer.shapes[0].bounds == pytest.approx((9, 50, 9.001, 50.001))


def test_pixel_boxes_count_only_where_every_feature_has_them(save):
    path = save(
        collection(
            feature(square(9, 50), label="car", bbox_px=[1, 2, 3, 4]), feature(square(9, 51), label="car")
        )
    )
    assert read_truth(path)[0].pixels is None


def test_without_classes_no_label_is_needed(save):
    assert read_truth(save(collection(feature(square(9, 50)))), label_key=None)[0].names == ("object",)


def test_the_legacy_crs_that_qgis_writes_is_understood(save):
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32616"}}
    (layer,) = read_truth(save(collection(feature(square(305000, 4771000, 100), label="car"), crs=crs)))
    lon, lat = layer.shapes[0].centroid.coords[0]
    assert (lon, lat) == pytest.approx((-89.394, 43.066), abs=0.01)


@pytest.mark.parametrize("suffix", [".json", ".geojson"])
def test_a_run_is_read_back_with_its_grid(tmp_path, suffix):
    georef = GeoRef((0.5, 0, 500_000, 0, -0.5, 5_300_000), "EPSG:32632")
    path = write(run_result(georef=georef), tmp_path / f"run{suffix}")
    (layer,) = read_results([path])
    assert layer.pixels.tolist() == [[10, 20, 30, 40]]
    assert (layer.names, layer.classes, layer.size, layer.image) == (
        ("car",),
        ("car", "van"),
        (100, 80),
        "a/one.jpg",
    )
    assert (layer.georef, layer.floor) == (georef, 0.6)


def test_a_folder_is_read_once_a_scene(tmp_path):
    georef = GeoRef((0.5, 0, 500_000, 0, -0.5, 5_300_000), "EPSG:32632")
    for name in ("x/one.geojson", "x/one.json", "two.json"):
        write(run_result(georef=georef), tmp_path / name)
    layers = read_results([tmp_path])
    assert sorted(layer.source for layer in layers) == [
        str(tmp_path / "two.json"),
        str(tmp_path / "x/one.json"),
    ]


def test_paddlex_json_is_read(save):
    box = {"cls_id": 0, "label": "car", "score": 0.5, "coordinate": [1, 2, 3, 4]}
    (layer,) = read_results([save({"input_path": "x.jpg", "page_index": None, "boxes": [box]})])
    assert (layer.image, layer.names, layer.pixels.tolist(), layer.scores.tolist()) == (
        "x.jpg",
        ("car",),
        [[1, 2, 3, 4]],
        [0.5],
    )


def test_coco_results_are_read_with_the_ids_of_the_truth(save):
    truth = save(COCO, "truth.json")
    rows = [{"image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5}]
    one, two = read_results([save(rows, "rows.json")], truth=truth)
    assert (len(one), two.names, two.pixels.tolist(), two.image) == (0, ("van",), [[1, 2, 4, 6]], "b/one.jpg")
    with pytest.raises(DataError, match=r"results\[0\] belongs to image 1, which is not listed"):
        read_results([save([{**rows[0], "image_id": 1}], "rows.json")], truth=truth)
    with pytest.raises(DataError, match="whose ids need a COCO truth"):
        read_results([save(rows, "rows.json")])


def test_detections_need_scores(save):
    with pytest.raises(DataError, match="feature 0 has no property 'score'; it has label"):
        read_results([save(collection(feature(square(1, 2), label="car")))])
    with pytest.raises(
        DataError, match="holds no detections: no run's result, GeoJSON or COCO results; it has the keys a"
    ):
        read_results([save({"a": 1})])


def test_images_are_paired_by_stem_and_where_needed_by_folder(tmp_path, save):
    truths = read_truth(save(COCO))
    for image, name in (("data/b/one.tif", "1.json"), ("data/a/one.tif", "2.json")):
        write(run_result(image), tmp_path / "runs" / name)
    pairs = pair_up(read_results([tmp_path / "runs"]), truths)
    assert [(found.image, truth.image) for found, truth in pairs] == [
        ("data/a/one.tif", "a/one.jpg"),
        ("data/b/one.tif", "b/one.jpg"),
    ]


def test_one_result_and_one_truth_belong_together(tmp_path, save):
    (truth,) = read_truth(
        save({**COCO, "images": COCO["images"][:1], "annotations": COCO["annotations"][1:]})
    )
    found = read_results([write(run_result("renamed.tif"), tmp_path / "run.json")])
    assert pair_up(found, [truth]) == [(found[0], truth)]


def test_images_without_a_partner_are_refused(tmp_path, save):
    truths = read_truth(save(COCO))
    found = read_results([write(run_result("a/one.jpg"), tmp_path / "a.json")])
    with pytest.raises(DataError, match=r"1 of 2 images of .* have no result: b/one.jpg; run them too"):
        pair_up(found, truths)
    assert len(pair_up(found, truths, partial=True)) == 1
    with pytest.raises(
        DataError, match=r"is about a/onne.jpg, which the truth does not name \(did you mean 'one'\?\)"
    ):
        pair_up(read_results([write(run_result("a/onne.jpg"), tmp_path / "c.json")]), truths)
    with pytest.raises(
        DataError, match=r"which could be a/one.jpg, b/one.jpg; name the images by their folders"
    ):
        pair_up(read_results([write(run_result("one.jpg"), tmp_path / "d.json")]), truths)
    with pytest.raises(DataError, match=r"are both results of a/one.jpg; give one"):
        pair_up([*found, *found], truths)
