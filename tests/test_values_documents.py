"""Texts, JSON and YAML of people and other programs, whatever saved them."""

from __future__ import annotations

import json

import pytest

from sodslice.errors import DataError, SceneError
from sodslice.values.documents import json_of, read_json, text_of, yaml_line, yaml_of

TEXT = "name: Zürich 東京\n"
SAVED = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with a mark": TEXT.encode("utf-8-sig"),
    "UTF-16": TEXT.encode("utf-16"),
    "UTF-16 big-endian": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "UTF-32": TEXT.encode("utf-32"),
}


@pytest.mark.parametrize("saved", SAVED)
def test_marked_encodings_are_read(saved):
    assert text_of(SAVED[saved]) == TEXT
    assert yaml_of(SAVED[saved]) == {"name": "Zürich 東京"}
    text = json.dumps({"name": "Zürich 東京"}, ensure_ascii=False)
    mark, encoding = {
        "UTF-8": (b"", "utf-8"),
        "UTF-8 with a mark": (b"", "utf-8-sig"),
        "UTF-16": (b"", "utf-16"),
        "UTF-16 big-endian": (b"\xfe\xff", "utf-16-be"),
        "UTF-32": (b"", "utf-32"),
    }[saved]
    assert json_of(mark + text.encode(encoding)) == {"name": "Zürich 東京"}


@pytest.mark.parametrize("read", [text_of, json_of, yaml_of])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"a": "Zürich"}'.encode("latin-1"), "it is no UTF-8 text, byte 8 is 0xfc; save it as UTF-8"),
        (b"\xff\xfe\x00", "it is no UTF-16 text, byte"),
        (b"\x89PNG\r\n\x1a\n", "it is no UTF-8 text, byte 0 is 0x89; save it as UTF-8"),
    ],
)
def test_other_encodings_are_refused_with_what_to_do(read, content, message):
    with pytest.raises(ValueError, match="save it as UTF-8") as caught:
        read(content)
    assert message in str(caught.value)


NO_YAML = [
    "a: [", "a: b: c", "\t- a", "!!int x", "!!timestamp x", "!!bool maybe", "!!float []", "a: 2001-13-45",
    "{[1]: 2}: 3", "!!int ''", "!!binary é", "[" * 5000, "a: &x [*x", "a\x00b", "*nobody",
    "!!python/name:os.system x",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_YAML)
def test_what_is_no_yaml_is_one_line(text):
    with pytest.raises(ValueError, match=".") as caught:
        yaml_of(text.encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", '{"a": 1} x', '"\\ud800"', "[" * 5000, "\x00"])
def test_what_is_no_json_is_one_line(text):
    with pytest.raises(ValueError, match=".") as caught:
        json_of(text.encode())
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json cannot be read: No such file or directory"):
        read_json(tmp_path / "gone.json")
    with pytest.raises(SceneError, match=r"cannot be read: Is a directory"):
        read_json(tmp_path, error=SceneError)
    with pytest.raises(DataError, match="is not JSON"):
        read_json("a\0b.json")


def test_a_value_is_one_line_of_yaml_however_long():
    value = {f"class number {number}": number / 1000 for number in range(1000)}
    assert yaml_of(f"a: {yaml_line(value)}\nb: {yaml_line(None)}\n".encode()) == {"a": value, "b": None}
