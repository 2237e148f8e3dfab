"""Files by the names that other programs wrote down for them."""

from __future__ import annotations

import unicodedata

import pytest

from sodslice.system.named_files import NamedFiles

COMPOSED = unicodedata.normalize("NFC", "Zürich é")
PARTED = unicodedata.normalize("NFD", "Zürich é")


@pytest.fixture
def folder(tmp_path):
    for name in ("0.png", "im/1.png", "sub/2.png", f"{PARTED}/{PARTED}.png", f"c/{COMPOSED}.png"):
        path = tmp_path / "data" / "im" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data" / "im"


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("0.png", "0.png"),
        ("./0.png", "0.png"),
        ("im/0.png", "0.png"),
        ("data/im/0.png", "0.png"),
        ("im\\0.png", "0.png"),
        ("sub\\2.png", "sub/2.png"),
        ("im/sub/2.png", "sub/2.png"),
        ("im/1.png", "im/1.png"),
        (f"{COMPOSED}/{COMPOSED}.png", f"{PARTED}/{PARTED}.png"),
        (f"{COMPOSED}/{PARTED}.png", f"{PARTED}/{PARTED}.png"),
        (f"im/c/{PARTED}.png", f"c/{COMPOSED}.png"),
    ],
)
def test_a_name_is_understood_in_all_spellings(folder, name, means):
    found = NamedFiles(folder).find(name)
    assert found is not None
    assert found.read_text() == means


@pytest.mark.parametrize(
    "name",
    ["1.png", "other/0.png", "0", "", ".", "..", "im", "sub", "0.PNG.png", "a\0b", "x" * 5000, "/0.png"],
)
def test_a_name_that_means_no_file_there_finds_none(folder, name):
    assert NamedFiles(folder).find(name) is None


def test_a_name_that_is_there_as_written_goes_first_and_of_two_alike_none_is_guessed(tmp_path):
    for name in (COMPOSED, PARTED):
        (tmp_path / name).write_text(name)
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this disk composes letters itself")
    files = NamedFiles(tmp_path)
    assert files.find(COMPOSED).read_text() == COMPOSED
    assert files.find(PARTED).read_text() == PARTED
    half = unicodedata.normalize("NFC", "Zürich ") + unicodedata.normalize("NFD", "é")
    assert files.find(half) is None


def test_a_folder_that_is_not_there_has_no_files(tmp_path):
    assert NamedFiles(tmp_path / "gone").find("0.png") is None


def test_a_relative_folder_knows_its_own_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert NamedFiles(folder.relative_to(folder)).find("im/0.png") is not None
