"""`sodslice eval --model` on sets as people and other programs write them."""

from __future__ import annotations

import json
import unicodedata
from functools import partial

import numpy as np
import pytest
import rasterio

BOX = [30, 40, 40, 20]


@pytest.fixture
def evaluate(evaluate):
    """`sodslice eval --model blobs`, else as everywhere."""
    return partial(evaluate, "--model", "blobs")


@pytest.fixture
def folder(tmp_path):
    """Two images of 120 x 100 pixels with the box, and a function that writes a set of them."""
    (tmp_path / "im").mkdir()
    for name in ("a.png", "a.tif"):
        picture(tmp_path / "im" / name)
    return tmp_path


def picture(path):
    pixels = np.zeros((3, 100, 120), np.uint8)
    x, y, width, height = BOX
    pixels[:, y : y + height, x : x + width] = 255
    driver = {".png": "PNG", ".tif": "GTiff"}[path.suffix]
    with rasterio.open(path, "w", driver=driver, width=120, height=100, count=3, dtype="uint8") as file:
        file.write(pixels)


def write(folder, *names, category="blob", **more):
    size = {"width": 120, "height": 100, **more}
    document = {
        "images": [{"id": n, "file_name": name, **size} for n, name in enumerate(names)],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": BOX, "area": 800} for n in range(len(names))
        ],
        "categories": [{"id": 1, "name": category}],
    }
    path = folder / "truth.json"
    path.write_text(json.dumps(document))
    return path


def ap(answer) -> float:
    code, out, err = answer
    assert code == 0, err
    return json.loads(out)["ap"]


def test_images_that_differ_in_their_suffix_are_two(folder, evaluate):
    truth = write(folder, "a.png", "a.tif")
    assert ap(evaluate(truth, "--data", folder / "im", "--json")) == pytest.approx(1)


@pytest.mark.parametrize("name", ["im/a.png", "im\\a.png", "./a.png", "a.png"])
@pytest.mark.parametrize("data", ["im", "."])
def test_names_begin_with_their_folder_or_not(folder, evaluate, monkeypatch, name, data):
    if data == "." and "im" not in name:
        data = "im/."
    monkeypatch.chdir(folder)
    assert ap(evaluate(write(folder, name), "--data", data, "--json")) == pytest.approx(1)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_letters_count_as_they_look(folder, evaluate, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    picture(folder / "im" / unicodedata.normalize(other, "Zürich.png"))
    truth = write(folder, unicodedata.normalize(form, "Zürich.png"), "a.png")
    assert ap(evaluate(truth, "--data", folder / "im", "--json")) == pytest.approx(1)


@pytest.mark.parametrize("size", [{"width": None, "height": None}, {"height": ""}])
def test_sizes_may_be_left_out(folder, evaluate, size):
    assert ap(evaluate(write(folder, "a.png", **size), "--data", folder / "im", "--json")) == pytest.approx(1)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"width": 121}, "a.png is 120 x 100 pixels, its json says 121 x 100\n"),
        ({"width": 100, "height": 120}, "its json says 100 x 120; width and height are exchanged, as where"),
        ({"width": "abc"}, "width in images must be a whole number of pixels, got 'abc', first id 0"),
    ],
)
def test_other_sizes_are_refused_before_the_model_runs(folder, evaluate, size, words):
    code, out, err = evaluate(write(folder, "a.png", **size), "--data", folder / "im")
    assert (code, out) == (1, "")
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("category", ["blob ", " blob", "blob\n"])
def test_spaces_around_a_class_do_not_count(folder, evaluate, category):
    truth = write(folder, "a.png", category=category)
    assert ap(evaluate(truth, "--data", folder / "im", "--json")) == pytest.approx(1)


@pytest.mark.parametrize("category", ["car", "small car", "  small   car", "a=b", "a,b"])
def test_the_hint_for_classes_of_other_names_works(folder, evaluate, category):
    truth = write(folder, "a.png", category=category)
    code, _, err = evaluate(truth, "--data", folder / "im")
    hint = err.partition("none in common; use ")[2].partition(" or ")[0].strip()
    flag, _, value = hint.partition(" ")
    assert (code, flag) == (1, "--class-map")
    assert ap(evaluate(truth, "--data", folder / "im", "--json", flag, value.strip("'"))) == pytest.approx(1)


def test_a_set_without_images_names_none(folder, evaluate):
    code, _, err = evaluate(write(folder), "--data", folder / "im", "--allow-empty")
    assert (code, err.count("\n")) == (1, 1)
    assert "truth.json names no images" in err


def test_a_byte_order_mark_is_no_letter(folder, evaluate):
    truth = write(folder, "a.png")
    truth.write_bytes(truth.read_text().encode("utf-8-sig"))
    assert ap(evaluate(truth, "--data", folder / "im", "--json")) == pytest.approx(1)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        *((name, 1.0) for name in ("good", "area_null", "width_null", "ignore_1", "exif3", "exif6", "zstd")),
        ("iscrowd_string_half", 0.252),
        ("all_crowd", "holds no object to find, all 2 are ignored areas"),
        ("annotation_null", "'annotations' must be a list of mappings, got None in row 2"),
        ("duplicate_image_ids", "1 ids of images are used twice, first 1"),
    ],
)
def test_the_sets_that_an_earlier_version_misread(shared, evaluate, name, answer):
    folder = shared / "cases" / "sets"
    done = evaluate(folder / f"{name}.json", "--data", folder, "--json")
    if isinstance(answer, float):
        assert ap(done) == pytest.approx(answer, abs=1e-3)
    else:
        assert done[0] == 1
        assert answer in done[2]
        assert done[2].count("\n") == 1
