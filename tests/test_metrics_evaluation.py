from __future__ import annotations

import json
import math

import numpy as np
import pyproj
import pytest
import shapely

from sodslice.errors import DataError, OptionError
from sodslice.metrics import Comparison, PixelGrid, as_table, evaluate, read_results, read_truth
from sodslice.metrics.frames import metric_frame
from sodslice.metrics.layer import Layer, envelopes
from sodslice.place.georef import GeoRef, corners
from sodslice.results import RunResult, SceneFacts, write
from sodslice.tables.detections import Detections
from sodslice.values import plain_values, value_from

SIZE = (400, 300)
UTM = GeoRef((0.12, 0, 305_000, 0, -0.12, 4_771_000), "EPSG:32616")
ROTATED = GeoRef((0.1, 0.05, 500_000, 0.05, -0.1, 5_300_000), "EPSG:32632")
DATELINE = GeoRef((10.0, 0, 831_000, 0, -10.0, 7_000_000), "EPSG:32660")
GEOGRAPHIC = GeoRef((1e-6, 0, 11.0, 0, -1e-6, 48.0), "EPSG:4326")
BOXES = np.array(
    [[10, 10, 50, 30], [100, 40, 130, 90], [200, 200, 260, 240], [300, 20, 340, 70]], dtype=float
)


def layers(found, truth, georef=UTM, *, pixels=True, size=SIZE, known=True):
    """Both sides as they would be read from GeoJSON files."""

    def shapes(boxes):
        return shapely.polygons(georef.to_lonlat(corners(boxes).reshape(-1, 2)).reshape(-1, 4, 2))

    found, truth = np.asarray(found, float), np.asarray(truth, float)
    scores = np.linspace(0.9, 0.6, len(found)).astype(np.float32)
    grid = georef if known else GeoRef()
    mine = Layer(
        "run.geojson",
        ("car",) * len(found),
        ("car",),
        pixels=found if pixels else None,
        shapes=shapes(found),
        scores=scores,
        size=size if known else None,
        georef=grid,
    )
    theirs = Layer("truth.geojson", ("car",) * len(truth), ("car",), shapes=shapes(truth))
    return mine, theirs


@pytest.mark.parametrize(
    "georef", [UTM, ROTATED, GEOGRAPHIC, DATELINE], ids=["utm", "rotated", "degrees", "dateline"]
)
def test_a_truth_on_the_map_comes_into_the_pixels_of_the_run(georef):
    mine, theirs = layers(BOXES + 1.5, BOXES, georef)
    evaluation = evaluate([mine], [theirs])
    (case,) = evaluation.cases
    np.testing.assert_allclose(case.truth.boxes, BOXES, atol=1e-5)
    assert (case.unit, evaluation.distance_px) == ("px", pytest.approx(math.hypot(1.5, 1.5), abs=1e-5))
    assert evaluation.metrics.ap50 == pytest.approx(1)


@pytest.mark.parametrize(
    "georef", [UTM, ROTATED, GEOGRAPHIC, DATELINE], ids=["utm", "rotated", "degrees", "dateline"]
)
def test_two_files_are_compared_on_the_map_without_the_raster(georef):
    """A metric frame gives what pixels give, for scenes turned, in degrees, or across the antimeridian."""
    moved = BOXES + np.array([3.0, -2.0, 5.0, 4.0])
    in_pixels = evaluate(*[[side] for side in layers(moved, BOXES, georef)])
    on_map = evaluate(*[[side] for side in layers(moved, BOXES, georef, pixels=False, known=False)])
    assert on_map.cases[0].unit == "m"
    assert (on_map.distance_px, on_map.metrics.by_size, on_map.megapixels) == (None, {}, None)
    assert on_map.distance_m == pytest.approx(in_pixels.distance_m, rel=1e-3)
    assert on_map.metrics.ap == pytest.approx(in_pixels.metrics.ap, abs=1e-12)
    assert on_map.metrics.ap50 == pytest.approx(1)


