"""Lists of class names: whatever saved them, one name a class, none empty, none twice."""

from __future__ import annotations

import json

import pytest

from sodslice.errors import ModelError
from sodslice.tables.class_lists import names_in

COCO = {"categories": [{"id": 2, "name": "bus"}, {"id": 1, "name": "car"}]}
LISTS = {"json": json.dumps(COCO), "yml": "label_list:\n- car\n- bus\n", "txt": "car\n\n bus \n"}
SAVED = {
    "plain": lambda text: text.encode(),
    "with a byte order mark": lambda text: text.encode("utf-8-sig"),
    "as UTF-16": lambda text: text.encode("utf-16"),
    "with Windows' line ends": lambda text: text.replace("\n", "\r\n").encode(),
}


@pytest.mark.parametrize(
    "suffix", [".json", ".yml", ".yaml", ".txt", ".JSON", ".Yml", ".YAML", ".TXT", ".names"]
)
@pytest.mark.parametrize("saved", SAVED)
def test_class_names_come_from_coco_yml_or_text(tmp_path, suffix, saved):
    kind = {".yaml": "yml", ".names": "txt"}.get(suffix.lower(), suffix.lower().lstrip("."))
    path = tmp_path / f"a{suffix}"
    path.write_bytes(SAVED[saved](LISTS[kind]))
    assert names_in(path) == ("car", "bus")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", "the table 'categories' is missing"),
        ("a.json", "{", "unexpected end of data"),
        ("a.json", '["car"]', "the top level must be a mapping of categories, got a list"),
        ("a.json", '{"categories": []}', "there is none"),
        (
            "a.JSON",
            '{"category": [{"id": 1, "name": "car"}]}',
            "'categories' is missing (did you mean 'category'?)",
        ),
        ("b.yml", "- car", "its `label_list` must be a list, got None"),
        ("b.yml", "label_list: car", "its `label_list` must be a list, got 'car'"),
        ("b.yml", "label_list: [1]", "name 1 of 1 must be a text, got 1"),
        ("b.yml", "label_list: [car, no]", "name 2 of 2 must be a text, got False"),
        ("b.yml", "label_list: [car, '', bus]", "name 2 of 3 must be a text, got ''"),
        ("b.yml", "label_list: [car,, bus]", "while parsing a flow"),
        ("b.yml", "label_list: [car, ' car']", "the name 'car' comes twice, as 1 and 2"),
        ("c.txt", "\n", "there is none"),
        ("c.txt", "car\nbus\ncar\n", "the name 'car' comes twice, as 1 and 3"),
        ("c.txt", "red,,blue", "its first line is 'red,,blue'"),
        ("c.names", '{"categories": [{"id": 1, "name": "car"}]}', "its first line is '{"),
    ],
)
def test_a_file_without_class_names_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ModelError, match="holds no class names") as caught:
        names_in(tmp_path / name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_letters_of_another_encoding_are_refused_with_what_to_do(tmp_path):
    (tmp_path / "c.txt").write_bytes("v\u00e9hicule".encode("latin-1"))
    with pytest.raises(ModelError, match=r"it is no UTF-8 text, byte 1 is 0xe9; save it as UTF-8"):
        names_in(tmp_path / "c.txt")


@pytest.mark.shared
def test_the_lists_that_an_earlier_version_misread(shared):
    folder = shared / "cases" / "sets"
    for name in ("names_bom.txt", "CLASSES.JSON"):
        assert names_in(folder / name) == ("car",)
