"""Arrays, pictures of Pillow and bytes as scenes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import sodslice
from sodslice import ArrayScene, open_scene
from sodslice.errors import SceneError
from sodslice.scene.given import is_picture, scene_of_array, scene_of_picture
from tests.rasters import write_raster

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def pixels_of(scene):
    return scene.read(0, 0, scene.width, scene.height)


@given(st.sampled_from([np.float16, np.float32, np.float64]), st.booleans(), st.integers(17, 255))
def test_floats_of_either_range_are_the_levels_they_were_made_from(kind, unit, brightest):
    levels = np.linspace(0, brightest, 40).round().astype(np.uint8).reshape(4, 10)
    array = levels.astype(kind) / (255 if unit else 1)
    assert np.array_equal(pixels_of(scene_of_array(array.astype(kind)))[0][..., 0], levels)


def test_a_black_array_of_floats_is_black_in_both_ranges():
    assert pixels_of(scene_of_array(np.zeros((4, 4), np.float32)))[0].max() == 0


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (
            np.full((4, 4, 3), 1.02),
            "up to 1.02 may be of 0..1 that overshoots or of a dark 0..255; clip it to 1",
        ),
        (np.full((4, 4, 3), 16.0), "may be of 0..1 that overshoots"),
        (np.full((4, 4), -0.5), r"must hold 0..1 or 0..255, got -0.5..-0.5; scale or clip it first"),
        (np.full((4, 4), 255.5), "must hold 0..1 or 0..255"),
        (np.full((4, 4), np.nan), "must hold 0..1 or 0..255, got nan"),
        (np.full((4, 4), np.inf), "must hold 0..1 or 0..255"),
        (np.zeros((4, 4), np.uint16), "must be uint8, or floats of 0..1 or 0..255, got uint16; scale it"),
        (np.zeros((4, 4), np.int64), "got int64"),
        (np.zeros((4, 4), bool), "got bool"),
        (
            np.zeros((3, 40, 50), np.uint8),
            r"got \(3, 40, 50\); channels come last: give array.transpose\(1, 2, 0\)",
        ),
        (np.zeros((4, 4, 5), np.uint8), r"must have shape \(H, W\) for grey"),
        (np.zeros((0, 4), np.uint8), r"must have shape \(H, W\)"),
        (np.zeros(4, np.uint8), r"must have shape \(H, W\)"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused(array, words):
    with pytest.raises(SceneError, match=words):
        open_scene(array)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("colours", [1, 3])
def test_alpha_hides_where_it_is_0_and_never_multiplies(kind, colours):
    array = np.full((6, 8, colours + 1), 200, np.uint8)
    array[..., colours] = 1
    array[:3, :, colours] = 0
    given = array if kind == np.uint8 else (array / 255).astype(kind)
    pixels, valid = pixels_of(open_scene(given))
    assert not valid[:3].any()
    assert valid[3:].all()
    assert (pixels[3:] == 200).all()
    assert (pixels[:3] == 0).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr"])
def test_a_picture_is_what_pillow_shows(mode):
    picture = Image.fromarray(RGB).convert(mode)
    pixels, valid = pixels_of(open_scene(picture))
    assert np.array_equal(pixels, np.asarray(picture.convert("RGB")))
    assert valid.all()


def test_clear_colours_of_a_picture_hide():
    picture = Image.new("P", (4, 2), 1)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((0, 0), 0)
    picture.info["transparency"] = 0
    _, valid = pixels_of(scene_of_picture(picture))
    assert valid.sum() == 7
    assert not valid[0, 0]


@pytest.mark.parametrize("mode", ["I", "F", "I;16"])
def test_a_picture_of_more_than_8_bits_is_refused(mode):
    with pytest.raises(SceneError, match=f"a picture of mode {mode} has levels of more than 8 bits"):
        open_scene(Image.new(mode, (4, 4)))


def test_a_picture_is_told_without_its_library(monkeypatch):
    assert is_picture(Image.new("L", (1, 1)))
    assert not is_picture(RGB)
    monkeypatch.delitem(__import__("sys").modules, "PIL.Image")
    assert not is_picture(RGB)


def test_all_kinds_of_one_image_give_the_same_objects(tmp_path):
    bright = np.zeros((90, 120, 3), np.uint8)
    bright[30:50, 40:70] = 255
    file = tmp_path / "bright.png"
    Image.fromarray(bright).save(file)
    kinds = [str(file), file, file.read_bytes(), bytearray(file.read_bytes()), memoryview(file.read_bytes())]
    kinds += [bright, bright / 255, bright.astype(np.float32), Image.open(file), ArrayScene(bright)]
    found = [sodslice.run(one, model="blobs").detections.boxes.tolist() for one in kinds]
    assert found == [[[40, 30, 70, 50]]] * len(kinds)


def test_bytes_are_read_as_their_file_would_be(tmp_path):
    levels = np.linspace(0, 4000, 64 * 64).reshape(1, 64, 64).astype(np.uint16)
    file = write_raster(tmp_path / "deep.tif", levels)
    scene, same = open_scene(file.read_bytes()), open_scene(file)
    assert np.array_equal(pixels_of(scene)[0], pixels_of(same)[0])
    assert scene.georef.crs == same.georef.crs
    assert scene.name == "bytes"


def test_many_at_once_take_them_too():
    bright = np.zeros((90, 120, 3), np.uint8)
    bright[30:50, 40:70] = 255
    buffer = io.BytesIO()
    Image.fromarray(bright).save(buffer, "PNG")
    one, other = buffer.getvalue(), Image.fromarray(bright)
    for scenes in (one, other, [one, other]):
        outcomes = list(sodslice.run_many(scenes, model="blobs"))
        assert [len(one.load()) for one in outcomes] == [1] * len(outcomes)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([RGB], "got list; `run_many` takes several"),
        ({"img": RGB}, "got dict; `run_many` takes several"),
        (b"", "the bytes of the image are empty"),
        (b"no image at all", "^bytes is not an image that GDAL can open: "),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(given, words):
    with pytest.raises(SceneError, match=words) as caught:
        sodslice.run(given, model="blobs")
    assert "\n" not in str(caught.value)
    assert "/tmp" not in str(caught.value)


def test_pictures_that_pillow_cannot_read_any_more_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3), dtype=np.uint8)
    for name in ("a.jpg", "a.png"):
        Image.fromarray(noise).save(tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / f"cut-{name}").write_bytes(whole[: len(whole) // 2])
        with (
            Image.open(tmp_path / f"cut-{name}") as cut,
            pytest.raises(SceneError, match="the picture cannot be read: "),
        ):
            open_scene(cut)
    closed = Image.open(tmp_path / "a.png")
    closed.close()
    with pytest.raises(SceneError, match="the picture cannot be read: .*; give it open and whole"):
        open_scene(closed)