def test_distances_on_the_ground_are_geodesics():
    evaluation = evaluate(*[[side] for side in layers(BOXES + 2, BOXES)])
    ends = UTM.to_lonlat(np.array([[30.0, 20.0], [32.0, 22.0]]))
    expected = pyproj.Geod(ellps="WGS84").inv(*ends[0], *ends[1])[2]
    assert evaluation.distance_m == pytest.approx(expected, rel=1e-6)
    assert evaluation.distance_m == pytest.approx(0.12 * math.hypot(2, 2), rel=1e-3)


def test_the_metric_frame_follows_the_edges_of_the_boxes():
    mine, theirs = layers(BOXES, BOXES, ROTATED)
    frame = metric_frame(theirs.shapes, mine.shapes)
    sides = envelopes(mine.shapes, frame)[:, 2:] - envelopes(mine.shapes, frame)[:, :2]
    assert np.prod(sides, axis=1) == pytest.approx(ROTATED.area_m2(BOXES), rel=2e-3)


def test_an_oriented_polygon_counts_as_its_pixel_envelope():
    diamond = np.array([[20.0, 10], [30, 20], [20, 30], [10, 20]])
    mine, theirs = layers([[10, 10, 30, 30]], [[0, 0, 1, 1]])
    theirs = Layer("t", ("car",), ("car",), shapes=shapely.polygons([UTM.to_lonlat(diamond)]))
    np.testing.assert_allclose(evaluate([mine], [theirs]).cases[0].truth.boxes, [[10, 10, 30, 30]], atol=1e-6)


def test_objects_off_the_scene_are_left_out_and_mentioned():
    mine, theirs = layers(BOXES, [*BOXES, [900, 900, 920, 920]])
    evaluation = evaluate([mine], [theirs])
    assert evaluation.metrics.objects == 4
    assert evaluation.notes == ("objects of truth.geojson off the scene are left out: 1",)
    with pytest.raises(
        DataError,
        match=r"no object of truth.geojson lies on the scene, of 1; it is the truth of another place",
    ):
        evaluate([mine], [layers(BOXES, [[900, 900, 920, 920]])[1]])


def pixel_truth(boxes=BOXES, **more) -> Layer:
    return Layer("truth.json", ("car",) * len(boxes), ("car",), pixels=np.asarray(boxes, float), **more)


def pixel_run(boxes=BOXES, names=None, **more) -> Layer:
    scores = np.linspace(0.9, 0.6, len(boxes)).astype(np.float32)
    names = names or ("car",) * len(boxes)
    return Layer(
        "run.json", names, tuple(dict.fromkeys(names)), pixels=np.asarray(boxes, float), scores=scores, **more
    )


def test_files_of_scenes_of_different_size_are_refused():
    with pytest.raises(DataError) as error:
        evaluate([pixel_run(size=(400, 300))], [pixel_truth(size=(800, 600))])
    assert str(error.value) == (
        "run.json is about a scene of 400 x 300 pixels, truth.json about one of 800 x 600; "
        "compare files of one scene"
    )
    with pytest.raises(
        DataError,
        match=r"truth.json has a box at \[200.0, 200.0, 260.0, 240.0\], outside the scene of 200 x 300",
    ):
        evaluate([pixel_run(size=(200, 300))], [pixel_truth()])


def test_a_truth_on_the_map_needs_a_georeference_or_the_raster():
    _, theirs = layers(BOXES, BOXES)
    with pytest.raises(DataError) as error:
        evaluate([pixel_run()], [theirs])
    assert str(error.value) == (
        "truth.geojson is in longitude and latitude and run.json in pixels without a georeference; "
        "give the raster with `scene`"
    )
    evaluation = evaluate([pixel_run()], [theirs], scene=PixelGrid(UTM, SIZE))
    assert evaluation.metrics.ap == pytest.approx(1)
    assert evaluation.megapixels == pytest.approx(0.12)


