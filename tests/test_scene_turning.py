"""EXIF's orientation, against what Pillow and OpenCV show."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from rasterio.windows import Window

from sodslice import RunPlan, make_plan, open_scene, run
from sodslice.scene.exif import orientation_of
from sodslice.scene.layout import Layout, plan_reading
from sodslice.scene.turning import Turn
from sodslice.tables.tiles import Grid

ORIENTATIONS = range(1, 9)
LOSSLESS = ("png", "tif", "webp")
TAG = 274


def picture(width: int = 90, height: int = 60) -> np.ndarray:
    """Noise with a bright bar near a corner, as it is stored: `(h, w, 3)`."""
    pixels = np.random.default_rng(0).integers(0, 60, (height, width, 3), dtype=np.uint8)
    pixels[8:18, 50:80] = 250
    return pixels


def save(path, pixels: np.ndarray, orientation: int | None):
    """Write a picture with an orientation, and return its path."""
    exif = Image.Exif()
    if orientation is not None:
        exif[TAG] = orientation
    image = Image.fromarray(pixels)
    if path.suffix == ".tif":
        image.save(path, tiffinfo={} if orientation is None else {TAG: orientation})
    elif path.suffix == ".webp":
        image.save(path, exif=exif, lossless=True)
    else:
        image.save(path, exif=exif)
    return path


def shown(path) -> np.ndarray:
    """What a viewer shows."""
    return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", LOSSLESS)
def test_a_picture_is_read_as_viewers_show_it(tmp_path, suffix, orientation):
    path = save(tmp_path / f"a.{suffix}", picture(), orientation)
    expected = shown(path)
    with open_scene(path) as scene:
        assert (scene.height, scene.width) == expected.shape[:2]
        assert np.array_equal(scene.read(0, 0, scene.width, scene.height)[0], expected)
        assert np.array_equal(scene.read(7, 5, 31, 23)[0], expected[5:28, 7:38])
        assert scene.orientation == orientation
        assert any(f"orientation {orientation}" in note for note in scene.notes) == (orientation > 1)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_jpeg_is_read_as_opencv_reads_it(tmp_path, orientation):
    path = save(tmp_path / "a.jpg", picture(), orientation)
    expected = cv2.imread(str(path))[..., ::-1]
    with open_scene(path) as scene:
        pixels = scene.read(0, 0, scene.width, scene.height)[0]
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() < 2  # two decoders of chroma


@pytest.mark.parametrize("orientation", [None, 0, 9, 255])
def test_an_orientation_that_is_none_turns_nothing(tmp_path, orientation):
    path = save(tmp_path / "a.png", picture(), orientation)
    with open_scene(path) as scene:
        assert (scene.width, scene.height, scene.notes) == (90, 60, ())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "form"), [(3, "H2x"), (4, "I")])
@pytest.mark.parametrize("big", [False, True])
def test_tags_are_read_in_any_order_and_width(tmp_path, order, kind, form, big):
    entry = struct.pack(f"{order}HH{'Q' if big else 'I'}{form}{'4x' if big else ''}", TAG, kind, 1, 6)
    directory = struct.pack(order + ("Q" if big else "H"), 1) + entry + bytes(8)
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8)
    path = tmp_path / "a.tif"
    path.write_bytes((b"II" if order == "<" else b"MM") + head + directory)
    assert orientation_of(path, "GTiff") == 6


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_damaged_head_turns_nothing_and_raises_nothing(tmp_path, cut):
    for suffix, driver in (("jpg", "JPEG"), ("png", "PNG"), ("tif", "GTiff"), ("webp", "WEBP")):
        path = save(tmp_path / f"a.{suffix}", picture(), 6)
        path.write_bytes(path.read_bytes()[:cut])
        assert orientation_of(path, driver) in (1, 6)


def test_a_directory_of_a_tiff_has_its_own_orientation(tmp_path):
    path = tmp_path / "a.tif"
    first, second = (Image.fromarray(picture()) for _ in range(2))
    second.encoderinfo = {"tiffinfo": {TAG: 8}}
    first.save(path, save_all=True, append_images=[second], tiffinfo={TAG: 3})
    with open_scene(path) as one, open_scene(path, {"page": 2}) as two:
        assert (one.orientation, two.orientation) == (3, 8)
        assert (two.width, two.height) == (60, 90)


@given(
    orientation=st.sampled_from(ORIENTATIONS),
    window=st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 10), st.integers(1, 10)),
)
def test_a_stored_window_is_seen_where_it_came_from(orientation, window):
    turn, size = Turn(orientation), (31, 33)
    stored = turn.stored(Window(*window), size)
    assert turn.seen(stored, size) == Window(*window)
    pixels = np.arange(31 * 33).reshape(turn.size((33, 31)))
    x, y, width, height = window
    left, top, across, down = map(int, stored.flatten())
    part = pixels[top : top + down, left : left + across]
    assert np.array_equal(turn.image(part), turn.image(pixels)[y : y + height, x : x + width])


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_run_counts_in_pixels_as_they_are_seen_and_says_so(tmp_path, orientation):
    path = save(tmp_path / "a.png", picture(), orientation)
    rows, columns = np.nonzero(shown(path)[..., 0] == 250)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    result = run(path, model="blobs", options={"tile": 48})
    assert np.abs(result.detections.boxes - box).max() < 1
    assert len(result) == 1
    facts = result.scene.as_dict()
    assert [facts["width"], facts["height"]] == ([90, 60] if orientation < 5 else [60, 90])
    assert facts.get("orientation", 1) == orientation


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_window_and_a_scale_are_those_of_the_picture_as_it_is_seen(tmp_path, orientation):
    path = save(tmp_path / "a.png", picture(), orientation)
    upright = tmp_path / "b.png"
    Image.fromarray(shown(path)).save(upright)
    options = {"tile": 32, "window": (10, 5, 40, 45), "scale": 1.5}
    one, two = (run(p, model="blobs", options=options).detections for p in (path, upright))
    assert len(one) == len(two)
    assert np.abs(one.boxes - two.boxes).max(initial=0) < 0.5


def test_a_place_on_the_map_is_that_of_the_stored_pixels(tmp_path):
    path = save(tmp_path / "a.png", picture(), 6)
    (tmp_path / "a.pgw").write_text("0.5\n0\n0\n-0.5\n500000\n5300000\n")
    with open_scene(path) as scene:
        assert (scene.width, scene.height, scene.orientation) == (90, 60, 1)
        assert "EXIF orientation 6" in scene.notes[0]
        assert "as they are stored" in scene.notes[0]


def test_a_vrt_of_a_photo_says_itself_what_its_pixels_are(tmp_path):
    from rasterio.shutil import copy

    path = save(tmp_path / "a.jpg", picture(), 6)
    copy(path, tmp_path / "a.vrt", driver="VRT")
    with open_scene(tmp_path / "a.vrt") as scene:
        assert (scene.width, scene.height) == (90, 60)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_tiles_are_read_in_the_order_in_which_pixels_are_stored(orientation):
    turn = Turn(orientation)
    layout = Layout(5000, 4000, 5000, 1, 3, turn=turn)
    grid = Grid(*layout.size, 1000, 0.2)
    ids = np.arange(len(grid))
    order = plan_reading(grid, ids, layout).order(grid, ids)
    assert sorted(order) == ids.tolist()
    tops = [layout.stored(Window(*grid[i][1:])).row_off for i in order.tolist()]
    assert tops == sorted(tops)


def test_the_message_of_a_broken_picture_names_pixels_as_they_are_seen(tmp_path):
    path = save(tmp_path / "a.png", picture(), 6)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with open_scene(path) as scene, pytest.raises(OSError, match="at x 3, y 70, 20 x 10 pixels"):
        scene.read(3, 70, 20, 10)


def test_a_plan_has_the_size_as_it_is_seen(tmp_path):
    path = save(tmp_path / "a.png", picture(), 6)
    planned = make_plan(path, model="blobs")
    assert (planned.scene.width, planned.scene.height, planned.scene.orientation) == (60, 90, 6)
    assert (planned.grid.width, planned.grid.height) == (60, 90)
    assert RunPlan.from_json(planned.to_json()).scene == planned.scene
    assert planned.head["orientation"] == 6


def test_masks_turn_with_the_picture(tmp_path):
    pixels = np.dstack([picture(), np.full((60, 90), 255, np.uint8)])
    pixels[:10, :, 3] = 0
    path = save(tmp_path / "a.png", pixels, 6)
    with open_scene(path) as scene:
        valid = scene.read(0, 0, 60, 90)[1]
    assert not valid[:, 50:].any()
    assert valid[:, :50].all()
