"""Scenes in temporary files: they go with the scene, and point nowhere."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path

import numpy as np
import pytest

from sodslice.errors import SceneError
from sodslice.scene import Rendering, as_scene
from sodslice.scene.temporary import TemporaryScene, temporary_scene
from tests.rasters import write_raster


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary files are made."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def test_the_file_goes_with_the_scene_and_not_before(tmp_path, folder):
    content = write_raster(tmp_path / "a.tif", np.full((3, 40, 40), 9, np.uint8)).read_bytes()
    scene = as_scene(content)
    assert isinstance(scene, TemporaryScene)
    assert scene.companions == ()
    scene.close()
    assert scene.read(0, 0, 5, 5)[0].max() == 9
    scene.close()
    del scene
    gc.collect()
    assert list(folder.iterdir()) == []


def test_nothing_is_left_of_what_is_no_image(folder):
    with pytest.raises(SceneError):
        as_scene(b"nothing")
    gc.collect()
    assert list(folder.iterdir()) == []


def test_errors_and_notes_speak_of_the_name_alone(tmp_path, folder):
    whole = write_raster(tmp_path / "a.tif", np.ones((3, 600, 600), np.uint8), tiled=True).read_bytes()

    def fill(path: Path) -> None:
        path.write_bytes(whole)

    scene = temporary_scene(fill, name="mine", file="a.tif")
    assert not any(str(folder) in note for note in scene.notes)
    next(folder.glob("*/a.tif")).write_bytes(b"")
    scene.close()
    with pytest.raises(SceneError, match=r"^mine ") as caught:
        scene.read(0, 0, 10, 10)
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize("allow_vrt", [False, True])
def test_what_came_from_elsewhere_never_points_to_files_here(tmp_path, folder, allow_vrt):
    secret = write_raster(tmp_path / "secret.tif", np.ones((1, 40, 40), np.uint8))
    vrt = (
        '<VRTDataset rasterXSize="40" rasterYSize="40"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{secret}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        "</VRTDataset>"
    )
    with pytest.raises(SceneError, match="^bytes is a VRT that reads .*, which is not in its folder"):
        as_scene(vrt.encode(), Rendering(allow_vrt=allow_vrt))


@pytest.mark.parametrize(
    "text", ["<GDAL_WMS></GDAL_WMS>", '<!DOCTYPE x><VRTDataset rasterXSize="4" rasterYSize="4"/>']
)
def test_no_advice_is_given_that_would_not_help(folder, text):
    with pytest.raises(SceneError, match="^bytes is .*; save it as a file first$") as caught:
        as_scene(text.encode())
    assert "allow_vrt" not in str(caught.value)


def test_no_room_for_a_temporary_file_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(SceneError, match="bytes needs a temporary file, which fails: No such file"):
        as_scene(b"123")
