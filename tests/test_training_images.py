"""Training and its validation see the pixels that `run` and `eval --model` see."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from sodslice.errors import DataError
from sodslice.scene import Rendering, as_scene
from sodslice.training.data import open_data
from sodslice.training.images import read_image
from sodslice.training.settings import TrainSettings
from sodslice.training.source_settings import SourceSettings

WIDTH, HEIGHT = 96, 64
BOX = (30, 20, 50, 30)


def levels(high: float, dtype: str, low: float = 0) -> np.ndarray:
    """Three planes with a bright box that has another level in each."""
    planes = np.full((3, HEIGHT, WIDTH), low, dtype=dtype)
    planes += (np.random.default_rng(0).random(planes.shape) * high / 50).astype(dtype)
    x0, y0, x1, y1 = BOX
    for band, share in enumerate((1.0, 0.9, 0.8)):
        planes[band, y0:y1, x0:x1] = high * share
    return planes


def tiff(path, planes, *, colours=None, mask=None, **more):
    count, height, width = planes.shape
    how = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": planes.dtype, **more}
    with rasterio.open(path, "w", **how) as file:
        file.write(planes)
        if colours:
            file.colorinterp = colours
        if mask is not None:
            file.write_mask(mask)
    return path


def hiding(planes, value):
    planes[:, :, :10] = value
    return planes


def alpha(path):
    opaque = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    opaque[:, :, :10] = 0
    planes = np.concatenate([hiding(levels(250, "uint8"), 255), opaque])
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    return tiff(path, planes, colours=colours)


def turned(path):
    pixels = np.ascontiguousarray(np.moveaxis(levels(250, "uint8"), 0, 2)[..., ::-1])
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    tag = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(tag) + 2).to_bytes(2, "big") + tag + data[2:])
    return path


BGR = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
FILES = {
    "8 bits": lambda path: tiff(path, levels(250, "uint8")),
    "12 bits in 16": lambda path: tiff(path, levels(4000, "uint16", 100)),
    "signed 16 bits": lambda path: tiff(path, levels(4000, "int16", -300)),
    "32 bits": lambda path: tiff(path, levels(3e9, "uint32")),
    "floats": lambda path: tiff(path, levels(0.8, "float32")),
    "LERC": lambda path: tiff(path, levels(0.8, "float32"), compress="lerc"),
    "LERC and ZSTD": lambda path: tiff(path, levels(0.8, "float64"), compress="lerc_zstd"),
    "ZSTD": lambda path: tiff(path, levels(250, "uint8"), compress="zstd"),
    "WebP in TIFF": lambda path: tiff(path, levels(250, "uint8"), compress="webp", interleave="pixel"),
    "blue first": lambda path: tiff(path, levels(250, "uint8"), colours=BGR),
    "grey": lambda path: tiff(path, levels(250, "uint8")[:1]),
    "white is 0": lambda path: tiff(path, levels(250, "uint8")[:1], photometric="miniswhite"),
    "no data": lambda path: tiff(path, hiding(levels(4000, "uint16", 100), 9999), nodata=9999),
    "not a number": lambda path: tiff(path, hiding(levels(0.8, "float32"), np.nan)),
    "mask": lambda path: tiff(
        path, hiding(levels(250, "uint8"), 255), mask=(np.arange(WIDTH) >= 10)[None].repeat(HEIGHT, 0)
    ),
    "alpha": alpha,
    "turned by EXIF": turned,
    "JPEG 2000": lambda path: tiff(path, levels(250, "uint8"), driver="JP2OpenJPEG"),
    "16-bit PNG": lambda path: tiff(path, levels(4000, "uint16", 100), driver="PNG"),
}


def seen_by_a_run(path, rendering=None):
    scene = as_scene(path, rendering)
    pixels, _ = scene.read(0, 0, scene.width, scene.height)
    scene.close()
    return pixels


def source_of(folder, name, size, **more):
    document = {
        "images": [{"id": 1, "file_name": name, "width": size[0], "height": size[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 8]}],
        "categories": [{"id": 1, "name": "vehicle"}],
    }
    (folder / "truth.json").write_text(json.dumps(document))
    source = SourceSettings(images=".", annotations="truth.json", **more)
    settings = TrainSettings(data_root=str(folder), sources=(source,), validation=(source,))
    return open_data(settings, ("vehicle",), 1 << 24)


@pytest.mark.parametrize("kind", FILES)
def test_a_training_sees_what_a_run_sees(tmp_path, kind):
    path = FILES[kind](tmp_path / "image.bin")
    expected = seen_by_a_run(path)
    height, width = expected.shape[:2]
    data = source_of(tmp_path, path.name, (width, height))
    assert np.array_equal(data.sources[0].draw(np.random.default_rng(0)).levels[0], expected)
    (image,) = data.validation
    assert np.array_equal(read_image(image.path, image.rendering), expected)


def test_levels_beyond_8_bits_are_stretched_and_hidden_pixels_are_black(tmp_path):
    x0, y0, x1, y1 = BOX
    for kind in ("12 bits in 16", "no data", "not a number", "alpha", "mask"):
        pixels = read_image(FILES[kind](tmp_path / "image.bin"))
        assert (pixels[y0:y1, x0:x1, 0] >= 250).all(), kind
        if kind != "12 bits in 16":
            assert not pixels[:, :10].any(), kind
    blue_first = read_image(FILES["blue first"](tmp_path / "image.bin"))
    assert blue_first[y0, x0].tolist() == [200, 225, 250]
    assert read_image(turned(tmp_path / "turned.jpg")).shape == (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize(
    "how",
    [
        {"stretch": "minmax:0,8000"},
        {"bands": (3, 2, 1)},
        {"bands": (2,)},
        {"nodata": 100.0},
        {"nodata": "none"},
    ],
)
def test_sources_are_rendered_as_their_settings_say(tmp_path, how):
    planes = levels(4000, "uint16", 100)
    path = tiff(tmp_path / "image.tif", planes[:1] if "nodata" in how else planes, nodata=4000)
    expected = seen_by_a_run(path, Rendering(**how))
    assert not np.array_equal(expected, seen_by_a_run(path))
    data = source_of(tmp_path, path.name, (WIDTH, HEIGHT), **how)
    assert np.array_equal(data.sources[0].draw(np.random.default_rng(0)).levels[0], expected)
    (image,) = data.validation
    assert np.array_equal(read_image(image.path, image.rendering), expected)
    scene = SourceSettings(scene=path.name, truth="truth.json", **how)
    settings = TrainSettings(data_root=str(tmp_path), sources=(scene,))
    (source,) = open_data(settings, ("vehicle",), 1 << 24).sources
    assert np.array_equal(source.draw(np.random.default_rng(0)).levels[0], expected)


def test_sizes_in_the_json_are_those_of_the_turned_image(tmp_path):
    turned(tmp_path / "image.jpg")
    assert len(source_of(tmp_path, "image.jpg", (HEIGHT, WIDTH)).sources) == 1
    with pytest.raises(
        DataError, match=r"is 64 x 96 pixels, its json says 96 x 64; width and height are exch"
    ):
        source_of(tmp_path, "image.jpg", (WIDTH, HEIGHT))


def test_bands_that_are_not_there_are_told_before_the_start(tmp_path):
    path = tiff(tmp_path / "image.tif", levels(250, "uint8"))
    with pytest.raises(DataError, match=r"image\.tif has bands 1 to 3, got `bands=7,2,1`"):
        source_of(tmp_path, path.name, (WIDTH, HEIGHT), bands=(7, 2, 1))


@pytest.mark.shared
def test_twelve_bits_in_16_and_zstd_are_learned_as_they_are_run(shared):
    for name in ("rgb12in16.png", "zstd.tif", "exif3.jpg", "exif6.jpg"):
        path = shared / "cases" / "sets" / name
        assert np.array_equal(read_image(path), seen_by_a_run(path))
        assert read_image(path).max() > 240
