"""Which scenes a job is about, and what their results are called (listing, lists, names, sources)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sodslice import ArrayScene
from sodslice.errors import OutputError, SceneError
from sodslice.jobs import list_scenes
from sodslice.jobs.listing import stands_for_many
from sodslice.jobs.lists import lines_of, listed_in
from sodslice.jobs.names import address_candidate, file_candidate, free_name, names_of


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Files of no content, in folders; the current folder is the one above them."""
    for name in ("a/1.tif", "a/1.png", "a/sub/1.tif", "b/1.tif", "b/2 ü.jpg", "b/2 ü.jpg.aux.xml", "b/x.exe"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(given, **how) -> list[str]:
    return [scene.name for scene in list_scenes(given, **how).scenes]


def test_results_are_called_like_their_scene_whatever_else_is_there(tree):
    assert names("a") == ["1.png", "1.tif", "sub/1.tif"]
    (tree / "a" / "1.png").unlink()
    (tree / "a" / "0.jpg").touch()
    assert names("a") == ["0.jpg", "1.tif", "sub/1.tif"]


def test_folders_that_are_named_together_are_part_of_the_names(tree):
    assert names(["a", "b"]) == ["a/1.png", "a/1.tif", "a/sub/1.tif", "b/1.tif", "b/2 ü.jpg"]


def test_files_are_called_by_their_names_and_those_that_share_one_by_their_folders_too(tree):
    assert names(["a/1.tif"]) == ["1.tif"]
    assert names(["a/1.tif", "a/1.png", "b/1.tif"]) == ["a/1.tif", "1.png", "b/1.tif"]
    assert names(["a/sub/1.tif", "a/1.tif"]) == ["sub/1.tif", "a/1.tif"]


def test_a_scene_that_is_named_twice_is_done_once(tree):
    listing = list_scenes(["a/1.tif", str(tree / "a" / "1.tif"), "a"])
    assert [scene.name for scene in listing.scenes] == ["1.tif", "a/1.png", "a/sub/1.tif"]
    assert "2 of 5 scenes are named twice; each is done once" in listing.notes


def test_names_that_cannot_be_told_apart_are_refused_before_anything_is_done():
    one = file_candidate(Path("/x/a.tif"))
    with pytest.raises(OutputError, match=r"would both be called x/a\.tif; run them apart"):
        names_of([one, one])


def test_addresses_that_nothing_tells_apart_are_numbered_and_never_show_their_query():
    def at(name, key):
        return address_candidate(f"http://h/{name}?sig={key}", f"http://h/{name}")

    assert names_of([at("a.png", 1), at("a.png", 2)]) == ["h/a.png", "h/a-2.png"]
    given = [at("a.png", 1), at("a-2.png", 1), at("a.png", 2), at("a-2.png", 2)]
    assert names_of(given) == ["h/a.png", "h/a-2.png", "h/a-3.png", "h/a-2-2.png"]
    files = [file_candidate(Path("/h/a.png"))] * 2
    with pytest.raises(OutputError) as caught:
        names_of([*files, at("a.png", "SECRET")])
    assert "SECRET" not in str(caught.value)
    assert free_name("a", {"a", "a-2"}) == "a-3"


def test_a_pattern_stands_for_the_images_that_fit_it(tree):
    assert names("b/*") == ["1.tif", "2 ü.jpg"]
    assert names("*/1.tif") == ["a/1.tif", "b/1.tif"]
    assert names("a/**/*.tif") == ["1.tif", "sub/1.tif"]
    assert names(f"{tree}/a/[0-9].*") == ["1.png", "1.tif"]
    assert names("b/*.exe") == ["x.exe"]
    with pytest.raises(SceneError, match=r"no image fits the pattern c/\*"):
        names("c/*")
    assert any("left out" in note for note in list_scenes("b/*").notes)


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tree):
    (tree / "b" / "[1].tif").touch()
    assert names("b/[1].tif") == ["[1].tif"]
    assert not stands_for_many("b/[1].tif")
    assert stands_for_many("b/*.tif")
    assert stands_for_many("b")
    assert not stands_for_many("b/1.tif")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("list.txt", "# all of them\n\na/1.tif\n  b/2 ü.jpg  \n"),
        ("list.lst", "\ufeffa/1.tif\r\nb/2 ü.jpg\r\n"),
        ("list.csv", "id,Image Path,gsd\n1,a/1.tif,0.1\n2,b/2 ü.jpg,0.1\n"),
        ("list.csv", "a/1.tif\nb/2 ü.jpg\n"),
        ("list.csv", "id;file_name\n1;a/1.tif\n2;b/2 ü.jpg\n"),
        ("list.tsv", 'path\tgsd\n"a/1.tif"\t1\nb/2 ü.jpg\t2\n'),
    ],
)
def test_a_list_holds_one_scene_a_line(tree, file, content):
    (tree / file).write_bytes(content.encode())
    assert names(file) == ["1.tif", "2 ü.jpg"]
    assert stands_for_many(file)


