"""Scenes below the root: no other file, whatever it is called and whatever leads to it."""

from __future__ import annotations

import os
import time

import pytest

from sodslice.service import places
from sodslice.service.envelope import Refusal
from sodslice.service.places import Entry, Root, harmless_name, without_folders


@pytest.fixture
def folder(tmp_path):
    """A root with scenes, beside which lies a secret, and links to all of that."""
    root, secret = tmp_path / "root", tmp_path / "secret"
    for one in (root / "flights", root / "-o", secret):
        one.mkdir(parents=True)
    for name in ("town.tif", "flights/a.tif", "-o/--config.tif", "notes.txt", ".hidden.tif"):
        (root / name).write_bytes(b"II*\0")
    (secret / "secret.tif").write_bytes(b"II*\0 secret")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "a.tif").write_bytes(b"II*\0 secret")
    for name, target in (
        ("out", secret), ("out.tif", secret / "secret.tif"), ("nowhere.tif", tmp_path / "none.tif"),
        ("round.tif", root / "round.tif"), ("a-round", root / "b-round"), ("b-round", root / "a-round"),
        ("inside.tif", root / "town.tif"), ("in", root / "flights"), ("up", tmp_path), ("self", root),
        ("etc.tif", "/etc/passwd"), ("far.tif", "../secret/secret.tif"),
    ):  # fmt: skip
        (root / name).symlink_to(target)
    return root


def refusal(root: Root, path: str, *, of_folder: bool = False) -> tuple[int, str]:
    """Status and words, without the path itself."""
    with pytest.raises(Refusal) as refused:
        root.entries(path) if of_folder else root.scene(path)
    assert "\n" not in refused.value.detail
    return refused.value.status_code, refused.value.detail.replace(repr(path[: places.MOST_SHOWN]), "PATH")


NO_PATH = (403, "PATH is no path below the root of this service")
NO_SCENE = (404, "there is no scene PATH below the root of this service")


@pytest.mark.parametrize(
    "path",
    ["town.tif", "./town.tif", "flights//a.tif", "inside.tif", "in/a.tif", "self/self/town.tif",
     "-o/--config.tif"],
)  # fmt: skip
def test_what_lies_below_the_root_is_found(folder, path):
    found = Root(folder).scene(path)
    assert found.is_relative_to(folder)
    assert found.read_bytes() == b"II*\0"
    assert not found.is_symlink()


@pytest.mark.parametrize(
    "path",
    ["..", "../secret/secret.tif", "flights/../../secret/secret.tif", "flights/../town.tif",
     "in/../../secret/secret.tif", "/etc/passwd", "//etc/passwd", "/", "\\etc\\passwd", "..\\secret",
     "C:\\a.tif", "a\x00.tif", "town.tif\x00", "out.tif", "out/secret.tif", "etc.tif", "far.tif",
     "up/secret/secret.tif", "self/out/secret.tif", "up", "/vsicurl/http://127.0.0.1/a.tif",
     "/vsizip/town.zip/a.tif", "/vsimem/a", "/proc/self/environ", "/dev/zero", "out/none.tif",
     "up/none.tif", "up/root-beside/a.tif", "../root-beside/a.tif", "/none", "../none"],
)  # fmt: skip
def test_what_lies_outside_is_refused_alike_whether_it_is_there_or_not(folder, path):
    assert refusal(Root(folder), path) == NO_PATH
    assert refusal(Root(folder), path, of_folder=True) == NO_PATH


@pytest.mark.parametrize(
    "path",
    ["", ".", "flights", "none.tif", "none/none.tif", "town.tif/a.tif", "http://127.0.0.1/a.tif",
     "https://a/b.tif", "file:///etc/passwd", "GTIFF_DIR:1:/etc/passwd", "vsicurl/http:/a",
     "NETCDF:\"/etc/passwd\":a", "~/town.tif", "~root", "$HOME", "%2e%2e/secret", "town.tif ", "TOWN.TIF",
     "*", "-", "--help", "a" * 300, "a/" * 2000, "a" * 4096, "\n", "\x1b[31m", "caf\u00e9",
     "\u202etif.nwot", "-o"],
)  # fmt: skip
def test_what_is_no_scene_is_not_found(folder, path):
    assert refusal(Root(folder), path) == NO_SCENE


def test_links_that_lead_round_or_nowhere_are_refused(folder):
    for path in ("round.tif", "a-round", "b-round/a.tif", "nowhere.tif"):
        assert refusal(Root(folder), path) in (NO_PATH, NO_SCENE)


def test_a_device_or_a_pipe_is_no_scene(folder):
    os.mkfifo(folder / "pipe.tif")
    assert refusal(Root(folder), "pipe.tif") == NO_SCENE
    assert "pipe.tif" not in [entry.path for entry in Root(folder).entries()]


