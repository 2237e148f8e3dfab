"""Everything that is wrong with what a training would read is told at once, before it starts."""

from __future__ import annotations

import itertools
import logging
import unicodedata

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from sodslice.errors import Cancelled, DataError
from sodslice.training.data import open_data
from sodslice.training.images import Watch
from sodslice.training.settings import TrainSettings
from sodslice.training.source_settings import SourceSettings
from tests.training_data import change_json, write_set

SET = SourceSettings(images="images", annotations="truth.json")
NAMES = ("vehicle",)


def opened(folder, *, sources=(SET,), validation=(), names=NAMES, watch=None):
    settings = TrainSettings(data_root=str(folder), sources=sources, validation=validation)
    return open_data(settings, names, 1 << 26, watch)


def told(folder, **how) -> str:
    with pytest.raises(DataError) as caught:
        opened(folder, **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 5])


def set_cell(table, row, key, value):
    def change(folder):
        change_json(folder, lambda content: content[table][row].__setitem__(key, value))

    return change


PLANTED = {
    "is not an image": lambda folder: (folder / "images/0.png").write_text("no image"),
    "1.png cannot be read": lambda folder: cut(folder / "images/1.png"),
    "is missing": lambda folder: (folder / "images/2.png").unlink(),
    "3.png is 128 x 128 pixels, its json says 128 x 500": set_cell("images", 3, "height", 500),
    "4.png is 128 x 140 pixels, its json says 140 x 128; width and height are exchanged": lambda folder: (
        cv2.imwrite(str(folder / "images/4.png"), np.zeros((140, 128, 3), np.uint8)),
        set_cell("images", 4, "width", 140)(folder),
    ),
    "outside 5.png": set_cell("annotations", 20, "bbox", [120, 5, 20, 10]),
    "annotation 25 has an empty bbox": set_cell("annotations", 24, "bbox", [1, 2, 0, 3]),
    "annotation 26 must have bbox": set_cell("annotations", 25, "bbox", "5 5"),
    "iscrowd in annotations must be 0 or 1, got 'maybe'": set_cell("annotations", 26, "iscrowd", "maybe"),
    "area in annotations must be a number, got [1]": set_cell("annotations", 27, "area", [1]),
    "unknown category_id 7": set_cell("annotations", 28, "category_id", 7),
    "belongs to image 99, which is not listed": set_cell("annotations", 29, "image_id", 99),
    "1 ids of annotations are used twice, first 31": set_cell("annotations", 31, "id", 31),
    "width in images must be a whole number of pixels, got 'wide'": set_cell("images", 7, "width", "wide"),
    "unknown category 'boat'": lambda folder: change_json(
        folder, lambda content: content["categories"].append({"id": 2, "name": "boat"})
    ),
}
"""By what is said of them, faults that do not hide one another."""


@pytest.mark.parametrize("fault", PLANTED)
def test_each_fault_is_told_alone(tmp_path, fault):
    folder = write_set(tmp_path / "set", images=9)
    PLANTED[fault](folder)
    message = told(folder)
    assert message.startswith("the data has 1 problem, nothing was started: ")
    assert fault in message


@pytest.mark.parametrize("first", range(len(PLANTED)))
def test_any_three_faults_are_told_together(tmp_path, first):
    for others in itertools.islice(itertools.combinations(range(len(PLANTED)), 2), first, None, 29):
        chosen = [list(PLANTED)[row] for row in sorted({first, *others})]
        folder = write_set(tmp_path / "-".join(map(str, (first, *others))), images=9)
        for fault in chosen:
            PLANTED[fault](folder)
        message = told(folder)
        assert all(fault in message for fault in chosen), (chosen, message)


