"""COCO documents: to columns, with every complaint, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from sodslice.errors import DataError
from sodslice.metrics import read_results, read_truth
from sodslice.tables.coco import (
    ClassRow,
    ImageRow,
    coco_class_names,
    coco_document,
    parse_coco,
    parse_coco_results,
    parse_right_rows,
)
from sodslice.training.coco import raise_problems, read_coco
from tests.broken_documents import refusals

GOOD = {
    "info": {"description": "a set"},
    "images": [
        {"id": 7, "file_name": "one.png", "width": 100, "height": 80},
        {"id": 9, "file_name": "two.png", "width": 60, "height": 60},
    ],
    "categories": [{"id": 5, "name": "van"}, {"id": 3, "name": "car"}],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 5, "bbox": [1, 2, 30, 40], "area": 700, "iscrowd": 1},
        {"id": 2, "image_id": 7, "category_id": 3, "segmentation": [[10, 10, 30, 20, 20, 40]], "area": None},
        {"id": 3, "image_id": 9, "category_id": 3, "bbox": [5, 6, 4, 3], "ignore": True},
    ],
}
RESULTS = [
    {"image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4], "score": 0.5},
    {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 1},
]


def changed(table: str, row: int, **values) -> dict:
    rows = [dict(entry) for entry in GOOD[table]]
    rows[row].update(values)
    return {**GOOD, table: [{key: v for key, v in entry.items() if v is not ...} for entry in rows]}


def test_a_document_becomes_columns_in_its_own_order():
    table, problems = parse_coco(GOOD)
    assert problems == []
    assert table.images == (ImageRow(7, "one.png", 100, 80), ImageRow(9, "two.png", 60, 60))
    assert table.classes == (ClassRow(5, "van"), ClassRow(3, "car"))
    assert table.ids == (1, 2, 3)
    assert table.image_rows.tolist() == [1, 0, 1]
    assert table.class_rows.tolist() == [0, 1, 1]
    assert table.boxes.tolist() == [[1, 2, 31, 42], [10, 10, 30, 40], [5, 6, 9, 9]]
    assert table.areas.tolist() == [700, 600, 12]
    assert table.crowd.tolist() == [True, False, False]
    assert table.ignore.tolist() == [False, False, True]
    assert [rows.tolist() for rows in table.rows_by_image()] == [[1], [0, 2]]


def test_a_pattern_chooses_images_with_what_is_on_them():
    document = changed("annotations", 0, bbox=[1, 2, 0, 0])
    table, problems = parse_coco(document, files="one*")
    assert problems == []
    assert [image.file_name for image in table.images] == ["one.png"]
    assert (table.ids, table.image_rows.tolist()) == ((2,), [0])
    assert parse_coco(document)[1] == ["annotation 1 has an empty bbox [1, 2, 0, 0]"]
    assert parse_coco(GOOD, files="x*")[0].images == ()


def test_ids_that_once_held_a_gap_and_classes_that_are_codes_are_read():
    document = json.loads(json.dumps(GOOD).replace('"id": 9', '"id": 9.0').replace('"car"', "12"))
    table, problems = parse_coco(document)
    assert problems == []
    assert (table.images[1].id, table.classes[1].name) == (9, "12")


@pytest.mark.parametrize(
    ("document", "problems"),
    [
        (None, ["the top level must be a mapping of images, annotations and categories, got a NoneType"]),
        ([], ["the top level must be a mapping of images, annotations and categories, got a list"]),
        (
            {"images": [], "annotation": [], "categories": {}},
            [
                "the table 'annotations' is missing (did you mean 'annotation'?)",
                "'categories' must be a list of mappings, got a dict",
            ],
        ),
        ({**GOOD, "images": [3]}, ["'images' must be a list of mappings, got 3 in row 0"]),
        (
            {**GOOD, "annotations": [*GOOD["annotations"], None, "x"]},
            ["'annotations' must be a list of mappings, got None in row 3 and 1 more"],
        ),
        ({**GOOD, "images": None}, ["the table 'images' is missing"]),
        (changed("images", 0, id=None), ["id in images must be a whole number, got None, first row 0"]),
        (changed("images", 0, id=[1]), ["id in images must be a whole number, got [1], first row 0"]),
        (changed("images", 0, id="7"), ["id in images must be a whole number, got '7', first row 0"]),
        (changed("images", 0, id=True), ["id in images must be a whole number, got True, first row 0"]),
        (changed("images", 0, id=9), ["1 ids of images are used twice, first 9"]),
        (changed("images", 1, file_name={}), ["file_name in images must be a text, got {}, first id 9"]),
        (
            changed("images", 1, width="60"),
            ["width in images must be a whole number of pixels, got '60', first id 9"],
        ),
        (
            changed("images", 1, width=0),
            ["width in images must be a whole number of pixels, got 0, first id 9"],
        ),
        (
            changed("images", 1, width=1.5),
            ["width in images must be a whole number of pixels, got 1.5, first id 9"],
        ),
        (
            changed("images", 1, width=1e30),
            ["width in images must be a whole number of pixels, got 1e+30, first id 9"],
        ),
        (
            changed("images", 1, height=..., heigth=60),
            ["1 of 2 images lack 'height' (did you mean 'heigth'?), first id 9"],
        ),
        (changed("categories", 0, name=None), ["name in categories must be a text, got None, first id 5"]),
        (
            changed("categories", 0, name=["van"]),
            ["name in categories must be a text, got ['van'], first id 5"],
        ),
        (changed("categories", 0, id=3), ["1 ids of categories are used twice, first 3"]),
        (
            changed("annotations", 0, id="x"),
            ["id in annotations must be a whole number, got 'x', first row 0"],
        ),
        (changed("annotations", 0, image_id=8), ["annotation 1 belongs to image 8, which is not listed"]),
        (
            changed("annotations", 0, id=..., image_id=8),
            ["annotations[0] belongs to image 8, which is not listed"],
        ),
        (
            changed("annotations", 0, image_id="9"),
            ["image_id in annotations must be a whole number, got '9', first id 1"],
        ),
        (
            changed("annotations", 0, category_id=4),
            ["unknown category_id 4 in 1 annotations; categories lists [3, 5]"],
        ),
        (
            changed("annotations", 0, category_id=None),
            ["category_id in annotations must be a whole number, got None, first id 1"],
        ),
        (
            changed("annotations", 0, bbox=None),
            ["annotation 1 must have bbox [x, y, width, height], got None"],
        ),
        (
            changed("annotations", 0, bbox=[1, 2, 3, "4"]),
            ["annotation 1 must have bbox [x, y, width, height], got [1, 2, 3, '4']"],
        ),
        (
            changed("annotations", 0, bbox=[1, 2, 3, 1e300]),
            ["annotation 1 must have bbox [x, y, width, height], got [1, 2, 3, 1e+300]"],
        ),
        (changed("annotations", 0, bbox=[1, 2, -3, 4]), ["annotation 1 has an empty bbox [1, 2, -3, 4]"]),
        (
            changed("annotations", 0, bbox=..., boox=[1, 2, 3, 4]),
            ["1 of 3 annotations lack 'bbox' (did you mean 'boox'?), first id 1"],
        ),
        (
            changed("annotations", 1, segmentation={"counts": "abc", "size": [1, 2]}),
            ["1 of 3 annotations lack 'bbox', first id 2"],
        ),
        (
            changed("annotations", 1, segmentation=[[1, 2, 3]]),
            ["annotation 2 must have a segmentation of polygons x, y, x, y, ..., got [[1, 2, 3]]"],
        ),
        (
            changed("annotations", 1, segmentation=[[1, 2, 3, 2]]),
            ["annotation 2 has a segmentation without extent"],
        ),
        (
            changed("annotations", 0, area="big"),
            ["area in annotations must be a number, got 'big', first id 1"],
        ),
        (
            changed("annotations", 0, iscrowd="maybe"),
            ["iscrowd in annotations must be 0 or 1, got 'maybe', first id 1"],
        ),
        (
            changed("annotations", 0, iscrowd=2.0),
            ["iscrowd in annotations must be 0 or 1, got 2.0, first id 1"],
        ),
        (
            changed("annotations", 2, ignore="10"),
            ["ignore in annotations must be 0 or 1, got '10', first id 3"],
        ),
        (
            changed("annotations", 2, ignore=[0]),
            ["ignore in annotations must be 0 or 1, got [0], first id 3"],
        ),
    ],
)
def test_each_fault_is_one_sentence_for_both_readers(tmp_path, document, problems):
    table, found = parse_coco(document)
    assert found == problems
    assert len(table) == len(table.images) == 0
    path = tmp_path / "set.json"
    path.write_text(json.dumps(document))
    for name in ("one.png", "two.png"):
        (tmp_path / name).touch()
    assert read_coco(path, tmp_path, ("car", "van"))[1] == [f"set.json: {problem}" for problem in problems]
    if isinstance(document, dict):
        with pytest.raises(DataError) as caught:
            read_truth(path)
        assert str(caught.value) == f"{path}: " + "; ".join(problems)


def test_all_faults_are_listed_together():
    document = changed("annotations", 0, bbox=[1, 2, 0, 0], area="big", iscrowd=7)
    document["annotations"][1]["image_id"] = 8
    document["annotations"][2]["category_id"] = 1
    assert parse_coco(document)[1] == [
        "annotation 1 has an empty bbox [1, 2, 0, 0]",
        "area in annotations must be a number, got 'big', first id 1",
        "iscrowd in annotations must be 0 or 1, got 7, first id 1",
        "annotation 2 belongs to image 8, which is not listed",
        "unknown category_id 1 in 1 annotations; categories lists [3, 5]",
    ]
    document["images"] = [{**row, "width": "wide"} for row in document["images"]]
    assert parse_coco(document)[1] == [
        "width in images must be a whole number of pixels, got 'wide' in 2 rows, first id 7",
        "annotation 1 has an empty bbox [1, 2, 0, 0]",
        "area in annotations must be a number, got 'big', first id 1",
        "iscrowd in annotations must be 0 or 1, got 7, first id 1",
        "annotation 2 belongs to image 8, which is not listed",
        "unknown category_id 1 in 1 annotations; categories lists [3, 5]",
    ]
    document["images"][0]["id"] = "seven"
    assert not any("not listed" in problem for problem in parse_coco(document)[1])


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_yes_and_no_are_numbers_texts_truths_and_empty_cells(key):
    for value, means in {
        0: False, 1: True, 0.5: None, 2: None, -1: None, "0": False, "1": True, " 1 ": True, "0.0": False,
        "1.0": True, "true": True, "False": False, "": False, "  ": False, None: False, "no": None, "2": None,
    }.items():  # fmt: skip
        table, problems = parse_coco(changed("annotations", 0, **{"iscrowd": 0, key: value}))
        assert len(problems) == (means is None), value
        assert bool(table.ignored[:1].any()) == bool(means), value
    for value in (True, False, 0.0, 1.0):
        table, problems = parse_coco(changed("annotations", 0, **{"iscrowd": 0, key: value}))
        assert (problems, bool(table.ignored[0])) == ([], bool(value))


@pytest.mark.parametrize("blank", [None, "", " ", ...])
def test_empty_cells_of_what_need_not_be_there_are_not_there(blank):
    document = changed("annotations", 0, area=blank, iscrowd=blank, ignore=blank, id=blank)
    table, problems = parse_coco(document)
    assert problems == []
    assert (table.ids[0], table.areas[0], table.ignored[0]) == (None, 1200, False)


def test_a_null_box_is_that_of_the_polygons():
    table, problems = parse_coco(changed("annotations", 1, bbox=None))
    assert problems == []
    assert table.boxes[1].tolist() == [10, 10, 30, 40]


@pytest.mark.parametrize("blank", [None, ""])
def test_sides_of_images_may_be_left_empty(blank):
    table, problems = parse_coco(changed("images", 1, width=blank, height=blank))
    assert problems == []
    assert table.images == (ImageRow(7, "one.png", 100, 80), ImageRow(9, "two.png", 0, 0))


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ("images", "id", "1 ids of images are used twice, first 7"),
        ("annotations", "id", "1 ids of annotations are used twice, first 7"),
        ("categories", "id", "1 ids of categories are used twice, first 7"),
    ],
)
def test_ids_that_come_twice_are_refused_with_the_id(table, key, message):
    document = json.loads(json.dumps(GOOD))
    for row in document[table][:2]:
        row[key] = 7
    assert parse_coco(document)[1] == [message]


@pytest.mark.parametrize("beyond", [2**64, 2**64 + 1, -(2**63) - 1, 10**30])
def test_ids_beyond_64_bits_are_no_others(tmp_path, beyond):
    document = json.loads(json.dumps(changed("images", 0, id=beyond)))
    document["annotations"][1]["image_id"] = beyond + 5
    path = tmp_path / "set.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"numbers beyond 64 bits are not exact"):
        read_truth(path)
    assert any("beyond 64 bits" in problem for problem in read_coco(path, tmp_path, ("car", "van"))[1])


def test_ids_of_64_bits_are_told_apart(tmp_path):
    document = json.loads(json.dumps(changed("images", 0, id=2**64 - 1)))
    document["images"][1]["id"] = 2**64 - 2
    for row, key in zip(document["annotations"], (2**64 - 2, 2**64 - 1, 2**64 - 2), strict=True):
        row["image_id"] = key
    path = tmp_path / "set.json"
    path.write_text(json.dumps(document))
    assert [len(layer) for layer in read_truth(path)] == [1, 2]


def test_names_of_classes_lose_spaces_around_them_and_odd_spellings():
    table, _ = parse_coco(changed("categories", 0, name=" ve\u0301hicule\n"))
    assert table.classes[0].name == "v\u00e9hicule"
    assert parse_coco(changed("categories", 0, name=" "))[1] == [
        "name in categories must be a text, got ' ', first id 5"
    ]


def test_the_rows_that_are_right_are_there_for_a_closer_look():
    document = json.loads(json.dumps(changed("annotations", 0, bbox=[1, 2, 0, 0])))
    document["images"].append({"id": 3, "file_name": "three.png", "width": "wide", "height": 5})
    document["annotations"].append({"id": 4, "image_id": 3, "category_id": 3, "bbox": [1, 2, 3, 4]})
    table, problems = parse_right_rows(document)
    assert len(problems) == 2
    assert [image.file_name for image in table.images] == ["one.png", "two.png"]
    assert table.ids == (2, 3)


@pytest.mark.parametrize(
    ("rows", "problems"),
    [
        ({}, ["the results must be a list of mappings, got a dict"]),
        ([None], ["the results must be a list of mappings, got None in row 0"]),
        ([{**RESULTS[0], "score": None}], ["score in results must be a number, got None, first row 0"]),
        ([{**RESULTS[0], "score": "1"}], ["score in results must be a number, got '1', first row 0"]),
        ([{**RESULTS[0], "score": 1e300}], ["score in results must be a number, got 1e+300, first row 0"]),
        (
            [RESULTS[0], {**RESULTS[1], "image_id": 8, "bbox": [1]}],
            [
                "results[1] must have bbox [x, y, width, height], got [1]",
                "results[1] belongs to image 8, which is not listed",
            ],
        ),
        (
            [{"image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4]}],
            ["1 of 1 results lack 'score', first row 0"],
        ),
    ],
)
def test_faults_of_results_are_sentences_too(rows, problems):
    table, scores, found = parse_coco_results(rows, parse_coco(GOOD)[0])
    assert found == problems
    assert len(table) == len(scores) == 0


def test_results_are_columns_with_scores():
    table, scores, problems = parse_coco_results(RESULTS, parse_coco(GOOD)[0])
    assert problems == []
    assert (table.image_rows.tolist(), table.class_rows.tolist()) == ([1, 0], [0, 1])
    assert (scores.tolist(), scores.dtype) == ([0.5, 1.0], np.float32)
    assert parse_coco_results([], parse_coco(GOOD)[0])[2] == []


def test_class_names_come_in_the_order_of_their_ids():
    assert coco_class_names({"categories": GOOD["categories"]}) == (("car", "van"), [])
    assert coco_class_names({"categories": [{"id": 1}]}) == (
        (),
        ["1 of 1 categories lack 'name', first id 1"],
    )
    assert coco_class_names({})[1] == ["the table 'categories' is missing"]
    assert coco_class_names(3)[1] == ["the top level must be a mapping of categories, got a int"]


sides = st.floats(0.001, 500).map(lambda value: round(value, 3))
rectangles = st.tuples(sides, sides, sides, sides, st.integers(0, 1), st.integers(0, 2))


@settings(deadline=None)
@given(st.lists(rectangles, max_size=20))
def test_what_is_written_is_read_back(rows):
    images = [ImageRow(4, "a.png", 1000, 900), ImageRow(2, "b.png", 1000, 900)]
    classes = [ClassRow(1, "car"), ClassRow(7, "van"), ClassRow(3, "bus")]
    numbers = np.array(rows, dtype=np.float64).reshape(-1, 6)
    boxes = np.concatenate([numbers[:, :2], numbers[:, :2] + numbers[:, 2:4]], axis=1)
    on, of = numbers[:, 4].astype(np.intp), numbers[:, 5].astype(np.intp)
    crowd = (of == 1).astype(int).tolist()
    document = coco_document(
        images, classes, boxes, image_rows=on, class_rows=of, columns={"iscrowd": crowd, "kind": crowd}
    )
    table, problems = parse_coco(json.loads(json.dumps(document)))
    assert problems == []
    assert (table.images, table.classes) == (tuple(images), tuple(classes))
    assert table.ids == tuple(range(1, len(rows) + 1))
    assert (table.image_rows.tolist(), table.class_rows.tolist()) == (on.tolist(), of.tolist())
    np.testing.assert_allclose(table.boxes, boxes, atol=1e-9)
    np.testing.assert_allclose(table.areas, numbers[:, 2] * numbers[:, 3], atol=5.01e-4)
    assert table.crowd.tolist() == [bool(flag) for flag in crowd]
    assert [row["kind"] for row in document["annotations"]] == crowd


def test_pycocotools_reads_what_is_written(tmp_path, capsys):
    boxes = np.array([[1.0004, 2, 11.0006, 22], [5, 6, 7, 8]])
    path = tmp_path / "a.json"
    path.write_text(json.dumps(coco_document([ImageRow(1, "a.png", 90, 90)], [ClassRow(1, "car")], boxes)))
    rows = COCO(path).loadAnns([1, 2])
    assert rows[0] == {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [1.0, 2.0, 10.001, 20.0],
        "area": 200.02,
        "iscrowd": 0,
    }
    assert len(rows) == 2


@pytest.mark.parametrize("kind", ["truth", "training", "training by names", "results", "ids of results"])
def test_a_broken_document_is_read_or_refused_in_one_line(tmp_path, kind):
    truth, rows = tmp_path / "truth.json", tmp_path / "rows.json"
    truth.write_text(json.dumps(GOOD))
    rows.write_text(json.dumps(RESULTS))
    for name in ("one.png", "two.png"):
        (tmp_path / name).touch()
    read = {
        "truth": read_truth,
        "training": lambda path: raise_problems(read_coco(path, tmp_path, ("car", "van"))[1]),
        "training by names": lambda path: raise_problems(
            read_coco(path, tmp_path, ("car", "van"), files="o*")[1]
        ),
        "results": lambda path: read_results([path], truth=truth),
        "ids of results": lambda path: read_results([rows], truth=path),
    }[kind]
    read(rows if kind == "results" else truth)
    said = refusals(RESULTS if kind == "results" else GOOD, tmp_path / "broken.json", read, 400)
    assert 0 < len(said) < 400
    assert not any("\n" in message for message in said)
