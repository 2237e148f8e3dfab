from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from sodslice import ArrayScene, SodsliceError, open_scene
from tests.rasters import UTM, write_raster

RNG = np.random.default_rng(0)


def noise(bands: int, height: int = 300, width: int = 400) -> np.ndarray:
    return RNG.integers(1, 255, (bands, height, width), dtype=np.uint8)


def test_three_bands_are_rgb_and_windows_are_crops(tmp_path):
    pixels = noise(3)
    with open_scene(write_raster(tmp_path / "a.tif", pixels)) as scene:
        assert (scene.width, scene.height) == (400, 300)
        rgb, valid = scene.read(30, 40, 100, 50)
        assert np.array_equal(rgb, pixels[:, 40:90, 30:130].transpose(1, 2, 0))
        assert valid.all()
        assert rgb.flags.c_contiguous


def test_the_georeference_is_the_files(tmp_path):
    with open_scene(write_raster(tmp_path / "a.tif", noise(1))) as scene:
        assert scene.georef.transform == tuple(UTM)[:6]
        assert "32632" in scene.georef.crs
    with open_scene(
        write_raster(tmp_path / "b.tif", noise(1), crs=None, transform=rasterio.Affine.identity())
    ) as scene:
        assert scene.georef.transform is None
        assert not scene.georef.on_map


def test_one_band_is_grey(tmp_path):
    pixels = noise(1)
    rgb, _ = open_scene(write_raster(tmp_path / "a.tif", pixels)).read(0, 0, 400, 300)
    assert all(np.array_equal(rgb[..., i], pixels[0]) for i in range(3))


def test_a_palette_is_looked_up(tmp_path):
    pixels = RNG.integers(0, 3, (1, 50, 60), dtype=np.uint8)
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=60, height=50, count=1, dtype="uint8", photometric="palette"
    ) as d:
        d.write(pixels)
        d.write_colormap(1, {0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (9, 8, 7, 255)})
    rgb, _ = open_scene(path).read(0, 0, 60, 50)
    assert np.array_equal(rgb, np.array([[255, 0, 0], [0, 255, 0], [9, 8, 7]], np.uint8)[pixels[0]])


def test_alpha_masks_and_never_multiplies(tmp_path):
    pixels = noise(4)
    pixels[3] = 128
    pixels[3, :100] = 0
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    rgb, valid = open_scene(write_raster(tmp_path / "a.tif", pixels, colours=colours)).read(0, 0, 400, 300)
    assert not valid[:100].any()
    assert valid[100:].all()
    assert not rgb[:100].any()
    assert np.array_equal(rgb[100:], pixels[:3, 100:].transpose(1, 2, 0))


def test_a_fourth_band_that_is_not_alpha_is_left_out_and_said_so(tmp_path):
    pixels = noise(4)
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined]
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, colours=colours))
    rgb, valid = scene.read(0, 0, 400, 300)
    assert np.array_equal(rgb, pixels[:3].transpose(1, 2, 0))
    assert valid.all()
    assert "fourth band that is not alpha" in scene.notes[0]


def test_a_nodata_value_hides_pixels(tmp_path):
    pixels = noise(3)
    pixels[:, :, :50] = 0
    _, valid = open_scene(write_raster(tmp_path / "a.tif", pixels, nodata=0)).read(0, 0, 100, 100)
    assert not valid[:, :50].any()
    assert valid[:, 50:].all()


def test_an_internal_mask_hides_pixels(tmp_path):
    pixels = noise(3)
    path = write_raster(tmp_path / "a.tif", pixels)
    mask = np.full((300, 400), 255, np.uint8)
    mask[:, 200:] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    rgb, valid = open_scene(path).read(0, 0, 400, 300)
    assert np.array_equal(valid, mask > 0)
    assert not rgb[:, 200:].any()


def test_blocks_that_were_never_written_hold_no_data(tmp_path):
    path = tmp_path / "sparse.tif"
    settings = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256, "SPARSE_OK": True}
    with rasterio.open(path, "w", width=5000, height=5000, count=3, dtype="uint8", **settings) as dataset:
        dataset.write(noise(3, 256, 256), window=Window(0, 0, 256, 256))
    scene = open_scene(path)
    assert scene.read(0, 0, 300, 300)[1].all()
    assert not scene.read(256, 256, 1000, 1000)[1].any()


def test_chosen_bands_are_read_in_their_order(tmp_path):
    pixels = noise(5)
    rgb, _ = open_scene(write_raster(tmp_path / "a.tif", pixels), {"bands": (5, 3, 1)}).read(0, 0, 400, 300)
    assert np.array_equal(rgb, pixels[[4, 2, 0]].transpose(1, 2, 0))


def test_threads_read_the_same_pixels(tmp_path):
    pixels = noise(3)
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, compress="deflate"))
    seen: list[bool] = []

    def read_all():
        for y in range(0, 300, 50):
            rgb, _ = scene.read(0, y, 400, 50)
            seen.append(np.array_equal(rgb, pixels[:, y : y + 50].transpose(1, 2, 0)))

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 24
    assert all(seen)


def test_five_bands_want_a_choice(tmp_path):
    with pytest.raises(
        SodsliceError, match=r"a.tif has 5 bands; choose three with `bands`, for example `bands=3,2,1`"
    ):
        open_scene(write_raster(tmp_path / "a.tif", noise(5)))