def test_pixel_boxes_of_another_raster_are_noticed():
    mine, theirs = layers(BOXES, BOXES)
    elsewhere = Layer("truth.geojson", theirs.names, theirs.classes, pixels=BOXES / 2, shapes=theirs.shapes)
    with pytest.raises(
        DataError,
        match=r"bbox_px of truth.geojson lie 1\d\d\.\d pixels from its polygons .* `coordinates=map`",
    ):
        evaluate([mine], [elsewhere])
    assert evaluate([mine], [elsewhere], Comparison(coordinates="map")).metrics.ap == pytest.approx(1)


def test_pixels_can_be_insisted_on():
    mine, theirs = layers(BOXES, BOXES)
    with pytest.raises(DataError, match=r"truth.geojson has no pixel boxes \(property bbox_px\)"):
        evaluate([mine], [theirs], Comparison(coordinates="pixel"))
    with pytest.raises(
        DataError, match="truth.json has pixel boxes only, no place on the map; compare in pixels"
    ):
        evaluate([mine], [pixel_truth()], Comparison(coordinates="map"))


def region(path, boxes, georef=None):
    shapes = [shapely.box(*box) for box in boxes]
    if georef is not None:
        shapes = [shapely.transform(shape, georef.to_lonlat) for shape in shapes]
    features = [
        {"type": "Feature", "properties": {}, "geometry": shapely.geometry.mapping(s)} for s in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


@pytest.mark.parametrize(
    ("georef", "given"), [(UTM, "auto"), (GeoRef(), "auto"), (UTM, "pixel")], ids=["map", "plain", "pixel"]
)
def test_roi_and_ignored_regions_count_by_centre(tmp_path, georef, given):
    in_degrees = georef if given == "auto" and georef.on_map else None
    roi = region(tmp_path / "roi.geojson", [(0, 0, 265, 299)], in_degrees)
    ignored = region(tmp_path / "ignored.geojson", [(95, 30, 140, 100)], in_degrees)
    found = [*BOXES[:2], [150, 150, 170, 170], [350, 200, 380, 230]]
    how = Comparison(roi=roi, ignored=ignored, regions_in=given)
    evaluation = evaluate([pixel_run(found, size=SIZE, georef=georef)], [pixel_truth()], how)
    end = evaluation.metrics.curve.at(0.0)
    assert (end.right, end.wrong, end.missed) == (1, 1, 1)
    assert evaluation.megapixels == pytest.approx((265 * 299 - 45 * 70) / 1e6, rel=1e-6)


def test_a_region_that_cannot_be_placed_is_refused(tmp_path):
    roi = region(tmp_path / "roi.geojson", [(0, 0, 9, 9)])
    with pytest.raises(
        DataError, match="is on the map, and the scene has no georeference; give the raster with `scene`"
    ):
        evaluate([pixel_run()], [pixel_truth()], Comparison(roi=roi, regions_in="map"))
    sides = [[side] for side in layers(BOXES, BOXES, pixels=False, known=False)]
    with pytest.raises(DataError, match="is in pixels, and the comparison is on the map without them"):
        evaluate(*sides, Comparison(roi=roi, regions_in="pixel"))
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(DataError, match="holds no polygon; draw at least one region"):
        evaluate([pixel_run()], [pixel_truth()], Comparison(roi=tmp_path / "none.geojson"))


def test_classes_are_matched_by_name_and_a_mismatch_lists_both():
    with pytest.raises(DataError) as error:
        evaluate([pixel_run(names=("van", "bus", "van", "van"))], [pixel_truth()])
    assert str(error.value) == (
        "the truth has the classes car, the result van, bus: none in common; "
        "use `class_map=van=car` or `class_agnostic`"
    )


def test_classes_can_be_mapped_or_taken_as_one():
    mine = pixel_run(names=("van", "bus", "van", "van"))
    mapped = evaluate([mine], [pixel_truth()], Comparison(class_map={"van": "car"}))
    assert mapped.metrics.curve.recall[-1] == 3 / 4
    assert mapped.notes == ("detections of classes that the truth does not have are left out: bus 1",)
    assert evaluate([mine], [pixel_truth()], Comparison(class_agnostic=True)).metrics.ap == pytest.approx(1)
    with pytest.raises(
        DataError,
        match=r"`class_map` names 'vans' \(did you mean 'van'\?\); the truth has car, the result van, bus",
    ):
        evaluate([mine], [pixel_truth()], Comparison(class_map={"vans": "car"}))


def test_a_class_that_the_result_does_not_know_is_missed_and_mentioned():
    truth = Layer("truth.json", ("car", "car", "bus", "bus"), ("car", "bus"), pixels=BOXES)
    evaluation = evaluate([pixel_run(BOXES[:2])], [truth])
    assert evaluation.notes == ("the result does not know bus; all objects of that class are missed",)
    assert evaluation.metrics.ap50 == pytest.approx(0.5)
    assert evaluation.metrics.by_class["bus"].ap50 == 0.0


def test_a_high_threshold_of_the_run_is_mentioned():
    evaluation = evaluate([pixel_run(floor=0.6)], [pixel_truth()])
    assert evaluation.notes == (
        "the run kept only scores from 0.6, so AP and the curve are cut off there; "
        "run with `threshold=0.01` for the whole",
    )


def test_swapped_files_and_flat_boxes_are_noticed():
    with pytest.raises(
        DataError, match="truth.json holds objects without scores; give the result first, then the truth"
    ):
        evaluate([pixel_truth()], [pixel_truth()])
    with pytest.raises(
        DataError, match="truth.json holds boxes without area, 1 of 5; nothing can match them"
    ):
        evaluate([pixel_run()], [pixel_truth([*BOXES, [5, 5, 5, 9]])])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"iou": 0.0}, "`iou` must be a number above 0 up to 1, got 0.0"),
        ({"iou": 1.01}, "`iou` must be a number above 0 up to 1, got 1.01"),
        ({"coordinates": "maps"}, "`coordinates` must be one of auto, pixel, map, got 'maps'"),
        ({"regions_in": "degrees"}, "`regions_in` must be one of auto, pixel, map, got 'degrees'"),
        ({"partial": "yes"}, "`partial` must be true or false, got 'yes'"),
        (
            {"class_map": "car"},
            "`class_map` must be names to read as other names, for example car=vehicle, got 'car'",
        ),
        (
            {"class_map": {"car": ""}},
            "`class_map` must be names to read as other names, for example car=vehicle, got {'car': ''}",
        ),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(OptionError) as error:
        Comparison(**settings)
    assert str(error.value) == message