def test_faults_of_all_sets_are_told_together(tmp_path):
    for name in ("a", "b", "val"):
        write_set(tmp_path / name, images=6)
    PLANTED["outside 5.png"](tmp_path / "a")
    PLANTED["1.png cannot be read"](tmp_path / "b")
    PLANTED["3.png is 128 x 128 pixels, its json says 128 x 500"](tmp_path / "val")
    (tmp_path / "val/images/0.png").write_bytes(b"")
    a, b, val = (
        SourceSettings(images=f"{n}/images", annotations=f"{n}/truth.json") for n in ("a", "b", "val")
    )
    wrong = SourceSettings(images="a")
    message = told(tmp_path, sources=(a, b, wrong), validation=(val, SourceSettings(synthetic=1)))
    assert message.startswith("the data has 6 problems")
    for words in (
        "outside 5.png",
        "b/images/1.png cannot be read",
        "val/images/3.png is 128 x 128 pixels",
        "val/images/0.png is not an image",
        "source number 3: give images and annotations",
        "validation sets must be COCO sets",
    ):
        assert words in message


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".jp2", ".gif"])
@pytest.mark.parametrize("role", ["sources", "validation"])
def test_cut_images_of_all_formats_are_found_before_the_start(tmp_path, suffix, role):
    for name in ("good", "bad"):
        write_set(tmp_path / name, images=3)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 128, 128), np.uint8)
    path = tmp_path / f"bad/images/new{suffix}"
    bands = pixels[:1] if suffix == ".gif" else pixels
    drivers = {".tif": "GTiff", ".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF"}
    driver = drivers.get(suffix, "JP2OpenJPEG")
    how = {"count": len(bands), "dtype": "uint8", "width": 128, "height": 128}
    with rasterio.open(path, "w", driver=driver, **how) as file:
        file.write(bands)
    set_cell("images", 1, "file_name", path.name)(tmp_path / "bad")
    good, bad = (SourceSettings(images=f"{n}/images", annotations=f"{n}/truth.json") for n in ("good", "bad"))
    sets = (
        {"sources": (bad,), "validation": ()}
        if role == "sources"
        else {"validation": (bad,), "sources": (good,)}
    )
    assert len(opened(tmp_path, **sets).sources) == 1
    cut(path)
    assert f"bad/images/new{suffix}" in told(tmp_path, **sets)


def test_a_cut_scene_is_found_before_the_start(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 900, 900), np.uint8)
    how = {
        "driver": "GTiff",
        "width": 900,
        "height": 900,
        "count": 3,
        "dtype": "uint8",
        "compress": "deflate",
    }
    with rasterio.open(tmp_path / "s.tif", "w", transform=from_origin(0, 0, 1, 1), **how) as file:
        file.write(pixels)
    scene = SourceSettings(scene="s.tif", background=True, window=256)
    write_set(tmp_path / "set", images=2)
    source = SourceSettings(images="set/images", annotations="set/truth.json")
    assert len(opened(tmp_path, sources=(source, scene)).sources) == 2
    cut(tmp_path / "s.tif")
    assert "s.tif cannot be read" in told(tmp_path, sources=(source, scene))


@pytest.mark.parametrize("key", ["iscrowd", "ignore"])
def test_a_set_of_ignored_areas_alone_is_refused_and_some_are_counted(tmp_path, caplog, key):
    folder = write_set(tmp_path / "set", images=2, objects=3)
    change_json(folder, lambda content: content["annotations"][0].__setitem__(key, "1"))
    with caplog.at_level(logging.WARNING, logger="sodslice"):
        opened(folder)
    assert caplog.messages == [
        "truth.json: 1 of 6 boxes are ignored areas (iscrowd or ignore); nothing is learned there"
    ]
    change_json(folder, lambda content: [row.update({key: True}) for row in content["annotations"]])
    assert (
        "truth.json: all its 6 boxes are ignored areas (iscrowd or ignore), so there is nothing to lea"
        in told(folder)
    )
    other = write_set(tmp_path / "other", images=2)
    sets = {n: SourceSettings(images=f"{n}/images", annotations=f"{n}/truth.json") for n in ("set", "other")}
    assert other.is_dir()
    assert "all its 6 boxes" in told(tmp_path, sources=(sets["other"],), validation=(sets["set"],))


def test_validation_images_without_objects_need_some_with_objects(tmp_path):
    folder = write_set(tmp_path / "set", images=4, empty=2)
    empty = SourceSettings(images="images", annotations="truth.json", background=True)
    assert len(opened(folder, validation=(SET, empty)).validation) == 6
    assert "the validation sets have no object to find" in told(folder, validation=(empty,))


