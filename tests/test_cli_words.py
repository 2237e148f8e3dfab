"""Words and exit codes at the command line, as a stranger types them."""

from __future__ import annotations

import json
import re

import pytest

from sodslice import SodsliceError, run_many
from sodslice.cli._shared import in_flags
from sodslice.errors import respell
from sodslice.jobs import find_scenes
from sodslice.place.coverage import Coverage
from tests.command_line import sodslice
from tests.rasters import scene_with_blobs, write_raster


@pytest.fixture
def folder(tmp_path):
    write_raster(tmp_path / "a.tif", scene_with_blobs(300, 200, [(20, 30), (250, 150)]))
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tile", "10k"], "--tile must be a whole number from 32, got '10k'"),
        (["--tile", "31"], "--tile must be a whole number from 32, got '31'"),
        (["--threshold", "50"], "--threshold must be a score from 0 to 1, or class=score, got '50'"),
        (["--overlap", "120%"], "--overlap must be a share from 0 to below 1"),
        (["--overlap", "1.0"], "1.0 could be all of the tile, so write 1 for one pixel"),
        (["--iou", "2"], "--iou must be a number from 0.01 to 1, got '2'"),
        (["--bands", "1,2"], "--bands must be one band or three"),
        (["--min-size", "5", "--max-size", "3"], "--min-size must not be above --max-size, got 5 and 3"),
        (["--class-agnostic", "--class-group", "a,b"], "--class-agnostic joins all classes already"),
        (["--conf", "0.5"], "Did you mean --threshold?"),
        (["--imgsz", "640"], "Did you mean --tile?"),
        (["--save-path", "x"], "Did you mean --output?"),
        (["--tiel", "640"], "--tile"),
    ],
)
def test_mistakes_in_typing_are_usage_errors(folder, arguments, words):
    done = sodslice("run", "a.tif", "--model", "blobs", *arguments, cwd=folder)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert sorted(p.name for p in folder.iterdir()) == ["a.tif"]


def test_what_a_file_of_settings_holds_is_an_error_in_one_line(folder):
    (folder / "c.yaml").write_text("tile: 10k\n")
    done = sodslice("run", "a.tif", "--config", "c.yaml", cwd=folder)
    assert done.returncode == 1
    assert done.stderr == "error: --tile must be a whole number from 32, got '10k'\n"


@pytest.mark.parametrize(
    ("given", "read"), [("20%", 0.2), ("0.2", 0.2), ("0%", 0.0), ("64", 64), (64.0, 64), (1, 1), ("1", 1)]
)
def test_an_overlap_is_a_share_or_pixels(given, read):
    assert Coverage(overlap=given).overlap == read


def test_an_overlap_that_shows_each_pixel_many_times_is_said(folder):
    done = sodslice("plan", "a.tif", "--model", "blobs", "--tile", "64", "--overlap", "0.9", cwd=folder)
    assert "show the model each pixel about 84 times" in done.stderr
    assert "a smaller --overlap is as good and faster" in done.stderr
    assert (
        "each pixel" not in sodslice("plan", "a.tif", "--model", "blobs", "--tile", "64", cwd=folder).stderr
    )


def test_more_threads_than_cores_are_refused(folder):
    done = sodslice("run", "a.tif", "--threads", "999", cwd=folder)
    assert done.returncode == 1
    assert re.search(
        r"error: --threads must be at most \d+, the cores that this process may use, got 999", done.stderr
    )


def test_devices_are_words_in_any_case(folder):
    assert sodslice("run", "a.tif", "--model", "blobs", "--device", "CPU", cwd=folder).returncode == 0


def test_an_empty_variable_of_the_shell_is_not_the_current_folder(folder):
    done = sodslice("run", "", "-o", "res", cwd=folder)
    assert done.returncode == 2
    assert "empty name" in done.stderr
    assert not (folder / "res").exists()
    with pytest.raises(SodsliceError, match="is empty"):
        next(run_many(""))


@pytest.mark.parametrize("content", ['{"mine": 1}', "", "nonsense", '{"boxes": []}'])
def test_a_file_that_sodslice_did_not_write_is_not_overwritten(folder, content):
    (folder / "foreign.json").write_text(content)
    done = sodslice("run", "a.tif", "--model", "blobs", "-o", "foreign.json", cwd=folder)
    assert done.returncode == 1
    assert "foreign.json is here and was not written by sodslice; give another -o" in done.stderr
    assert (folder / "foreign.json").read_text() == content
    for _ in range(2):
        assert sodslice("run", "a.tif", "--model", "blobs", "-o", "own.json", cwd=folder).returncode == 0