def test_settings_of_a_comparison_have_one_value_however_they_are_spelt(tmp_path):
    names = {"car": "vehicle", "van": "vehicle"}
    for spelling in (names, "car=vehicle,van=vehicle", ["car=vehicle", "van = vehicle"]):
        assert Comparison(class_map=spelling).class_map == names
    assert Comparison(class_map=None) == Comparison(class_map={}) == Comparison()
    assert Comparison(roi=tmp_path / "a.json") == Comparison(roi=str(tmp_path / "a.json"))
    assert Comparison(iou="1").iou == 1


def test_a_comparison_survives_json():
    for how in (Comparison(), Comparison(iou=0.3, class_map={"a": "b"}, roi="a.json", regions_in="map")):
        assert value_from(Comparison, json.loads(json.dumps(plain_values(how))), where="test") == how


def test_the_json_form_is_complete_and_has_no_nan(tmp_path):
    import orjson

    evaluation = evaluate([pixel_run(size=SIZE, georef=UTM)], [pixel_truth()], Comparison(roi=None))
    document = json.loads(orjson.dumps(evaluation.as_dict()))
    assert document["ap"] == pytest.approx(1)
    assert document["best"]["f1"] == 1
    assert len(document["curve"]) == 101
    share = pytest.approx(2 / 3)
    point = {
        "threshold": 0.8,
        "precision": 1.0,
        "recall": 0.5,
        "f1": share,
        "right": 2,
        "wrong": 0,
        "missed": 2,
    }
    assert document["curve"][80] == point
    assert document["by_size"]["large"] == {"ap": None, "ap50": None, "ap75": None, "objects": 0}
    assert document["by_class"]["car"]["best"]["recall"] == 1
    assert document["center_distance"] == {"px": 0.0, "m": 0.0}
    assert (document["megapixels"], document["images"], document["iou"]) == (0.12, 1, 0.5)