def test_a_new_class_is_refused_with_what_to_say(tmp_path):
    folder = write_set(tmp_path / "set", images=2)
    message = told(folder, names=("boat",))
    assert (
        "unknown category 'vehicle'; class_names has boat; name it there to learn it, with `new_h" in message
    )


def test_sizes_may_be_left_to_the_files(tmp_path):
    folder = write_set(tmp_path / "set", images=2)
    change_json(folder, lambda content: content["images"][0].update(width=None, height=""))
    (image, other) = opened(folder, validation=(SET,)).validation
    assert (image.width, image.height, other.width) == (128, 128, 128)
    set_cell("annotations", 0, "bbox", [120, 5, 20, 10])(folder)
    assert "annotation 1 has its bbox [120, 5, 20, 10] outside 0.png (128 x 128)" in told(folder)


@pytest.mark.parametrize("name", ["images/0.png", "images\\0.png", "set/images/0.png", "./0.png"])
def test_file_names_may_begin_with_their_folder(tmp_path, name):
    folder = write_set(tmp_path / "set", images=2)
    set_cell("images", 0, "file_name", name)(folder)
    assert opened(folder, validation=(SET,)).validation[0].path == folder / "images" / "0.png"


def test_letters_of_file_names_may_be_composed_in_another_way(tmp_path):
    folder = write_set(tmp_path / "set", images=2)
    (folder / "images/0.png").rename(folder / "images" / unicodedata.normalize("NFD", "Zürich.png"))
    set_cell("images", 0, "file_name", unicodedata.normalize("NFC", "Zürich.png"))(folder)
    assert len(opened(folder, validation=(SET,)).validation) == 2


def test_two_names_of_one_file_are_refused(tmp_path):
    folder = write_set(tmp_path / "set", images=2)
    set_cell("images", 1, "file_name", "images/0.png")(folder)
    assert "1 file names are listed twice, first 0.png" in told(folder)


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_json_with_a_byte_order_mark_is_read(tmp_path, mark):
    folder = write_set(tmp_path / "set", images=2)
    path = folder / "truth.json"
    path.write_bytes(path.read_text().encode(mark))
    assert len(opened(folder).sources) == 1


def test_a_watcher_sees_all_files_and_can_end_the_look(tmp_path):
    folder = write_set(tmp_path / "set", images=5)
    seen = []
    opened(folder, validation=(SET,), watch=Watch(lambda done, total: seen.append((done, total))))
    assert seen == [(n, 5) for n in range(1, 6)]
    with pytest.raises(Cancelled, match="called off before its first step"):
        opened(folder, watch=Watch(stop=lambda: True))


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("all_crowd", "all its 2 boxes are ignored areas"),
        ("annotation_null", "'annotations' must be a list of mappings, got None in row 2"),
        ("duplicate_image_ids", "1 ids of images are used twice, first 1"),
        *(
            (name, "")
            for name in ("good", "area_null", "width_null", "iscrowd_string_half", "ignore_1", "zstd")
        ),
        *((name, "") for name in ("exif3", "exif6")),
    ],
)
def test_the_sets_that_an_earlier_version_misread(shared, name, words):
    folder = shared / "cases" / "sets"
    sources = (SourceSettings(images=".", annotations=f"{name}.json"),)
    if words:
        assert words in told(folder, sources=sources, names=("blob",))
    else:
        assert len(opened(folder, sources=sources, names=("blob",)).sources) == 1


@pytest.mark.shared
def test_a_cut_png_is_refused(shared, tmp_path):
    folder = write_set(tmp_path / "set", images=1)
    (folder / "images/0.png").write_bytes((shared / "cases/sets/truncated.png").read_bytes())
    change_json(folder, lambda content: content["images"][0].update(width=None, height=None))
    change_json(folder, lambda content: content["annotations"].__setitem__(slice(1, None), []))
    assert "0.png cannot be read" in told(folder)
