"""The memory that progressive JPEGs take: told before, and refused where libjpeg would refuse."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image
from rasterio.shutil import copy as gdal_copy

from sodslice import SodsliceError, make_plan, open_scene
from sodslice.scene.jpeg import decoding_bytes


def claimed(path, width: int, height: int, **how):
    """A JPEG of a few pixels whose head claims to be of another size."""
    mode = how.pop("mode", "RGB")
    Image.new(mode, (64, 64)).save(path, "JPEG", **how)
    content = path.read_bytes()
    frame = content.index(b"\xff\xc2" if how.get("progressive") else b"\xff\xc0")
    path.write_bytes(content[: frame + 5] + struct.pack(">HH", height, width) + content[frame + 9 :])
    return path


@pytest.mark.parametrize(
    ("how", "samples"),
    [
        ({"subsampling": "4:2:0"}, 1.5),
        ({"subsampling": "4:2:2"}, 2),
        ({"subsampling": "4:4:4"}, 3),
        ({"mode": "L"}, 1),
    ],
)
def test_all_coefficients_are_held_at_once(tmp_path, how, samples):
    path = claimed(tmp_path / "a.jpg", 4000, 3200, progressive=True, **how)
    assert decoding_bytes(path) == 4000 * 3200 * samples * 2
    need = 4000 * 3200 * samples * 2 / 2**20
    notes = [n for n in open_scene(path).notes if "progressive" in n]
    assert [f"takes about {need:.0f} MB" in n for n in notes] == ([True] if need >= 64 else [])


def test_a_size_that_is_no_multiple_is_rounded_up_to_blocks(tmp_path):
    path = claimed(tmp_path / "a.jpg", 17, 1, progressive=True, subsampling="4:2:0")
    assert decoding_bytes(path) == 2 * 6 * 64 * 2


def test_a_baseline_jpeg_takes_none(tmp_path):
    path = claimed(tmp_path / "a.jpg", 30_000, 30_000)
    assert decoding_bytes(path) == 0
    assert open_scene(path).notes == ()


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_more_than_libjpeg_allows_is_refused_before_the_work_with_the_way_out(
    tmp_path, monkeypatch, subsampling
):
    path = claimed(tmp_path / "a.jpg", 14_000, 14_000, progressive=True, subsampling=subsampling)
    need = 561 if subsampling == "4:2:0" else 1122
    words = (
        rf"a.jpg is a progressive JPEG: reading any pixel takes {need} MB at once, and libjpeg "
        r"allows 500 MB; set the environment variable JPEGMEM=\d+M, or convert it with .*gdal_translate "
        r"-co TILED=YES"
    )
    for work in (open_scene, lambda p: make_plan(p, model="blobs")):
        with pytest.raises(SodsliceError, match=words) as caught:
            work(path)
    asked = str(caught.value).partition("JPEGMEM=")[2].partition(",")[0]
    monkeypatch.setenv("JPEGMEM", asked)
    assert f"takes about {need} MB" in open_scene(path).notes[0]
    monkeypatch.setenv("JPEGMEM", "100M")
    with pytest.raises(SodsliceError, match="libjpeg allows 95 MB"):
        open_scene(path)


def test_a_plan_says_what_ten_thousand_pixels_take(tmp_path):
    path = claimed(tmp_path / "a.jpg", 10_000, 10_000, progressive=True, subsampling="4:2:0")
    plan = make_plan(path, model="blobs")
    assert any("is a progressive JPEG, and reading any pixel takes about 286 MB" in n for n in plan.notes)


@pytest.mark.parametrize("cut", range(0, 400, 13))
def test_a_damaged_head_says_nothing(tmp_path, cut):
    path = claimed(tmp_path / "a.jpg", 8000, 8000, progressive=True)
    path.write_bytes(path.read_bytes()[:cut])
    assert decoding_bytes(path) in (0, 8000 * 8000 * 3)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_where_only_libjpeg_knows_its_words_are_followed_by_the_way_out(tmp_path):
    path = claimed(tmp_path / "a.jpg", 14_000, 14_000, progressive=True, subsampling="4:2:0")
    gdal_copy(path, tmp_path / "a.vrt", driver="VRT")
    with open_scene(tmp_path / "a.vrt") as scene, pytest.raises(SodsliceError) as caught:
        scene.read(0, 0, 64, 64)
    assert "Backing store not supported; set the environment variable JPEGMEM to 1000M" in str(caught.value)


@pytest.mark.slow
def test_what_is_asked_for_is_what_libjpeg_takes(tmp_path, monkeypatch):
    """Just what is named suffices, for real pixels."""
    path = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((14_000, 14_000, 3), np.uint8)).save(path, progressive=True, subsampling="4:2:0")
    with pytest.raises(SodsliceError) as caught:
        open_scene(path)
    monkeypatch.setenv("JPEGMEM", str(caught.value).partition("JPEGMEM=")[2].partition(",")[0])
    with open_scene(path) as scene:
        assert scene.read(0, 0, 64, 64)[1].all()
