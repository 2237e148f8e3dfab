"""Files that were cut short are refused, whatever their format and however they are read."""

from __future__ import annotations

import struct
import threading
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from PIL import Image

from sodslice import SodsliceError, open_scene, run
from sodslice.scene.wholeness import check_whole

RNG = np.random.default_rng(0)
HEIGHT, WIDTH = 120, 160
RGB = RNG.integers(1, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def png(pixels: np.ndarray, depth: int, *, interlaced: bool) -> bytes:
    """A PNG of `(h, w, bands)` pixels, written by the letter of the standard."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    passes = [(0, 0, 1, 1)]
    if interlaced:
        passes = [
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        ]
    kind = ">u2" if depth == 16 else "u1"
    rows = [row for x, y, dx, dy in passes for row in pixels[y::dy, x::dx]]
    packed = zlib.compress(b"".join(b"\0" + row.astype(kind).tobytes() for row in rows))
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[pixels.shape[2]]
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colours, 0, 0, int(interlaced))
    parts = [chunk(b"IDAT", packed[i : i + 8192]) for i in range(0, len(packed), 8192)]
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(parts) + chunk(b"IEND", b"")


def of_gdal(driver: str, **profile):
    def write(path):
        with rasterio.open(
            path, "w", driver=driver, width=WIDTH, height=HEIGHT, count=3, dtype="uint8", **profile
        ) as file:
            file.write(RGB.transpose(2, 0, 1))

    return write


def of_pillow(image: Image.Image, kind: str, **how):
    return lambda path: image.save(path, kind, **how)


def of_bytes(bands: int, depth: int, interlaced: bool):
    pixels = np.dstack([RGB, RGB[..., :1]])[..., :bands].astype(int) * (257 if depth == 16 else 1)
    return lambda path: path.write_bytes(png(pixels, depth, interlaced=interlaced))


IMAGE = Image.fromarray(RGB)
PNGS = {
    f"png {bands} bands, {depth} bits{', interlaced' * interlaced}": of_bytes(bands, depth, interlaced)
    for bands in (1, 2, 3, 4)
    for depth in (8, 16)
    for interlaced in (False, True)
} | {
    "png with a palette": of_pillow(IMAGE.quantize(64), "PNG"),
    "png of one bit": of_pillow(IMAGE.convert("1"), "PNG"),
}
OTHERS = {
    "jpeg": of_pillow(IMAGE, "JPEG"),
    "progressive jpeg": of_pillow(IMAGE, "JPEG", progressive=True),
    "gif": of_pillow(IMAGE.quantize(64), "GIF"),
    "bmp": of_pillow(IMAGE, "BMP"),
    "webp": of_pillow(IMAGE, "WEBP"),
    "webp without loss": of_pillow(IMAGE, "WEBP", lossless=True),
    "ppm": of_pillow(IMAGE, "PPM"),
    "tga": of_pillow(IMAGE, "TGA"),
    "tga in runs": of_pillow(IMAGE, "TGA", compression="tga_rle"),
    "tga in grey": of_pillow(IMAGE.convert("L"), "TGA"),
    "tga with a palette": of_pillow(IMAGE.quantize(64), "TGA", compression="tga_rle"),
    "tiff": of_gdal("GTiff"),
    "deflated tiff": of_gdal("GTiff", compress="deflate"),
    "jpeg 2000": of_gdal("JP2OpenJPEG"),
    "envi": of_gdal("ENVI"),
    "envi by pixels": of_gdal("ENVI", interleave="bip"),
    "pcidsk": of_gdal("PCIDSK"),
    "imagine": of_gdal("HFA"),
}


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("share", [0.4, 0.95])
@pytest.mark.parametrize("kind", [*PNGS, *OTHERS])
def test_a_picture_that_was_cut_short_is_refused(tmp_path, kind, share):
    path = tmp_path / ("a.tga" if kind.startswith("tga") else "a.img")
    (PNGS | OTHERS)[kind](path)
    whole = path.read_bytes()

    def read():
        with open_scene(path, {"stretch": "auto"}) as scene:
            return scene.read(0, 0, scene.width, scene.height)

    assert read()[1].all()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(SodsliceError, match=path.name) as caught:
        read()
    assert "\n" not in str(caught.value)


def test_a_cut_png_in_one_tile_ends_a_run_with_one_line(tmp_path):
    path = tmp_path / "a.png"
    PNGS["png 3 bands, 8 bits"](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(SodsliceError, match=r"a.png cannot be read at x 0, y 0, 160 x 120 pixels"):
        run(path, model="blobs")


@pytest.mark.parametrize("kind", ["png 3 bands, 8 bits", "png 1 bands, 8 bits", "png with a palette"])
def test_it_makes_no_difference_which_thread_reads_it(tmp_path, kind):
    path = tmp_path / "a.png"
    PNGS[kind](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    errors: list[str] = []

    def read():
        try:
            open_scene(path).read(0, 0, WIDTH, HEIGHT)
        except SodsliceError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 3


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_mosaic_with_a_source_that_was_cut_short_is_refused(tmp_path, suffix):
    """GDAL reads the sources of large windows in threads of its own, and loses what goes wrong there."""
    side = 700
    pixels = RNG.integers(0, 255, (side, side), dtype=np.uint8)
    for number in range(4):
        Image.fromarray(pixels).save(tmp_path / f"{number}.{suffix}")
    cut = tmp_path / f"3.{suffix}"
    cut.write_bytes(
        cut.read_bytes()[: cut.stat().st_size * 6 // 10] if suffix == "png" else b"II*\0\x08\0\0\0"
    )
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{n}.{suffix}</SourceFilename>'
        f'<SourceBand>1</SourceBand><SrcRect xOff="0" yOff="0" xSize="{side}" ySize="{side}"/>'
        f'<DstRect xOff="{n % 2 * side}" yOff="{n // 2 * side}" xSize="{side}" ySize="{side}"/>'
        "</SimpleSource>"
        for n in range(4)
    )
    path = tmp_path / "a.vrt"
    path.write_text(
        f'<VRTDataset rasterXSize="{2 * side}" rasterYSize="{2 * side}">'
        f'<VRTRasterBand dataType="Byte" band="1">{sources}</VRTRasterBand></VRTDataset>'
    )
    with open_scene(path) as scene, pytest.raises(SodsliceError, match="a.vrt cannot be read"):
        scene.read(0, 0, 2 * side, 2 * side)


def test_runs_of_a_tga_are_counted_to_the_last_pixel(tmp_path):
    """Ten grey pixels by hand: seven of one level, then three that differ."""
    head = bytes([0, 0, 11, *[0] * 9, 10, 0, 1, 0, 8, 0])
    path = tmp_path / "a.tga"
    path.write_bytes(head + bytes([0x80 | 6, 50, 2, 10, 20, 30]))
    check_whole(SimpleNamespace(driver="TGA"), path)
    for missing in range(1, 6):
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(SodsliceError, match=rf"it has {24 - missing} bytes, and its header speaks of"):
            check_whole(SimpleNamespace(driver="TGA"), path)
    path.write_bytes(head[:9])
    with pytest.raises(SodsliceError, match="a.tga is damaged"):
        check_whole(SimpleNamespace(driver="TGA"), path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_is_missing_is_said_in_numbers(tmp_path):
    path = tmp_path / "a.dat"
    OTHERS["envi"](path)
    path.write_bytes(path.read_bytes()[:-1])
    need = HEIGHT * WIDTH * 3
    words = f"a.dat is cut short: it has {need - 1} bytes, and its header speaks of at least {need}"
    with pytest.raises(SodsliceError, match=words):
        open_scene(path)


@pytest.mark.shared
def test_the_cut_picture_of_the_cases_is_refused(shared):
    with pytest.raises(SodsliceError, match="truncated.png cannot be read"):
        run(shared / "cases" / "sets" / "truncated.png", model="blobs")
