"""Exports of Label Studio and CVAT become COCO documents: boxes, what counts as one, and what is refused."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point, affinity, box

from sodslice.errors import DataError
from sodslice.metrics import evaluate, read_truth
from sodslice.tables.coco import parse_coco
from sodslice.tables.labelled import markup, read_labels
from sodslice.tables.labelled.gathering import Gathering
from sodslice.tables.labelled.shapes import around_ellipse, around_rectangle
from sodslice.training.data import coco_set
from sodslice.training.source_settings import SourceSettings
from tests.training_data import write_set

SIZE = {"original_width": 200, "original_height": 100, "image_rotation": 0}


def rectangle(x, y, width, height, label="car", *, rotation=0):
    kind = "rectanglelabels"
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation, kind: [label]}
    return {"type": kind, "from_name": "label", "to_name": "image", "value": value, **SIZE}


def task(*regions, image="/data/local-files/?d=rv/crops/a_0_0.png", annotations=None, **data):
    done = [{"result": list(regions), "was_cancelled": False}] if annotations is None else annotations
    return {"id": 1, "data": {"image": image, **data}, "annotations": done}


def write_json(folder, content):
    path = folder / "export.json"
    path.write_text(json.dumps(content))
    return path


def write_xml(folder, images, labels="<label><name>car</name></label>", name="annotations.xml"):
    path = folder / name
    path.write_text(
        "<?xml version='1.0' encoding='utf-8'?><annotations><version>1.1</version><meta><job><labels>"
        f"{labels}</labels></job></meta>{images}</annotations>"
    )
    return path


def image(shapes="", name="a_0_0.png"):
    return f'<image id="0" name="{name}" width="200" height="100">{shapes}</image>'


def document_of(path):
    return read_labels(path).document


def boxes_of(document):
    table, problems = parse_coco(document)
    assert problems == []
    return table.boxes.tolist()


def test_rectangles_of_label_studio_are_percent_of_their_image(tmp_path):
    document = document_of(
        write_json(tmp_path, [task(rectangle(10, 20, 30, 40), rectangle(0, 0, 1, 1, "van"))])
    )
    assert document["images"] == [{"id": 1, "file_name": "rv/crops/a_0_0.png", "width": 200, "height": 100}]
    assert [one["name"] for one in document["categories"]] == ["car", "van"]
    assert boxes_of(document) == [[20, 20, 80, 60], [0, 0, 2, 1]]


def test_turned_rectangles_polygons_and_ellipses_are_their_envelopes(tmp_path):
    turned = rectangle(50, 50, 10, 10, rotation=90)
    polygon = {"type": "polygonlabels", **SIZE,
               "value": {"points": [[1, 1], [11, 1], [6, 21]], "polygonlabels": ["car"]}}  # fmt: skip
    ellipse = {"type": "ellipselabels", **SIZE, "value": {
        "x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "rotation": 0, "ellipselabels": ["car"]}}  # fmt: skip
    document = document_of(write_json(tmp_path, [task(turned, polygon, ellipse)]))
    # a rectangle of 20 x 10 pixels, turned clockwise about its upper left corner
    assert boxes_of(document) == [[90, 50, 100, 70], [2, 1, 22, 21], [80, 45, 120, 55]]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=rv/crops/a%20b.png", "rv/crops/a b.png"),
        ("crops/a b.png", "crops/a b.png"),
        ("/data/upload/3/0a1b2c3d-a.png", "a.png"),
        ("https://host/some/where/0a1b2c3d-a.png?key=1", "0a1b2c3d-a.png"),
        ("s3://bucket/crops/a.png", "a.png"),
    ],
)
def test_the_image_of_a_task_is_found_by_its_address(tmp_path, address, name):
    assert document_of(write_json(tmp_path, [task(image=address)]))["images"][0]["file_name"] == name


def test_tasks_of_a_review_know_their_crop_by_name(tmp_path):
    document = document_of(
        write_json(tmp_path, [task(image="/data/upload/1/00000000-x.png", sodslice_crop="b_1_2.png")])
    )
    assert document["images"][0]["file_name"] == "b_1_2.png"


def test_a_field_of_others_that_is_called_crop_is_no_image(tmp_path):
    assert (
        document_of(write_json(tmp_path, [task(image="a.png", crop="wheat")]))["images"][0]["file_name"]
        == "a.png"
    )


def test_the_image_may_be_called_otherwise_where_only_one_address_is_of_an_image(tmp_path):
    row = {"id": 5, "data": {"photo": "x/a.jpg", "remark": "see v1.2"}, "annotations": [{"result": []}]}
    assert document_of(write_json(tmp_path, [row]))["images"][0]["file_name"] == "x/a.jpg"
    row["data"]["other"] = "b.png"
    with pytest.raises(
        DataError, match=r"task 5 names no image; its data has \['other', 'photo', 'remark'\]"
    ):
        document_of(write_json(tmp_path, [row]))


def test_what_nobody_labelled_is_left_out_and_what_is_empty_is_an_image_without_objects(tmp_path):
    tasks = [
        task(image="a.png", annotations=[]),
        task(image="b.png", annotations=[{"result": [], "was_cancelled": True}]),
        task(image="c.png", annotations=[{"result": []}]),
    ]
    document, note = read_labels(write_json(tmp_path, tasks))
    assert [one["file_name"] for one in document["images"]] == ["c.png"]
    assert "nobody annotated them: 1; tasks left out, since they were skipped: 1" in note


def test_tasks_that_are_only_foreseen_are_no_labels(tmp_path):
    row = {"data": {"image": "a.png"}, "predictions": [{"result": [rectangle(1, 1, 2, 2)]}]}
    with pytest.raises(
        DataError,
        match=r"holds no annotated image \(tasks left out, since nobody annotated them: 1\); submit what",
    ):
        document_of(write_json(tmp_path, [row]))


def test_a_rectangle_and_its_class_may_be_two_results_of_one_id(tmp_path):
    both = rectangle(10, 20, 30, 40)
    value = {key: both["value"][key] for key in ("x", "y", "width", "height", "rotation")}
    shape = {**both, "id": "q", "type": "rectangle", "value": value}
    named = {**both, "id": "q", "type": "labels", "value": {**value, "labels": ["van"]}}
    document = document_of(write_json(tmp_path, [task(shape, named)]))
    assert boxes_of(document) == [[20, 20, 80, 60]]
    assert [one["name"] for one in document["categories"]] == ["van"]
    with pytest.raises(DataError, match="task 1: 'rectangle' has no class; label it with RectangleLabels"):
        document_of(write_json(tmp_path, [task(shape)]))


def test_of_several_annotations_the_last_one_counts(tmp_path):
    annotations = [
        {"result": [rectangle(0, 0, 10, 10)], "updated_at": "2026-02-01T00:00:00Z"},
        {"result": [rectangle(50, 50, 10, 10)], "updated_at": "2026-03-01T00:00:00Z"},
    ]
    assert boxes_of(document_of(write_json(tmp_path, [task(annotations=annotations)]))) == [
        [100, 50, 120, 60]
    ]


def test_the_ground_truth_counts_before_the_last_annotation(tmp_path):
    annotations = [
        {"result": [rectangle(0, 0, 10, 10)], "updated_at": "2026-02-01T00:00:00Z", "ground_truth": True},
        {"result": [rectangle(50, 50, 10, 10)], "updated_at": "2026-03-01T00:00:00Z"},
    ]
    document, note = read_labels(write_json(tmp_path, [task(annotations=annotations)]))
    assert boxes_of(document) == [[0, 0, 20, 10]]
    assert "tasks with several annotations, of which the ground truth or the last one counts: 1" in note


def test_json_min_is_read_too(tmp_path):
    region = {**rectangle(10, 20, 30, 40)["value"], **SIZE}
    done = {"id": 1, "image": "/data/local-files/?d=rv/crops/a.png", "label": [region], "annotator": 1}
    empty = {"id": 2, "image": "b.png", "annotator": 1, "annotation_id": 2}
    foreseen = {"id": 3, "image": "c.png", "annotator": None, "annotation_id": None}
    rows = [done, empty, foreseen, {"id": 4, "image": "d.png"}]
    document, note = read_labels(write_json(tmp_path, rows))
    assert [one["file_name"] for one in document["images"]] == ["rv/crops/a.png", "b.png"]
    assert note.endswith(": tasks left out, since nobody annotated them: 2")
    assert boxes_of(document) == [[20, 20, 80, 60]]


def test_a_task_that_is_in_json_min_twice_is_one_image(tmp_path):
    rows = [
        {"id": 1, "image": "a.png", "annotator": who, "annotation_id": who, "updated_at": f"2026-0{who}",
         "label": [{**rectangle(10 * who, 0, 10, 10)["value"], **SIZE}]}
        for who in (2, 1)
    ]  # fmt: skip
    document, note = read_labels(write_json(tmp_path, rows))
    assert boxes_of(document) == [[40, 0, 60, 10]]
    assert "tasks with several annotations, of which the ground truth or the last one counts: 1" in note


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ({"type": "brushlabels", "value": {}, **SIZE}, "task 1: 'brushlabels' is no box, polygon or ellipse"),
        ({"type": "keypointlabels", "value": {"x": 1, "y": 1, "width": 1}, **SIZE}, "'keypointlabels' is no"),
        ({"type": "what is new", "value": {}, **SIZE}, "task 1: 'what is new' is no box"),
        ({**rectangle(1, 1, 2, 2), "image_rotation": 90}, "task 1 was labelled on a picture turned by 90"),
        ({**rectangle(1, 1, 2, 2), "original_width": None}, "task 1 says no original_width and original_h"),
        (rectangle("1", 1, 2, 2), "task 1: {'x': '1', 'y': 1, .* is no shape in percents of its image"),
        (rectangle(1, 1, 0, 2), "a_0_0.png has an empty shape; remove it"),
        (rectangle(1, 1, 2, 2, rotation="x"), "is no shape in percents of its image"),
        (rectangle(1, 1, 2, 2, " "), r"task 1: each shape must have one class, got \[' '\]"),
        ({**rectangle(1, 1, 2, 2), "value": 7}, "task 1: 'rectanglelabels' is no box"),
        ({**rectangle(1, 1, 2, 2), "value": {"rectanglelabels": ["a", "b"]}}, "must have one class, got"),
        (
            {"type": "polygonlabels", "value": {"points": [[1, "a"]], "polygonlabels": ["a"]}, **SIZE},
            "is no shape in percents",
        ),
    ],
)
def test_what_is_no_box_in_label_studio_is_said(tmp_path, region, words):
    with pytest.raises(DataError, match=words):
        document_of(write_json(tmp_path, [task(region)]))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"annotations": 3}, "the annotations of task 7 must be a list of mappings, got 3"),
        ({"annotations": [{"result": "x"}]}, "the result of task 7 must be a list of mappings, got 'x'"),
    ],
)
def test_malformed_tasks_are_said(tmp_path, row, words):
    with pytest.raises(DataError, match=words):
        document_of(write_json(tmp_path, [{"id": 7, "data": {"image": "a.png"}, **row}]))


def test_answers_that_are_no_shapes_do_not_count(tmp_path):
    choice = {"type": "choices", "value": {"choices": ["good"]}, **SIZE}
    document = document_of(write_json(tmp_path, [task(choice, {"type": "relation", "from_id": "a"})]))
    assert (len(document["images"]), document["annotations"]) == (1, [])


def test_shapes_of_cvat_are_boxes_or_their_envelopes(tmp_path):
    shapes = (
        '<box label="car" occluded="0" xtl="10.5" ytl="20" xbr="40" ybr="60" z_order="0">'
        '<attribute name="score">0.5</attribute></box>'
        '<box label="van" xtl="90" ytl="45" xbr="110" ybr="55" rotation="90"></box>'
        '<polygon label="car" points="1,1;21.5,1;10,30"></polygon>'
        '<ellipse label="car" cx="50" cy="50" rx="10" ry="5"></ellipse>'
        '<mask label="car" rle="1" left="3" top="4" width="10" height="20"></mask>'
    )
    document = document_of(write_xml(tmp_path, image(shapes) + image(name="b.png")))
    assert [one["file_name"] for one in document["images"]] == ["a_0_0.png", "b.png"]
    assert [one["name"] for one in document["categories"]] == ["car", "van"]
    assert read_labels(tmp_path / "annotations.xml").note.endswith(
        ": turned boxes and other shapes taken as the boxes around them: 4"
    )
    expected = [[10.5, 20, 40, 60], [95, 40, 105, 60], [1, 1, 21.5, 30], [40, 45, 60, 55], [3, 4, 13, 24]]
    np.testing.assert_allclose(boxes_of(document), expected, atol=1e-3)


def test_a_zip_of_cvat_is_read_as_it_came(tmp_path):
    path = write_xml(tmp_path, image('<box label="car" xtl="1" ytl="2" xbr="3" ybr="4"/>'))
    with zipfile.ZipFile(tmp_path / "task.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "annotations.xml")
    assert document_of(tmp_path / "task.zip") == document_of(path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("instances.json", "{}")
    with pytest.raises(
        DataError, match=r"other.zip holds 0 files annotations.xml, it must be one; export the task"
    ):
        document_of(tmp_path / "other.zip")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("", "an export of CVAT, holds no annotated image"),
        (
            '<track id="0" label="car"></track>',
            'holds tracks of a video; export the task as "CVAT for images 1.1"',
        ),
        (image('<points label="car" points="1,2"/>'), "a_0_0.png has a <points>, which is no box; remove it"),
        (image('<box label="car" xtl="a" ytl="2" xbr="3" ybr="4"/>'), "a_0_0.png: <box> {.* has no place"),
        (image('<box label="car" xtl="nan" ytl="2" xbr="3" ybr="4"/>'), "a_0_0.png: <box> {.* has no place"),
        (image('<box label="car" xtl="1e400" ytl="2" xbr="3" ybr="4"/>'), "<box> {.* has no place"),
        (image('<box label="car" xtl="5" ytl="2" xbr="3" ybr="4"/>'), "a_0_0.png has an empty shape"),
        (image('<box xtl="1" ytl="2" xbr="3" ybr="4"/>'), "a_0_0.png has a <box> without a label"),
        (image('<polygon label="car" points="1,2,3;4,5"/>'), "<polygon> {.* has no place"),
        (image('<newest label="car"/>'), "a_0_0.png has a <newest>, which is no box; remove it"),
        ('<image id="0" name="" width="9" height="9"/>', "each image must have name, width and height"),
        ('<image id="0" name="a" width="-9" height="9"/>', "each image must have name, width and height"),
        ("<a>" * 70 + "</a>" * 70, "nests elements more than 64 deep"),
        ("<image>", "is not XML: mismatched tag"),
    ],
)
def test_what_is_no_box_in_cvat_is_said(tmp_path, images, words):
    with pytest.raises(DataError, match=words):
        document_of(write_xml(tmp_path, images))


def test_xml_with_entities_is_refused_before_it_grows(tmp_path):
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "' + "x" * 1000 + '">]><annotations>&b;</annotations>'
    )
    (tmp_path / "a.xml").write_text(bomb)
    with pytest.raises(
        DataError, match="a.xml declares a document type, which no export does; it is not read"
    ):
        document_of(tmp_path / "a.xml")
    (tmp_path / "b.xml").write_text("<html></html>")
    with pytest.raises(DataError, match="is XML and no export of CVAT: its root is <html>"):
        document_of(tmp_path / "b.xml")


def test_other_json_is_given_back_as_it_is(tmp_path):
    for content in (
        {"images": []},
        [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}],
        [],
    ):
        assert document_of(write_json(tmp_path, content)) == content


def test_a_truth_may_be_an_export(tmp_path):
    (layer,) = read_truth(write_json(tmp_path, [task(rectangle(10, 20, 30, 40))]))
    assert (layer.names, layer.pixels.tolist()) == (("car",), [[20, 20, 80, 60]])


def test_a_truth_says_what_does_not_count(tmp_path):
    tasks = [task(rectangle(10, 20, 30, 40), image="a.png"), task(image="b.png", annotations=[])]
    truths = read_truth(write_json(tmp_path, tasks))
    found = [replace(truths[0], scores=np.array([0.5], np.float32))]
    (note,) = evaluate(found, truths).notes
    assert note.endswith("export.json: tasks left out, since nobody annotated them: 1")


def test_a_training_reads_an_export_and_says_what_does_not_count(tmp_path):
    write_set(tmp_path, images=3, side=100)
    tasks = [
        task(rectangle(10, 20, 30, 40, "vehicle"), image="/data/local-files/?d=images/0.png"),
        task(image="1.png"),
        task(image="2.png", annotations=[]),
    ]
    for row in tasks[0]["annotations"][0]["result"]:
        row |= {"original_width": 100}
    write_json(tmp_path, tasks)
    source = SourceSettings(images="images", annotations="export.json")
    images, look = coco_set(source, tmp_path, ["vehicle"])
    assert [len(one.objects) for one in images] == [1, 0]
    assert (look.problems, look.note.partition(": ")[2]) == (
        [],
        "tasks left out, since nobody annotated them: 1",
    )


@pytest.mark.parametrize("damage", [slice(0, 60), slice(0, -30)])
def test_a_damaged_zip_is_said(tmp_path, damage):
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("annotations.xml", f"<annotations>{image() * 50}</annotations>")
    path.write_bytes(path.read_bytes()[damage])
    with pytest.raises(DataError, match=r"task.zip is a zip that cannot be read: "):
        document_of(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_a_damaged_file_is_said(tmp_path, compression):
    path = tmp_path / "task.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("annotations.xml", f"<annotations>{image() * 50}</annotations>")
    whole = path.read_bytes()
    begin = 30 + len("annotations.xml")
    for at in range(begin, begin + 40):
        path.write_bytes(whole[:at] + bytes(10) + whole[at + 10 :])
        with pytest.raises(DataError, match=r"task.zip is a zip that cannot be read: "):
            document_of(path)


def test_xml_beyond_a_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(markup, "MOST_BYTES", 100)
    with pytest.raises(DataError, match=r"annotations.xml has more than 0 MiB of XML; export fewer images"):
        document_of(write_xml(tmp_path, image()))


def test_files_that_are_not_there_are_said(tmp_path):
    with pytest.raises(DataError, match=r"none.xml cannot be read: No such file or directory"):
        read_labels(tmp_path / "none.xml")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_labels(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_xml_is_read_in_any_encoding_that_it_states(tmp_path, encoding):
    box = '<box label="Ä" xtl="1" ytl="2" xbr="3" ybr="4"/>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image(box)}</annotations>", encoding=encoding)
    assert document_of(tmp_path / "a.xml")["categories"] == [{"id": 1, "name": "Ä"}]


def test_tags_and_what_is_outside_of_an_image_do_not_count(tmp_path):
    inside = '<box label="car" outside="1" xtl="1" ytl="2" xbr="3" ybr="4"/><tag label="car"/>'
    document, note = read_labels(write_xml(tmp_path, image(inside)))
    assert document["annotations"] == []
    assert note.endswith(
        "shapes outside of their image that do not count: 1; tags of whole images that do not count: 1"
    )


def test_only_the_first_of_many_problems_are_listed():
    found = Gathering("a.json", "CVAT")
    for number in range(9):
        found.fault(f"problem {number}")
    with pytest.raises(DataError, match=r"^a.json, an export of CVAT: problem 0; .* problem 2; and 6 more$"):
        found.labels()


def test_a_turned_shape_ends_where_its_image_does():
    found = Gathering("a.json", "CVAT")
    found.image("a.png", (100, 50))
    found.box("car", (-5.0, 10.0, 20.0, 60.0), reduced=True)
    (row,) = found.labels().document["annotations"]
    assert row["bbox"] == [0, 10, 20, 40]


@given(st.tuples(*[st.floats(-100, 100)] * 2), st.tuples(*[st.floats(0.5, 80)] * 2), st.floats(-360, 360))
def test_turned_shapes_lie_in_what_shapely_finds_around_them(corner, size, degrees):
    (x, y), (width, height) = corner, size
    pivot = (x + 3, y - 2)
    turned = affinity.rotate(box(x, y, x + width, y + height), degrees, origin=pivot)
    np.testing.assert_allclose(around_rectangle(corner, size, degrees, pivot), turned.bounds, atol=1e-6)
    circle = Point(0, 0).buffer(1, quad_segs=256)
    ellipse = affinity.rotate(affinity.scale(circle, width, height), degrees, origin=(0, 0))
    moved = affinity.translate(ellipse, x, y)
    np.testing.assert_allclose(around_ellipse(corner, size, degrees), moved.bounds, atol=1e-2)


@pytest.mark.parametrize("points", [7, [], [[1e308, 1]] * 3])
def test_points_that_are_none_are_said(tmp_path, points):
    region = {"type": "polygonlabels", "value": {"points": points, "polygonlabels": ["car"]}, **SIZE}
    with pytest.raises(DataError, match="is no shape in percents of its image"):
        read_labels(write_json(tmp_path, [task(region)]))


def test_an_address_that_is_none_is_a_name(tmp_path):
    document = document_of(write_json(tmp_path, [task(image="http://[bad/a.png")]))
    assert document["images"][0]["file_name"] == "http://[bad/a.png"


def test_an_image_that_was_not_turned_may_say_so_by_nothing(tmp_path):
    region = {**rectangle(10, 20, 30, 40), "image_rotation": None}
    assert boxes_of(document_of(write_json(tmp_path, [task(region)]))) == [[20, 20, 80, 60]]


def test_hostile_xml_is_one_line_and_no_wait(tmp_path):
    for encoding in (b"bogus", b"gb2312"):
        (tmp_path / "a.xml").write_bytes(b'<?xml version="1.0" encoding="%b"?><annotations/>' % encoding)
        with pytest.raises(DataError, match="is not XML: "):
            read_labels(tmp_path / "a.xml")
    path = write_xml(tmp_path, "\n" * 2_000_000 + image('<box label="car" xtl="1" ytl="2" xbr="3" ybr="4"/>'))
    assert len(document_of(path)["annotations"]) == 1