def test_bands_that_do_not_exist_are_refused(tmp_path):
    with pytest.raises(SodsliceError, match=r"has bands 1 to 3, got `bands=4,2,1`"):
        open_scene(write_raster(tmp_path / "a.tif", noise(3)), {"bands": (4, 2, 1)})


def test_red_green_and_blue_are_taken_in_the_order_that_the_file_gives_them(tmp_path):
    pixels = noise(4)
    colours = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    scene = open_scene(write_raster(tmp_path / "a.tif", pixels, colours=colours))
    assert np.array_equal(scene.read(0, 0, 400, 300)[0], pixels[[3, 2, 1]].transpose(1, 2, 0))
    assert "band 1 is left out, bands 4,3,2 are used" in scene.notes[0]


def test_black_in_one_band_is_a_colour_and_no_data_only_in_all(tmp_path):
    pixels = noise(3)
    pixels[0, :100] = 0
    pixels[:, 100:200] = 0
    _, valid = open_scene(write_raster(tmp_path / "a.tif", pixels, nodata=0)).read(0, 0, 400, 300)
    assert valid[:100].all()
    assert not valid[100:200].any()


def test_the_users_no_data_value_goes_before_the_files(tmp_path):
    pixels = noise(1)
    pixels[:, :50], pixels[:, 50:100] = 0, 255
    path = write_raster(tmp_path / "a.tif", pixels, nodata=0)

    def hidden_rows(nodata):
        return np.flatnonzero(
            ~open_scene(path, {"nodata": nodata}).read(0, 0, 400, 300)[1].all(axis=1)
        ).tolist()

    assert hidden_rows(None) == list(range(50))
    assert hidden_rows(255) == list(range(50, 100))
    assert hidden_rows("none") == []


def test_alpha_goes_before_a_no_data_value(tmp_path):
    pixels = noise(4)
    pixels[3] = 255
    pixels[:3, :50] = 0
    pixels[3, 50:60] = 0
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    path = write_raster(tmp_path / "a.tif", pixels, nodata=0, colours=colours)
    _, valid = open_scene(path).read(0, 0, 400, 300)
    assert valid[:50].all()
    assert not valid[50:60].any()
    assert not open_scene(path, {"nodata": 0}).read(0, 0, 400, 300)[1][:60].any()


def test_a_clear_colour_of_a_palette_hides(tmp_path):
    path = tmp_path / "a.png"
    pixels = RNG.integers(0, 2, (1, 50, 60), dtype=np.uint8)
    with rasterio.open(path, "w", driver="PNG", width=60, height=50, count=1, dtype="uint8") as dataset:
        dataset.write_colormap(1, {0: (9, 9, 9, 0), 1: (200, 100, 50, 255)})
        dataset.write(pixels)
    rgb, valid = open_scene(path).read(0, 0, 60, 50)
    assert np.array_equal(valid, pixels[0] == 1)
    assert (rgb[valid] == (200, 100, 50)).all()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.tif", None, "there is no file"),
        ("text.tif", b"this is not an image, " * 100, "is not an image that GDAL can open"),
        ("empty.tif", b"", "is not an image that GDAL can open"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SodsliceError, match=words) as caught:
        open_scene(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(SodsliceError, match="is a folder"):
        open_scene(tmp_path)


def test_a_truncated_file_says_where_it_cannot_be_read(tmp_path):
    path = write_raster(tmp_path / "a.tif", noise(3, 1000, 1000), compress="deflate")
    path.write_bytes(path.read_bytes()[:1_000_000])

    def read_all():
        with open_scene(path) as scene:
            return [scene.read(0, y, 1000, 100) for y in range(0, 1000, 100)]

    with pytest.raises(SodsliceError, match="a.tif"):
        read_all()


def test_reading_goes_on_after_close(tmp_path):
    scene = open_scene(write_raster(tmp_path / "a.tif", noise(3)))
    scene.close()
    assert scene.read(0, 0, 10, 10)[1].all()
    scene.close()


def test_an_array_is_a_scene():
    pixels = noise(3).transpose(1, 2, 0)
    scene = open_scene(pixels)
    assert isinstance(scene, ArrayScene)
    assert np.array_equal(scene.read(5, 6, 20, 10)[0], pixels[6:16, 5:25])
    grey = open_scene(pixels[..., 0])
    assert np.array_equal(grey.read(0, 0, 4, 4)[0][..., 2], pixels[:4, :4, 0])


def test_a_mask_of_an_array_hides_pixels():
    valid = np.zeros((20, 20), bool)
    valid[5:] = True
    rgb, seen = ArrayScene(np.full((20, 20), 9, np.uint8), valid=valid).read(0, 0, 20, 20)
    assert np.array_equal(seen, valid)
    assert rgb[:5].max() == 0


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 4), np.int32), "must be uint8, or floats of 0..1 or 0..255, got int32"),
        (np.zeros((4, 4, 5), np.uint8), r"must have shape \(H, W\)"),
        (np.zeros((0, 4), np.uint8), r"must have shape \(H, W\)"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array, words):
    with pytest.raises(SodsliceError, match=words):
        open_scene(array)


def test_what_is_no_scene_at_all_is_refused():
    with pytest.raises(
        SodsliceError, match="must be a path, an address, bytes of an image, an array, .* or a Scene, got int"
    ):
        open_scene(3)