def test_quiet_says_nothing_but_errors_each_once(folder):
    (folder / "in").mkdir()
    write_raster(folder / "in" / "b.tif", scene_with_blobs(64, 64, [(5, 5)]))
    (folder / "in" / "broken.tif").write_text("nonsense")
    done = sodslice("run", "in", "--model", "blobs", "-o", "out", "-q", cwd=folder)
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: in/broken.tif is not an image")
    assert sodslice("run", "a.tif", "--model", "blobs", "-q", cwd=folder).stdout == ""


def test_seconds_are_those_on_the_wall(folder):
    done = sodslice("run", "a.tif", cwd=folder)
    said = float(re.search(r", ([\d.]+) s\]", done.stdout)[1])
    inside = json.loads((folder / "a.geojson").read_text())["timings"]["seconds"]["all"]
    assert said >= inside


def test_files_that_are_left_out_of_a_folder_are_counted(tmp_path):
    for name in ("a.bmp", "b.JPE", "c.webp", "d.gif", "e.j2k", "f.tif", "g.tiff"):
        (tmp_path / name).write_bytes(b"x")
    for name in ("h.doc", "i.doc", "j.rawx", "k.txt", "l.aux.xml", ".hidden.doc"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "m.png").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "sub")
    (tmp_path / "n.png").symlink_to(tmp_path / "sub" / "m.png")
    found = find_scenes(tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in found.scenes] == [
        "a.bmp", "b.JPE", "c.webp", "d.gif", "e.j2k", "f.tif", "g.tiff", "n.png", "sub/m.png",
    ]  # fmt: skip
    first, second = found.notes
    assert first.startswith("3 files are left out, whose suffixes are not those of images (.doc 2, .rawx 1)")
    assert second.startswith("1 linked folders are not searched, the first is")


def test_notes_on_a_folder_come_once_before_the_first_scene(folder):
    (folder / "b.doc").write_text("x")
    write_raster(folder / "c.tif", scene_with_blobs(64, 64, [(5, 5)]))
    done = sodslice("run", ".", "--model", "blobs", "-o", "out", cwd=folder)
    assert done.stderr.count("1 files are left out") == 1
    assert len(done.stdout.splitlines()) == 3


def test_messages_of_the_library_are_respelt_as_flags():
    assert in_flags("choose `bands=3,2,1`, not `tile`") == "choose --bands 3,2,1, not --tile"
    assert (
        in_flags("has no list `Preprocess` and `label_list`") == "has no list `Preprocess` and `label_list`"
    )
    assert in_flags("read\n  `sodslice merge`  first") == "read `sodslice merge` first"
    assert in_flags("use `aoi=POLYGON ((1 2, 3 4))`") == "use --aoi 'POLYGON ((1 2, 3 4))'"
    assert respell("`a=1` and `b`", lambda name, value: f"<{name}|{value}>") == "<a|1> and <b|None>"
    assert SodsliceError("`tile=64` needs `gsd` and `tile`").settings == ("tile", "gsd")


def test_a_bar_says_which_of_how_many_images_it_is_about(folder, monkeypatch, capsys):
    from sodslice.cli import _watching

    class Terminal:
        written = ""

        def isatty(self):
            return True

        def write(self, text):
            self.written += text
            return len(text)

        def flush(self):
            pass

    terminal = Terminal()
    monkeypatch.setattr(_watching.sys, "stderr", terminal)
    for name in ("b.tif", "c.tif"):
        write_raster(folder / name, scene_with_blobs(64, 64, [(5, 5)]))
    with _watching.watching(quiet=False) as events:
        list(run_many(folder, model="blobs", events=events))
    assert "b.tif: 1 of 1 tiles" in terminal.written
    assert "2 of 3 images" in terminal.written


def test_help_of_tile_says_which_pixels_it_counts(folder):
    shown = " ".join(sodslice("run", "--help", cwd=folder).stdout.split())
    assert "Tile side in pixels as the model sees them" in shown
