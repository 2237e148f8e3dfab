"""Exports of Label Studio and CVAT become COCO documents: boxes, what counts as one, and what is refused."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from sodslice.errors import DataError
from sodslice.metrics import read_truth
from sodslice.tables.coco import parse_coco
from sodslice.tables.labelled import read_labels
from sodslice.tables.labelled.document import LabelledSet, turned_box

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


def boxes_of(document):
    table, problems = parse_coco(document)
    assert problems == []
    return table.boxes.tolist()


def test_rectangles_of_label_studio_are_percent_of_their_image(tmp_path):
    document = read_labels(
        write_json(tmp_path, [task(rectangle(10, 20, 30, 40), rectangle(0, 0, 1, 1, "van"))])
    )
    assert document["images"] == [{"id": 1, "file_name": "a_0_0.png", "width": 200, "height": 100}]
    assert [one["name"] for one in document["categories"]] == ["car", "van"]
    assert boxes_of(document) == [[20, 20, 80, 60], [0, 0, 2, 1]]


def test_turned_rectangles_polygons_and_ellipses_are_their_envelopes(tmp_path):
    turned = rectangle(50, 50, 10, 10, rotation=90)
    polygon = {"type": "polygonlabels", **SIZE,
               "value": {"points": [[1, 1], [11, 1], [6, 21]], "polygonlabels": ["car"]}}  # fmt: skip
    ellipse = {"type": "ellipselabels", **SIZE, "value": {
        "x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "rotation": 0, "ellipselabels": ["car"]}}  # fmt: skip
    document = read_labels(write_json(tmp_path, [task(turned, polygon, ellipse)]))
    # a rectangle of 20 x 10 pixels, turned clockwise about its upper left corner
    assert boxes_of(document) == [[90, 50, 100, 70], [2, 1, 22, 21], [80, 45, 120, 55]]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/data/local-files/?d=rv/crops/a%20b.png", "a b.png"),
        ("/data/upload/3/0a1b2c3d-a.png", "a.png"),
        ("https://host/some/where/0a1b2c3d-a.png?key=1", "0a1b2c3d-a.png"),
        ("s3://bucket/crops/a.png", "a.png"),
    ],
)
def test_the_image_of_a_task_is_found_by_its_address(tmp_path, address, name):
    assert read_labels(write_json(tmp_path, [task(image=address)]))["images"][0]["file_name"] == name


def test_tasks_of_a_review_know_their_crop_by_name(tmp_path):
    document = read_labels(
        write_json(tmp_path, [task(image="/data/upload/1/00000000-x.png", crop="b_1_2.png")])
    )
    assert document["images"][0]["file_name"] == "b_1_2.png"


def test_what_nobody_labelled_is_left_out_and_what_is_empty_is_an_image_without_objects(tmp_path, caplog):
    tasks = [
        task(image="a.png", annotations=[]),
        task(image="b.png", annotations=[{"result": [], "was_cancelled": True}]),
        task(image="c.png", annotations=[{"result": []}]),
    ]
    document = read_labels(write_json(tmp_path, tasks))
    assert [one["file_name"] for one in document["images"]] == ["c.png"]
    assert "2 of 3 tasks are not labelled and left out" in caplog.text


def test_of_several_annotations_the_last_one_counts(tmp_path):
    annotations = [
        {"result": [rectangle(0, 0, 10, 10)], "updated_at": "2026-02-01T00:00:00Z"},
        {"result": [rectangle(50, 50, 10, 10)], "updated_at": "2026-03-01T00:00:00Z"},
    ]
    assert boxes_of(read_labels(write_json(tmp_path, [task(annotations=annotations)]))) == [
        [100, 50, 120, 60]
    ]


def test_json_min_is_read_too(tmp_path):
    region = {**rectangle(10, 20, 30, 40)["value"], **SIZE}
    done = {"id": 1, "image": "/data/local-files/?d=rv/crops/a.png", "label": [region], "annotator": 1}
    empty = {"id": 2, "image": "b.png", "annotator": 1, "annotation_id": 2}
    document = read_labels(write_json(tmp_path, [done, empty, {"id": 3, "image": "c.png"}]))
    assert [one["file_name"] for one in document["images"]] == ["a.png", "b.png"]
    assert boxes_of(document) == [[20, 20, 80, 60]]


@pytest.mark.parametrize(
    ("region", "words"),
    [
        (
            {"type": "brushlabels", "value": {"rle": [1]}, **SIZE},
            "a_0_0.png has a region of brushlabels, which is no box",
        ),
        (
            {**rectangle(1, 1, 2, 2), "image_rotation": 90},
            "a_0_0.png was turned in Label Studio; turn it back",
        ),
        (
            {**rectangle(1, 1, 2, 2), "original_width": None},
            "has a region without one label, or without the size of its",
        ),
        (rectangle("1", 1, 2, 2), "a_0_0.png has a malformed region of rectanglelabels"),
        (rectangle(200, 1, 2, 2), "a_0_0.png has a 'car' without an extent inside it"),
    ],
)
def test_what_is_no_box_in_label_studio_is_said(tmp_path, region, words):
    with pytest.raises(DataError, match=words):
        read_labels(write_json(tmp_path, [task(region)]))


def test_shapes_of_cvat_are_boxes_or_their_envelopes(tmp_path):
    shapes = (
        '<box label="car" occluded="0" xtl="10.5" ytl="20" xbr="40" ybr="60" z_order="0">'
        '<attribute name="score">0.5</attribute></box>'
        '<box label="van" xtl="90" ytl="45" xbr="110" ybr="55" rotation="90"></box>'
        '<polygon label="car" points="1,1;21.5,1;10,30"></polygon>'
        '<ellipse label="car" cx="50" cy="50" rx="10" ry="5"></ellipse>'
        '<mask label="car" rle="1" left="3" top="4" width="10" height="20"></mask>'
    )
    document = read_labels(write_xml(tmp_path, image(shapes) + image(name="b.png")))
    assert [one["file_name"] for one in document["images"]] == ["a_0_0.png", "b.png"]
    assert [one["name"] for one in document["categories"]] == ["car", "van"]
    expected = [[10.5, 20, 40, 60], [95, 40, 105, 60], [1, 1, 21.5, 30], [40, 45, 60, 55], [3, 4, 13, 24]]
    np.testing.assert_allclose(boxes_of(document), expected, atol=1e-3)


def test_a_zip_of_cvat_is_read_as_it_came(tmp_path):
    path = write_xml(tmp_path, image('<box label="car" xtl="1" ytl="2" xbr="3" ybr="4"/>'))
    with zipfile.ZipFile(tmp_path / "task.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "annotations.xml")
    assert read_labels(tmp_path / "task.zip") == read_labels(path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("instances.json", "{}")
    with pytest.raises(DataError, match=r"other.zip holds no annotations.xml; export the task as"):
        read_labels(tmp_path / "other.zip")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ("", "lists no image; is it an export of a task with images"),
        ('<track id="0" label="car"></track>', "is of a video; export the task as"),
        (image('<points label="car" points="1,2"/>'), "a_0_0.png has a points, which is no box"),
        (image('<box label="car" xtl="a" ytl="2" xbr="3" ybr="4"/>'), "a_0_0.png has a malformed box"),
        ("<image>", "is not XML: mismatched tag"),
    ],
)
def test_what_is_no_box_in_cvat_is_said(tmp_path, images, words):
    with pytest.raises(DataError, match=words):
        read_labels(write_xml(tmp_path, images))


def test_xml_with_entities_is_refused_before_it_grows(tmp_path):
    bomb = (
        '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "' + "x" * 1000 + '">]><annotations>&b;</annotations>'
    )
    (tmp_path / "a.xml").write_text(bomb)
    with pytest.raises(DataError, match="has a document type, which no export of CVAT has"):
        read_labels(tmp_path / "a.xml")
    (tmp_path / "b.xml").write_text("<html></html>")
    with pytest.raises(DataError, match="is no export of CVAT: its root is 'html', not annotations"):
        read_labels(tmp_path / "b.xml")


def test_other_json_is_given_back_as_it_is(tmp_path):
    for content in (
        {"images": []},
        [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}],
        [],
    ):
        assert read_labels(write_json(tmp_path, content)) == content


def test_a_truth_may_be_an_export(tmp_path):
    (layer,) = read_truth(write_json(tmp_path, [task(rectangle(10, 20, 30, 40))]))
    assert (layer.names, layer.pixels.tolist()) == (("car",), [[20, 20, 80, 60]])


def test_only_the_first_of_many_problems_are_listed():
    found = LabelledSet("a.json")
    for number in range(9):
        found.refuse(f"problem {number}")
    with pytest.raises(DataError, match=r"^a.json: problem 0; problem 1; .* problem 4; and 4 more$"):
        found.document()


def test_a_box_that_is_turned_all_the_way_is_itself():
    np.testing.assert_allclose(
        turned_box((1, 2, 5, 4), 360, (3, 3)), [(1, 2), (5, 2), (5, 4), (1, 4)], atol=1e-9
    )


def test_shapes_with_labels_of_their_own_are_boxes_too(tmp_path):
    shape = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
    bare = {"id": "a", "type": "rectangle", "value": shape, **SIZE}
    named = {"id": "a", "type": "labels", "value": {**shape, "labels": ["car"]}, **SIZE}
    choice = {"type": "choices", "value": {"choices": ["night"]}}
    document = read_labels(write_json(tmp_path, [task(bare, named, choice)]))
    assert boxes_of(document) == [[20, 20, 80, 60]]
    both = {**named, "value": {**shape, "labels": ["car", "van"]}}
    with pytest.raises(DataError, match="a region without one label"):
        read_labels(write_json(tmp_path, [task(both)]))
    unknown = {**named, "type": "vectorlabels", "value": {"vertices": [1], "vectorlabels": ["car"]}}
    with pytest.raises(DataError, match="has a region of vectorlabels, which is no box"):
        read_labels(write_json(tmp_path, [task(unknown)]))


@pytest.mark.parametrize(
    "given",
    [
        task(annotations=[{"result": 5}]),
        {"data": {"image": "a.png"}, "annotations": 5},
        task(image="http://[bad/a.png"),
        task({"type": "polygonlabels", "value": {"points": 7, "polygonlabels": ["car"]}, **SIZE}),
        task(
            {"type": "polygonlabels", "value": {"points": [[1e308, 1]] * 3, "polygonlabels": ["car"]}, **SIZE}
        ),
    ],
)
def test_malformed_exports_of_label_studio_are_one_line(tmp_path, given):
    with pytest.raises(DataError) as caught:
        read_labels(write_json(tmp_path, [given]))
    assert "\n" not in str(caught.value)


def test_an_image_that_was_not_turned_may_say_so_by_nothing(tmp_path):
    region = {**rectangle(10, 20, 30, 40), "image_rotation": None}
    assert boxes_of(read_labels(write_json(tmp_path, [task(region)]))) == [[20, 20, 80, 60]]


def test_damaged_and_hostile_xml_is_one_line_and_no_wait(tmp_path):
    (tmp_path / "a.xml").write_bytes(b'<?xml version="1.0" encoding="bogus"?><annotations/>')
    with pytest.raises(DataError, match="is not XML: "):
        read_labels(tmp_path / "a.xml")
    path = write_xml(tmp_path, "\n" * 2_000_000 + image('<box label="car" xtl="1" ytl="2" xbr="3" ybr="4"/>'))
    assert len(read_labels(path)["annotations"]) == 1
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "annotations.xml")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[60] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match="is a damaged archive: |is not XML: "):
        read_labels(tmp_path / "a.zip")