def test_names_in_a_list_are_found_from_here_or_from_the_list_on(tree):
    (tree / "b" / "list.txt").write_text("1.tif\na/1.tif\nnowhere.tif\n")
    assert listed_in(tree / "b" / "list.txt") == [str(tree / "b" / "1.tif"), "a/1.tif", "nowhere.tif"]
    (tree / "b" / "list.txt").write_text("\n# nothing\n")
    with pytest.raises(SceneError, match=r"list\.txt holds no scene"):
        listed_in(tree / "b" / "list.txt")
    with pytest.raises(SceneError, match=r"cannot be read"):
        listed_in(tree / "b" / "none.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_lists_are_read_by_their_byte_order_mark(tree, encoding):
    (tree / "list.txt").write_bytes("a/1.tif\r\nb/2 ü.jpg\r\n".encode(encoding))
    if encoding == "utf-16-le":
        with pytest.raises(
            SceneError, match=r"list\.txt holds null characters; give one path a line, as text"
        ):
            list_scenes("list.txt")
        return
    assert names("list.txt") == ["1.tif", "2 ü.jpg"]


def test_odd_names_and_odd_lists_are_understood_or_refused(tree):
    (tree / "b" / "a\u2028b\x85c.tif").touch()
    (tree / "list.txt").write_text("b/a\u2028b\x85c.tif\n", encoding="utf-8")
    assert names("list.txt") == ["a\u2028b\x85c.tif"]
    (tree / "list.txt").write_text("list.txt\n")
    with pytest.raises(SceneError, match=r"list\.txt is a list that is named in a list"):
        list_scenes("list.txt")
    (tree / "list.csv").write_text('"' + "x" * 200_000 + '"\n')
    with pytest.raises(SceneError, match=r"the table list\.csv cannot be read: field larger"):
        list_scenes("list.csv")
    assert names("x" * 300) == ["x" * 300]


def test_a_folder_that_cannot_be_read_is_not_left_out_in_silence(tree, monkeypatch):
    def walk(folder, onerror):
        onerror(OSError(5, "Input/output error", f"{folder}/sub"))
        return iter(())

    monkeypatch.setattr("sodslice.jobs.sources.os.walk", walk)
    with pytest.raises(SceneError, match="a/sub cannot be searched: Input/output error"):
        list_scenes("a")


def test_a_list_may_name_folders(tree):
    (tree / "list.txt").write_text("a/sub\nb\n")
    assert names("list.txt") == ["sub/1.tif", "b/1.tif", "b/2 ü.jpg"]


def test_lines_may_be_parted_by_null_characters():
    assert list(lines_of("a b\0 c\nd\0#1\0")) == ["a b", " c\nd", "#1"]


def test_the_folder_of_the_results_is_not_searched(tree):
    assert names("a", without=tree / "a" / "sub") == ["1.png", "1.tif"]


def test_arrays_and_open_scenes_are_numbered():
    pixels = np.zeros((20, 30), np.uint8)
    given = [pixels, ArrayScene(pixels)]
    listing = list_scenes(given)
    assert [scene.name for scene in listing.scenes] == ["scene-000001", "scene-000002"]
    assert [scene.name for scene in list_scenes(pixels).scenes] == ["scene-000001"]


def test_a_generator_is_asked_for_one_scene_after_the_other():
    asked = []

    def coming():
        for number in range(3):
            asked.append(number)
            yield np.zeros((20, 30), np.uint8) if number == 2 else f"x{number}/a.tif"

    listing = list_scenes(coming())
    assert (listing.total, asked) == (None, [])
    scenes = iter(listing.scenes)
    assert next(scenes).name == "a.tif"
    assert asked == [0]
    assert [scene.name for scene in scenes] == ["x1/a.tif", "scene-000003"]


def test_an_empty_name_is_refused():
    with pytest.raises(SceneError, match="is empty; is a variable not set"):
        list_scenes(["a.tif", " "])