def test_what_may_not_be_read_is_not_found(folder, monkeypatch):
    def denied(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    root = Root(folder)
    monkeypatch.setattr(places.Path, "is_file", denied)
    assert refusal(root, "town.tif") == NO_SCENE
    monkeypatch.setattr(places.os, "scandir", denied)
    assert refusal(root, "flights", of_folder=True)[0] == 404


def test_words_of_a_refusal_are_short_and_plain(folder):
    for path in ("a" * 4000, "\x1b[31m" * 500, "../" * 1300):
        with pytest.raises(Refusal) as refused:
            Root(folder).scene(path)
        assert len(refused.value.detail) < 5 * places.MOST_SHOWN
        assert refused.value.detail.isprintable()


def test_without_a_root_there_are_no_scenes():
    for path in ("town.tif", "", ".."):
        with pytest.raises(Refusal) as refused:
            Root(None).scene(path)
        assert refused.value.status_code == 403
        assert refused.value.detail.startswith("this service has no root")


def test_a_folder_shows_its_images_and_folders_and_nothing_from_outside(folder):
    assert Root(folder).entries() == [
        Entry("-o", folder=True, bytes=0),
        Entry("flights", folder=True, bytes=0),
        Entry("in", folder=True, bytes=0),
        Entry("inside.tif", folder=False, bytes=4),
        Entry("self", folder=True, bytes=0),
        Entry("town.tif", folder=False, bytes=4),
    ]
    assert [entry.path for entry in Root(folder).entries("flights")] == ["flights/a.tif"]
    for entry in Root(folder).entries():
        if not entry.folder:
            assert Root(folder).scene(entry.path)


def test_the_root_itself_may_be_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    root = Root(tmp_path / "link")
    assert root.scene("town.tif") == folder / "town.tif"
    assert refusal(root, "out.tif") == NO_PATH


def test_names_that_are_no_text_are_left_out(folder):
    with open(os.fsencode(folder) + b"/\xff\xfe.tif", "wb") as file:  # noqa: PTH123 -- a name of bytes
        file.write(b"II*\0")
    (folder / "<img src=x onerror=alert(1)>.tif").write_bytes(b"II*\0")
    names = [entry.path for entry in Root(folder).entries()]
    assert "<img src=x onerror=alert(1)>.tif" in names  # a page must write it as text
    assert all(name.encode() for name in names)


def test_a_folder_of_very_many_files_is_shown_in_part_and_at_once(tmp_path, monkeypatch):
    for number in range(20_000):
        (tmp_path / f"{number:05d}.tif").touch()
    looked_at = []
    true = Root._entry
    monkeypatch.setattr(Root, "_entry", lambda self, path: looked_at.append(path) or true(self, path))
    began = time.monotonic()
    found = Root(tmp_path).entries()
    assert time.monotonic() - began < 10
    assert [entry.path for entry in found] == [f"{number:05d}.tif" for number in range(places.MOST_LISTED)]
    assert len(looked_at) == places.MOST_LISTED


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("town.tif", "town.tif"),
        ("my town (1).tif", "my_town_1_.tif"),
        ("/etc/passwd", "passwd.tif"),
        ("../../.ssh/authorized_keys", "authorized_keys.tif"),
        ("C:\\temp\\a.jpg", "a.jpg"),
        ("-o", "o.tif"),
        ("--config=x.yml", "config_x.yml.tif"),
        (".from-elsewhere", "from-elsewhere.tif"),
        (".", "scene.tif"),
        ("..", "scene.tif"),
        ("...tif", "tif.tif"),
        ("", "scene.tif"),
        ("/", "scene.tif"),
        ("a\x00b.tif", "a_b.tif"),
        ("a\r\nSet-Cookie: x.tif", "a_Set-Cookie_x.tif"),
        ("\u30c6\u30b9\u30c8.tif", "_.tif"),
        ("caf\u00e9\u202e.tif", "caf_.tif"),
        ("<img src=x>.tif", "_img_src_x_.tif"),
        ("a" * 300 + ".tif", "a" * 96 + ".tif"),
        ("a" * 300 + "/" + "b" * 99, "b" * 99 + ".tif"),
        ("x" + "-" * 300 + ".tif", "tif.tif"),
        ("x.vrt", "x.vrt"),
        ("x.tif.zip", "x.tif.zip.tif"),
        ("json.py", "json.py.tif"),
        ("numpy.cpython-311-x86_64-linux-gnu.so", "numpy.cpython-311-x86_64-linux-gnu.so.tif"),
        ("matplotlibrc", "matplotlibrc.tif"),
        ("proj.db", "proj.db.tif"),
    ],
)
def test_a_name_of_a_strangers_choice_becomes_a_harmless_one(name, wanted):
    assert harmless_name(name) == wanted
    assert len(wanted) <= places.LONGEST_NAME + 4


def test_no_name_has_a_folder_or_begins_with_a_dot_or_a_dash():
    letters = ["a", ".", "-", "/", "\\", "\x00", " ", "\u00e9", "~", "%", ":"]
    for first in letters:
        for second in letters:
            for third in letters:
                name = harmless_name(first + second + third)
                assert name[0].isalnum() or name[0] == "_"
                assert not set(name) - set("abcdefghijklmnopqrstuvwxyz._-")
                assert "." in name


def test_clients_are_not_told_where_folders_are(tmp_path):
    said = f"{tmp_path}/a.tif is broken: {tmp_path}/a.tif has no pixels, see /elsewhere/b.tif"
    wanted = "a.tif is broken: a.tif has no pixels, see /elsewhere/b.tif"
    assert without_folders(said, None, tmp_path) == wanted
