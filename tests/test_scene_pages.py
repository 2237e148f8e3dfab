"""Files of several pictures: which one is read, and that it is said."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.shutil import copy as gdal_copy

from sodslice import SodsliceError, make_plan, open_scene, run
from sodslice.cli import main
from tests.rasters import write_raster


def pictures(count: int = 3) -> list[Image.Image]:
    """Pictures with one bright square each, at another place each time."""
    found = []
    for number in range(count):
        pixels = np.full((60, 80, 3), 30, np.uint8)
        pixels[10:20, 10 + 20 * number : 20 + 20 * number] = 250
        found.append(Image.fromarray(pixels))
    return found


def save(path, count: int = 3):
    first, *others = pictures(count)
    if path.suffix == ".gif":
        first, *others = (picture.quantize(16) for picture in (first, *others))
    first.save(path, save_all=True, append_images=others)
    return path


def left_of(path, **options) -> float:
    """Where the square is."""
    found = run(path, model="blobs", options=options).detections
    assert len(found) == 1
    return float(found.boxes[0, 0])


@pytest.mark.parametrize("count", [2, 3, 12])
def test_the_first_page_of_a_tiff_is_read_and_the_others_are_said(tmp_path, count):
    path = save(tmp_path / "a.tif", count)
    result = run(path, model="blobs")
    assert abs(result.detections.boxes[0, 0] - 10) < 1
    note = f"{path} holds {count} pictures, and the first is read; `page=2` reads the second"
    assert note in result.scene.notes


@pytest.mark.parametrize("page", [1, 2, 3])
def test_any_page_can_be_read(tmp_path, page):
    path = save(tmp_path / "a.tif")
    assert abs(left_of(path, page=page) - (20 * page - 10)) < 1
    with open_scene(path, {"page": page}) as scene:
        assert scene.notes == ()
        scene.close()
        assert scene.read(0, 0, 80, 60)[0].max() == 250


def test_a_page_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SodsliceError, match=r"a.tif has 3 pictures, got `page=4`"):
        open_scene(save(tmp_path / "a.tif"), {"page": 4})
    with pytest.raises(SodsliceError, match=r"b.png has one picture, got `page=2`"):
        open_scene(save(tmp_path / "b.png", 1), {"page": 2})
    with pytest.raises(SodsliceError, match="`page` must be"):
        open_scene(tmp_path / "a.tif", {"page": 0})


def test_pages_of_one_file_are_told_apart(tmp_path):
    path = save(tmp_path / "a.tif")
    one, two = (make_plan(path, model="blobs", options={"page": page}) for page in (1, 2))
    assert one.head != two.head
    result = run(path, model="blobs", options={"page": 2})
    assert result.provenance.options["page"] == 2


@pytest.mark.parametrize("suffix", ["gif", "png"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_of_an_animation_the_first_picture_is_read_and_it_is_said(tmp_path, suffix, count):
    path = save(tmp_path / f"a.{suffix}", count)
    result = run(path, model="blobs")
    assert abs(result.detections.boxes[0, 0] - 10) < 1
    assert len(result) == 1
    assert f"{path} is animated, and its first picture is read" in result.scene.notes
    with pytest.raises(SodsliceError, match=r"its first picture alone is read.*got `page=2`"):
        open_scene(path, {"page": 2})
    assert open_scene(path, {"page": 1}).notes == ()


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_nothing_is_said_of_a_single_picture(tmp_path, suffix):
    with open_scene(save(tmp_path / f"a.{suffix}", 1)) as scene:
        assert scene.notes == ()
        assert scene.read(0, 0, 80, 60)[1].all()


def test_an_animated_webp_is_refused_by_name(tmp_path):
    with pytest.raises(SodsliceError, match=r"a.webp is an animated WebP, which GDAL does not read"):
        open_scene(save(tmp_path / "a.webp"))


def test_overviews_and_masks_are_no_pages(tmp_path):
    path = write_raster(tmp_path / "a.tif", np.full((1, 512, 512), 9, np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.full((512, 512), 255, np.uint8))
        dataset.build_overviews([2, 4], rasterio.enums.Resampling.nearest)
    assert open_scene(path).notes == ()


def test_an_error_about_the_first_of_several_pictures_names_the_way_to_the_others(tmp_path):
    path = tmp_path / "a.tif"
    first, second = (Image.new("CMYK", (40, 30)), Image.new("RGB", (40, 30)))
    first.save(path, save_all=True, append_images=[second])
    with pytest.raises(SodsliceError, match=r"CMYK.*; it holds 2 pictures, `page` chooses one"):
        open_scene(path)
    assert open_scene(path, {"page": 2}).read(0, 0, 40, 30)[1].all()


def test_a_container_without_a_picture_of_its_own_wants_a_choice(tmp_path):
    path = tmp_path / "a.gpkg"
    for number in range(2):
        pixels = np.full((3, 64, 64), 30, np.uint8)
        pixels[:, 10:20, 10 + 20 * number : 20 + 20 * number] = 250
        source = write_raster(tmp_path / f"{number}.tif", pixels)
        more = {"APPEND_SUBDATASET": "YES"} if number else {}
        gdal_copy(source, path, driver="GPKG", RASTER_TABLE=f"t{number}", TILE_FORMAT="PNG", **more)
    with pytest.raises(
        SodsliceError, match=r"has no pixels of its own; it holds 2 pictures, choose one with"
    ):
        open_scene(path)
    assert [round(left_of(path, page=page)) for page in (1, 2)] == [10, 30]


def test_a_list_of_pictures_that_lie_elsewhere_is_not_followed(tmp_path):
    """Anybody can write a list of pictures beside a file, and name there what he likes."""
    path = write_raster(tmp_path / "a.tif", np.full((1, 64, 64), 9, np.uint8))
    secret = write_raster(tmp_path / "secret.tif", np.full((1, 64, 64), 99, np.uint8))
    names = [str(path), str(secret), f"GTIFF_DIR:1:{secret}", f"/vsicurl/http://localhost/{path}"]
    rows = "".join(f'<MDI key="SUBDATASET_{n}_NAME">{name}</MDI>' for n, name in enumerate(names, 1))
    (tmp_path / "a.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="SUBDATASETS">{rows}</Metadata></PAMDataset>'
    )
    assert "holds 4 pictures" in open_scene(path).notes[0]
    for page in (2, 3, 4):
        with pytest.raises(SodsliceError, match=f"as picture {page}, which is not in it"):
            open_scene(path, {"page": page})


def test_the_command_line_names_the_flag(tmp_path, capsys):
    path = save(tmp_path / "a.tif")
    with pytest.raises(SystemExit):
        main(["run", str(path), "--model", "blobs", "-o", str(tmp_path / "o.json")])
    assert "--page 2 reads the second" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["plan", str(path), "--model", "blobs", "--page", "4"])
    assert "has 3 pictures, got --page 4" in capsys.readouterr().err


@pytest.mark.shared
def test_the_cases_are_said(shared):
    sets = shared / "cases" / "sets"
    assert "holds 2 pictures" in open_scene(sets / "pages.tif").notes[0]
    assert "is animated" in open_scene(sets / "anim.gif").notes[0]