def test_the_table_shows_classes_sizes_thresholds_and_distances():
    evaluation = evaluate([pixel_run(size=SIZE, georef=UTM)], [pixel_truth()])
    assert as_table(evaluation, marks=[("the model's own", 0.65)]).splitlines() == [
        "1 image, 4 objects, 4 detections on 0.12 megapixels",
        "",
        "              AP    AP50    AP75  objects",
        "all        1.000   1.000   1.000        4",
        "small      1.000   1.000   1.000        1",
        "medium     1.000   1.000   1.000        3",
        "16-32 px   1.000   1.000   1.000        1",
        "32-64 px   1.000   1.000   1.000        3",
        "",
        "At IoU 0.5, all classes as one:",
        "threshold  precision  recall      F1   right   wrong  missed  wrong/Mpx",
        "    0.100      1.000   1.000   1.000       4       0       0       0.00",
        "    0.200      1.000   1.000   1.000       4       0       0       0.00",
        "    0.300      1.000   1.000   1.000       4       0       0       0.00",
        "    0.300      1.000   1.000   1.000       4       0       0       0.00  best F1",
        "    0.400      1.000   1.000   1.000       4       0       0       0.00",
        "    0.500      1.000   1.000   1.000       4       0       0       0.00",
        "    0.600      1.000   1.000   1.000       4       0       0       0.00",
        "    0.650      1.000   0.750   0.857       3       0       1       0.00  the model's own",
        "    0.700      1.000   0.750   0.857       3       0       1       0.00",
        "    0.800      1.000   0.500   0.667       2       0       2       0.00",
        "    0.900      1.000   0.250   0.400       1       0       3       0.00",
        "",
        "Median distance of matched centres: 0.00 px, 0.000 m",
    ]


def test_files_of_a_run_go_through_from_end_to_end(tmp_path):
    found = Detections(BOXES + 1, np.full(4, 0.7), np.zeros(4), np.full(4, -1))
    result = RunResult(found, ("car",), UTM, SceneFacts("scene.tif", 400, 300, gsd_m=0.12))
    names = [write(result, tmp_path / name) for name in ("run.json", "run.geojson")]
    coco = {
        "images": [{"id": 1, "file_name": "scene.tif", "width": 400, "height": 300}],
        "categories": [{"id": 1, "name": "car"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for x0, y0, x1, y1 in BOXES.tolist()
        ],
    }
    (tmp_path / "truth.json").write_text(json.dumps(coco))
    truth = read_truth(tmp_path / "truth.json")
    one, other = (evaluate(read_results([name]), truth).as_dict() for name in names)
    assert json.dumps(one) == json.dumps(other)
    assert one["center_distance"]["px"] == pytest.approx(math.sqrt(2))


@pytest.mark.shared
def test_the_two_truths_of_the_mosaic_agree(shared):
    """The mosaic's GeoJSON, through its CRS, gives its own pixel boxes again."""
    folder = shared / "data" / "scenes"
    (pixels,) = read_truth(folder / "madison_mosaic.truth.coco.json")
    (on_map,) = read_truth(folder / "madison_mosaic.truth.geojson")
    assert on_map.shapes is not None
    np.testing.assert_allclose(envelopes(on_map.shapes, UTM), pixels.pixels, atol=0.02)
    scores = np.linspace(1, 0.5, len(pixels)).astype(np.float32)
    mine = Layer(
        "run", pixels.names, pixels.classes, pixels=pixels.pixels, scores=scores, size=pixels.size, georef=UTM
    )
    for how in (Comparison(), Comparison(coordinates="map")):
        evaluation = evaluate([mine], [on_map], how)
        assert evaluation.metrics.ap == pytest.approx(1)
        assert evaluation.distance_m < 0.002
